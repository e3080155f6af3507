//! Jobs for one particular thread, or for each.
//!
//! A call lies in a queue of its thread's own, which the thread looks at once in
//! 61 picks and whenever it finds nothing else: a pool that has no calls pays
//! nothing for them. Nobody steals a call.
//!
//! The hand-shake is that of `sleep.md`: the caller pushes, fences, and wakes
//! all sleepers (nobody can be woken out of turn); a thread that fell asleep
//! fences, and wakes all sleepers if it sees calls of its own. A caller that
//! finds EXITED empties the queues, as a submitter does.

use super::{PoolThread, Scheduler};
use crate::job::{Reason, Slot};
use crate::sync::{Ordering, fence};

impl Scheduler {
    /// Hands one job to each thread; refused jobs say so by themselves. Never
    /// waits.
    pub(crate) fn call_each(&self, mut job: impl FnMut(usize) -> Slot) {
        let inside = super::current::of(self).is_some() && !self.is_discarding();
        for (index, seat) in self.seats.iter().enumerate() {
            let slot = job(index);
            if !inside && self.is_closed() {
                self.refuse(slot, Reason::Closed);
            } else if let Err(slot) = seat.calls.push(slot) {
                self.refuse(slot, Reason::Closed);
            }
        }
        // Partner: the fence in `PoolThread::sleep`.
        fence(Ordering::SeqCst);
        self.wake_all();
    }

    /// Refuses all calls that no thread has taken yet.
    pub(super) fn sweep_calls(&self, reason: Reason) {
        for seat in &self.seats {
            let mut calls = seat.calls.take();
            while let Some(slot) = calls.pop() {
                self.refuse(slot, reason);
            }
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

    /// Whether this thread was called.
    pub(super) fn has_calls(&self) -> bool {
        !self.scheduler.seats[self.index].calls.is_empty()
    }
}
