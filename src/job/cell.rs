//! The job cell: one block that holds the closure first and its outcome after.
//!
//! # References
//! A cell is held by up to three kinds of parties, each with its own type:
//!
//! * [`CellJob`], the queue's end: exactly one, runs or refuses the job;
//! * [`HandleEnd`], the handle's end: exactly one, reads the outcome;
//! * [`CancelEnd`], third parties: any number, may refuse an unstarted job.
//!
//! The last one to let go frees the block ([`State`] finds out who that is).
//!
//! # Who may touch which field
//! 1. `state`: anybody who holds the cell.
//! 2. `vtable`: anybody who holds the cell; it never changes.
//! 3. `body`, as a closure: the claimer, who set `CLAIMED`, until it is over.
//! 4. `body`, as an outcome: the claimer until it set `RESOLVED`; after that
//!    the handle, if there was one when `RESOLVED` was set and no reason is set.
//! 5. `waker`: the handle while `WAKER` is clear; while it is set, whoever set
//!    `RESOLVED`, or the handle after it cleared the bit.
//!
//! Each `unsafe` block below names the rule it stands on.
//!
//! # Why there are no `&Header`s around
//! A step of the state word may let go of the cell, and another thread may
//! free it before the call returns. So methods project single fields from the
//! raw pointer: a `&State` is nothing but an atomic, which may dangle after its
//! last use, while a `&Header` would promise that the vtable stays readable.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::magazine;
use super::state::{Ending, LetGo, Look, Reason, Registration, State, Via};
use crate::sync::cell::UnsafeCell;
use crate::util::{PanicPayload, catch, discard};

/// How a job ended, as its handle reads it.
pub(crate) enum Completion<T> {
    /// The closure returned.
    Value(T),
    /// The closure panicked, or a refused closure's captures did when dropped.
    Panic(PanicPayload),
    /// The closure never ran.
    Refused(Reason),
}

/// What every cell begins with, whatever it holds.
struct Header {
    state: State,
    vtable: &'static VTable,
    waker: UnsafeCell<Option<Waker>>,
}

/// A whole cell. `repr(C)` so that a pointer to it is a pointer to its header.
#[repr(C)]
struct Cell<F, T> {
    header: Header,
    body: UnsafeCell<Body<F, T>>,
}

/// The closure until it runs, the outcome afterwards. `repr(C)` so that a pointer
/// to it is a pointer to either.
#[repr(C)]
union Body<F, T> {
    closure: ManuallyDrop<F>,
    outcome: ManuallyDrop<Result<T, PanicPayload>>,
}

/// The steps that need to know the closure's and the result's types.
///
/// All take a pointer to a live cell of those types. `Err` is a panic that no
/// handle will see.
struct VTable {
    /// Runs the closure. Safety: the caller is the claimer (rule 3).
    run: unsafe fn(NonNull<Header>, Via) -> Result<(), PanicPayload>,
    /// Drops the closure unrun. Safety: the caller is the claimer (rule 3).
    refuse: unsafe fn(NonNull<Header>, Via) -> Result<(), PanicPayload>,
    /// Drops the outcome. Safety: rule 4, and it is not touched again.
    drop_outcome: unsafe fn(NonNull<Header>) -> Result<(), PanicPayload>,
    /// Moves the outcome to the second pointer, which must be valid for writing
    /// a `Result<T, PanicPayload>`. Safety: as `drop_outcome`.
    take_outcome: unsafe fn(NonNull<Header>, NonNull<()>),
    /// Frees the block. Safety: nobody holds the cell any more.
    free: unsafe fn(NonNull<Header>),
}

/// Puts `closure` into a new cell and gives its two ends.
#[inline]
pub(crate) fn new_cell<F, T>(closure: F) -> (CellJob, HandleEnd<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let block = magazine::alloc(Layout::new::<Cell<F, T>>()).cast::<Cell<F, T>>();
    let cell = Cell::<F, T> {
        header: Header {
            state: State::new(),
            vtable: &Cell::<F, T>::VTABLE,
            waker: UnsafeCell::new(None),
        },
        body: UnsafeCell::new(Body {
            closure: ManuallyDrop::new(closure),
        }),
    };
    // SAFETY: `magazine::alloc` gave a block of this layout that is nobody
    // else's.
    unsafe { block.write(cell) };
    let header = block.cast::<Header>();
    (
        CellJob { cell: header },
        HandleEnd {
            cell: Some(header),
            result: PhantomData,
        },
    )
}

