//! [`par_map`]: a result for each item of a slice.

use super::install;
use super::results::results_of;
use crate::spawner::Spawner;

/// Calls `f` with each item, on as many threads of the pool as have nothing to do, and
/// gives the results in the order of the items.
///
/// For use inside a job, whose pool it is. On a thread that is no pool's all items are
/// worked on here, in order; [`Pool::par_map`](crate::Pool::par_map) is the way in from
/// there. For items that come one after another (from a file, without end) or results
/// that are wanted early, see [`Pool::map`](crate::Pool::map).
///
/// * **It blocks** until all of it is done. What waits, and what runs meanwhile, is said
///   at [`join`](crate::join).
/// * **The result is the only allocation**, and each thread writes into it. How many
///   items it takes at a time is found out by the clock.
///
/// # Panics
/// With the panic of `f`, after all calls that were begun have ended; the results made so
/// far are dropped, and what was not begun is left out. If several panic, it is the first
/// of them in the order of the items. If dropping a result panics as well, that is not
/// heard of.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let words = ["parallel", "in", "order"];
/// assert_eq!(pool.par_map(&words, |word| word.len()), [8, 2, 5]);
///
/// let job = pool.spawn(|| {
///     let numbers: Vec<u32> = (0..10_000).collect();
///     windlass::par_map(&numbers, |n| n.count_ones())
/// });
/// assert_eq!(job.join()?[1023], 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn par_map<T: Sync, R: Send>(slice: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    results_of(slice, f)
}

impl Spawner {
    /// A result for each item, on the pool. See [`Pool::par_map`](crate::Pool::par_map).
    pub fn par_map<T: Sync, R: Send>(&self, slice: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        install(self, || par_map(slice, &f))
    }
}
