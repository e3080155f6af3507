//! What the pool has done, and how long its jobs take.
//!
//! Of a sampled job, three readings of the clock are taken: when it is handed over
//! (in its slot), when it begins and when it ends.

use std::cell::Cell;
use std::time::Instant;

use super::{PoolThread, Scheduler, current};
use crate::job::{Reason, Slot};
use crate::metrics::{Event, Histogram, JobTimes, Metrics, ThreadMetrics};
use crate::sync::deque::Injector;
use crate::sync::thread_local;
use crate::util::PanicPayload;

/// With [`JobTimes::Sampled`], one job in so many is timed.
const ONE_IN: u32 = 32;

thread_local! {
    /// Jobs that this thread has handed over since the last one that was timed.
    static UNTIMED: Cell<u32> = const { Cell::new(0) };
}

impl Scheduler {
    /// Whether the job that is handed over now is one of those to be timed.
    #[inline]
    pub(super) fn is_to_be_timed(&self) -> bool {
        match self.times {
            JobTimes::Off => false,
            JobTimes::Sampled => is_sampled(),
            JobTimes::All => true,
        }
    }

    /// Notes in `slot` that it is handed over now, if it is one of those to be timed.
    pub(crate) fn stamp(&self, slot: &mut Slot) {
        if self.is_to_be_timed() {
            slot.stamp(Instant::now());
        }
    }

    /// Runs a job that the caller, in a turn of its own, has taken from a queue of its
    /// own.
    pub(crate) fn run_here(&self, slot: Slot) {
        if self.is_discarding() {
            self.refuse(slot, Reason::Cancelled);
            return;
        }
        let result = match (slot.stamped_at(), current::of(self)) {
            (Some(handed_over), Some(thread)) => thread.run_timed(slot, handed_over),
            _ => slot.run(),
        };
        if let Err(payload) = result {
            self.report_panic(payload);
        }
    }

    /// All that was counted and timed.
    pub(crate) fn metrics(&self) -> Metrics {
        let age = self.born.elapsed();
        let counters = &self.counters;
        let mut metrics = Metrics {
            age,
            queued: self.injector.len() + self.lanes.queues().map(Injector::len).sum::<usize>(),
            running: 0,
            finished: 0,
            panicked: 0,
            cancelled: counters.cancelled(),
            expired: counters.expired(),
            timed_out: 0,
            rejected: counters.refused(),
            steals: 0,
            parks: 0,
            wake_ups: counters.wake_ups(),
            substitutes: counters.substitutes(),
            stalls: counters.stalls(),
            wait_time: Histogram::empty(),
            run_time: Histogram::empty(),
            threads: Vec::with_capacity(self.seats.len()),
        };
        for seat in self.seats.iter() {
            let stats = &seat.stats;
            metrics.queued += seat.inbox.len() + seat.lifo.len();
            metrics.running += usize::from(stats.is_working());
            let finished = stats.ended();
            metrics.finished += finished;
            metrics.panicked += stats.events(Event::Panicked);
            metrics.cancelled += stats.events(Event::Cancelled);
            metrics.expired += stats.events(Event::Expired);
            metrics.timed_out += stats.events(Event::TimedOut);
            metrics.steals += stats.steals();
            metrics.parks += stats.parks();
            stats.add_times(&mut metrics.wait_time, &mut metrics.run_time);
            metrics.threads.push(ThreadMetrics {
                finished,
                busy: stats.busy(age),
            });
        }
        metrics
    }
}

#[inline]
fn is_sampled() -> bool {
    // In a thread's last destructors nothing is sampled.
    let sampled = UNTIMED.try_with(|untimed| {
        let count = (untimed.get() + 1) % ONE_IN;
        untimed.set(count);
        count == 0
    });
    sampled.unwrap_or(false)
}

impl PoolThread {
    /// Runs a job that was stamped, and enters how long that took.
    #[cold]
    pub(super) fn run_timed(&self, slot: Slot, handed_over: Instant) -> Result<(), PanicPayload> {
        let begun = Instant::now();
        let result = slot.run();
        self.stats.enter_times(handed_over, begun, Instant::now());
        result
    }

    /// The thread has something to do since about then. (No look at the clock: somebody
    /// may be waiting for what it has found.)
    pub(super) fn start_working(&self, since: Instant) {
        self.stats
            .begin_busy(since.duration_since(self.scheduler.born));
        self.stats.set_working(true);
        if let Some(watch) = self.scheduler.watch.get() {
            watch.rouse();
        }
    }

    /// The thread has had nothing to do since then.
    pub(super) fn stop_working(&self, since: Instant) {
        self.stats.set_working(false);
        self.stats
            .end_busy(since.duration_since(self.scheduler.born));
    }
}
