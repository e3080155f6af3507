//! [`par_reduce`]: all items of a slice to one result.

use super::grain::drive;
use super::install;
use crate::spawner::Spawner;

/// Makes one result of all items: `map` of each, and two of these at a time given to
/// `reduce`, on as many threads of the pool as have nothing to do. `None` if the slice is
/// empty. `reduce` gets neighbours in their order, so it has to be associative, but not
/// commutative.
///
/// For use inside a job, whose pool it is. On a thread that is no pool's all of it is
/// done here, in order; [`Pool::par_reduce`](crate::Pool::par_reduce) is the way in from
/// there.
///
/// * **It blocks** until all of it is done. What waits, and what runs meanwhile, is said
///   at [`join`](crate::join).
/// * **Nothing is allocated.** How many items a thread takes at a time is found out by
///   the clock.
/// * Numbers with a fraction are rounded in another order each time, so sums of them
///   differ in their last digits.
///
/// # Panics
/// With the panic of `map` or `reduce`, after all calls that were begun have ended; what
/// was made so far is dropped, and what was not begun is left out. If several panic, it is
/// the first of them in the order of the items.
///
/// What has a name of its own elsewhere:
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let numbers: Vec<u64> = (1..=100_000).rev().collect();
///
/// let sum = pool.par_reduce(&numbers, |&n| n, |a, b| a + b).unwrap_or(0);
/// assert_eq!(sum, 5_000_050_000);
/// let min = pool.par_reduce(&numbers, |&n| n, u64::min);
/// assert_eq!(min, Some(1));
/// let is_any = pool.par_reduce(&numbers, |n| n % 65_537 == 0, |a, b| a | b);
/// assert_eq!(is_any, Some(true));
///
/// let words = ["in ", "this ", "order"];
/// let text = pool.par_reduce(&words, |&word| String::from(word), |a, b| a + &b);
/// assert_eq!(text.as_deref(), Some("in this order"));
/// # Ok::<(), windlass::BuildError>(())
/// ```
pub fn par_reduce<T: Sync, R: Send>(
    slice: &[T],
    map: impl Fn(&T) -> R + Sync,
    reduce: impl Fn(R, R) -> R + Sync,
) -> Option<R> {
    let block = |items: &[T]| items.iter().map(&map).reduce(&reduce);
    let merge = |a: Option<R>, b: Option<R>| match (a, b) {
        (Some(a), Some(b)) => Some(reduce(a, b)),
        (a, b) => a.or(b),
    };
    drive(slice, block, merge).flatten()
}

impl Spawner {
    /// Makes one result of all items, on the pool. See
    /// [`Pool::par_reduce`](crate::Pool::par_reduce).
    pub fn par_reduce<T: Sync, R: Send>(
        &self,
        slice: &[T],
        map: impl Fn(&T) -> R + Sync,
        reduce: impl Fn(R, R) -> R + Sync,
    ) -> Option<R> {
        install(self, || par_reduce(slice, &map, &reduce))
    }
}
