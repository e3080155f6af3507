//! [`Limit`]: so many jobs at once.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::ViewBuilder;
use super::core::View;
use crate::error::TrySpawnError;
use crate::handle::{Help, JoinHandle};
use crate::job::{Slot, new_cell};
use crate::sync::Arc;

/// A part of a pool: at most so many of its jobs run at once, and the rest of the
/// threads stay free for others. They start in the order in which they were
/// handed over.
///
/// Clones are the same view. It costs no thread, and as much as a worker; dropping
/// it changes nothing for its jobs.
///
/// A job that waits (for a handle, a message, a buffer, or in
/// [`blocking`](crate::blocking)) gives its place back meanwhile. In a view of one
/// place it keeps it, since the next one may only start when it has ended; to `join`
/// a job of the same view there is an error at once
/// ([`is_deadlock`](crate::JoinError::is_deadlock)).
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// let images = pool.limit(2); // never more than two threads for these
/// let jobs: Vec<_> = (0..10).map(|n| images.spawn(move || n * n)).collect();
/// let sum: i32 = jobs.into_iter().map(|job| job.join().unwrap()).sum();
/// assert_eq!(sum, 285);
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Limit {
    view: Arc<View>,
}

/// What a view has done and is doing; from [`Limit::metrics`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewMetrics {
    /// Jobs that wait for a place, or for a thread to come to them.
    pub queued: usize,
    /// Jobs that run, or have a turn to.
    pub running: usize,
    /// Jobs that have ended, one way or another.
    pub finished: u64,
}

impl Limit {
    pub(super) fn new(view: Arc<View>) -> Self {
        Self { view }
    }

    /// Hands `f` over, as [`Pool::spawn`](crate::Pool::spawn) does.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        View::spawn(&self.view, f)
    }

    /// Hands `f` over, fire and forget, as
    /// [`Pool::execute`](crate::Pool::execute) does.
    pub fn execute<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        View::submit(&self.view, Slot::detached(f));
    }

    /// Hands `f` over if there is room for it, as
    /// [`Pool::try_spawn`](crate::Pool::try_spawn) does; see
    /// [`ViewBuilder::queue_capacity`].
    ///
    /// # Errors
    /// Gives `f` back if as many jobs wait as may, or the pool is closed.
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.view.try_submit(f, |f| {
            let (job, end) = new_cell(f);
            self.view.submit_let_in(Slot::with_handle(job));
            JoinHandle::of_view(end, Arc::clone(&self.view) as Arc<dyn Help>)
        })
    }

    /// Hands `f` over, fire and forget, if there is room for it, as
    /// [`Pool::try_execute`](crate::Pool::try_execute) does.
    ///
    /// # Errors
    /// As [`try_spawn`](Self::try_spawn).
    pub fn try_execute<F>(&self, f: F) -> Result<(), TrySpawnError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.view
            .try_submit(f, |f| self.view.submit_let_in(Slot::detached(f)))
    }

    /// A part of this part: its jobs have a place in both. Its turns wait in the queue
    /// of this one, with its jobs.
    pub fn view(&self) -> ViewBuilder {
        ViewBuilder::within(&self.view)
    }

    /// How many of its jobs may run at once.
    #[must_use]
    pub fn places(&self) -> usize {
        self.view.places()
    }

    /// How many of its jobs wait or run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.view.pending()
    }

    /// Whether none of its jobs waits or runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it has done and is doing.
    #[must_use]
    pub fn metrics(&self) -> ViewMetrics {
        self.view.metrics()
    }
}

// User code never runs with anything of a view half done.
impl UnwindSafe for Limit {}
impl RefUnwindSafe for Limit {}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("places", &self.places())
            .field("len", &self.len())
            .finish()
    }
}
