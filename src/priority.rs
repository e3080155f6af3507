//! Which of the jobs that wait comes first.

/// Which of a pool's waiting jobs comes first; for
/// [`JobBuilder::priority`](crate::JobBuilder::priority).
///
/// A pool thread takes a high job before a normal one, and a normal one before a
/// low one, whichever came first; among jobs of one priority the order is as
/// always. A job that runs is not interrupted.
///
/// Nobody starves. Of every 61 jobs a thread takes, seven are normal ones if there
/// are any, and one is a low one, however many high ones wait: with `k` low jobs
/// ahead of it, a low job starts within `61 * (k + 1)` jobs of the thread, a normal
/// one within `9 * (k + 1)`.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use windlass::{Pool, Priority};
///
/// let pool = Pool::builder().num_threads(1).build()?;
/// let order = Arc::new(Mutex::new(Vec::new()));
/// # let (go, wait) = std::sync::mpsc::channel::<()>();
/// # pool.execute(move || drop(wait.recv())); // until all of them wait
/// let jobs: Vec<_> = [Priority::Low, Priority::Normal, Priority::High]
///     .into_iter()
///     .map(|priority| {
///         let order = Arc::clone(&order);
///         let job = pool.job().priority(priority);
///         job.spawn(move || order.lock().unwrap().push(priority))
///     })
///     .collect();
/// # drop(go);
/// for job in jobs {
///     job.join()?;
/// }
/// assert_eq!(*order.lock().unwrap(), [Priority::High, Priority::Normal, Priority::Low]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// When nothing else is to do.
    Low,
    /// As jobs are that say nothing about it.
    #[default]
    Normal,
    /// Before all others.
    High,
}
