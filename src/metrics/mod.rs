//! What a pool counts and times.
//!
//! | file | what it is |
//! |---|---|
//! | [`counters`] | what is counted: rare events of the pool, and each thread's own |
//! | [`histogram`] | how long things took |
//! | [`snapshot`] | [`Metrics`]: all of it at one moment |
//!
//! Nothing shared is written per job: each thread counts for itself, with plain
//! stores, and whoever asks adds up. Times are taken of samples only, and only if
//! the pool was built so.

mod counters;
mod histogram;
mod snapshot;

pub(crate) use self::counters::{Counters, Event, ThreadStats, note, tell};
pub use self::histogram::Histogram;
pub(crate) use self::histogram::Recorder;
pub use self::snapshot::{JobTimes, Metrics, ThreadMetrics};
