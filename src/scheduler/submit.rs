//! A job comes in, and somebody is woken for it if need be.

use std::time::Instant;

use super::idle::Idle;
use super::orders::Order;
use super::{Scheduler, current};
use crate::job::{Reason, Slot};
use crate::priority::Priority;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Ordering, fence};

/// So many jobs in the injector for each thread that is awake, while somebody is
/// supposed to search, mean that the searcher has not come yet: it was just woken, and waits for the very
/// processor that the submitter keeps busy. Until the operating system moves it
/// to an idle one, 4 ms may pass; so the submitter wakes one more thread, which
/// may have slept elsewhere. (2,000 jobs into a sleeping pool of two threads on
/// two cores: 3,800 us without this, 220 us with it.)
const BACKLOG: usize = if cfg!(loom) { 2 } else { 64 };

impl Scheduler {
    /// Puts a job into the caller's own queue if it is one of the pool's
    /// threads, into the injector otherwise. Never waits.
    ///
    /// `Ok` says whether a sleeping thread had to be woken for it; `Err` gives
    /// the job back if the pool takes no more.
    #[inline]
    pub(crate) fn submit(&self, slot: Slot) -> Result<bool, Slot> {
        if self.is_to_be_timed() {
            return self.submit_stamped(slot);
        }
        self.submit_as_it_is(slot)
    }

    #[cold]
    fn submit_stamped(&self, mut slot: Slot) -> Result<bool, Slot> {
        slot.stamp(Instant::now());
        self.submit_as_it_is(slot)
    }

    #[inline(always)]
    fn submit_as_it_is(&self, slot: Slot) -> Result<bool, Slot> {
        match current::of(self) {
            Some(_) if self.is_discarding() && !slot.is_part() => Err(slot),
            Some(thread) => {
                thread.queues.lifo.push(slot);
                Ok(self.notice())
            }
            None => self.submit_from_outside(slot),
        }
    }

    /// As [`Scheduler::submit`], but behind everything that waits already, for
    /// what has just had a turn and wants another one.
    pub(crate) fn submit_behind(&self, slot: Slot, priority: Priority) -> Result<(), Slot> {
        if priority != Priority::Normal {
            return self.submit_at(slot, priority).map(drop);
        }
        match current::of(self) {
            Some(_) if self.is_discarding() => Err(slot),
            Some(thread) => {
                thread.push_behind(slot);
                Ok(())
            }
            None => self.submit_from_outside(slot).map(drop),
        }
    }

    /// As [`Scheduler::submit`], for callers that are not of this pool.
    #[inline]
    pub(super) fn submit_from_outside(&self, slot: Slot) -> Result<bool, Slot> {
        if self.is_closed() {
            return Err(slot);
        }
        self.injector.push(slot);
        Ok(self.notice())
    }

    /// A job was made visible: wakes a thread for it if one sleeps and nobody
    /// searches; whether it did. The caller's half of the hand-shake that
    /// `sleep.md` describes.
    #[inline]
    pub(super) fn notice(&self) -> bool {
        if !broken(Mutant::SubmitFence) {
            // Partner: the fence in `PoolThread::sleep`.
            fence(Ordering::SeqCst);
        }
        self.notice_after_fence()
    }

    /// As [`Scheduler::notice`], for who has executed the fence.
    #[inline]
    pub(super) fn notice_after_fence(&self) -> bool {
        let idle = self.idle.load();
        if !self.idle.may_wake(idle) {
            return false;
        }
        if !idle.is_searching() {
            return self.wake_one();
        }
        let awake = self.threads_aboard().saturating_sub(idle.away());
        self.injector.len() >= BACKLOG * awake && self.wake_another()
    }

    /// Wakes the last thread that fell asleep, handing it the searching credit,
    /// unless somebody searches already, or as many threads run as are to; whether
    /// it did.
    ///
    /// If the pool has exited, nobody is left to wake: the queues are emptied
    /// instead, and each job resolved as closed.
    #[cold]
    pub(super) fn wake_one(&self) -> bool {
        self.wake(|idle| idle.is_searching() || !self.idle.may_wake(idle))
    }

    /// Wakes every thread that sleeps, each with the searching credit: for what
    /// only one of them can do, since nobody but the last one that fell asleep
    /// can be woken alone.
    #[cold]
    pub(super) fn wake_all(&self) {
        while self.wake(|_| false) {}
        if self.idle.is_crowded(self.idle.load()) {
            self.orders.give(Order::Crowded);
        }
    }

    /// As [`Scheduler::wake_one`], even if somebody searches.
    #[cold]
    fn wake_another(&self) -> bool {
        self.wake(|idle| !self.idle.may_wake(idle))
    }

    fn wake(&self, unless: impl Fn(Idle) -> bool) -> bool {
        if self.is_forked() {
            return false;
        }
        if let Some(seat) = self.idle.pick_sleeper(&self.seats, unless) {
            self.counters.count_wake_up();
            self.seats[seat].unpark();
            return true;
        }
        if self.idle.load().has_exited() && !broken(Mutant::ExitSweep) {
            self.sweep(Reason::Closed);
        }
        false
    }
}
