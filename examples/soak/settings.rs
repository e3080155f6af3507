//! What a round's pool is to be.

use std::time::Duration;

use windlass::{JobTimes, Pool, PoolBuilder, WhenFull};

use crate::ledger::tally::did;
use crate::random::Random;

pub(crate) struct Settings {
    capacity: Option<usize>,
    when_full: WhenFull,
    /// Threads in place of others that wait, if there are few.
    substitutes: Option<usize>,
    times: JobTimes,
    stall_after: Option<Duration>,
}

impl Settings {
    pub(crate) fn new(random: &mut Random) -> Self {
        let capacity = random.percent(40);
        let capacity = capacity.then(|| random.pick(&[1, 2, 5, 30, 200]));
        if capacity.is_some() {
            did("pools whose queue has a bound", 1);
        }
        let limits = [Duration::ZERO, Duration::from_millis(1), Duration::MAX];
        Self {
            capacity,
            when_full: random.pick(&[WhenFull::RejectNewest, WhenFull::DropOldest]),
            substitutes: random.percent(30).then(|| random.index(2)),
            times: random.pick(&[JobTimes::Off, JobTimes::Sampled, JobTimes::All]),
            stall_after: random.percent(25).then(|| random.pick(&limits)),
        }
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.capacity.is_some()
    }

    /// Whether there will be a thread in the place of each job that waits.
    pub(crate) fn jobs_may_wait(&self) -> bool {
        self.substitutes.is_none()
    }

    pub(crate) fn builder(&self) -> PoolBuilder {
        let mut builder = Pool::builder()
            .when_full(self.when_full)
            .job_times(self.times)
            .on_stall(|stall| {
                did("stalls reported", 1);
                drop(stall.to_string());
            });
        if let Some(capacity) = self.capacity {
            builder = builder.queue_capacity(capacity);
        }
        if let Some(substitutes) = self.substitutes {
            builder = builder.max_substitutes(substitutes);
        }
        if let Some(limit) = self.stall_after {
            builder = builder.stall_after(limit);
        }
        builder
    }
}
