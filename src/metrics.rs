//! What a pool counts. Only the rare events have shared counters: nothing
//! shared is written per job.

use crate::sync::{AtomicU64, Ordering};

/// One pool's counters. All Relaxed: each stands for itself.
#[derive(Default)]
pub(crate) struct Counters {
    panicked: AtomicU64,
    rejected: AtomicU64,
}

impl Counters {
    pub(crate) fn count_panicked(&self) {
        self.panicked.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Panics that went to `on_panic`.
    pub(crate) fn panicked(&self) -> u64 {
        self.panicked.load(Ordering::Relaxed)
    }

    /// Jobs that went to `on_reject`.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }
}
