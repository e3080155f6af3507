//! The idle word: who sleeps, whether somebody searches, whether the pool is
//! closing. One 64-bit word, so that every decision is one compare-exchange.
//!
//! | bits | field | meaning |
//! |---|---|---|
//! | 0..12 | top | 1 + the seat of the thread that went to sleep last; 0: nobody sleeps |
//! | 12..24 | asleep | how many threads are in the stack of sleepers |
//! | 24..36 | absent | how many threads wait inside a job |
//! | 36 | SEARCHING | a thread without work looks for some, or was woken to do so |
//! | 37 | CLOSED | no more jobs from outside |
//! | 38 | EXITED | all threads are asleep, all queues empty, and nobody will look again |
//! | 39..64 | version | counts pushes and pops of the stack |
//!
//! The sleepers form a stack through `Seat::below`, as in Java's ForkJoinPool:
//! the last one to fall asleep, whose caches are warmest, is woken first. The
//! version makes the pop safe against a top that was popped and pushed again
//! in between: it comes round after 33 million changes, half a minute at one a
//! microsecond, and all other fields would have to be the same again when the one
//! who was interrupted in the middle of a pop goes on.
//!
//! How many threads run is not in the word, but follows from it: all that there
//! are, less those asleep and those absent. Beside the word stands how many
//! threads there are beyond those that are to run at once, the `excess`; it
//! changes only when threads come or go ([`super::roster`]). So a thread may be
//! woken while `asleep + absent > excess`, and one too many runs while it is less.

use super::seats::Seats;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::util::limits::MAX_THREADS;

const FIELD: u64 = 1 << 12;
const ASLEEP: u64 = FIELD;
const ABSENT: u64 = FIELD * FIELD;
const SEARCHING: u64 = 1 << 36;
const CLOSED: u64 = 1 << 37;
const EXITED: u64 = 1 << 38;
const VERSION: u64 = 1 << 39;

// `top` holds 1 + a seat, `asleep` and `absent` count seats.
const _: () = assert!((MAX_THREADS as u64) < FIELD);

/// One reading of the idle word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Idle(u64);

impl Idle {
    /// Whether there is nobody to wake. A pool that has exited is asleep.
    #[inline]
    pub(super) fn nobody_sleeps(self) -> bool {
        self.top() == 0
    }

    pub(super) fn is_searching(self) -> bool {
        self.0 & SEARCHING != 0
    }

    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(super) fn has_exited(self) -> bool {
        self.0 & EXITED != 0
    }

    /// Threads in the stack of sleepers.
    pub(super) fn asleep(self) -> usize {
        (self.0 / ASLEEP % FIELD) as usize
    }

    /// Threads that wait inside a job.
    pub(super) fn absent(self) -> usize {
        (self.0 / ABSENT % FIELD) as usize
    }

    /// Threads that do not run.
    pub(super) fn away(self) -> usize {
        self.asleep() + self.absent()
    }

    fn top(self) -> u64 {
        self.0 % FIELD
    }

    fn with_top(self, top: u64) -> u64 {
        (self.0 - self.top() + top).wrapping_add(VERSION)
    }
}

/// The word itself.
///
/// # Memory ordering
/// The loads are Relaxed and the changes AcqRel; what makes a submitter and a
/// sleeper see each other are the SeqCst fences around them, which `sleep.md`
/// pairs up. AcqRel on the changes carries `Seat::below` from the push that
/// wrote it to the pop that reads it.
pub(super) struct IdleWord {
    word: AtomicU64,
    /// Threads beyond those that are to run at once. Relaxed: who changes it looks
    /// after that whether somebody is to be woken or is one too many.
    excess: AtomicUsize,
}

impl IdleWord {
    pub(super) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            excess: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(super) fn load(&self) -> Idle {
        Idle(self.word.load(Ordering::Relaxed))
    }

    pub(super) fn set_excess(&self, excess: usize) {
        self.excess.store(excess, Ordering::Relaxed);
    }

    fn excess(&self) -> usize {
        self.excess.load(Ordering::Relaxed)
    }

    /// Whether there is a sleeper who may run: fewer threads do than are to.
    #[inline]
    pub(super) fn may_wake(&self, idle: Idle) -> bool {
        !idle.nobody_sleeps() && self.is_short(idle)
    }

