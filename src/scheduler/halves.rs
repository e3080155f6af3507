//! Joins: a thread's stack of second halves, and how it comes by their results.
//!
//! The protocol is told in `halves.md`.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem;
use std::panic::resume_unwind;
use std::ptr;
use std::time::{Duration, Instant};

use super::PoolThread;
use crate::job::{Bottom, Half, HalfPtr, Slot};
use crate::sync::absence::absent;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, Ordering, fence, spin_loop, thread, thread_local};
use crate::util::{PanicPayload, Stays, catch, discard};

/// For how long a thread looks for a half's result (and for what its thief shows) before
/// it parks. About one in a thousand waits is longer than this, in a tree of small
/// leaves.
const PATIENCE: Duration = Duration::from_micros(50);

/// How many halves more than the oldest are shown in a job, and after each theft.
///
/// To show a half and to take it back is a fence and a compare-exchange, and in a
/// balanced tree of ten layers nearly all halves are among the eight oldest at some time.
/// But a tree of a few long leaves is to be had by all threads at once, before its owner has
/// come to the end of its first leaf.
const CREDIT: u32 = 8;

/// Pauses between two looks.
const PAUSES: u32 = 8;

/// Looks between two readings of the clock.
const LOOKS_PER_READING: u32 = 16;

thread_local! {
    /// This thread, for as long as it works for its pool.
    static HERE: Cell<*const PoolThread> = const { Cell::new(ptr::null()) };
}

/// The second halves of the joins that a thread is in, as a stack: those at the bottom
/// are shown, or taken, and the others private.
pub(super) struct Halves {
    /// The newest of all.
    top: Cell<HalfPtr>,
    /// The newest of those that were shown.
    last_shown: Cell<HalfPtr>,
    /// How many were shown.
    shown: Cell<u32>,
    /// How many more may be shown although there is something to be taken.
    credit: Cell<u32>,
    /// In which job it was renewed.
    job: Cell<u64>,
    /// What is at the bottom of both.
    bottom: Bottom,
}

impl Halves {
    pub(super) fn new() -> Self {
        let bottom = Bottom::new();
        Self {
            top: Cell::new(bottom.as_ptr()),
            last_shown: Cell::new(bottom.as_ptr()),
            shown: Cell::new(0),
            credit: Cell::new(CREDIT),
            job: Cell::new(0),
            bottom,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.top.get() == self.bottom.as_ptr()
    }

    fn has_private(&self) -> bool {
        self.last_shown.get() != self.top.get()
    }

    /// The oldest private half, which is shown from now on.
    fn show_next(&self) -> HalfPtr {
        // SAFETY: it is on the stack, and this thread is the owner; it is not the top, so
        // that what is above it has said so.
        let next = unsafe { self.last_shown.get().younger() };
        self.last_shown.set(next);
        self.shown.set(self.shown.get() + 1);
        next
    }

    fn renew_credit(&self, was_taken: bool, job: u64) {
        if was_taken || self.job.replace(job) != job {
            self.credit.set(CREDIT);
        }
    }

    fn spend(&self) -> bool {
        let credit = self.credit.get();
        self.credit.set(credit.saturating_sub(1));
        credit > 0
    }
}

/// This thread is `thread`'s from now on, or nobody's.
pub(super) fn tell(thread: Option<&PoolThread>) {
    HERE.with(|here| here.set(thread.map_or(ptr::null(), ptr::from_ref)));
}

/// The pool thread that this is.
#[inline(always)]
pub(super) fn here<'a>() -> Option<&'a PoolThread> {
    let here = HERE.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: `live_once` says that the thread is here before it runs anything, and that
    // it is not any more before it lets go of it. Whoever asks runs in between, and does
    // not keep the reference beyond its own end.
    unsafe { here.as_ref() }
}

/// Whether somebody could take a half if this thread, which is a pool's, joined now;
/// `None` if it is none.
#[inline(always)]
pub(crate) fn is_in_demand() -> Option<bool> {
    here().map(|thread| thread.shelf.is_in_demand())
}

/// Runs both, and gives both results: `a` here, and `b` on whichever thread of this
/// one's pool comes to it first. On a thread that is no pool's, one after the other.
///
/// # Panics
/// With the panic of `a`, or else that of `b`; both have ended then.
#[inline(always)]
pub(crate) fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA,
    B: FnOnce() -> RB + Send,
    RB: Send,
{
    match here() {
        Some(thread) => thread.join(a, b),
        None => match catch(a) {
            Ok(a) => (a, b()),
            Err(payload) => {
                discard(catch(b));
                resume_unwind(payload)
            }
        },
    }
}

impl PoolThread {
    #[inline(always)]
    fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA,
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        // Not moved from here on.
        let half = Half::new(b);
        let this = half.as_ptr();
        let older = self.halves.top.replace(this);
        // SAFETY: what is on the stack of halves is there: each is taken off before its
        // frame ends, by `pop`, whatever happens. This thread is the owner of all.
        unsafe { older.set_younger(this) };
        if self.shelf.is_in_demand() {
            self.show();
        }
        let a = match catch(a) {
            Ok(a) => a,
            Err(payload) => self.end_after_panic(payload, &half, older),
        };
        if self.pop(this, older) {
            // SAFETY: `pop` says that this thread alone has it, and it is off the stack.
            let b = unsafe { half.take_closure() };
            if self.shelf.is_in_demand() {
                // What is older would wait for `b` here.
                self.show();
            }
            (a, b())
        } else {
            // SAFETY: `pop` has seen that it is done.
            match unsafe { half.take_result() } {
                Ok(b) => (a, b),
                Err(payload) => {
                    discard(a);
                    resume_unwind(payload)
                }
            }
        }
    }

