//! The two ends of a job cell; [`super::party`] is the third kind of who holds one.
//!
//! * [`CellJob`], the queue's end: exactly one, runs or refuses the job;
//! * [`HandleEnd`], the handle's end: exactly one, reads the outcome.
//!
//! Each is one hold on the cell: it is alive for as long as the value is, and
//! the last one to let go frees it ([`State`](super::state::State) finds out who
//! that is). What each may touch are the numbered rules of [`super::cell`].

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::cell::RawCell;
use super::party::{CancelEnd, cancel};
use super::state::{Claim, Ending, LetGo, Look, Reason, Registration, Via};
use crate::metrics::{self, Event};
use crate::util::{PanicPayload, discard};

/// How a job ended, as its handle reads it.
pub(crate) enum Completion<T> {
    /// The closure returned.
    Value(T),
    /// The closure panicked, or a refused closure's captures did when dropped.
    Panic(PanicPayload),
    /// The closure never ran.
    Refused(Reason),
}

/// Puts `closure` into a new cell and gives its two ends.
#[inline]
pub(crate) fn new_cell<F, T>(closure: F) -> (CellJob, HandleEnd<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // SAFETY: they borrow nothing.
    unsafe { new_scoped_cell(closure) }
}

/// As [`new_cell`], of what may borrow.
///
/// # Safety
/// The closure has run or was dropped, and so has the outcome, before what they borrow
/// ends; or they are leaked. (The ends themselves may outlive that.)
#[inline]
pub(super) unsafe fn new_scoped_cell<F, T>(closure: F) -> (CellJob, HandleEnd<T>)
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let cell = RawCell::new(closure);
    (
        CellJob { cell },
        HandleEnd {
            cell: Some(cell),
            result: PhantomData,
        },
    )
}

/// The queue's end of a cell. Dropping it refuses the job as closed.
pub(crate) struct CellJob {
    cell: RawCell,
}

// SAFETY: the closure is `Send` by `new_cell`'s bounds, and so is the result;
// the state word decides which thread touches them.
unsafe impl Send for CellJob {}

impl CellJob {
    /// Runs the job, unless it was claimed before. `Err` is a panic that no
    /// handle will see: the job's own if its handle is gone, or one from the
    /// result's `Drop` or from a waker.
    #[inline]
    pub(crate) fn run(self) -> Result<(), PanicPayload> {
        let cell = ManuallyDrop::new(self).cell;
        // SAFETY: the slot's hold is this value's.
        let state = unsafe { cell.state() };
        match state.claim_for_slot() {
            // SAFETY: the claim above succeeded.
            Claim::Run => unsafe { cell.run(Via::Slot) },
            Claim::Drop => {
                // SAFETY: whoever claimed it left it to the slot's end, which is this.
                let result = unsafe { cell.drop_left() };
                // Last, since its end is counted next: the two are one.
                metrics::note(Event::Expired);
                result
            }
            Claim::Tombstone => {
                CellJob { cell }.let_go();
                metrics::note(Event::Nothing);
                Ok(())
            }
        }
    }

    /// As [`CellJob::run`]; `None` if the job was claimed before. For jobs that are
    /// never refused.
    pub(super) fn run_unclaimed(self) -> Option<Result<(), PanicPayload>> {
        // SAFETY: the slot's hold is this value's.
        if !unsafe { self.cell.state() }.claim() {
            self.let_go();
            return None;
        }
        let cell = ManuallyDrop::new(self).cell;
        // SAFETY: the claim above succeeded.
        Some(unsafe { cell.run(Via::Slot) })
    }