impl<F, T> Cell<F, T>
where
    F: FnOnce() -> T,
{
    const VTABLE: VTable = VTable {
        run: Self::run,
        refuse: Self::refuse,
        drop_outcome: Self::drop_outcome,
        take_outcome: Self::take_outcome,
        free: Self::free,
    };

    /// See [`VTable::run`].
    unsafe fn run(cell: NonNull<Header>, via: Via) -> Result<(), PanicPayload> {
        // SAFETY: the caller is the claimer, and so this is the only read of
        // the closure.
        let closure = unsafe { Self::take_closure(cell) };
        let outcome = catch(closure);
        // SAFETY: as above; the closure is out, and the cell not yet resolved
        // by us, so that nobody else may touch the body.
        unsafe { Self::put_outcome(cell, outcome) };
        // SAFETY: the caller is the claimer, and the outcome is written.
        unsafe { end(cell, via, true) }
    }

    /// See [`VTable::refuse`].
    unsafe fn refuse(cell: NonNull<Header>, via: Via) -> Result<(), PanicPayload> {
        // SAFETY: the caller is the claimer, and so this is the only read of
        // the closure.
        let closure = unsafe { Self::take_closure(cell) };
        let dropped = catch(|| drop(closure));
        let panicked = dropped.is_err();
        if let Err(payload) = dropped {
            // SAFETY: as in `run`.
            unsafe { Self::put_outcome(cell, Err(payload)) };
        }
        // SAFETY: the caller is the claimer, and the outcome is written if
        // there is one.
        unsafe { end(cell, via, panicked) }
    }

    /// Safety: rule 3, once.
    unsafe fn take_closure(cell: NonNull<Header>) -> F {
        // SAFETY: rule 3 gives exclusive access to a body that holds the
        // closure.
        Self::body(cell, |body| unsafe { body.cast::<F>().read() })
    }

    /// Safety: rule 4, and the body holds nothing that needs dropping.
    unsafe fn put_outcome(cell: NonNull<Header>, outcome: Result<T, PanicPayload>) {
        let outcome = Body {
            outcome: ManuallyDrop::new(outcome),
        };
        // SAFETY: rule 4 gives exclusive access.
        Self::body(cell, |body| unsafe { body.write(outcome) });
    }

    /// See [`VTable::drop_outcome`].
    unsafe fn drop_outcome(cell: NonNull<Header>) -> Result<(), PanicPayload> {
        // SAFETY: rule 4 gives exclusive access to a body that holds an
        // outcome, which the caller promises not to touch again.
        let outcome = Self::body(cell, |body| unsafe {
            body.cast::<Result<T, PanicPayload>>().read()
        });
        match outcome {
            Ok(value) => catch(|| drop(value)),
            Err(payload) => Err(payload),
        }
    }

    /// See [`VTable::take_outcome`].
    unsafe fn take_outcome(cell: NonNull<Header>, to: NonNull<()>) {
        // SAFETY: as in `drop_outcome`.
        let outcome = Self::body(cell, |body| unsafe {
            body.cast::<Result<T, PanicPayload>>().read()
        });
        // SAFETY: the caller promises that `to` can be written with this type.
        unsafe { to.cast::<Result<T, PanicPayload>>().write(outcome) };
    }

    /// See [`VTable::free`].
    unsafe fn free(cell: NonNull<Header>) {
        // It is gone by now; the look is how a model sees one that is not.
        // SAFETY: nobody holds the cell any more, so the field is ours.
        drop(unsafe { take_waker(cell) });
        let cell = cell.cast::<Self>();
        // SAFETY: nobody holds the cell any more, so it is ours alone; the
        // body is a union and has nothing to drop.
        unsafe { cell.drop_in_place() };
        // SAFETY: it came from `magazine::alloc` with this layout.
        unsafe { magazine::free(cell.cast(), Layout::new::<Self>()) };
    }

    /// Lends the body's pointer; using it is up to the rules.
    fn body<R>(cell: NonNull<Header>, f: impl FnOnce(*mut Body<F, T>) -> R) -> R {
        // SAFETY: the caller holds the cell, which is of this type; the
        // reference covers the `UnsafeCell` only.
        let body = unsafe { &(*cell.cast::<Self>().as_ptr()).body };
        body.with_mut(f)
    }
}

