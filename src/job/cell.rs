//! The job cell: one block that holds the closure first and its outcome after.
//!
//! This file is the block itself, as raw as it is: who holds a cell, and what
//! each holder may do, is in [`super::ends`], and the protocol in `cell.md`.
//!
//! # Who may touch which field
//! 1. `state`: anybody who holds the cell.
//! 2. `vtable`: anybody who holds the cell; it never changes.
//! 3. `body`, as a closure: the claimer, who set `CLAIMED`, until it is over; if
//!    it set `LEFT` with it, the slot's end instead.
//! 4. `body`, as an outcome: the claimer until it set `RESOLVED`; after that
//!    the handle, if there was one when `RESOLVED` was set, and if no reason is
//!    set or it is overruled.
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
use std::cell::Cell as CurrentCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::Waker;

use super::state::{Ending, LetGo, Reason, State, Via};
use crate::magazine;
use crate::metrics::{self, Event};
use crate::sync::cell::UnsafeCell;
use crate::sync::thread_local;
use crate::util::{PanicPayload, catch, discard};

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

thread_local! {
    /// The cell of the job that runs here.
    static CURRENT: CurrentCell<Option<RawCell>> = const { CurrentCell::new(None) };
}

/// In whose name something runs: for a part of a job on another thread, which the job
/// waits for.
#[derive(Clone, Copy)]
pub(crate) struct Context(Option<RawCell>);

// SAFETY: whoever uses it waits for it to be used, in the job that it names, and so the
// job's claimer holds the cell; of the cell only the state word is touched.
unsafe impl Send for Context {}
// SAFETY: all that can be done with a shared one is to copy it.
unsafe impl Sync for Context {}

impl Context {
    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self(current())
    }

    /// What runs here while the value is there, runs in this name.
    pub(crate) fn enter(self) -> Running {
        Running {
            outer: CURRENT.with(|current| current.replace(self.0)),
        }
    }
}

/// Says, while it is there, that this thread runs the closure of a cell.
pub(crate) struct Running {
    /// Whose closure waits for this one.
    outer: Option<RawCell>,
}

impl Running {
    fn enter(cell: RawCell) -> Self {
        Context(Some(cell)).enter()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.outer));
    }
}

/// The cell of the job that runs here, which its claimer holds until it has run.
#[inline(always)]
pub(super) fn current() -> Option<RawCell> {
    CURRENT.try_with(CurrentCell::get).ok().flatten()
}

/// A cell of any types, as its holders see it.
#[derive(Clone, Copy)]
pub(super) struct RawCell(NonNull<Header>);

/// The steps that need to know the closure's and the result's types.
///
/// All take a pointer to a live cell of those types. `Err` is a panic that no
/// handle will see.
struct VTable {
    /// Runs the closure. Safety: the caller is the claimer (rule 3).
    run: unsafe fn(RawCell, Via) -> Result<(), PanicPayload>,
    /// Drops the closure unrun. Safety: the caller is the claimer (rule 3).
    refuse: unsafe fn(RawCell, Via) -> Result<(), PanicPayload>,
    /// Drops the outcome. Safety: rule 4, and it is not touched again.
    drop_outcome: unsafe fn(RawCell) -> Result<(), PanicPayload>,
    /// Moves the outcome to the second pointer, which must be valid for writing
    /// a `Result<T, PanicPayload>`. Safety: as `drop_outcome`.
    take_outcome: unsafe fn(RawCell, NonNull<()>),
    /// Frees the block. Safety: nobody holds the cell any more.
    free: unsafe fn(RawCell),
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
    unsafe fn run(cell: RawCell, via: Via) -> Result<(), PanicPayload> {
        // SAFETY: the caller is the claimer, and so this is the only read of
        // the closure.
        let closure = unsafe { Self::take_closure(cell) };
        let outcome = {
            let _running = Running::enter(cell);
            catch(closure)
        };
        if outcome.is_err() {
            metrics::note(Event::Panicked);
        }
        // SAFETY: as above; the closure is out, and the cell not yet resolved
        // by us, so that nobody else may touch the body.
        unsafe { Self::put_outcome(cell, outcome) };
        // SAFETY: the caller is the claimer, and the outcome is written.
        unsafe { cell.end(via, true) }
    }

    /// See [`VTable::refuse`].
    unsafe fn refuse(cell: RawCell, via: Via) -> Result<(), PanicPayload> {
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
        unsafe { cell.end(via, panicked) }
    }

