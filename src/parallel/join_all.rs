//! [`join_all`]: more than two closures.

use super::{install, join};
use crate::spawner::Spawner;

/// Several closures to be run on several threads: tuples of two to eight, arrays and
/// vectors. See [`join_all`].
pub trait JoinAll: Send + Sized {
    /// Their results, in the same shape.
    type Output: Send;

    /// As [`join_all`].
    fn join_all(self) -> Self::Output;
}

/// Runs all the closures of a tuple (of two to eight), an array or a vector, and gives
/// their results in the same shape: [`join`](crate::join) for more than two, which says
/// what waits and panics. The first panic, in the order of the closures, is the one
/// that is raised again.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let text = String::from("one two three");
/// let (words, bytes, spaces) = pool.join_all((
///     || text.split(' ').count(),
///     || text.len(),
///     || text.chars().filter(|c| c.is_whitespace()).count(),
/// ));
/// assert_eq!((words, bytes, spaces), (3, 13, 2));
///
/// let squares = pool.join_all([1, 2, 3].map(|n| move || n * n));
/// assert_eq!(squares, [1, 4, 9]);
/// # Ok::<(), windlass::BuildError>(())
/// ```
pub fn join_all<J: JoinAll>(closures: J) -> J::Output {
    closures.join_all()
}

impl Spawner {
    /// Runs all the closures on the pool, perhaps on several threads at once. See
    /// [`Pool::join_all`](crate::Pool::join_all).
    pub fn join_all<J: JoinAll>(&self, closures: J) -> J::Output {
        install(self, || join_all(closures))
    }
}

/// Tuples, each as the join of two shorter ones.
macro_rules! tuples {
    ($(($($f:ident $r:ident)+; $($g:ident $s:ident)+))+) => {$(
        impl<$($f, $r,)+ $($g, $s),+> JoinAll for ($($f,)+ $($g,)+)
        where
            $($f: FnOnce() -> $r + Send, $r: Send,)+
            $($g: FnOnce() -> $s + Send, $s: Send,)+
        {
            type Output = ($($r,)+ $($s,)+);

            #[allow(non_snake_case, reason = "a variable for each type")]
            fn join_all(self) -> Self::Output {
                let ($($f,)+ $($g,)+) = self;
                let (($($r,)+), ($($s,)+)) =
                    join(move || tuples!(@run $($f)+), move || tuples!(@run $($g)+));
                ($($r,)+ $($s,)+)
            }
        }
    )+};
    (@run $one:ident) => {
        ($one(),)
    };
    (@run $($more:ident)+) => {
        ($($more,)+).join_all()
    };
}

tuples! {
    (A RA; B RB)
    (A RA B RB; C RC)
    (A RA B RB; C RC D RD)
    (A RA B RB C RC; D RD E RE)
    (A RA B RB C RC; D RD E RE F RF)
    (A RA B RB C RC D RD; E RE F RF G RG)
    (A RA B RB C RC D RD; E RE F RF G RG H RH)
}

impl<F, R, const N: usize> JoinAll for [F; N]
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    type Output = [R; N];

    fn join_all(self) -> [R; N] {
        let mut closures = self.map(Some);
        let mut results = [const { None }; N];
        fill(&mut closures, &mut results);
        results.map(expect)
    }
}

impl<F, R> JoinAll for Vec<F>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    type Output = Vec<R>;

    fn join_all(self) -> Vec<R> {
        let mut closures: Vec<_> = self.into_iter().map(Some).collect();
        let mut results: Vec<_> = closures.iter().map(|_| None).collect();
        fill(&mut closures, &mut results);
        results.into_iter().map(expect).collect()
    }
}

/// Fills in the results of the closures.
fn fill<F, R>(closures: &mut [Option<F>], results: &mut [Option<R>])
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    if closures.len() <= 1 {
        for (closure, result) in closures.iter_mut().zip(results) {
            *result = closure.take().map(|closure| closure());
        }
        return;
    }
    let middle = closures.len() / 2;
    let (closures, other_closures) = closures.split_at_mut(middle);
    let (results, other_results) = results.split_at_mut(middle);
    join(
        || fill(closures, results),
        || fill(other_closures, other_results),
    );
}

fn expect<R>(result: Option<R>) -> R {
    result.expect("each closure has run")
}
