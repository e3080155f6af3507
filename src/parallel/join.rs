//! [`join`]: two closures, perhaps on two threads.

use super::install;
use crate::scheduler;
use crate::spawner::Spawner;

/// Runs both closures, and gives both results: `a` here, and `b` too, unless another
/// thread of the pool had nothing to do and has taken it meanwhile. For dividing work
/// and conquering it, down to pieces of some ten nanoseconds: a join that nobody helps
/// with costs about two.
///
/// For use inside a job. On a thread that is no pool's, `b` runs after `a`, here;
/// [`Pool::join`](crate::Pool::join) is the way in from there.
///
/// * **It waits** for `b` if another thread runs that, and meanwhile runs nothing but
///   parts of it, never another job: so a lock that is held across a join cannot
///   deadlock through the pool. While it waits for long, another thread runs in its
///   place; see [`blocking`](crate::blocking).
/// * **`a` is begun first**, and it is second halves that others take, the oldest first. So
///   in a tree that was built from below, as nested boxes are, begin with the last child:
///   memory is then read in one direction.
/// * **Nothing is allocated.**
/// * [`is_cancelled`](crate::is_cancelled) says of both what it says of the job.
///
/// # Panics
/// With the panic of `a`, or else with that of `b`, after both have ended: also if one
/// of them panics, the other one runs.
///
/// ```
/// fn sum(numbers: &[u64]) -> u64 {
///     if numbers.len() <= 1000 {
///         return numbers.iter().sum();
///     }
///     let (left, right) = numbers.split_at(numbers.len() / 2);
///     let (left, right) = windlass::join(|| sum(left), || sum(right));
///     left + right
/// }
///
/// let pool = windlass::Pool::new()?;
/// let numbers: Vec<_> = (1..=1_000_000).collect();
/// assert_eq!(pool.spawn(move || sum(&numbers)).join()?, 500_000_500_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline(always)]
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    scheduler::join(a, b)
}

impl Spawner {
    /// Runs both closures on the pool, perhaps on two threads at once. See
    /// [`Pool::join`](crate::Pool::join).
    #[inline]
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        install(self, || join(a, b))
    }
}
