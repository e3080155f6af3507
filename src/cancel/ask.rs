//! What a running job asks: am I to stop?

use crate::{job, scheduler};

/// Whether the job that runs here is to stop: its handle was told to
/// [`cancel`](crate::JoinHandle::cancel), or was dropped after
/// [`cancel_on_drop`](crate::JoinHandle::cancel_on_drop); a
/// [`CancelToken`](crate::CancelToken) of it was cancelled; its
/// [`timeout`](crate::JobBuilder::timeout) is over; or its pool was told to
/// [`shutdown_now`](crate::Pool::shutdown_now).
///
/// For a long computation to ask now and then: it costs a few nanoseconds. What a
/// job returns after it was told to stop is a result like any other, except
/// after a timeout.
///
/// `false` outside a pool's jobs. Fire-and-forget jobs and workers hear of
/// `shutdown_now` only; a worker that was told to terminate asks
/// [`Parent::is_terminating`](crate::Parent::is_terminating).
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let (begin, begun) = std::sync::mpsc::channel();
/// let search = pool.spawn(move || {
///     begin.send(()).unwrap();
///     let mut tried = 0_u64;
///     loop {
///         tried += 1;
///         if windlass::is_cancelled() {
///             return tried;
///         }
///     }
/// });
/// begun.recv()?;
/// assert!(!search.cancel(), "it runs already");
/// assert!(search.join()? > 0, "and stopped because it was asked to");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn is_cancelled() -> bool {
    job::is_asked_to_stop() || scheduler::current_is_discarding()
}

/// An error if the job that runs here is to stop; see [`is_cancelled`].
///
/// # Errors
/// [`Cancelled`], for `?` to carry out of the computation.
///
/// ```
/// use windlass::{Cancelled, Pool, checkpoint};
///
/// fn count(steps: u64) -> Result<u64, Cancelled> {
///     for step in 0..steps {
///         checkpoint()?;
///         std::hint::black_box(step);
///     }
///     Ok(steps)
/// }
///
/// let pool = Pool::new()?;
/// assert_eq!(pool.spawn(|| count(1000)).join()?, Ok(1000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn checkpoint() -> Result<(), Cancelled> {
    if is_cancelled() {
        Err(Cancelled(()))
    } else {
        Ok(())
    }
}

/// The job is to stop; what [`checkpoint`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job was told to stop")]
pub struct Cancelled(());
