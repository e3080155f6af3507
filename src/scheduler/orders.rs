//! What a pool thread asks between two jobs: one word, which is zero in a pool that
//! just works, so that all of it costs one load a job.

use crate::sync::{AtomicU32, Ordering};

/// One thing to heed.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(super) enum Order {
    /// The backlog is being thrown away: nothing starts any more.
    Discard = 1 << 0,
    /// One thread too many runs, perhaps: one of them is to lie down.
    Crowded = 1 << 1,
    /// There are more threads than there should be: those beyond the pool's number
    /// are to leave.
    Dismiss = 1 << 2,
    /// There are, or were, jobs of other priorities than normal. Never cleared.
    Lanes = 1 << 3,
}

/// The word. Relaxed loads: a job that starts beside a change was a moment earlier.
pub(super) struct Orders(AtomicU32);

impl Orders {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    pub(super) fn has(&self, order: Order) -> bool {
        self.0.load(Ordering::Relaxed) & order as u32 != 0
    }

    /// Whether a thread just takes its next job. (Throwing the backlog away is
    /// asked for when the job is there.)
    #[inline]
    pub(super) fn are_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !(Order::Discard as u32) == 0
    }

    /// AcqRel, so that who clears an order after it was given sees why.
    pub(super) fn give(&self, order: Order) {
        self.0.fetch_or(order as u32, Ordering::AcqRel);
    }

    pub(super) fn clear(&self, order: Order) {
        self.0.fetch_and(!(order as u32), Ordering::AcqRel);
    }
}