    /// Whether fewer threads run than are to.
    pub(super) fn is_short(&self, idle: Idle) -> bool {
        idle.away() > self.excess()
    }

    /// Whether more threads run than are to.
    pub(super) fn is_crowded(&self, idle: Idle) -> bool {
        idle.away() < self.excess()
    }

    /// Becomes the searcher, if nobody is.
    pub(super) fn start_searching(&self) -> bool {
        // Not a bare fetch-or: the line would be written for nothing by every
        // thread that runs dry while another one searches.
        !self.load().is_searching()
            && self.word.fetch_or(SEARCHING, Ordering::AcqRel) & SEARCHING == 0
    }

    /// Gives the searching credit back. The caller has it.
    pub(super) fn stop_searching(&self) {
        self.word.fetch_and(!SEARCHING, Ordering::AcqRel);
    }

    /// Puts `seat`'s thread on the stack of sleepers, and with `credit` gives
    /// the searching credit back in the same step.
    pub(super) fn fall_asleep(&self, seats: &Seats, seat: usize, credit: bool) {
        self.fall_asleep_if(seats, seat, credit, |_| true);
    }

    /// As [`IdleWord::fall_asleep`] without a credit, if more threads run than are
    /// to; whether so.
    pub(super) fn lie_down(&self, seats: &Seats, seat: usize) -> bool {
        self.fall_asleep_if(seats, seat, false, |idle| self.is_crowded(idle))
    }

    fn fall_asleep_if(
        &self,
        seats: &Seats,
        seat: usize,
        credit: bool,
        condition: impl Fn(Idle) -> bool,
    ) -> bool {
        self.update(|idle| {
            if !condition(idle) {
                return None;
            }
            // Relaxed: published by the exchange below, and read only after it.
            seats[seat]
                .below
                .store(idle.top() as u32, Ordering::Relaxed);
            let next = idle.with_top(seat as u64 + 1) + ASLEEP;
            Some(if credit { next & !SEARCHING } else { next })
        })
        .is_some()
    }

    /// The calling thread waits inside its job; the word after that.
    pub(super) fn leave_for_a_wait(&self) -> Idle {
        Idle(self.word.fetch_add(ABSENT, Ordering::AcqRel) + ABSENT)
    }

    /// It has waited; the word after that.
    pub(super) fn back_from_a_wait(&self) -> Idle {
        Idle(self.word.fetch_sub(ABSENT, Ordering::AcqRel) - ABSENT)
    }

    /// Takes the last sleeper off the stack, with the searching credit; `None`
    /// if nobody sleeps, the pool has exited, or `unless` says so.
    pub(super) fn pick_sleeper(
        &self,
        seats: &Seats,
        unless: impl Fn(Idle) -> bool,
    ) -> Option<usize> {
        let before = self.update(|idle| {
            let seat = idle.top().checked_sub(1)?;
            if unless(idle) || idle.has_exited() {
                return None;
            }
            // Relaxed: written before the exchange that made it the top, which
            // `idle` was read from; if it changed since, so did the version.
            let below = seats[seat as usize].below.load(Ordering::Relaxed);
            Some((idle.with_top(u64::from(below)) - ASLEEP) | SEARCHING)
        })?;
        Some(before.top() as usize - 1)
    }

    /// Closes the pool; `false` if it was closed before.
    pub(super) fn close(&self) -> bool {
        !Idle(self.word.fetch_or(CLOSED, Ordering::AcqRel)).is_closed()
    }

    /// Ends a closed pool whose `threads` threads are all asleep; whether this
    /// call did.
    pub(super) fn exit(&self, threads: usize) -> bool {
        self.update(|idle| {
            let over = idle.is_closed()
                && !idle.has_exited()
                && !idle.is_searching()
                && idle.asleep() == threads;
            over.then_some(idle.0 | EXITED)
        })
        .is_some()
    }

    /// Applies `change` until it sticks or gives `None`; the word before it.
    fn update(&self, change: impl Fn(Idle) -> Option<u64>) -> Option<Idle> {
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                change(Idle(word))
            })
            .ok()
            .map(Idle)
    }
}
