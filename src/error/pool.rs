//! What can go wrong with a pool's threads.

use std::{fmt, io};

use crate::util::limits::{ENV_THREADS, MAX_THREADS, MIN_STACK};

/// Why a pool could not be built. Each message names the value and what would
/// be right.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder was asked for no thread at all, or for too many.
    #[error(
        "num_threads({value}) is not possible: a pool has 1 to {MAX_THREADS} threads; \
         leave it out for one per core"
    )]
    NumThreads {
        /// What was asked for.
        value: usize,
    },
    /// `WINDLASS_NUM_THREADS` is set to something that is not a thread count.
    #[error(
        "the environment variable {ENV_THREADS} is {value:?}: \
         it must be a whole number from 1 to {MAX_THREADS}, or unset for one thread per core"
    )]
    Environment {
        /// What it is set to.
        value: String,
    },
    /// The stack is too small to run anything on.
    #[error("stack_size({value}) is too small: a pool thread needs at least {MIN_STACK} bytes")]
    StackSize {
        /// What was asked for, in bytes.
        value: usize,
    },
    /// A thread's name cannot be given to the operating system.
    #[error("thread_name gave {name:?} for thread {index}: a name must not contain a NUL byte")]
    ThreadName {
        /// The thread's index.
        index: usize,
        /// What the function gave.
        name: String,
    },
    /// A queue that holds no job.
    #[error(
        "queue_capacity({value}) is not possible: a bounded queue holds at least 1 job; \
         leave it out for one without a bound"
    )]
    QueueCapacity {
        /// What was asked for.
        value: usize,
    },
    /// A nice value that is none.
    #[cfg(feature = "thread-priority")]
    #[error("thread_priority(Nice({value})) is not possible: a nice value is 1 to 19")]
    NiceValue {
        /// What was asked for.
        value: u8,
    },
    /// The operating system started none of the threads.
    #[error("none of the pool's {requested} threads could be started: {source}")]
    NoThreads {
        /// How many were asked for.
        requested: usize,
        /// What the first attempt said.
        source: io::Error,
    },
}

/// The whole sentence, for programs whose `main` returns the error.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildError({self})")
    }
}

/// Why a pool has the number of threads that it had before. Each message names the
/// value and what would be right.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// No thread at all was asked for, or too many.
    #[error("set_num_threads({value}) is not possible: a pool has 1 to {MAX_THREADS} threads")]
    NumThreads {
        /// What was asked for.
        value: usize,
    },
    /// The pool was shut down.
    #[error("the pool is closed; its threads end")]
    Closed,
    /// The operating system did not start all that were missing. Those that were
    /// started leave again.
    #[error("the pool cannot have {requested} threads: {source}")]
    Threads {
        /// How many were asked for.
        requested: usize,
        /// What the system said.
        source: io::Error,
    },
}

/// The whole sentence, for programs whose `main` returns the error.
impl fmt::Debug for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResizeError({self})")
    }
}

/// Time ran out before all of a closed pool's threads had ended; they go on,
/// and a later [`Pool::shutdown_timeout`](crate::Pool::shutdown_timeout) or the
/// pool's drop can wait for them again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pool has not ended: {}", at_work(.threads))]
pub struct StillRunning {
    threads: Vec<String>,
}

impl StillRunning {
    pub(crate) fn new(threads: Vec<String>) -> Self {
        Self { threads }
    }

    /// The names of the threads that were still at work. Empty if they were only
    /// just leaving.
    #[must_use]
    pub fn threads(&self) -> &[String] {
        &self.threads
    }
}

fn at_work(threads: &[String]) -> String {
    match threads {
        [] => "its threads are just leaving".into(),
        [thread] => format!("thread {thread} is still at work"),
        threads => format!(
            "{} threads are still at work: {}",
            threads.len(),
            threads.join(", ")
        ),
    }
}