    /// The end of a join whose first half has panicked: after the other one, whatever
    /// that does.
    #[cold]
    #[inline(never)]
    fn end_after_panic<B, RB>(&self, payload: PanicPayload, half: &Half<B, RB>, older: HalfPtr) -> !
    where
        B: FnOnce() -> RB + Send,
        RB: Send,
    {
        if self.pop(half.as_ptr(), older) {
            // SAFETY: as in `join`.
            discard(catch(unsafe { half.take_closure() }));
        } else {
            // SAFETY: as in `join`.
            discard(unsafe { half.take_result() });
        }
        resume_unwind(payload)
    }

    /// Takes the top off the stack of halves: `true` if it is this thread's to run,
    /// `false` if it has run.
    #[inline(always)]
    fn pop(&self, top: HalfPtr, older: HalfPtr) -> bool {
        if self.halves.last_shown.get() == top {
            return self.pop_shown(top, older);
        }
        // It was not shown, and nobody else knows of it.
        self.halves.top.set(older);
        true
    }

    #[cold]
    #[inline(never)]
    fn pop_shown(&self, top: HalfPtr, older: HalfPtr) -> bool {
        let halves = &self.halves;
        let number = halves.shown.get() - 1;
        let is_back = self.shelf.take_back(number, top);
        let stays = Stays;
        // It is on the stack still: what joins meanwhile lies above it.
        let is_lost = !is_back && !self.wait_for(top);
        mem::forget(stays);
        halves.top.set(older);
        halves.last_shown.set(older);
        halves.shown.set(number);
        if is_back && self.shelf.is_empty() {
            self.shelf.set_demand();
        }
        assert!(
            !is_lost,
            "the other half of a join runs on a thread that is not in this fork of its process"
        );
        is_back
    }

    /// Shows halves that are private, the oldest first: one if nobody can take any, and
    /// more while the credit lasts.
    #[cold]
    #[inline(never)]
    fn show(&self) {
        let (halves, shelf) = (&self.halves, &self.shelf);
        let stays = Stays;
        halves.renew_credit(shelf.was_taken(), self.stats.job());
        loop {
            let mut is_out = !shelf.is_empty();
            let mut has_shown = false;
            while halves.has_private() && shelf.has_place(halves.shown.get()) {
                if is_out && !halves.spend() {
                    break;
                }
                let number = halves.shown.get();
                shelf.put(number, halves.show_next());
                (is_out, has_shown) = (true, true);
            }
            let goes_on = !is_out || halves.credit.get() > 0 && shelf.has_place(halves.shown.get());
            let is_settled = if goes_on {
                shelf.set_demand();
                // Partner: the fence in `PoolThread::sleep`.
                fence(Ordering::SeqCst);
                true
            } else {
                shelf.settle()
            };
            if has_shown && !broken(Mutant::HalfUnnoticed) {
                self.scheduler.notice_after_fence();
            }
            if is_settled {
                break;
            }
        }
        mem::forget(stays);
    }

    /// Waits until a half has run that another thread has taken. Meanwhile this one runs
    /// what that thread has shown since, if all that it shows is of this half
    /// (leapfrogging), and nothing else.
    ///
    /// `false` if that thread is in another process: this one is a fork of it.
    #[cold]
    #[inline(never)]
    fn wait_for(&self, half: HalfPtr) -> bool {
        // SAFETY: its owner is here, and stays until it is done; so in all of this.
        let is_done = || unsafe { half.is_done() };
        let mut looks = 0_u32;
        let mut since = None;
        loop {
            if is_done() {
                return true;
            }
            // SAFETY: as above.
            if let Some(thief) = unsafe { half.thief() }
                && let Some(other) = self.scheduler.seats[thief].shelf.take()
            {
                if is_done() {
                    // That thread has gone on, perhaps before it showed this.
                    self.give_away(other);
                    return true;
                }
                self.stats.count_steal();
                // Nothing of this stack is private, as its top was taken. If nothing is
                // shown either, then all that will be shown is of that one.
                let seat = self.shelf.is_empty().then_some(self.index);
                // SAFETY: it was taken from a shelf by this thread.
                unsafe { other.run(seat) };
                (looks, since) = (0, None);
                continue;
            }
            looks += 1;
            if looks.is_multiple_of(LOOKS_PER_READING) {
                let now = Instant::now();
                if now.duration_since(*since.get_or_insert(now)) >= PATIENCE {
                    break;
                }
                thread::yield_now();
            }
            if cfg!(loom) {
                break;
            }
            for _ in 0..PAUSES {
                spin_loop();
            }
        }
        if self.scheduler.is_forked() {
            return false;
        }
        absent(|| self.park_for(half));
        true
    }

    /// Lets others run a half that this thread has taken and must not run.
    fn give_away(&self, half: HalfPtr) {
        self.queues.lifo.push(Slot::half(half, None));
        self.scheduler.notice();
    }

    fn park_for(&self, half: HalfPtr) {
        let parker = self.rejoin.get().expect("a thread that joins lives");
        // SAFETY: its owner is here, and this is the only wait.
        if !unsafe { half.wake_when_done(Arc::clone(parker)) } {
            return;
        }
        // SAFETY: as above.
        while !unsafe { half.is_done() } {
            parker.park();
        }
    }
}
