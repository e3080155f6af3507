//! How long things took: a histogram with buckets that grow with the time.
//!
//! Each power of two has eight buckets, as in HdrHistogram with one significant
//! digit: a quantile is right to an eighth, from nanoseconds to over an hour, in 2.5
//! KiB, and entering a time is one store.

use std::fmt;
use std::time::Duration;

use super::counters::add;
use crate::sync::{Ordering, ReportCounter};

/// Buckets of each power of two.
const STEPS: u64 = 8;

/// All times from this power of two up share the last buckets: 73 minutes.
const TOP: u32 = 42;

const BUCKETS: usize = ((TOP - STEPS.ilog2() + 1) as usize) * STEPS as usize;

/// What one thread enters times in; others may read.
pub(crate) struct Recorder([ReportCounter; BUCKETS]);

impl Default for Recorder {
    fn default() -> Self {
        Self(std::array::from_fn(|_| ReportCounter::new(0)))
    }
}

impl Recorder {
    pub(crate) fn enter(&self, time: Duration) {
        add(&self.0[bucket_of(time)], 1);
    }

    pub(crate) fn add_to(&self, histogram: &mut Histogram) {
        for (sum, bucket) in histogram.0.iter_mut().zip(&self.0) {
            *sum += bucket.load(Ordering::Relaxed);
        }
    }
}

/// How long sampled jobs took, by how many took how long; of a [`Metrics`](crate::Metrics).
///
/// Each answer is right to an eighth: of a bucket of times, its longest.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram(Box<[u64; BUCKETS]>);

impl Histogram {
    pub(crate) fn empty() -> Self {
        Self(Box::new([0; BUCKETS]))
    }

    /// How many times were entered.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time that this share of all was not longer than; zero if there are none.
    ///
    /// # Panics
    /// If `share` is not from 0 to 1.
    ///
    /// ```
    /// let pool = windlass::Pool::builder().job_times(windlass::JobTimes::All).build()?;
    /// for _ in 0..100 {
    ///     pool.spawn(|| ()).join()?;
    /// }
    /// let metrics = pool.metrics();
    /// assert!(metrics.run_time.quantile(0.5) <= metrics.run_time.quantile(0.999));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        assert!(
            (0.0..=1.0).contains(&share),
            "quantile({share}): a share is from 0 to 1"
        );
        let rank = (share * self.count() as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let found = self.0.iter().position(|&count| {
            below += count;
            below >= rank
        });
        found.map_or(Duration::ZERO, longest_of)
    }

    /// The longest time.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.quantile(1.0)
    }

    /// The counts, each with the longest time that it is of, shortest first; those
    /// that are zero are left out. For whoever passes them on to another system.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.0.iter().enumerate().filter(|&(_, &count)| count > 0);
        counts.map(|(bucket, &count)| (longest_of(bucket), count))
    }

    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        for (count, before) in difference.0.iter_mut().zip(&*earlier.0) {
            *count = count.saturating_sub(*before);
        }
        difference
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("p99.9", &self.quantile(0.999))
            .field("max", &self.max())
            .finish()
    }
}

fn bucket_of(time: Duration) -> usize {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let nanos = nanos.min((1 << TOP) - 1);
    if nanos < STEPS {
        return nanos as usize;
    }
    // The highest bit says which power of two, the three bits below it which step.
    let power = nanos.ilog2() - STEPS.ilog2();
    let step = nanos >> power;
    (u64::from(power) * STEPS + step) as usize
}

/// The longest time of a bucket.
fn longest_of(bucket: usize) -> Duration {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return Duration::from_nanos(bucket);
    }
    let power = bucket / STEPS - 1;
    let step = bucket % STEPS + STEPS;
    Duration::from_nanos(((step + 1) << power) - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 1..BUCKETS {
            let first = longest_of(bucket - 1) + Duration::from_nanos(1);
            assert_eq!(bucket_of(first), bucket);
            assert_eq!(bucket_of(longest_of(bucket)), bucket);
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn quantiles_are_right_to_an_eighth(
            mut times in proptest::collection::vec(0..1_u64 << 40, 1..200),
            share in 0.0..=1.0_f64,
        ) {
            let recorder = Recorder::default();
            for &time in &times {
                recorder.enter(Duration::from_nanos(time));
            }
            let mut histogram = Histogram::empty();
            recorder.add_to(&mut histogram);
            prop_assert_eq!(histogram.count(), times.len() as u64);
            times.sort_unstable();
            let rank = (share * times.len() as f64).ceil().max(1.0) as usize;
            let exact = times[rank - 1];
            let found = histogram.quantile(share).as_nanos() as u64;
            prop_assert!(exact <= found && found <= exact + exact / 8, "{} {}", exact, found);
        }
    }
}
