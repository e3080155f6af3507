//! How late the loop's tick comes: what somebody would feel as a stutter.

use std::fmt;
use std::time::{Duration, Instant};

/// 60 Hz.
pub(crate) const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 60);

pub(crate) struct Lateness {
    /// When the next tick is due.
    due: Instant,
    /// Microseconds, one for each tick that was due.
    samples: Vec<u32>,
}

impl Lateness {
    /// For an interval that is set just now.
    pub(crate) fn new() -> Self {
        Self {
            due: Instant::now() + PERIOD,
            samples: Vec::new(),
        }
    }

    /// Notes the tick that comes now. One call may stand for several: if the
    /// loop was held up for longer than a period, each tick that came due
    /// meanwhile counts, with the time it was late.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        while self.due <= now {
            let late = (now - self.due).as_micros();
            self.samples.push(u32::try_from(late).unwrap_or(u32::MAX));
            self.due += PERIOD;
        }
    }

    /// The samples in order, for the report.
    pub(crate) fn into_report(self) -> Report {
        let mut samples = self.samples;
        samples.sort_unstable();
        Report(samples)
    }
}

/// Median, p99 and worst of the samples.
pub(crate) struct Report(Vec<u32>);

impl Report {
    /// The smallest sample that `percent` of all are not above.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        f64::from(self.0[rank - 1]) / 1000.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("over before the main loop's first tick was due (60 Hz)");
        }
        write!(
            f,
            "lateness of the main loop's {} ticks (60 Hz): \
             median {:.3} ms, p99 {:.3} ms, worst {:.3} ms",
            self.0.len(),
            self.percentile(50),
            self.percentile(99),
            self.percentile(100),
        )
    }
}
