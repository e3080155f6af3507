//! Jobs for one particular thread, or for each.
//!
//! A call lies in a queue of its thread's own, which the thread looks at once in
//! 61 picks and whenever it finds nothing else: a pool that has no calls pays
//! nothing for them. Nobody steals a call.
//!
//! The hand-shake is that of `sleep.md`: the caller pushes, fences, and wakes
//! all sleepers (nobody can be woken out of turn); a thread that fell asleep
//! fences, and wakes all sleepers if it sees calls of its own. A caller that
//! finds EXITED empties the queues, as a submitter does. A thread that leaves its
//! seat says so, fences, and refuses what was called to it; a caller that finds the
//! seat vacant after its fence does the same.

use super::{PoolThread, Scheduler};
use crate::job::{Reason, Slot};
use crate::port::Batch;
use crate::sync::{Ordering, fence};

impl Scheduler {
    /// Hands one job to each thread of the pool's number, not to substitutes;
    /// refused jobs say so by themselves. Never waits.
    pub(crate) fn call_each(&self, job: impl FnMut(usize) -> Slot) {
        self.call(self.num_threads(), job);
    }

    /// Hands one job to each thread there is.
    pub(crate) fn call_all(&self, job: impl FnMut(usize) -> Slot) {
        self.call(self.seats.len(), job);
    }

    fn call(&self, count: usize, mut job: impl FnMut(usize) -> Slot) {
        let inside = super::current::of(self).is_some() && !self.is_discarding();
        for index in 0..count {
            let slot = job(index);
            if !inside && self.is_closed() {
                self.refuse(slot, self.why_refused());
            } else if let Err(slot) = self.seats[index].calls.push(slot) {
                self.refuse(slot, Reason::Closed);
            }
        }
        // Partner: the fences in `PoolThread::sleep` and in `strike_off`.
        fence(Ordering::SeqCst);
        for index in 0..count {
            if self.seats[index].vacant.load(Ordering::Relaxed) {
                self.refuse_calls(index, Reason::Closed);
            }
        }
        self.wake_all();
    }

    /// Refuses all calls that no thread has taken yet.
    pub(super) fn sweep_calls(&self, reason: Reason) {
        for index in 0..self.seats.len() {
            self.refuse_calls(index, reason);
        }
    }

    /// Refuses the calls of one thread.
    pub(super) fn refuse_calls(&self, index: usize, reason: Reason) {
        self.refuse_batch(self.seats[index].calls.take(), reason);
    }

    pub(super) fn refuse_batch(&self, mut calls: Batch<Slot>, reason: Reason) {
        while let Some(slot) = calls.pop() {
            self.refuse(slot, reason);
        }
    }
}

impl PoolThread {
    /// The oldest call of this thread.
    pub(super) fn pick_call(&self) -> Option<Slot> {
        let mut calls = self.calls.borrow_mut();
        if calls.len() == 0 {
            *calls = self.scheduler.seats[self.index].calls.take();
        }
        calls.pop()
    }

    /// Whether this thread was called. (One that lies down may have taken calls off its
    /// seat and not come to all of them.)
    pub(super) fn has_calls(&self) -> bool {
        self.calls.borrow().len() > 0 || !self.scheduler.seats[self.index].calls.is_empty()
    }
}
