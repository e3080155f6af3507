//! Where jobs wait, seen by their pool, until it is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass::{JoinHandle, Pool, SharedArray};

use super::until;

#[derive(Clone)]
pub(crate) struct Gate {
    open: SharedArray<i32>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            open: SharedArray::new(1),
            waiting: Arc::default(),
        }
    }
}

impl Gate {
    pub(crate) fn open(&self) {
        self.open.store(0, 1);
        self.open.notify(0, usize::MAX);
    }

    pub(crate) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        while self.open.load(0) == 0 {
            self.open.wait(0, 0);
        }
    }

    /// Returns once so many jobs of the pool wait, or are about to.
    pub(crate) fn besieged_by(&self, pool: &Pool, count: usize) -> Vec<JoinHandle<()>> {
        let job = |_| {
            let gate = self.clone();
            pool.spawn(move || gate.wait())
        };
        let jobs = (0..count).map(job).collect();
        until(|| self.besiegers() == count);
        jobs
    }

    /// How many have come to wait so far.
    pub(crate) fn besiegers(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}