/// Ends a job: resolves the cell, lets go for `via`, wakes the handle last.
///
/// # Safety
/// The caller is the claimer, the body is over, and `has_outcome` says whether
/// the body holds an outcome. With [`Via::Slot`] the caller may not touch the
/// cell afterwards.
unsafe fn end(cell: NonNull<Header>, via: Via, has_outcome: bool) -> Result<(), PanicPayload> {
    // SAFETY: the caller holds the cell.
    let state = unsafe { state(cell) };
    let mut orphan = Ok(());
    let mut ending = state.end(via, has_outcome);
    if ending == Ending::DropOutcome {
        // SAFETY: nobody will read it (the handle is gone, or was told a
        // reason), and the caller is the claimer: rule 4.
        orphan = unsafe { drop_outcome(cell) };
        ending = state.end(via, false);
    }
    match ending {
        Ending::TakeWaker => {
            // SAFETY: this call set RESOLVED while WAKER was set: rule 5. The
            // hold of `via` is still there and keeps the field alive.
            let waker = unsafe { take_waker(cell) };
            if via == Via::Slot && state.slot_gone() == LetGo::Free {
                // SAFETY: that was the last hold.
                unsafe { free(cell) };
            }
            // The local copy, last: whoever it wakes may free the cell.
            let woken = catch(|| waker.map(Waker::wake));
            orphan.and(woken.map(drop))
        }
        Ending::Free => {
            // SAFETY: that was the last hold.
            unsafe { free(cell) };
            orphan
        }
        Ending::Done | Ending::DropOutcome => orphan,
    }
}

/// Refuses the job if nobody claimed it yet; whether this call did.
///
/// # Safety
/// The caller holds the cell; with [`Via::Slot`], and on `true`, it may not
/// touch the cell afterwards.
unsafe fn refuse(
    cell: NonNull<Header>,
    via: Via,
    reason: Reason,
) -> (bool, Result<(), PanicPayload>) {
    // SAFETY: the caller holds the cell.
    if !unsafe { state(cell) }.claim_to_refuse(reason) {
        return (false, Ok(()));
    }
    // SAFETY: the caller holds the cell.
    let vtable = unsafe { vtable(cell) };
    // SAFETY: the claim above succeeded.
    (true, unsafe { (vtable.refuse)(cell, via) })
}

/// Safety: the caller holds the cell for as long as it uses the reference.
unsafe fn state<'a>(cell: NonNull<Header>) -> &'a State {
    // SAFETY: the cell is alive; the reference covers this field only.
    unsafe { &(*cell.as_ptr()).state }
}

/// Safety: the caller holds the cell.
unsafe fn vtable(cell: NonNull<Header>) -> &'static VTable {
    // SAFETY: the cell is alive, and rule 2.
    unsafe { (*cell.as_ptr()).vtable }
}

/// Safety: rule 4, and the outcome is not touched again.
unsafe fn drop_outcome(cell: NonNull<Header>) -> Result<(), PanicPayload> {
    // SAFETY: the caller may touch the outcome, and so holds the cell.
    let vtable = unsafe { vtable(cell) };
    // SAFETY: handed on from the caller.
    unsafe { (vtable.drop_outcome)(cell) }
}

/// Safety: rule 5.
unsafe fn take_waker(cell: NonNull<Header>) -> Option<Waker> {
    // SAFETY: the caller holds the cell; the reference covers this field only.
    let field = unsafe { &(*cell.as_ptr()).waker };
    // SAFETY: rule 5 gives exclusive access.
    field.with_mut(|waker| unsafe { (*waker).take() })
}

