//! Who runs here?

use std::cell::RefCell;
use std::fmt;

use super::core::{AnyWorker, WorkerId};
use crate::environment::{Environment, environment_methods};
use crate::scheduler::current_index;
use crate::sync::{Arc, thread_local};

thread_local! {
    /// The worker whose turn this thread runs.
    static CURRENT: RefCell<Option<Arc<dyn AnyWorker>>> = const { RefCell::new(None) };
}

/// Makes `worker` the current one until the guard goes.
pub(super) fn enter<W: AnyWorker + 'static>(worker: &Arc<W>) -> Inside {
    let worker = Arc::clone(worker) as Arc<dyn AnyWorker>;
    Inside(CURRENT.with(|current| current.replace(Some(worker))))
}

/// See [`enter`].
pub(super) struct Inside(Option<Arc<dyn AnyWorker>>);

impl Drop for Inside {
    fn drop(&mut self) {
        let before = self.0.take();
        let this = CURRENT.with(|current| current.replace(before));
        drop(this);
    }
}

/// The worker whose turn this thread runs.
pub(super) fn current() -> Option<Arc<dyn AnyWorker>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// The worker whose handler or start closure is running on this thread; `None`
/// outside.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let worker = pool.worker(|(), parent: &windlass::Parent<_>| {
///     let _ = parent.post(windlass::current_worker().unwrap().id());
/// });
/// worker.post(())?;
/// assert_eq!(worker.recv()?, worker.id());
/// assert!(windlass::current_worker().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn current_worker() -> Option<CurrentWorker> {
    current().map(CurrentWorker)
}

/// Whether this code is run neither by a pool nor by a worker: what a Node
/// program asks before it starts its workers.
///
/// ```
/// assert!(windlass::is_main_thread());
/// let pool = windlass::Pool::new()?;
/// assert!(!pool.spawn(windlass::is_main_thread).join()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn is_main_thread() -> bool {
    current_index().is_none() && current().is_none()
}

/// A worker as its own code sees it; see [`current_worker`].
///
/// It may be kept and sent elsewhere; it does not keep the worker from ending.
#[derive(Clone)]
pub struct CurrentWorker(Arc<dyn AnyWorker>);

impl CurrentWorker {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.0.core().id
    }

    /// Its name, if it was given one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.core().name.as_deref()
    }

    /// No more mail; what is in the mailbox is handled, then it exits. Never
    /// blocks.
    pub fn close(&self) {
        Arc::clone(&self.0).close();
    }

    /// Ends the worker after the message in hand; see
    /// [`Worker::terminate`](super::Worker::terminate). Never blocks.
    pub fn terminate(&self) {
        Arc::clone(&self.0).terminate();
    }

    /// Whether it was told to terminate: for a handler to ask now and then in
    /// a long loop.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.0.core().is_terminating()
    }

    environment_methods!("this worker");

    fn environment(&self) -> &Environment {
        &self.0.core().environment
    }
}

impl fmt::Debug for CurrentWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentWorker")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish()
    }
}
