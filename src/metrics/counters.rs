//! What is counted.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::{Histogram, Recorder};
use crate::sync::{Arc, Ordering, ReportCounter, ReportFlag, report_fence, thread_local};

/// What a pool counts of itself: rare events, so that they may be shared. All
/// Relaxed: each stands for itself.
#[derive(Default)]
pub(crate) struct Counters {
    unhandled: ReportCounter,
    undelivered: ReportCounter,
    cancelled: ReportCounter,
    expired: ReportCounter,
    refused: ReportCounter,
    wake_ups: ReportCounter,
    substitutes: ReportCounter,
    stalls: ReportCounter,
}

macro_rules! counted {
    ($($(#[$doc:meta])* $count:ident, $read:ident, $field:ident;)+) => {
        impl Counters {$(
            pub(crate) fn $count(&self) {
                self.$field.fetch_add(1, Ordering::Relaxed);
            }

            $(#[$doc])*
            pub(crate) fn $read(&self) -> u64 {
                self.$field.load(Ordering::Relaxed)
            }
        )+}
    };
}

counted! {
    /// Panics that went to `on_panic`.
    count_unhandled, unhandled, unhandled;
    /// Jobs that went to `on_reject`.
    count_undelivered, undelivered, undelivered;
    /// Jobs that were cancelled with their pool's backlog.
    count_cancelled, cancelled, cancelled;
    /// Jobs whose deadline had passed when they were handed over.
    count_expired, expired, expired;
    /// Jobs that were not accepted.
    count_refused, refused, refused;
    /// Threads that were woken.
    count_wake_up, wake_ups, wake_ups;
    /// Substitutes that were started.
    count_substitute, substitutes, substitutes;
    /// Reports to `on_stall`.
    count_stall, stalls, stalls;
}

/// What can become of a job other than an end like any other; seen by the thread that
/// is there when it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Panicked,
    Cancelled,
    /// It was not started in time, and has not ended.
    Expired,
    TimedOut,
    /// It was claimed by somebody else at the last moment, and has not ended here.
    Nothing,
}

/// What one thread counts. Only it writes, with plain loads and stores.
pub(crate) struct ThreadStats {
    /// Jobs and turns that have ended on it.
    ended: ReportCounter,
    /// The most that anybody was told of those. Only who asks writes it.
    told: ReportCounter,
    /// It is not asleep, and not looking for work.
    working: ReportFlag,
    events: [ReportCounter; 5],
    steals: ReportCounter,
    parks: ReportCounter,
    /// Nanoseconds in jobs, up to `busy_since`.
    busy: ReportCounter,
    /// Since when it is in jobs, in nanoseconds of the pool's life; 0: it is not.
    busy_since: ReportCounter,
    times: Option<Box<Times>>,
}

/// How long the sampled jobs took.
#[derive(Default)]
struct Times {
    waiting: Recorder,
    running: Recorder,
}

thread_local! {
    /// The account of this thread, if it is a pool's.
    static MINE: RefCell<Option<Arc<ThreadStats>>> = const { RefCell::new(None) };
}

/// From now on, this thread's events are entered in `stats`.
pub(crate) fn tell(stats: Option<Arc<ThreadStats>>) {
    let _ = MINE.try_with(|mine| mine.replace(stats));
}

/// Enters an event, on a pool's thread; nothing elsewhere.
#[cold]
pub(crate) fn note(event: Event) {
    let _ = MINE.try_with(|mine| {
        if let Some(stats) = &*mine.borrow() {
            stats.count(event);
        }
    });
}

impl ThreadStats {
    pub(crate) fn new(timed: bool) -> Self {
        Self {
            ended: ReportCounter::new(0),
            told: ReportCounter::new(0),
            working: ReportFlag::new(false),
            events: Default::default(),
            steals: ReportCounter::new(0),
            parks: ReportCounter::new(0),
            busy: ReportCounter::new(0),
            busy_since: ReportCounter::new(0),
            times: timed.then(Box::default),
        }
    }

    /// A job or a turn has ended.
    #[inline]
    pub(crate) fn count_end(&self) {
        add(&self.ended, 1);
    }

    fn count(&self, event: Event) {
        add(&self.events[event as usize], 1);
        // Partner: the fence in `ended`. Who sees the end that follows sees this.
        report_fence(Ordering::Release);
    }

    /// Whether the thread has something to do from now on.
    pub(crate) fn set_working(&self, working: bool) {
        self.working.store(working, Ordering::Relaxed);
    }

    pub(crate) fn count_steal(&self) {
        add(&self.steals, 1);
    }

    pub(crate) fn count_park(&self) {
        add(&self.parks, 1);
    }

    /// The thread is in jobs from now on, `age` being how old the pool is.
    pub(crate) fn begin_busy(&self, age: Duration) {
        self.busy_since.store(nanos(age).max(1), Ordering::Relaxed);
    }

    /// The thread is in jobs no longer.
    pub(crate) fn end_busy(&self, age: Duration) {
        let since = self.busy_since.load(Ordering::Relaxed);
        if since > 0 {
            add(&self.busy, nanos(age).saturating_sub(since));
            self.busy_since.store(0, Ordering::Relaxed);
        }
    }

    /// Enters when a sampled job was handed over, began and ended.
    pub(crate) fn enter_times(&self, handed_over: Instant, begun: Instant, ended: Instant) {
        if let Some(times) = &self.times {
            times.waiting.enter(begun.duration_since(handed_over));
            times.running.enter(ended.duration_since(begun));
        }
    }

    pub(crate) fn ended(&self) -> u64 {
        let ended = self.ended.load(Ordering::Relaxed);
        // Partner: the fence in `count`.
        report_fence(Ordering::Acquire);
        // Those two are counted as anything is that a thread takes, but a moment
        // earlier: so this may be too little for that moment, and never too much.
        let void = self.events(Event::Expired) + self.events(Event::Nothing);
        let ended = ended.saturating_sub(void);
        self.told.fetch_max(ended, Ordering::Relaxed).max(ended)
    }

    /// Which job runs on it, for its own thread to tell one from the next.
    pub(crate) fn job(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn is_working(&self) -> bool {
        self.working.load(Ordering::Relaxed)
    }

    pub(crate) fn events(&self, event: Event) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn steals(&self) -> u64 {
        self.steals.load(Ordering::Relaxed)
    }

    pub(crate) fn parks(&self) -> u64 {
        self.parks.load(Ordering::Relaxed)
    }

    /// Time in jobs, those included that still run.
    pub(crate) fn busy(&self, age: Duration) -> Duration {
        let since = self.busy_since.load(Ordering::Relaxed);
        let now = match since {
            0 => 0,
            since => nanos(age).saturating_sub(since),
        };
        Duration::from_nanos(self.busy.load(Ordering::Relaxed) + now)
    }

    /// Adds the sampled jobs' times to those of others.
    pub(crate) fn add_times(&self, waiting: &mut Histogram, running: &mut Histogram) {
        if let Some(times) = &self.times {
            times.waiting.add_to(waiting);
            times.running.add_to(running);
        }
    }
}

/// For a counter that only one thread writes.
#[inline]
pub(super) fn add(counter: &ReportCounter, more: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
    counter.store(sum, Ordering::Relaxed);
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
