//! The power to cancel a job, apart from its handle.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::job::CancelEnd;
use crate::sys::fork::Generation;

/// Cancels one job, wherever its [`JoinHandle`](crate::JoinHandle) went: it may
/// have been awaited, or given to a main loop. Clones cancel the same job.
///
/// Dropping it does nothing.
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::builder().num_threads(1).build()?;
/// let (go, wait) = std::sync::mpsc::channel::<()>();
/// let first = pool.spawn(move || wait.recv());
/// let second = pool.spawn(|| unreachable!("it waits behind the first"));
///
/// let cancel = second.cancel_handle();
/// let waiter = std::thread::spawn(move || second.join());
/// assert!(cancel.cancel());
/// assert!(waiter.join().unwrap().unwrap_err().is_cancelled());
/// # drop(go);
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[derive(Clone)]
pub struct CancelHandle {
    /// `None`: made from a handle that had given its result already.
    end: Option<CancelEnd>,
    /// The process that the job is in.
    made_in: Generation,
}

impl CancelHandle {
    pub(super) fn new(end: Option<CancelEnd>, made_in: Generation) -> Self {
        Self { end, made_in }
    }

    /// Cancels the job if it has not started. See
    /// [`JoinHandle::cancel`](crate::JoinHandle::cancel), which is the same.
    pub fn cancel(&self) -> bool {
        self.end.as_ref().is_some_and(CancelEnd::cancel)
    }

    /// Whether the job has ended: returned, panicked, or was refused or
    /// cancelled. Never waits.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.end.as_ref().is_none_or(CancelEnd::is_resolved) || self.made_in.is_past()
    }
}

// As for `JoinHandle`.
impl UnwindSafe for CancelHandle {}
impl RefUnwindSafe for CancelHandle {}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}
