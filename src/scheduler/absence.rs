//! A pool thread waits inside a job: another one runs in its place.
//!
//! "Never fewer threads run than the pool is to have, while work waits." A thread
//! that parks in a job (for a handle, a message, room, or in user code inside
//! [`blocking`](crate::blocking)) says so: it counts as absent in the idle word, and
//! so the pool may wake a sleeper although its number of threads are awake. If there
//! is no sleeper, the waiter starts a *substitute* before it parks, whether or not
//! there is work: whoever hands a job over later then finds a sleeper to wake, and a
//! main loop never has to start a thread. And so does the last sleeper that was woken,
//! before it runs what it found, if still fewer run than are to: several waits may
//! have relied on that one.
//!
//! When the waiter is back there may be one thread too many. It sets
//! [`Order::Crowded`], and one of the threads lies down after its job, on the same
//! stack of sleepers as always: the substitute of the next wait.
//!
//! # Why no job is left lying
//! A wait takes a running thread away, as falling asleep does, and pays with the
//! same look: count, fence, look at the queues, wake. So the claim of `sleep.md`
//! holds with "fewer threads run than are to" in place of "a thread sleeps": every
//! step that makes fewer run (falling asleep, an absence, leaving the pool), and each
//! that asks for more (a raised target), is followed by a look at the queues.
//! Lying down is allowed only while more run than are to, in the same
//! compare-exchange, and so takes nobody away who is needed.
//!
//! # Why nobody runs too many for long
//! [`Order::Crowded`] may be stale, and is cleared by who finds that it is; after
//! clearing it, that one looks again. Who made it crowded changed the idle word
//! before giving the order: either the second look sees that, or the order comes
//! after the clearing.

use std::time::Instant;

use super::PoolThread;
use super::orders::Order;
use crate::job::Reason;
use crate::sync::absence::Absentee;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Ordering, fence};

impl Absentee for PoolThread {
    fn leaves(&self) {
        self.absences.set(self.absences.get() + 1);
        if self.absences.get() > 1 {
            return;
        }
        let scheduler = &self.scheduler;
        // In a fork of the pool's process there is nobody to take the place.
        if scheduler.is_forked() {
            return;
        }
        self.stats.end_busy(scheduler.born.elapsed());
        scheduler.idle.leave_for_a_wait();
        // Partner: the fence in `Scheduler::notice`.
        fence(Ordering::SeqCst);
        let idle = scheduler.idle.load();
        if idle.nobody_sleeps() {
            scheduler.substitute_if_short();
        } else if !broken(Mutant::AbsentUnseen) && scheduler.work_visible() {
            scheduler.wake_one();
        }
    }

    fn returns(&self) {
        self.absences.set(self.absences.get() - 1);
        if self.absences.get() > 0 || self.scheduler.is_forked() {
            return;
        }
        self.stats.begin_busy(self.scheduler.born.elapsed());
        let idle = self.scheduler.idle.back_from_a_wait();
        if self.scheduler.idle.is_crowded(idle) {
            self.scheduler.orders.give(Order::Crowded);
        }
    }
}

/// What a thread does that has been told to stand aside.
pub(super) enum Aside {
    /// It goes on: nothing is the matter any more.
    No,
    /// It is on the stack of sleepers.
    Lies,
    /// It is off the roster.
    Leaves,
}

impl PoolThread {
    /// Between two jobs, with an order given: does what it says.
    #[cold]
    pub(super) fn stand_aside(&self) -> Aside {
        let scheduler = &self.scheduler;
        if self.is_struck_off(false) {
            // Before somebody else may sit on this seat.
            self.stop_working(Instant::now());
            return Aside::Leaves;
        }
        while scheduler.orders.has(Order::Crowded) {
            self.time_slice.to_sleep();
            if scheduler.idle.lie_down(&scheduler.seats, self.index) {
                return Aside::Lies;
            }
            scheduler.orders.clear(Order::Crowded);
            if scheduler.idle.is_crowded(scheduler.idle.load()) {
                scheduler.orders.give(Order::Crowded);
            }
        }
        Aside::No
    }

    /// Whether this thread was to leave, and is off the roster. With `credit` it had the
    /// searching credit, and has given it back then.
    pub(super) fn is_struck_off(&self, credit: bool) -> bool {
        let scheduler = &self.scheduler;
        if !scheduler.orders.has(Order::Dismiss) {
            return false;
        }
        let Some(calls) = scheduler.strike_off(self.index) else {
            return false;
        };
        self.is_gone.set(true);
        self.time_slice.to_sleep();
        // Before the looks: who sees the credit relies on them.
        if credit {
            scheduler.idle.stop_searching();
        }
        scheduler.make_up_for_one();
        for calls in [self.calls.take(), calls] {
            scheduler.refuse_batch(calls, Reason::Closed);
        }
        true
    }
}