/// Safety: rule 5, and the field is empty.
unsafe fn put_waker(cell: NonNull<Header>, new: Waker) {
    // SAFETY: as in `take_waker`.
    let field = unsafe { &(*cell.as_ptr()).waker };
    // SAFETY: rule 5 gives exclusive access.
    field.with_mut(|waker| unsafe { *waker = Some(new) });
}

/// Safety: nobody holds the cell any more.
unsafe fn free(cell: NonNull<Header>) {
    // SAFETY: the cell was not freed yet, by its last holder's word.
    let vtable = unsafe { vtable(cell) };
    // SAFETY: handed on from the caller.
    unsafe { (vtable.free)(cell) };
}

/// The queue's end of a cell. Dropping it refuses the job as closed.
pub(crate) struct CellJob {
    cell: NonNull<Header>,
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
        let state = unsafe { state(cell) };
        if state.claim() {
            // SAFETY: the slot's hold is this value's.
            let vtable = unsafe { vtable(cell) };
            // SAFETY: the claim above succeeded.
            return unsafe { (vtable.run)(cell, Via::Slot) };
        }
        if state.slot_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { free(cell) };
        }
        Ok(())
    }

    /// Resolves the job with `reason`, unless it was claimed before. The
    /// closure is dropped here. `Err` as in [`CellJob::run`].
    pub(crate) fn refuse(self, reason: Reason) -> Result<(), PanicPayload> {
        let cell = ManuallyDrop::new(self).cell;
        // SAFETY: the slot's hold is this value's.
        let (done, orphan) = unsafe { refuse(cell, Via::Slot, reason) };
        // SAFETY: it was somebody else's, so the slot's hold is still ours.
        if !done && unsafe { state(cell) }.slot_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { free(cell) };
        }
        orphan
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
    cell: Option<NonNull<Header>>,
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
            .is_none_or(|cell| unsafe { state(cell) }.look() != Look::Pending)
    }

    /// Takes the outcome if it is there.
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<Completion<T>> {
        let cell = self.cell?;
        // SAFETY: `cell` is this value's hold.
        let completion = match unsafe { state(cell) }.look() {
            Look::Pending => return None,
            Look::None(reason) => Completion::Refused(reason),
            Look::Outcome => {
                let mut to = MaybeUninit::<Result<T, PanicPayload>>::uninit();
                let out = NonNull::from(&mut to).cast::<()>();
                // SAFETY: `cell` is this value's hold.
                let vtable = unsafe { vtable(cell) };
                // SAFETY: the look found an outcome, this is the handle (rule
                // 4), and `self.cell` is emptied below; `out` is made for this
                // type, the cell's `T` being ours by `new_cell`.
                unsafe { (vtable.take_outcome)(cell, out) };
                // SAFETY: `take_outcome` wrote it.
                match unsafe { to.assume_init() } {
                    Ok(value) => Completion::Value(value),
                    Err(payload) => Completion::Panic(payload),
                }
            }
        };
        self.cell = None;
        // SAFETY: `cell` was this value's hold until here.
        if unsafe { state(cell) }.handle_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { free(cell) };
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
            let cell = self
                .cell
                .expect("a windlass handle was polled after it gave its result");
            // SAFETY: `cell` is this value's hold.
            let state = unsafe { state(cell) };
            let mut kept = None;
            if state.has_waker() {
                if state.reclaim_waker() == Registration::Resolved {
                    continue;
                }
                // SAFETY: the handle, with WAKER clear: rule 5.
                kept = unsafe { take_waker(cell) };
            }
            let (new, old) = match kept {
                Some(kept) if kept.will_wake(waker) => (kept, None),
                old => (waker.clone(), old),
            };
            // SAFETY: the handle, with WAKER clear: rule 5.
            unsafe { put_waker(cell, new) };
            let registered = state.waker_stored();
            if registered == Registration::Resolved {
                // SAFETY: the handle, with WAKER still clear: rule 5.
                drop(unsafe { take_waker(cell) });
            }
            drop(old);
            if registered == Registration::Done {
                return Poll::Pending;
            }
        }
    }

    /// Runs the job here and now if nobody claimed it yet; whether it did.
    pub(crate) fn run_unstarted(&mut self) -> bool {
        let Some(cell) = self.cell else { return false };
        // SAFETY: `cell` is this value's hold.
        if !unsafe { state(cell) }.claim() {
            return false;
        }
        // SAFETY: `cell` is this value's hold.
        let vtable = unsafe { vtable(cell) };
        // SAFETY: the claim above succeeded. With `Via::Other` this value's
        // hold stays.
        discard(unsafe { (vtable.run)(cell, Via::Other) });
        true
    }

    /// As [`CancelEnd::cancel`].
    pub(crate) fn cancel(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        self.cell.is_some_and(|cell| unsafe { cancel(cell) })
    }

    /// Another party that can cancel the job; `None` once the outcome was taken.
    pub(crate) fn cancel_end(&self) -> Option<CancelEnd> {
        let cell = self.cell?;
        // SAFETY: `cell` is this value's hold.
        unsafe { state(cell) }.add_party();
        Some(CancelEnd { cell })
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
            let state = unsafe { state(cell) };
            if state.has_waker() {
                if state.reclaim_waker() == Registration::Resolved {
                    continue;
                }
                // SAFETY: the handle, with WAKER clear: rule 5.
                _waker = unsafe { take_waker(cell) };
            }
            if state.handle_gone_early() == Registration::Done {
                // The queue's end holds the cell on; it is not ours any more.
                self.cell = None;
                return;
            }
        }
    }
}

