//! A loop in a fork of its process.
//!
//! Whoever would have woken its futures and listeners may be on a thread that is not
//! in the fork. So each of them is looked at once more there, and finds out by
//! itself what it can still wait for: a pool's handle and a worker's messages say
//! that they are over.

use super::MainLoop;
use crate::sys::fork::Generation;

impl MainLoop {
    /// Whether this is a fork that the sources have not been told of.
    pub(super) fn is_forked(&self) -> bool {
        self.process.get().is_past()
    }

    /// Has every source looked at that waits for a waker.
    #[cold]
    pub(super) fn wake_all(&self) {
        self.process.set(Generation::current());
        let waiting = self.sources.borrow().waiting();
        for id in waiting {
            self.waker_for(id).wake();
        }
    }
}