    /// Safety: rule 3, once.
    unsafe fn take_closure(cell: RawCell) -> F {
        // SAFETY: rule 3 implies that the caller holds the cell.
        let body = unsafe { Self::body(cell) };
        // SAFETY: rule 3 gives exclusive access to a body that holds the
        // closure.
        body.with_mut(|body| unsafe { body.cast::<F>().read() })
    }

    /// Safety: rule 4, and the body holds nothing that needs dropping.
    unsafe fn put_outcome(cell: RawCell, outcome: Result<T, PanicPayload>) {
        // SAFETY: rule 4 implies that the caller holds the cell.
        let body = unsafe { Self::body(cell) };
        let outcome = Body {
            outcome: ManuallyDrop::new(outcome),
        };
        // SAFETY: rule 4 gives exclusive access.
        body.with_mut(|body| unsafe { body.write(outcome) });
    }

    /// See [`VTable::drop_outcome`].
    unsafe fn drop_outcome(cell: RawCell) -> Result<(), PanicPayload> {
        // SAFETY: handed on from the caller.
        match unsafe { Self::outcome(cell) } {
            Ok(value) => catch(|| drop(value)),
            Err(payload) => Err(payload),
        }
    }

    /// See [`VTable::take_outcome`].
    unsafe fn take_outcome(cell: RawCell, to: NonNull<()>) {
        // SAFETY: handed on from the caller.
        let outcome = unsafe { Self::outcome(cell) };
        // SAFETY: the caller promises that `to` can be written with this type.
        unsafe { to.cast::<Result<T, PanicPayload>>().write(outcome) };
    }

    /// See [`VTable::free`].
    unsafe fn free(cell: RawCell) {
        // It is gone by now; the look is how a model sees one that is not.
        // SAFETY: nobody holds the cell any more, so the field is ours.
        drop(unsafe { cell.take_waker() });
        let cell = cell.0.cast::<Self>();
        // SAFETY: nobody holds the cell any more, so it is ours alone; the
        // body is a union and has nothing to drop.
        unsafe { cell.drop_in_place() };
        // SAFETY: it came from `magazine::put` with this type.
        unsafe { magazine::free(cell.cast(), Layout::new::<Self>()) };
    }

    /// Moves the outcome out. Safety: as [`VTable::drop_outcome`].
    unsafe fn outcome(cell: RawCell) -> Result<T, PanicPayload> {
        // SAFETY: rule 4 implies that the caller holds the cell.
        let body = unsafe { Self::body(cell) };
        // SAFETY: rule 4 gives exclusive access to a body that holds an
        // outcome, which the caller promises not to touch again.
        body.with_mut(|body| unsafe { body.cast::<Result<T, PanicPayload>>().read() })
    }

    /// The body's field. Safety: the caller holds the cell, which is of this
    /// type, for as long as it uses the reference.
    unsafe fn body<'a>(cell: RawCell) -> &'a UnsafeCell<Body<F, T>> {
        // SAFETY: the cell is alive; the reference covers this field only.
        unsafe { &(*cell.0.cast::<Self>().as_ptr()).body }
    }
}

