//! Third parties to a job cell: any number, may refuse an unstarted job.
//!
//! Each is one hold on the cell, counted in its state word. What it may touch are the
//! numbered rules of [`super::cell`].

#![allow(unsafe_code)]

use std::task::Waker;

use super::cell::{RawCell, current};
use super::state::{Ending, LetGo, Look, Reason, Via};
use crate::util::{PanicPayload, catch, discard};

/// A third party's end of a cell: it may cancel the job, or, in a scope, claim it.
pub(crate) struct CancelEnd {
    cell: RawCell,
}

// SAFETY: as for `CellJob`; all methods go through the state word.
unsafe impl Send for CancelEnd {}
// SAFETY: as above.
unsafe impl Sync for CancelEnd {}

impl CancelEnd {
    /// One more of them. Safety: the caller holds the cell.
    pub(super) unsafe fn of(cell: RawCell) -> Self {
        // SAFETY: handed on from the caller.
        unsafe { cell.state() }.add_party();
        Self { cell }
    }

    /// Cancels the job if it has not started; `true` if it never will, because
    /// of this call or of an earlier one. The captures are dropped here. If it
    /// runs, it is asked to stop.
    pub(crate) fn cancel(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        unsafe { cancel(self.cell) }
    }

    /// Whether the job has ended, one way or another.
    pub(crate) fn is_resolved(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        unsafe { self.cell.state() }.look() != Look::Pending
    }

    /// Whether somebody has claimed the job, as far as can be seen.
    pub(super) fn is_claimed(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        unsafe { self.cell.state() }.is_tombstone()
    }

    /// Runs the job here and now; `None` if it was claimed before. `Err` as in
    /// [`CellJob::run`](super::ends::CellJob::run).
    pub(super) fn run_unstarted(&self) -> Option<Result<(), PanicPayload>> {
        // SAFETY: `cell` is this value's hold.
        if !unsafe { self.cell.state() }.claim() {
            return None;
        }
        // SAFETY: the claim above succeeded. With `Via::Other` this value's hold stays.
        Some(unsafe { self.cell.run(Via::Other) })
    }

    /// Resolves the job as expired if it has not started; whether this call did.
    /// The closure is not looked at: the queue's end drops it in its turn.
    pub(crate) fn expire(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        let ending = unsafe { self.cell.state() }.expire(Reason::Expired);
        // SAFETY: it was this call that resolved the cell.
        unsafe { self.resolved_early(ending) }
    }

    /// Resolves the job as timed out while its closure runs, and asks that to
    /// stop; whether this call did.
    pub(crate) fn time_out(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        let ending = unsafe { self.cell.state() }.resolve_early(Reason::TimedOut);
        // SAFETY: it was this call that resolved the cell.
        unsafe { self.resolved_early(ending) }
    }

    /// Safety: the ending is what resolving the cell gave the caller.
    unsafe fn resolved_early(&self, ending: Option<Ending>) -> bool {
        if ending == Some(Ending::TakeWaker) {
            // SAFETY: the caller set RESOLVED while WAKER was set: rule 5.
            let waker = unsafe { self.cell.take_waker() };
            // The panic hook has reported it; whoever keeps the time goes on.
            discard(catch(|| waker.map(Waker::wake)));
        }
        ending.is_some()
    }
}

/// Whether the job that runs here, if it has a handle, is asked to stop.
pub(crate) fn is_asked_to_stop() -> bool {
    // SAFETY: the job runs, so that its claimer holds the cell.
    current().is_some_and(|cell| unsafe { cell.state() }.is_asked_to_stop())
}

/// Another party to the job that runs here, if it has a handle.
pub(crate) fn current_end() -> Option<CancelEnd> {
    let cell = current()?;
    // SAFETY: the job runs, so that its claimer holds the cell.
    Some(unsafe { CancelEnd::of(cell) })
}

impl Clone for CancelEnd {
    fn clone(&self) -> Self {
        // SAFETY: `cell` is this value's hold.
        unsafe { Self::of(self.cell) }
    }
}

impl Drop for CancelEnd {
    fn drop(&mut self) {
        // SAFETY: `cell` is this value's hold.
        if unsafe { self.cell.state() }.party_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { self.cell.free() };
        }
    }
}

/// Safety: the caller holds the cell, as handle or third party.
pub(super) unsafe fn cancel(cell: RawCell) -> bool {
    // SAFETY: the caller holds the cell.
    let (done, orphan) = unsafe { cell.refuse(Via::Other, Reason::Cancelled) };
    // The panic hook has reported it; a canceller is not the one to unwind.
    discard(orphan);
    // SAFETY: with `Via::Other` the caller's hold stays.
    let state = unsafe { cell.state() };
    let cancelled = done || state.was_refused(Reason::Cancelled);
    if !cancelled {
        // It runs, or is over.
        state.ask_to_stop();
    }
    cancelled
}
