//! The state word of a job cell: what each bit says and which steps there are.
//!
//! This file is safe code: it decides who may touch what; [`super::cell`]
//! touches it. The story is in `cell.md`.

use crate::sync::mutant::{Mutant, broken};
use crate::sync::{AtomicUsize, Ordering};

/// Set if somebody has the right to the body: to run the closure, or to drop
/// it. Never cleared. Whoever set it is *the claimer*.
const CLAIMED: usize = 1 << 0;

/// Set if the handle may read how the job ended: either the body holds an
/// outcome, or the reason bits say why there is none. Never cleared.
const RESOLVED: usize = 1 << 1;

/// Set if the body is over: the closure has run or was dropped, with
/// everything it captured. Comes with `RESOLVED` except where a third party
/// resolves the cell while the closure still runs (`resolve_early`).
const BODY_DONE: usize = 1 << 2;

/// Set if the waker field holds a waker. While it is clear the field belongs
/// to the handle; while it is set, to whoever sets `RESOLVED`, or to the handle
/// once it cleared the bit again.
const WAKER: usize = 1 << 3;

/// Set if the handle has let go of the cell.
const HANDLE_GONE: usize = 1 << 4;

/// Set if the queue entry has let go of the cell.
const SLOT_GONE: usize = 1 << 5;

/// Three bits: why the closure did not run (a [`Reason`]), zero if it did.
const REASON_SHIFT: u32 = 6;
const REASON_MASK: usize = 0b111 << REASON_SHIFT;

/// Set if the body holds an outcome although there is a reason: the panic of a
/// refused closure's `Drop`, which the handle is told instead.
const OVERRULED: usize = 1 << 9;

/// Set if somebody wants the job to stop although it runs: for its closure to
/// ask for now and then.
const STOP: usize = 1 << 10;

/// Set if a third party claimed the body and resolved the cell, and left the
/// closure for the slot's end to drop. Comes with `CLAIMED` and `RESOLVED`.
const LEFT: usize = 1 << 11;

/// Third parties (cancel handles) are counted above the flags.
const PARTY: usize = 1 << 12;

/// More third parties than this is a leak in a loop; see `add_party`.
const PARTIES_MAX: usize = usize::MAX / PARTY / 2;

/// Why a job will never have an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub(crate) enum Reason {
    /// Cancelled before it started.
    Cancelled = 1,
    /// The pool closed before it started.
    Closed = 2,
    /// Its deadline passed before it started.
    Expired = 3,
    /// It ran for longer than it may.
    TimedOut = 4,
    /// There was no room for it.
    Rejected = 5,
    /// This process is a fork of the one that the pool's threads are in.
    Forked = 6,
    /// It is waited for by who must end before it starts. Never in the word: only
    /// that wait is told, and the job comes in its turn.
    Deadlock = 7,
}

/// What a popped queue entry is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Claim {
    /// The body is the caller's, to run.
    Run,
    /// The body is the caller's, to drop: the job is resolved already.
    Drop,
    /// It is somebody else's, or over.
    Tombstone,
}

/// What a handle finds when it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// Not resolved yet.
    Pending,
    /// The body holds an outcome; it is the handle's to take.
    Outcome,
    /// There is no outcome, and this is why.
    None(Reason),
}

/// Who ends a job, and so which hold on the cell the ending lets go of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Via {
    /// The queue entry: a pool thread that popped it, or a refused job.
    Slot,
    /// The handle or a third party, which keeps its hold; the queue entry
    /// stays behind as a tombstone.
    Other,
}

/// What the next step of an ending is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Ending {
    /// Nobody will read the outcome: drop it, then ask again with
    /// `outcome_dropped`.
    DropOutcome,
    /// Resolved, and a waker is registered: take it, `slot_gone` if it was the
    /// slot's ending, and wake it last.
    TakeWaker,
    /// Resolved; nothing is left to do.
    Done,
    /// Resolved, and this was the last hold: free the cell.
    Free,
}

/// Whether a party that let go was the last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum LetGo {
    /// Somebody else still holds the cell.
    Held,
    /// Nobody does: free it.
    Free,
}

/// How far a waker registration got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Registration {
    /// Done as asked.
    Done,
    /// The job was resolved meanwhile.
    Resolved,
}

/// The state word.
///
/// # Memory ordering
/// Every step that gives something away is a Release (the outcome before
/// `RESOLVED`, the waker before `WAKER`, the last look at the cell before a
/// let-go), and every step or load that lets somebody take it is an Acquire,
/// so that each pairs with the one named after the same bit. The
/// read-modify-writes are AcqRel because each is both.
pub(super) struct State(AtomicUsize);