    /// Lets go of a tombstone, or of a job that others can claim.
    pub(crate) fn let_go(self) {
        let cell = ManuallyDrop::new(self).cell;
        // SAFETY: the slot's hold is this value's.
        let state = unsafe { cell.state() };
        if state.was_refused(Reason::Cancelled) {
            metrics::note(Event::Cancelled);
        }
        if state.slot_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { cell.free() };
        }
    }

    /// Whether the job was claimed elsewhere, so that this is only a tombstone.
    #[inline]
    pub(crate) fn is_tombstone(&self) -> bool {
        // SAFETY: the slot's hold is this value's.
        unsafe { self.cell.state() }.is_tombstone()
    }

    /// Resolves the job with `reason`, unless it was claimed before. Whether the
    /// closure was dropped here; `Err` as in [`CellJob::run`].
    pub(crate) fn refuse(self, reason: Reason) -> (bool, Result<(), PanicPayload>) {
        let cell = ManuallyDrop::new(self).cell;
        // SAFETY: the slot's hold is this value's.
        let (done, orphan) = unsafe { cell.refuse(Via::Slot, reason) };
        if done {
            return (true, orphan);
        }
        // SAFETY: it was somebody else's, so the slot's hold is still ours.
        let state = unsafe { cell.state() };
        if state.is_left() {
            // SAFETY: it was left to the slot's end, which is this.
            return (true, unsafe { cell.drop_left() });
        }
        if state.slot_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { cell.free() };
        }
        (false, orphan)
    }
}

impl CellJob {
    /// Claims the job in order to refuse it later, by dropping what this gives;
    /// `Err` if it was claimed before.
    pub(crate) fn claim_to_refuse(self, reason: Reason) -> Result<RefusedJob, Self> {
        // SAFETY: the slot's hold is this value's.
        let state = unsafe { self.cell.state() };
        if state.claim_to_refuse(reason) || state.is_left() {
            Ok(RefusedJob {
                cell: ManuallyDrop::new(self).cell,
            })
        } else {
            Err(self)
        }
    }
}

/// The queue's end of a job that is refused, and whose closure has not been dropped
/// yet.
pub(crate) struct RefusedJob {
    cell: RawCell,
}

// SAFETY: as for `CellJob`.
unsafe impl Send for RefusedJob {}

impl RefusedJob {
    /// Drops the closure and resolves the job. `Err` as in [`CellJob::run`].
    pub(crate) fn resolve(self) -> Result<(), PanicPayload> {
        let cell = ManuallyDrop::new(self).cell;
        // SAFETY: this end claimed the body, or it was left to it; it is not used
        // again.
        unsafe { cell.drop_left() }
    }
}

impl Drop for RefusedJob {
    fn drop(&mut self) {
        discard(RefusedJob { cell: self.cell }.resolve());
    }
}

impl Drop for CellJob {
    fn drop(&mut self) {
        discard(CellJob { cell: self.cell }.refuse(Reason::Closed));
    }
}

/// The handle's end of a cell. Dropping it lets the job go on unobserved; an
/// outcome that is there already is dropped with it.
pub(crate) struct HandleEnd<T> {
    /// `None` once the outcome was taken.
    cell: Option<RawCell>,
    result: PhantomData<T>,
}

// SAFETY: as for `CellJob`; a shared reference gives out the state and nothing
// of the `T`.
unsafe impl<T: Send> Send for HandleEnd<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for HandleEnd<T> {}

impl<T> HandleEnd<T> {
    /// Whether the outcome was taken: every later look finds nothing.
    pub(crate) fn is_spent(&self) -> bool {
        self.cell.is_none()
    }

    /// Whether the outcome is there to be taken, or was taken.
    #[inline]
    pub(crate) fn is_resolved(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        self.cell
            .is_none_or(|cell| unsafe { cell.state() }.look() != Look::Pending)
    }

