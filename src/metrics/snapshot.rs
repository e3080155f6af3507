//! [`Metrics`]: what a pool has done, at one moment.

use std::time::Duration;

use super::Histogram;

/// Of which jobs a pool takes the time; for
/// [`PoolBuilder::job_times`](crate::PoolBuilder::job_times).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobTimes {
    /// Of none; costs nothing.
    #[default]
    Off,
    /// Of one job in 32 of each thread that hands jobs over.
    Sampled,
    /// Of each job: three readings of the clock, some 70 ns a job.
    All,
}

/// What a pool has done since it was built, and what it is doing; from
/// [`Pool::metrics`](crate::Pool::metrics).
///
/// The numbers are read one after another while the pool works, each of its own
/// moment; once the pool is idle they agree with each other. Nothing is ever reset:
/// [`since`](Self::since) gives what happened between two readings, so that
/// several parties may watch one pool.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// pool.spawn(|| ()).join()?;
/// # while pool.metrics().finished < 1 { std::thread::yield_now(); }
/// let before = pool.metrics();
/// for _ in 0..10 {
///     pool.spawn(|| ()).join()?;
/// }
/// # while pool.metrics().finished < 11 { std::thread::yield_now(); }
/// assert_eq!(pool.metrics().since(&before).finished, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// How long the pool has existed; of a difference, the time in between.
    pub age: Duration,
    /// Jobs and turns (of workers and views) in the pool's queues; those that were
    /// cancelled count until a thread comes to them.
    pub queued: usize,
    /// Threads that are in a job or a turn at this moment.
    pub running: usize,
    /// Jobs and turns that have run to their end, those that panicked included.
    pub finished: u64,
    /// Jobs that panicked, whoever was told.
    pub panicked: u64,
    /// Jobs that were cancelled before they started, counted when a thread comes to
    /// what is left of them.
    pub cancelled: u64,
    /// Jobs that were not started in time, counted as the cancelled ones.
    pub expired: u64,
    /// Jobs that ran for longer than their timeout, counted when they end.
    pub timed_out: u64,
    /// Jobs that were not taken: the pool was closed, or there was no room.
    pub rejected: u64,
    /// Batches of jobs that one thread took from another.
    pub steals: u64,
    /// How often threads have gone to sleep.
    pub parks: u64,
    /// How often a thread was woken for work.
    pub wake_ups: u64,
    /// Substitutes that were started for threads that wait inside jobs.
    pub substitutes: u64,
    /// Reports to [`on_stall`](crate::PoolBuilder::on_stall).
    pub stalls: u64,
    /// How long sampled jobs waited to start; see
    /// [`job_times`](crate::PoolBuilder::job_times).
    pub wait_time: Histogram,
    /// How long sampled jobs ran.
    pub run_time: Histogram,
    /// What each thread has done, by its index.
    pub threads: Vec<ThreadMetrics>,
}

/// What one thread of a pool has done; all that had its index, if it was resized.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadMetrics {
    /// Jobs and turns that have ended on it.
    pub finished: u64,
    /// How long it was in jobs, without the time for which it waited inside them.
    pub busy: Duration,
}

impl Metrics {
    /// The share of the threads' time that they were in jobs, from 0 (none was) to 1
    /// (all were, all the time), of `threads` threads.
    ///
    /// ```
    /// let pool = windlass::Pool::builder().num_threads(2).build()?;
    /// let before = pool.metrics();
    /// pool.spawn(|| std::thread::sleep(std::time::Duration::from_millis(5))).join()?;
    /// let busy = pool.metrics().since(&before).utilization(pool.num_threads());
    /// assert!(busy > 0.0 && busy < 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn utilization(&self, threads: usize) -> f64 {
        let busy: Duration = self.threads.iter().map(|thread| thread.busy).sum();
        let all = self.age.as_secs_f64() * threads as f64;
        if all > 0.0 {
            (busy.as_secs_f64() / all).min(1.0)
        } else {
            0.0
        }
    }

    /// What happened since `earlier`, a reading of the same pool: the differences of
    /// what only grows, and of `queued` and `running` what they are now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let threads = self.threads.iter().enumerate().map(|(index, now)| {
            let Some(before) = earlier.threads.get(index) else {
                return now.clone();
            };
            ThreadMetrics {
                finished: now.finished.saturating_sub(before.finished),
                busy: now.busy.saturating_sub(before.busy),
            }
        });
        Self {
            age: self.age.saturating_sub(earlier.age),
            queued: self.queued,
            running: self.running,
            finished: self.finished.saturating_sub(earlier.finished),
            panicked: self.panicked.saturating_sub(earlier.panicked),
            cancelled: self.cancelled.saturating_sub(earlier.cancelled),
            expired: self.expired.saturating_sub(earlier.expired),
            timed_out: self.timed_out.saturating_sub(earlier.timed_out),
            rejected: self.rejected.saturating_sub(earlier.rejected),
            steals: self.steals.saturating_sub(earlier.steals),
            parks: self.parks.saturating_sub(earlier.parks),
            wake_ups: self.wake_ups.saturating_sub(earlier.wake_ups),
            substitutes: self.substitutes.saturating_sub(earlier.substitutes),
            stalls: self.stalls.saturating_sub(earlier.stalls),
            wait_time: self.wait_time.since(&earlier.wait_time),
            run_time: self.run_time.since(&earlier.run_time),
            threads: threads.collect(),
        }
    }
}
