//! How long a thread without work looks for some before it sleeps.
//!
//! Waking a thread costs up to 12 us for the waker and 32 us until it runs, so
//! a thread that will be needed in a moment should not sleep; one that will
//! not be needed should not spin. Nobody knows which it is, so the budget
//! follows what happened last, as the Linux guest halt poll (haltpoll) does: it
//! grows when a sleep turned out short, shrinks when it turned out long, and is
//! zero after a few long ones. At most [`CAP`] is spun away per idle phase,
//! about what a wake-up costs: never more than twice the best choice.

use std::time::{Duration, Instant};

use super::pool_thread::PoolThread;
use crate::job::Slot;
use crate::sync::{AtomicU32, Ordering, spin_loop, thread};

/// The longest spin.
const CAP: Duration = Duration::from_micros(50);

/// The shortest spin that is worth the while.
const MIN: Duration = Duration::from_micros(4);

/// Pauses between two looks at the clock and at the siblings' queues; about
/// half a microsecond.
const PAUSES: u32 = 32;

/// A model has no clock, and must not depend on one: there nobody spins.
const SPINS: bool = !cfg!(loom);

/// Rounds of [`PAUSES`] between two offers of the processor to others.
const ROUNDS_PER_YIELD: u32 = 4;

/// How long the next searcher spins, in nanoseconds. Only the thread that has
/// the searching credit spins and changes it; Relaxed, because it is advice.
pub(super) struct SpinBudget(AtomicU32);

impl SpinBudget {
    pub(super) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// An idle phase begins now.
    pub(super) fn start(&self) -> Spin {
        let now = Instant::now();
        Spin {
            idle_since: now,
            seen: now,
            budget: self.load(),
            rounds: 0,
        }
    }

    fn load(&self) -> Duration {
        Duration::from_nanos(u64::from(self.0.load(Ordering::Relaxed)))
    }

    fn store(&self, budget: Duration) {
        self.0.store(budget.as_nanos() as u32, Ordering::Relaxed);
    }
}

/// One thread's idle phase.
pub(super) struct Spin {
    idle_since: Instant,
    /// When the clock was last looked at.
    seen: Instant,
    budget: Duration,
    rounds: u32,
}

impl Spin {
    pub(super) fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// About now: as of the last look at the clock, half a microsecond ago at most.
    pub(super) fn about_now(&self) -> Instant {
        self.seen
    }

    /// Whether to go on spinning; offers the processor to others now and then.
    fn goes_on(&mut self) -> bool {
        if !SPINS || self.budget.is_zero() {
            return false;
        }
        self.seen = Instant::now();
        if self.seen.duration_since(self.idle_since) >= self.budget {
            return false;
        }
        self.rounds += 1;
        if self.rounds.is_multiple_of(ROUNDS_PER_YIELD) {
            thread::yield_now();
        }
        true
    }

    /// The thread slept and was woken: learns from how long the whole idle
    /// phase took. A new phase begins, whose spin is the search for what it was
    /// woken for.
    pub(super) fn woken(&mut self, shared: &SpinBudget) {
        if !SPINS {
            return;
        }
        let idle = self.idle_since.elapsed();
        let budget = shared.load();
        let next = if idle <= 2 * CAP {
            (2 * budget).clamp(MIN, CAP)
        } else if budget / 2 < MIN {
            Duration::ZERO
        } else {
            budget / 2
        };
        shared.store(next);
        *self = shared.start();
    }
}

impl PoolThread {
    /// Looks for a job for as long as the budget lasts. The caller has the
    /// searching credit.
    pub(super) fn search(&self, spin: &mut Spin) -> Option<Slot> {
        loop {
            // Where the next job most often comes from, first, if it may be. Not past the
            // inbox: what was found before may have been a tombstone, with older jobs
            // than those of the injector behind it.
            if self.scheduler.orders.are_none()
                && let Some(slot) = self.pick_outside()
            {
                return Some(slot);
            }
            if let Some(slot) = self.look_around() {
                return Some(slot);
            }
            if self.scheduler.idle.load().is_closed() || !spin.goes_on() {
                return None;
            }
            for _ in 0..PAUSES {
                if !self.scheduler.injector.is_empty() {
                    break;
                }
                spin_loop();
            }
        }
    }
}