impl State {
    /// Unclaimed, held by its handle and by its queue entry.
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Claims the body in order to run it; `true` if it is now the caller's.
    ///
    /// A fetch-or and not a compare-exchange from zero: a registered waker or a
    /// dropped handle must not make an unstarted job unclaimable.
    #[inline]
    pub(super) fn claim(&self) -> bool {
        if broken(Mutant::ClaimFromZero) {
            return self
                .0
                .compare_exchange(0, CLAIMED, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        }
        self.0.fetch_or(CLAIMED, Ordering::AcqRel) & CLAIMED == 0
    }

    /// As [`State::claim`], for the queue's end, which is also whom an expired
    /// job's closure was left to.
    #[inline]
    pub(super) fn claim_for_slot(&self) -> Claim {
        if self.claim() {
            Claim::Run
        } else if self.is_left() {
            Claim::Drop
        } else {
            Claim::Tombstone
        }
    }

    /// Whether the closure was left to the queue's end.
    pub(super) fn is_left(&self) -> bool {
        self.0.load(Ordering::Acquire) & LEFT != 0
    }

    /// Claims the body and resolves the cell, without a look at the closure: that
    /// is left to the queue's end. `None` if somebody claimed it before.
    pub(super) fn expire(&self, reason: Reason) -> Option<Ending> {
        let expired = CLAIMED | RESOLVED | LEFT | bits(reason);
        self.update(|s| (s & (CLAIMED | RESOLVED) == 0).then_some(s | expired))
            .ok()
            .map(ending_of_early)
    }

    /// Asks the running closure to stop.
    pub(super) fn ask_to_stop(&self) {
        // Partner: the load in `is_asked_to_stop`.
        self.0.fetch_or(STOP, Ordering::Release);
    }

    /// Whether the closure is to stop.
    pub(super) fn is_asked_to_stop(&self) -> bool {
        self.0.load(Ordering::Acquire) & STOP != 0
    }

    /// Claims the body in order to drop it, and says why in the same step;
    /// `true` if it is now the caller's.
    pub(super) fn claim_to_refuse(&self, reason: Reason) -> bool {
        self.update(|s| (s & CLAIMED == 0).then_some(s | CLAIMED | bits(reason)))
            .is_ok()
    }

    /// Whether nothing is left to do for the queue's end. Relaxed: who goes by it
    /// only saves a claim that would fail.
    pub(super) fn is_tombstone(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (CLAIMED | LEFT) == CLAIMED
    }

    /// Whether the job was refused for `reason`, by whomever.
    pub(super) fn was_refused(&self, reason: Reason) -> bool {
        reason_of(self.0.load(Ordering::Acquire)) == Some(reason)
    }

    /// The claimer's last steps, once the body is over and its outcome (or the
    /// panic of a refused closure's `Drop`) is written.
    ///
    /// `has_outcome` says whether the body holds one that a handle could read.
    /// Call again with `false` after `DropOutcome`.
    pub(super) fn end(&self, via: Via, has_outcome: bool) -> Ending {
        let mut s = self.0.load(Ordering::Acquire);
        loop {
            if has_outcome && s & (HANDLE_GONE | RESOLVED) != 0 {
                return Ending::DropOutcome;
            }
            let first_to_resolve = s & RESOLVED == 0;
            let has_waker = first_to_resolve && s & WAKER != 0;
            let mut next = s | RESOLVED | BODY_DONE;
            if has_outcome && reason_of(s).is_some() {
                next |= OVERRULED;
            }
            // With a waker to take, the slot's hold is what keeps the cell
            // alive until the waker is out.
            let in_one_step = !has_waker || broken(Mutant::FinishInOneStep);
            if via == Via::Slot && in_one_step {
                next |= SLOT_GONE;
            }
            match self
                .0
                .compare_exchange_weak(s, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if has_waker => return Ending::TakeWaker,
                Ok(_) if unheld(next) => return Ending::Free,
                Ok(_) => return Ending::Done,
                Err(now) => s = now,
            }
        }
    }

    /// Resolves a cell whose closure runs, and asks that to stop: the handle sees
    /// `reason` at once, and the claimer drops the late outcome. For third
    /// parties, which keep their hold; `None` if it was resolved already.
    pub(super) fn resolve_early(&self, reason: Reason) -> Option<Ending> {
        let early = RESOLVED | STOP | bits(reason);
        self.update(|s| (s & RESOLVED == 0).then_some((s & !REASON_MASK) | early))
            .ok()
            .map(ending_of_early)
    }

    /// The queue entry lets go: it was a tombstone, or its ending is complete.
    pub(super) fn slot_gone(&self) -> LetGo {
        let before = self.0.fetch_or(SLOT_GONE, Ordering::AcqRel);
        last(before | SLOT_GONE)
    }

    /// What the handle may do now.
    #[inline]
    pub(super) fn look(&self) -> Look {
        let s = self.0.load(Ordering::Acquire);
        if s & RESOLVED == 0 {
            return Look::Pending;
        }
        match reason_of(s) {
            Some(reason) if s & OVERRULED == 0 => Look::None(reason),
            _ => Look::Outcome,
        }
    }

    /// The handle stored a waker: makes it the finisher's. On `Resolved` the
    /// field is still the handle's.
    pub(super) fn waker_stored(&self) -> Registration {
        self.unless_resolved(|s| s | WAKER)
    }

    /// Whether a waker is registered. Only the handle sets or clears the bit,
    /// so for the handle the answer stays true.
    pub(super) fn has_waker(&self) -> bool {
        self.0.load(Ordering::Relaxed) & WAKER != 0
    }

    /// The handle wants the waker field back. On `Resolved` it is the
    /// finisher's for good.
    pub(super) fn reclaim_waker(&self) -> Registration {
        self.unless_resolved(|s| s & !WAKER)
    }

    /// The handle lets go before the job is resolved; its waker must have been
    /// reclaimed. On `Resolved` it still holds the cell, and the outcome is its
    /// to drop.
    pub(super) fn handle_gone_early(&self) -> Registration {
        self.unless_resolved(|s| s | HANDLE_GONE)
    }

    /// The handle lets go after it took (or dropped) the outcome.
    ///
    /// If nobody else holds the cell there is nobody to tell, so that the
    /// common end of a job costs a load: `RESOLVED` and `SLOT_GONE` are never
    /// cleared, and third parties only come from other third parties or from
    /// the handle itself.
    #[inline]
    pub(super) fn handle_gone(&self) -> LetGo {
        let s = self.0.load(Ordering::Acquire);
        if unheld(s | HANDLE_GONE) {
            return LetGo::Free;
        }
        let before = self.0.fetch_or(HANDLE_GONE, Ordering::AcqRel);
        last(before | HANDLE_GONE)
    }

    /// Counts one more third party; the caller holds the cell.
    pub(super) fn add_party(&self) {
        // Relaxed, as in Arc::clone: the caller's own hold keeps the cell
        // alive, and nothing is handed over.
        let before = self.0.fetch_add(PARTY, Ordering::Relaxed);
        if before / PARTY > PARTIES_MAX {
            // Only cancel handles that are leaked in a loop come here; the
            // next step would be a use after free.
            std::process::abort();
        }
    }

    /// A third party lets go.
    pub(super) fn party_gone(&self) -> LetGo {
        let before = self.0.fetch_sub(PARTY, Ordering::AcqRel);
        last(before - PARTY)
    }

    fn unless_resolved(&self, step: impl Fn(usize) -> usize) -> Registration {
        match self.update(|s| (s & RESOLVED == 0).then(|| step(s))) {
            Ok(_) => Registration::Done,
            Err(_) => Registration::Resolved,
        }
    }

    fn update(&self, step: impl Fn(usize) -> Option<usize>) -> Result<usize, usize> {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
    }
}

fn bits(reason: Reason) -> usize {
    (reason as usize) << REASON_SHIFT
}

fn reason_of(s: usize) -> Option<Reason> {
    match (s & REASON_MASK) >> REASON_SHIFT {
        1 => Some(Reason::Cancelled),
        2 => Some(Reason::Closed),
        3 => Some(Reason::Expired),
        4 => Some(Reason::TimedOut),
        5 => Some(Reason::Rejected),
        6 => Some(Reason::Forked),
        _ => None,
    }
}

/// What is left to do for a third party that resolved a cell in this state.
fn ending_of_early(s: usize) -> Ending {
    if s & WAKER != 0 {
        Ending::TakeWaker
    } else {
        Ending::Done
    }
}

/// No handle, no queue entry, no third party.
fn unheld(s: usize) -> bool {
    s & (HANDLE_GONE | SLOT_GONE) == HANDLE_GONE | SLOT_GONE && s / PARTY == 0
}

fn last(s: usize) -> LetGo {
    if unheld(s) { LetGo::Free } else { LetGo::Held }
}
