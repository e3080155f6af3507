//! The second half of a join: a closure on its owner's stack that another thread may
//! run.
//!
//! ```text
//!   private --- the owner shows it ---> shown --- a thief takes it ---> taken ---> DONE
//!      ^                                  |                              |
//!      +------ the owner takes it back ---+                 the owner waits: WAITING
//! ```
//!
//! Which of the first three it is, is known by where it lies ([`crate::scheduler`]: the
//! owner's stack of halves, a shelf, neither); only the last step is in the word here,
//! as it is the one that both sides take part in.
//!
//! # Who may touch which field
//! 1. `run`, `context`: anybody who has the half; they never change.
//! 2. `younger`: the owner.
//! 3. `body`, as the closure: the owner while the half is private or was taken back, its
//!    thief once it is taken.
//! 4. `body`, as the result: the thief until it sets DONE, the owner after that.
//! 5. `waiter`: the owner until it sets WAITING, the thief after that, until it sets
//!    DONE.
//!
//! The owner keeps the half where it is until it is private again and run, or DONE. The
//! thief's last look at it is the step that sets DONE: the frame that it lies in may be
//! gone after that. So there are no references to it as a whole, only to its fields.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;

use super::cell::Context;
use crate::sync::cell::UnsafeCell;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, AtomicU32, Ordering, Parker};
use crate::util::{PanicPayload, catch};

/// The half has run, and its result is the owner's.
const DONE: u32 = 1 << 0;

/// The owner waits, and has said how it is woken.
const WAITING: u32 = 1 << 1;

/// A half, and what it gives.
#[repr(C)]
pub(crate) struct Half<B, R> {
    head: Head,
    body: UnsafeCell<Body<B, R>>,
}

/// What does not depend on the closure.
struct Head {
    run: unsafe fn(HalfPtr),
    /// The one that came next on the owner's stack.
    younger: Cell<MaybeUninit<HalfPtr>>,
    context: Context,
    state: AtomicU32,
    /// On which seat it runs, plus one; see [`HalfPtr::thief`].
    thief: AtomicU32,
    waiter: UnsafeCell<MaybeUninit<Arc<Parker>>>,
}

/// `repr(C)`: a pointer to it is a pointer to either.
#[repr(C)]
union Body<B, R> {
    closure: ManuallyDrop<B>,
    result: ManuallyDrop<Result<R, PanicPayload>>,
}

/// Where a half is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct HalfPtr(NonNull<Head>);

// SAFETY: what it gives access to is by the rules above; the closure and the result are
// `Send` by the bounds of `Half::new`.
unsafe impl Send for HalfPtr {}

impl<B, R> Half<B, R>
where
    B: FnOnce() -> R + Send,
    R: Send,
{
    #[inline(always)]
    pub(crate) fn new(closure: B) -> Self {
        Self {
            head: Head::new(Self::run),
            body: UnsafeCell::new(Body {
                closure: ManuallyDrop::new(closure),
            }),
        }
    }

    /// Where it is. It must not be moved as long as anybody uses that.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> HalfPtr {
        HalfPtr(NonNull::from(self).cast())
    }

    /// The closure. Safety: the caller is the owner, and the half is private or taken
    /// back, and is so for the first time it is asked.
    #[inline(always)]
    pub(crate) unsafe fn take_closure(&self) -> B {
        // SAFETY: rule 3, and nobody reads it again.
        self.body
            .with_mut(|body| unsafe { body.cast::<B>().read() })
    }

    /// The result. Safety: the caller is the owner, has seen DONE, and asks once.
    pub(crate) unsafe fn take_result(&self) -> Result<R, PanicPayload> {
        // SAFETY: rule 4, and nobody reads it again.
        self.body
            .with_mut(|body| unsafe { body.cast::<Result<R, PanicPayload>>().read() })
    }

    /// The end of the frame that it would lie in: nobody may touch it any more.
    #[cfg(all(test, loom))]
    pub(crate) fn retire(&self) {
        self.body.with_mut(|_| ());
        self.head.waiter.with_mut(|_| ());
    }

    /// Safety: the half is of this type, and the caller is its thief.
    unsafe fn run(half: HalfPtr) {
        // SAFETY: the half is there until DONE is set; the reference covers this field
        // only.
        let body = unsafe { &(*half.0.cast::<Self>().as_ptr()).body };
        // SAFETY: rule 3, and nobody reads it again.
        let closure = body.with_mut(|body| unsafe { body.cast::<B>().read() });
        let result = {
            // SAFETY: rule 1.
            let context = unsafe { half.context() };
            let _entered = context.enter();
            catch(closure)
        };
        let result = Body {
            result: ManuallyDrop::new(result),
        };
        // SAFETY: rule 4.
        body.with_mut(|body| unsafe { body.write(result) });
    }
}

