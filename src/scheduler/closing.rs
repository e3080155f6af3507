//! The end of a pool.
//!
//! 1. `close` sets CLOSED: submitters from outside are refused from here on,
//!    jobs that run may still spawn. One sleeper is woken, so that somebody
//!    notices.
//! 2. The threads go on until they find nothing, and fall asleep as always.
//! 3. The thread that finds, after it fell asleep and saw no work, that all are
//!    asleep, sets EXITED in one compare-exchange, which fails if anybody was
//!    woken meanwhile.
//!    (Not while somebody who makes room in a full queue may have a turn in hand:
//!    see [`super::bounds`].)
//! 4. A submitter may have passed the check of step 1 before CLOSED was set and
//!    push only now. Either a thread sees its job when it falls asleep, or the
//!    submitter sees all of them asleep; then it wakes one, and step 3 fails, or
//!    it finds EXITED set. Whoever finds EXITED with a job in hand empties the
//!    queues and resolves each job as closed.
//! 5. All threads are unparked, see EXITED, and leave.
//!
//! CLOSED alone would not do: a job that runs may spawn. EXITED alone would
//! not: outside submitters could keep the pool alive for ever.

use super::orders::Order;
use super::{Hooks, RejectedJob, Scheduler};
use crate::job::{Reason, Slot, Verdict, Victim};
use crate::sync::deque::Steal;
use crate::sync::{Ordering, fence, spin_loop};
use crate::util::PanicPayload;

impl Scheduler {
    /// Takes no more jobs from outside; what was accepted is finished. A second
    /// call does nothing.
    pub(crate) fn close(&self) {
        if self.idle.close() {
            self.wake_one();
        }
        if let Some(bounds) = self.bounds() {
            // Each finds out by itself whether its job would still be taken.
            bounds.room().call_all();
        }
    }

    /// Whether jobs from outside are refused.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.idle.load().is_closed() || self.is_forked()
    }

    /// Whether a job from this thread would be taken.
    pub(crate) fn is_open_here(&self) -> bool {
        if self.is_current() {
            !self.is_discarding()
        } else {
            !self.is_closed()
        }
    }

    /// Closes, and resolves every job that has not started as cancelled. Never
    /// waits; a job that a thread is just fetching is cancelled by that thread.
    pub(crate) fn discard_backlog(&self) {
        // Before the sweep, so that what the sweep misses (jobs in the gap of a
        // batch, a nested spawn that was under way) is caught by `run`.
        self.orders.give(Order::Discard);
        self.close();
        self.sweep(Reason::Cancelled);
    }

    /// Whether nothing starts any more.
    pub(crate) fn is_discarding(&self) -> bool {
        self.orders.has(Order::Discard)
    }

    /// After a thread fell asleep and saw no work: steps 3 to 5.
    pub(super) fn exit_if_over(&self) {
        let is_kept = || self.bounds().is_some_and(|bounds| bounds.is_reached_into());
        if !self.idle.load().is_closed() || is_kept() || !self.idle.exit(self.threads_aboard()) {
            return;
        }
        for seat in self.seats.iter() {
            seat.unpark();
        }
        // Partner: the fence in `watch`. Either this sees the watcher, or that one the
        // exit.
        fence(Ordering::SeqCst);
        if let Some(watch) = self.watch.get() {
            watch.end();
        }
    }

    /// Empties all queues, refusing each job. Any thread may do it.
    pub(super) fn sweep(&self, reason: Reason) {
        if self.is_forked() {
            return;
        }
        self.sweep_calls(reason);
        for queue in self.lanes.queues() {
            self.sweep_one(|| queue.steal(), reason);
        }
        let queues = self.seats.iter().flat_map(|seat| [&seat.inbox, &seat.lifo]);
        self.sweep_one(|| self.injector.steal(), reason);
        for queue in queues {
            self.sweep_one(|| queue.steal(), reason);
        }
    }

    fn sweep_one(&self, steal: impl Fn() -> Steal<Slot>, reason: Reason) {
        loop {
            match steal() {
                Steal::Success(slot) => {
                    self.left(&slot);
                    self.refuse(slot, reason);
                }
                Steal::Empty => return,
                Steal::Retry => spin_loop(),
            }
        }
    }

    /// Refuses one job: its handle says so, or the hook is given the job. Whether
    /// it was still there to be refused.
    pub(crate) fn refuse(&self, slot: Slot, reason: Reason) -> bool {
        let is_job = slot.is_job();
        let (told, in_time) = match slot.refuse(reason) {
            Verdict::Told(told) => (told, true),
            Verdict::Late(told) => (told, false),
            Verdict::Untold(slot) => {
                self.count_refused(reason);
                self.counters.count_undelivered();
                let job = RejectedJob::new(slot, reason);
                self.run_hook(|hooks| (hooks.on_reject)(job));
                return true;
            }
        };
        if is_job && in_time {
            self.count_refused(reason);
        }
        if let Err(payload) = told {
            self.report_panic(payload);
        }
        in_time
    }

    /// Refuses a job that was claimed for that.
    pub(super) fn refuse_victim(&self, victim: Victim, reason: Reason) {
        match victim {
            Victim::Untold(slot) => {
                self.refuse(slot, reason);
            }
            Victim::Claimed(job) => {
                self.count_refused(reason);
                if let Err(payload) = job.resolve() {
                    self.report_panic(payload);
                }
            }
        }
    }

    fn count_refused(&self, reason: Reason) {
        match reason {
            Reason::Cancelled => self.counters.count_cancelled(),
            Reason::Expired => self.counters.count_expired(),
            _ => self.counters.count_refused(),
        }
    }

    /// A panic that no handle will see.
    pub(crate) fn report_panic(&self, payload: PanicPayload) {
        self.counters.count_unhandled();
        self.run_hook(|hooks| (hooks.on_panic)(payload));
    }

    /// Calls a hook; its own panic has been printed by the panic hook and goes
    /// no further.
    pub(crate) fn run_hook(&self, call: impl FnOnce(&Hooks)) {
        crate::util::discard(crate::util::catch(|| call(&self.hooks)));
    }
}