/// A third party's end of a cell: it may cancel the job, and no more.
pub(crate) struct CancelEnd {
    cell: NonNull<Header>,
}

// SAFETY: as for `CellJob`; all methods go through the state word.
unsafe impl Send for CancelEnd {}
// SAFETY: as above.
unsafe impl Sync for CancelEnd {}

impl CancelEnd {
    /// Cancels the job if it has not started; `true` if it never will, because
    /// of this call or of an earlier one. The captures are dropped here.
    pub(crate) fn cancel(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        unsafe { cancel(self.cell) }
    }

    /// Whether the job has ended, one way or another.
    pub(crate) fn is_resolved(&self) -> bool {
        // SAFETY: `cell` is this value's hold.
        unsafe { state(self.cell) }.look() != Look::Pending
    }

    /// Resolves the job while its closure may be running; whether this call
    /// did. Timeouts need it; until then the models keep it honest.
    #[cfg(all(test, loom))]
    pub(crate) fn resolve_early(&self, reason: Reason) -> bool {
        // SAFETY: `cell` is this value's hold.
        match unsafe { state(self.cell) }.resolve_early(reason) {
            None => return false,
            Some(Ending::TakeWaker) => {
                // SAFETY: this call set RESOLVED while WAKER was set: rule 5.
                let waker = unsafe { take_waker(self.cell) };
                waker.map(Waker::wake);
            }
            Some(_) => {}
        }
        true
    }
}

/// Safety: the caller holds the cell, as handle or third party.
unsafe fn cancel(cell: NonNull<Header>) -> bool {
    // SAFETY: the caller holds the cell.
    let (done, orphan) = unsafe { refuse(cell, Via::Other, Reason::Cancelled) };
    // The panic hook has reported it; a canceller is not the one to unwind.
    discard(orphan);
    // SAFETY: with `Via::Other` the caller's hold stays.
    done || unsafe { state(cell) }.was_refused(Reason::Cancelled)
}

impl Clone for CancelEnd {
    fn clone(&self) -> Self {
        // SAFETY: `cell` is this value's hold.
        unsafe { state(self.cell) }.add_party();
        Self { cell: self.cell }
    }
}

impl Drop for CancelEnd {
    fn drop(&mut self) {
        // SAFETY: `cell` is this value's hold.
        if unsafe { state(self.cell) }.party_gone() == LetGo::Free {
            // SAFETY: that was the last hold.
            unsafe { free(self.cell) };
        }
    }
}