impl Head {
    #[inline(always)]
    fn new(run: unsafe fn(HalfPtr)) -> Self {
        Self {
            run,
            younger: Cell::new(MaybeUninit::uninit()),
            context: Context::current(),
            state: AtomicU32::new(0),
            thief: AtomicU32::new(0),
            waiter: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

/// The bottom of a stack of halves, which is none itself.
pub(crate) struct Bottom(Box<Head>);

// SAFETY: it holds a function, and a cell that only its owner touches; whoever moves it
// to another thread makes that one the owner.
unsafe impl Send for Bottom {}

impl Bottom {
    pub(crate) fn new() -> Self {
        /// Nobody shows it.
        unsafe fn run(_: HalfPtr) {
            unreachable!("the bottom of a stack is no half")
        }
        Self(Box::new(Head::new(run)))
    }

    pub(crate) fn as_ptr(&self) -> HalfPtr {
        HalfPtr(NonNull::from(&*self.0))
    }
}

/// Safety, of all that are unsafe: the half is there. What else they ask for is said with
/// each.
impl HalfPtr {
    pub(crate) fn as_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// Of what [`HalfPtr::as_raw`] gave, or null.
    pub(crate) fn from_raw(raw: *mut ()) -> Option<Self> {
        NonNull::new(raw.cast()).map(Self)
    }

    /// Safety: the caller is the owner, and has set it.
    pub(crate) unsafe fn younger(self) -> Self {
        // SAFETY: rule 2.
        let younger = unsafe { &(*self.0.as_ptr()).younger }.get();
        // SAFETY: handed on from the caller.
        unsafe { younger.assume_init() }
    }

    /// Safety: the caller is the owner.
    #[inline(always)]
    pub(crate) unsafe fn set_younger(self, younger: Self) {
        // SAFETY: rule 2.
        unsafe { &(*self.0.as_ptr()).younger }.set(MaybeUninit::new(younger));
    }

    /// On which seat it runs if everything that is shown there was shown by it.
    pub(crate) unsafe fn thief(self) -> Option<usize> {
        // SAFETY: the half is there.
        let thief = unsafe { &(*self.0.as_ptr()).thief };
        // Acquire, partner: the store in `run`. The seat may be newer than the half, and who
        // is told of it finds it. What is there comes by a shelf of its own.
        (thief.load(Ordering::Acquire) as usize).checked_sub(1)
    }

    /// Runs it, and tells its owner. `seat` is the thief's, if it has
    /// nothing else to show.
    ///
    /// Safety: the caller is its thief, and may not touch it afterwards.
    pub(crate) unsafe fn run(self, seat: Option<usize>) {
        if let Some(seat) = seat {
            // SAFETY: the half is there.
            let thief = unsafe { &(*self.0.as_ptr()).thief };
            // Release, partner: the load in `thief`.
            thief.store(seat as u32 + 1, Ordering::Release);
        }
        // SAFETY: rule 1.
        let run = unsafe { (*self.0.as_ptr()).run };
        // SAFETY: the pointer is of the half's type, and the caller its thief.
        unsafe { run(self) };
        // SAFETY: handed on from the caller.
        unsafe { self.finish() };
    }

    /// Safety: the caller is its thief, has written the result, and may not touch it
    /// afterwards.
    unsafe fn finish(self) {
        // SAFETY: the half is there until DONE is set.
        let state = unsafe { self.state() };
        if broken(Mutant::HalfDoneEarly) {
            // SAFETY: the reference covers this field only.
            let waits = state.swap(DONE, Ordering::AcqRel) & WAITING != 0;
            // Somewhere for loom to let the owner go on.
            state.fetch_or(0, Ordering::Relaxed);
            // SAFETY: none: the mistake.
            let waiter = waits.then(|| unsafe { self.waiter() });
            waiter.inspect(|waiter| waiter.unpark());
            return;
        }
        let mut seen = state.load(Ordering::Acquire);
        loop {
            // Taken out before DONE is set: the frame may be gone after that.
            let waiter = (seen & WAITING != 0).then(|| {
                // SAFETY: rule 5; WAITING was seen by an Acquire.
                unsafe { self.waiter() }
            });
            // Release: partner is the load in `is_done`. Acquire: the waiter.
            match state.compare_exchange(seen, DONE, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if let Some(waiter) = waiter {
                        waiter.unpark();
                    }
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Whether it has run; then the result is the owner's.
    pub(crate) unsafe fn is_done(self) -> bool {
        // SAFETY: the half is there. Partner: `finish`.
        unsafe { self.state() }.load(Ordering::Acquire) & DONE != 0
    }

    /// Says how the owner is woken once it has run; `false` if it has.
    ///
    /// Safety: the caller is the owner, and asks once.
    pub(crate) unsafe fn wake_when_done(self, waiter: Arc<Parker>) -> bool {
        // SAFETY: the reference covers this field only.
        let field = unsafe { &(*self.0.as_ptr()).waiter };
        // SAFETY: rule 5.
        field.with_mut(|field| unsafe { field.cast::<Arc<Parker>>().write(waiter) });
        // SAFETY: the half is there.
        let before = unsafe { self.state() }.fetch_or(WAITING, Ordering::AcqRel);
        if before & DONE == 0 {
            return true;
        }
        // SAFETY: DONE was set without WAITING: the thief has not touched it.
        drop(unsafe { self.waiter() });
        false
    }

    /// Moves the waiter out. Safety: rule 5.
    unsafe fn waiter(self) -> Arc<Parker> {
        // SAFETY: the reference covers this field only.
        let field = unsafe { &(*self.0.as_ptr()).waiter };
        // SAFETY: rule 5, and it was written.
        field.with_mut(|field| unsafe { field.cast::<Arc<Parker>>().read() })
    }

    unsafe fn state<'a>(self) -> &'a AtomicU32 {
        // SAFETY: the half is there; the reference covers this field only.
        unsafe { &(*self.0.as_ptr()).state }
    }

    unsafe fn context(self) -> Context {
        // SAFETY: rule 1.
        unsafe { (*self.0.as_ptr()).context }
    }
}