    /// Takes the outcome if it is there.
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<Completion<T>> {
        let cell = self.cell?;
        // SAFETY: `cell` is this value's hold.
        let completion = match unsafe { cell.state() }.look() {
            Look::Pending => return None,
            Look::None(reason) => Completion::Refused(reason),
            Look::Outcome => {
                let mut to = MaybeUninit::<Result<T, PanicPayload>>::uninit();
                let out = NonNull::from(&mut to).cast::<()>();
                // SAFETY: the look found an outcome, this is the handle (rule
                // 4), and `self.cell` is emptied below; `out` is made for this
                // type, the cell's `T` being ours by `new_cell`.
                unsafe { cell.take_outcome(out) };
                // SAFETY: `take_outcome` wrote it.
                match unsafe { to.assume_init() } {
                    Ok(value) => Completion::Value(value),
                    Err(payload) => Completion::Panic(payload),
                }
            }
        };
        self.cell = None;
        // SAFETY: `cell` was this value's hold until here.
        if unsafe { cell.state() }.handle_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { cell.free() };
        }
        Some(completion)
    }

    /// Takes the outcome, or leaves `waker` to be woken once it is there. The
    /// last waker left is the one that is woken.
    ///
    /// # Panics
    /// If the outcome was taken before.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Completion<T>> {
        loop {
            if let Some(completion) = self.try_take() {
                return Poll::Ready(completion);
            }
            std::task::ready!(self.poll_resolved(waker));
        }
    }

    /// As [`HandleEnd::poll`], and leaves the outcome where it is.
    pub(crate) fn poll_resolved(&mut self, waker: &Waker) -> Poll<()> {
        let cell = self
            .cell
            .expect("a windlass handle was polled after it gave its result");
        // SAFETY: `cell` is this value's hold.
        let state = unsafe { cell.state() };
        if state.look() != Look::Pending {
            return Poll::Ready(());
        }
        let mut kept = None;
        if state.has_waker() {
            if state.reclaim_waker() == Registration::Resolved {
                return Poll::Ready(());
            }
            // SAFETY: the handle, with WAKER clear: rule 5.
            kept = unsafe { cell.take_waker() };
        }
        let (new, old) = match kept {
            Some(kept) if kept.will_wake(waker) => (kept, None),
            old => (waker.clone(), old),
        };
        // SAFETY: the handle, with WAKER clear: rule 5.
        unsafe { cell.put_waker(new) };
        let registered = state.waker_stored();
        if registered == Registration::Resolved {
            // SAFETY: the handle, with WAKER still clear: rule 5.
            drop(unsafe { cell.take_waker() });
        }
        drop(old);
        match registered {
            Registration::Done => Poll::Pending,
            Registration::Resolved => Poll::Ready(()),
        }
    }

    /// Runs the job here and now if nobody claimed it yet; whether it did.
    pub(crate) fn run_unstarted(&mut self) -> bool {
        let Some(cell) = self.cell else { return false };
        // SAFETY: `cell` is this value's hold.
        if !unsafe { cell.state() }.claim() {
            return false;
        }
        // SAFETY: the claim above succeeded. With `Via::Other` this value's
        // hold stays.
        discard(unsafe { cell.run(Via::Other) });
        true
    }

    /// As [`CancelEnd::cancel`].
    pub(crate) fn cancel(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        self.cell.is_some_and(|cell| unsafe { cancel(cell) })
    }

    /// Resolves the job for `reason`, unless it is: whoever was to do it is not in
    /// this process. The closure is not looked at.
    #[cold]
    pub(crate) fn give_up(&self, reason: Reason) {
        let Some(cell) = self.cell else { return };
        // SAFETY: `cell` is this value's hold.
        let state = unsafe { cell.state() };
        // The first, so that nobody claims it any more; the second if it was claimed.
        let ending = state.expire(reason).or_else(|| state.resolve_early(reason));
        if ending == Some(Ending::TakeWaker) {
            // SAFETY: this call set RESOLVED while WAKER was set: rule 5.
            discard(unsafe { cell.take_waker() });
        }
    }

    /// Another party that can cancel the job; `None` once the outcome was taken.
    pub(crate) fn cancel_end(&self) -> Option<CancelEnd> {
        let cell = self.cell?;
        // SAFETY: `cell` is this value's hold.
        Some(unsafe { CancelEnd::of(cell) })
    }
}

impl<T> Drop for HandleEnd<T> {
    fn drop(&mut self) {
        // Dropped last, when the cell is let go of: a user's `Drop` may panic,
        // or come back to this very pool.
        let mut _waker = None;
        loop {
            if let Some(completion) = self.try_take() {
                drop(completion);
                return;
            }
            let Some(cell) = self.cell else { return };
            // SAFETY: `cell` is this value's hold.
            let state = unsafe { cell.state() };
            if state.has_waker() {
                if state.reclaim_waker() == Registration::Resolved {
                    continue;
                }
                // SAFETY: the handle, with WAKER clear: rule 5.
                _waker = unsafe { cell.take_waker() };
            }
            if state.handle_gone_early() == Registration::Done {
                // The queue's end holds the cell on; it is not ours any more.
                self.cell = None;
                return;
            }
        }
    }
}
