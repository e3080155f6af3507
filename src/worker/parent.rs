//! [`Parent`]: how a worker answers.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::core::{AnyWorker, WorkerId};
use crate::port::{Lane, PostError};
use crate::sync::Arc;

/// The way from a worker to its owner: what is posted here is received from the
/// [`Worker`](super::Worker).
///
/// Clones post to the same owner, in the order of their posts; a job that a
/// handler spawns may take one along. Once the worker has ended, and once its
/// owner has gone, posts come back.
pub struct Parent<Out> {
    pub(super) outbox: Arc<Lane<Out>>,
    pub(super) worker: Arc<dyn AnyWorker>,
}

impl<Out> Parent<Out> {
    /// Posts a message to the owner. Never blocks; the way there is not bounded.
    ///
    /// # Errors
    /// Gives the message back if the worker has ended, or if its owner has gone:
    /// it dropped the [`Worker`](super::Worker), and no listener or stream of it
    /// is left. A handler that returns *this* error, by `?`, exits quietly: a
    /// departed owner is not a failure.
    pub fn post(&self, message: Out) -> Result<(), PostError<Out>> {
        if self.owner_is_gone() {
            return Err(PostError::closed(message));
        }
        self.outbox.post(message)
    }

    /// Whether posts come back.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.outbox.is_closed() || self.owner_is_gone()
    }

    /// Whether the worker was told to terminate: for a handler to ask now and
    /// then in a long loop.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.worker.core().is_terminating()
    }

    /// The worker's number.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.worker.core().id
    }

    /// In a fork of the worker's process it has none either.
    pub(super) fn owner_is_gone(&self) -> bool {
        let core = self.worker.core();
        core.is_abandoned() && !self.outbox.is_claimed() || core.is_forked()
    }
}

impl<Out> Clone for Parent<Out> {
    fn clone(&self) -> Self {
        Self {
            outbox: Arc::clone(&self.outbox),
            worker: Arc::clone(&self.worker),
        }
    }
}

// User code never runs with anything of a worker half done.
impl<Out> UnwindSafe for Parent<Out> {}
impl<Out> RefUnwindSafe for Parent<Out> {}

impl<Out> fmt::Debug for Parent<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parent")
            .field("worker", &self.id())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}
