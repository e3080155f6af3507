//! [`Stall`]: what the watcher reports.

use std::fmt;
use std::time::Duration;

use crate::sync::Arc;

/// Something in a pool that does not go on as it should; what
/// [`PoolBuilder::on_stall`](crate::PoolBuilder::on_stall) is given.
///
/// Its `Display` is a line for a log.
#[derive(Clone, Debug)]
pub struct Stall {
    index: usize,
    thread: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Job {
        name: Option<Arc<str>>,
        age: Duration,
    },
    NoSubstitute,
}

impl Stall {
    pub(super) fn job(index: usize, thread: String, name: Option<Arc<str>>, age: Duration) -> Self {
        let kind = Kind::Job { name, age };
        Self {
            index,
            thread,
            kind,
        }
    }

    pub(super) fn no_substitute(index: usize, thread: String) -> Self {
        let kind = Kind::NoSubstitute;
        Self {
            index,
            thread,
            kind,
        }
    }

    /// The index of the pool thread.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The name of the pool thread.
    #[must_use]
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The [name](crate::JobBuilder::name) of the job, if it was given one.
    #[must_use]
    pub fn job_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Job { name, .. } => name.as_deref(),
            Kind::NoSubstitute => None,
        }
    }

    /// For how long the job has been running; a little less than it has. Zero if this
    /// is about a substitute.
    #[must_use]
    pub fn age(&self) -> Duration {
        match self.kind {
            Kind::Job { age, .. } => age,
            Kind::NoSubstitute => Duration::ZERO,
        }
    }

    /// Whether a thread that waits inside a job got no substitute: there are as many
    /// as there [may be](crate::PoolBuilder::max_substitutes), or the operating system
    /// gave no thread. The pool has one thread less until the wait is over.
    #[must_use]
    pub fn is_out_of_substitutes(&self) -> bool {
        matches!(self.kind, Kind::NoSubstitute)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = &self.thread;
        match &self.kind {
            Kind::Job { name, age } => {
                match name {
                    Some(name) => write!(f, "the job {name:?}")?,
                    None => f.write_str("a job")?,
                }
                write!(f, " has been running for {age:.1?} on {thread}")
            }
            Kind::NoSubstitute => write!(
                f,
                "{thread} waits inside a job, and there is no substitute for it"
            ),
        }
    }
}
