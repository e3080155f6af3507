//! The end of a pool.
//!
//! 1. `close` sets CLOSED: submitters from outside are refused from here on,
//!    jobs that run may still spawn. One sleeper is woken, so that somebody
//!    notices.
//! 2. The threads go on until they find nothing, and fall asleep as always.
//! 3. The thread that finds, after it fell asleep and saw no work, that all are
//!    asleep, sets EXITED in one compare-exchange, which fails if anybody was
//!    woken meanwhile.
//!    (Not while somebody has something in hand that is to go back into a queue: see
//!    [`Hand`].)
//! 4. A submitter may have passed the check of step 1 before CLOSED was set and
//!    push only now. Either a thread sees its job when it falls asleep, or the
//!    submitter sees all of them asleep; then it wakes one, and step 3 fails, or
//!    it finds EXITED set. Whoever finds EXITED with a job in hand empties the
//!    queues and resolves each job as closed.
//! 5. All threads are unparked, see EXITED, and leave.
//!
//! CLOSED alone would not do: a job that runs may spawn. EXITED alone would
//! not: outside submitters could keep the pool alive for ever.
//!
//! # Parts
//! Children of a scope are parts of something that has begun: they are run whatever
//! becomes of the pool. Who throws the backlog away puts them back into the injector,
//! and the threads run them although nothing else starts. Who empties the queues
//! of a pool that has exited leaves them to their scopes: each of those is of a thread
//! from outside that was handing it over in this very moment, sees EXITED as well, and
//! runs it itself. So nobody else ever does.

use super::orders::Order;
use super::{Hooks, RejectedJob, Scheduler};
use crate::job::{Reason, Slot, Verdict, Victim};
use crate::sync::deque::Steal;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{AtomicUsize, Ordering, fence, spin_loop};
use crate::util::PanicPayload;

/// So many jobs are taken out of a queue at once, to be refused.
const BATCH: usize = 64;

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

    /// Whether the threads have left, or are about to: nothing in the queues will be
    /// run. Exact, for who has handed a job over, in the sense of step 4.
    pub(crate) fn has_exited(&self) -> bool {
        self.idle.load().has_exited()
    }

    /// Whether nothing starts any more.
    pub(crate) fn is_discarding(&self) -> bool {
        self.orders.has(Order::Discard)
    }

    /// After a thread fell asleep and saw no work: steps 3 to 5.
    pub(super) fn exit_if_over(&self) {
        // After the look at the queues, as `Hand` says.
        if !self.idle.load().is_closed()
            || self.hands.is_any()
            || !self.idle.exit(self.threads_aboard())
        {
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
            self.sweep_one(|| queue.steal(), usize::MAX, reason);
        }
        // Parts go back there.
        let len = if self.has_exited() {
            usize::MAX
        } else {
            self.injector.len()
        };
        self.sweep_one(|| self.injector.steal(), len, reason);
        let queues = self.seats.iter().flat_map(|seat| [&seat.inbox, &seat.lifo]);
        for queue in queues {
            self.sweep_one(|| queue.steal(), usize::MAX, reason);
        }
    }

    /// Empties a queue, or takes that much out of it.
    fn sweep_one(&self, steal: impl Fn() -> Steal<Slot>, mut most: usize, reason: Reason) {
        while most > 0 {
            for slot in self.take_batch(&steal, &mut most) {
                // With nothing in hand any more: this is the users' code.
                self.left(&slot);
                self.refuse(slot, reason);
            }
        }
    }

    /// Takes some jobs out of a queue, and puts parts back into the injector. `most` is
    /// zero if there is nothing more to be taken.
    fn take_batch(&self, steal: &impl Fn() -> Steal<Slot>, most: &mut usize) -> Vec<Slot> {
        // Of a pool that has exited nobody is to be kept.
        let _hand = (!self.has_exited()).then(|| Hand::reach_in(self));
        let mut batch = Vec::new();
        while *most > 0 && batch.len() < BATCH {
            match steal() {
                Steal::Success(slot) => {
                    *most -= 1;
                    if !slot.is_part() {
                        batch.push(slot);
                    } else if !self.has_exited() {
                        self.injector.push(slot);
                        self.notice();
                    }
                }
                Steal::Empty => *most = 0,
                Steal::Retry => spin_loop(),
            }
        }
        batch
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

/// How many have, or may have, something in hand that is to go back into a queue.
pub(super) struct Hands(AtomicUsize);

impl Hands {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn is_any(&self) -> bool {
        // Acquire: who sees the hand gone sees what it put back.
        self.0.load(Ordering::Acquire) != 0 && !broken(Mutant::HandUnseen)
    }
}

/// Keeps the threads of a closed pool from leaving while somebody who need not be one of
/// them has something in hand that is in no queue meanwhile.
///
/// Who reaches into the queues says so before, and the last thread that falls asleep asks
/// *after* its look at them. If it saw them empty because of that hand, it sees the hand
/// as well, or sees what the hand put back; then it sleeps, and is woken by the hand.
pub(super) struct Hand<'a>(&'a Scheduler);

impl<'a> Hand<'a> {
    pub(super) fn reach_in(scheduler: &'a Scheduler) -> Self {
        // Release, by the steal that follows: who sees its effect sees this.
        scheduler.hands.0.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        Self(scheduler)
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.0.hands.0.fetch_sub(1, Ordering::AcqRel);
        // Partner: the fence in `PoolThread::sleep`. Either the last thread that
        // falls asleep sees no hand, or this sees it asleep in a closed pool, and has
        // it look again.
        fence(Ordering::SeqCst);
        if self.0.is_closed() {
            self.0.wake_one();
        }
    }
}