impl RawCell {
    /// A new cell that holds `closure`, in the name of its two ends. Who hands those out
    /// sees to it that what they may touch outlives them.
    #[inline]
    pub(super) fn new<F, T>(closure: F) -> Self
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let block = magazine::put(Cell::<F, T> {
            header: Header {
                state: State::new(),
                vtable: &Cell::<F, T>::VTABLE,
                waker: UnsafeCell::new(None),
            },
            body: UnsafeCell::new(Body {
                closure: ManuallyDrop::new(closure),
            }),
        });
        Self(block.cast())
    }

    /// Runs the closure and ends the job.
    ///
    /// Safety: the caller is the claimer; with [`Via::Slot`] it may not touch the
    /// cell afterwards.
    #[inline]
    pub(super) unsafe fn run(self, via: Via) -> Result<(), PanicPayload> {
        // SAFETY: the claimer holds the cell.
        let vtable = unsafe { self.vtable() };
        // SAFETY: handed on from the caller.
        unsafe { (vtable.run)(self, via) }
    }

    /// Drops the closure of a job that was resolved without a look at it, or that was
    /// claimed to be refused.
    ///
    /// Safety: it was left to the slot's end, or claimed by it, and the caller is that;
    /// it may not touch the cell afterwards.
    pub(super) unsafe fn drop_left(self) -> Result<(), PanicPayload> {
        // SAFETY: the slot's end holds the cell.
        let vtable = unsafe { self.vtable() };
        // SAFETY: the slot's end is the claimer, or was left the claimer's rights.
        unsafe { (vtable.refuse)(self, Via::Slot) }
    }

    /// Moves the outcome to `to`.
    ///
    /// Safety: rule 4, once, and `to` can be written with the cell's kind of outcome.
    pub(super) unsafe fn take_outcome(self, to: NonNull<()>) {
        // SAFETY: rule 4 implies that the caller holds the cell.
        let vtable = unsafe { self.vtable() };
        // SAFETY: handed on from the caller.
        unsafe { (vtable.take_outcome)(self, to) };
    }

    /// Ends a job: resolves the cell, lets go for `via`, wakes the handle last.
    ///
    /// # Safety
    /// The caller is the claimer, the body is over, and `has_outcome` says whether
    /// the body holds an outcome. With [`Via::Slot`] the caller may not touch the
    /// cell afterwards.
    unsafe fn end(self, via: Via, has_outcome: bool) -> Result<(), PanicPayload> {
        // SAFETY: the caller holds the cell.
        let state = unsafe { self.state() };
        let mut orphan = Ok(());
        let mut ending = state.end(via, has_outcome);
        if ending == Ending::DropOutcome {
            if state.was_refused(Reason::TimedOut) {
                metrics::note(Event::TimedOut);
            }
            // SAFETY: nobody will read it (the handle is gone, or was told a
            // reason), and the caller is the claimer: rule 4.
            orphan = unsafe { self.drop_outcome() };
            ending = state.end(via, false);
        }
        match ending {
            Ending::TakeWaker => {
                // SAFETY: this call set RESOLVED while WAKER was set: rule 5. The
                // hold of `via` is still there and keeps the field alive.
                let waker = unsafe { self.take_waker() };
                if via == Via::Slot && state.slot_gone() == LetGo::Free {
                    // SAFETY: that was the last hold.
                    unsafe { self.free() };
                }
                // The local copy, last: whoever it wakes may free the cell.
                if let Err(payload) = catch(|| waker.map(Waker::wake)) {
                    // One panic can be reported; the panic hook has seen both.
                    discard(std::mem::replace(&mut orphan, Err(payload)));
                }
                orphan
            }
            Ending::Free => {
                // SAFETY: that was the last hold.
                unsafe { self.free() };
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
    pub(super) unsafe fn refuse(
        self,
        via: Via,
        reason: Reason,
    ) -> (bool, Result<(), PanicPayload>) {
        // SAFETY: the caller holds the cell.
        if !unsafe { self.state() }.claim_to_refuse(reason) {
            return (false, Ok(()));
        }
        // SAFETY: the caller holds the cell.
        let vtable = unsafe { self.vtable() };
        // SAFETY: the claim above succeeded.
        (true, unsafe { (vtable.refuse)(self, via) })
    }

    /// Safety: the caller holds the cell for as long as it uses the reference.
    pub(super) unsafe fn state<'a>(self) -> &'a State {
        // SAFETY: the cell is alive; the reference covers this field only.
        unsafe { &(*self.0.as_ptr()).state }
    }

    /// Safety: the caller holds the cell.
    unsafe fn vtable(self) -> &'static VTable {
        // SAFETY: the cell is alive, and rule 2.
        unsafe { (*self.0.as_ptr()).vtable }
    }

    /// Safety: rule 4, and the outcome is not touched again.
    unsafe fn drop_outcome(self) -> Result<(), PanicPayload> {
        // SAFETY: the caller may touch the outcome, and so holds the cell.
        let vtable = unsafe { self.vtable() };
        // SAFETY: handed on from the caller.
        unsafe { (vtable.drop_outcome)(self) }
    }

    /// Safety: rule 5.
    pub(super) unsafe fn take_waker(self) -> Option<Waker> {
        // SAFETY: the caller holds the cell; the reference covers this field only.
        let field = unsafe { &(*self.0.as_ptr()).waker };
        // SAFETY: rule 5 gives exclusive access.
        field.with_mut(|waker| unsafe { (*waker).take() })
    }

    /// Safety: rule 5, and the field is empty.
    pub(super) unsafe fn put_waker(self, new: Waker) {
        // SAFETY: as in `take_waker`.
        let field = unsafe { &(*self.0.as_ptr()).waker };
        // SAFETY: rule 5 gives exclusive access.
        field.with_mut(|waker| unsafe { *waker = Some(new) });
    }

    /// Safety: nobody holds the cell any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: the cell was not freed yet, by its last holder's word.
        let vtable = unsafe { self.vtable() };
        // SAFETY: handed on from the caller.
        unsafe { (vtable.free)(self) };
    }
}
