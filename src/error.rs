//! What can go wrong, and what it gives back.

use std::any::Any;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::{fmt, io};

use crate::sync::Mutex;
use crate::util::limits::{ENV_THREADS, MAX_THREADS, MIN_STACK};
use crate::util::{PanicPayload, payload_message};

/// Why a job has no result. Opaque; ask the predicates.
///
/// It is `Send + Sync + 'static`, so `?` carries it into `anyhow` and
/// `Box<dyn Error>`.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let error = pool.spawn(|| -> u32 { panic!("no more rope") }).join().unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(error.to_string(), "the job panicked: no more rope");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JoinError(Repr);

enum Repr {
    /// The lock makes it `Sync`, which a payload alone is not.
    Panic(Mutex<PanicPayload>),
    Cancelled,
    Closed,
    Expired,
    TimedOut,
    Rejected,
    Forked,
    Deadlock,
}

impl JoinError {
    pub(crate) fn panic(payload: PanicPayload) -> Self {
        Self(Repr::Panic(Mutex::new(payload)))
    }

    pub(crate) fn cancelled() -> Self {
        Self(Repr::Cancelled)
    }

    pub(crate) fn closed() -> Self {
        Self(Repr::Closed)
    }

    pub(crate) fn expired() -> Self {
        Self(Repr::Expired)
    }

    pub(crate) fn timed_out() -> Self {
        Self(Repr::TimedOut)
    }

    pub(crate) fn rejected() -> Self {
        Self(Repr::Rejected)
    }

    pub(crate) fn forked() -> Self {
        Self(Repr::Forked)
    }

    pub(crate) fn deadlock() -> Self {
        Self(Repr::Deadlock)
    }

    /// Whether the job panicked; also true if it was cancelled and the `Drop`
    /// of something it captured panicked then.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Repr::Panic(_))
    }

    /// Whether the job was cancelled before it started: by its handle, or by
    /// [`Pool::shutdown_now`](crate::Pool::shutdown_now).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Repr::Cancelled)
    }

    /// Whether the pool was closed when the job came in.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.0, Repr::Closed)
    }

    /// Whether the job's [`deadline`](crate::JobBuilder::deadline) passed before
    /// it started.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        matches!(self.0, Repr::Expired)
    }

    /// Whether there was no room for the job in the pool's queue, or it was thrown
    /// out of it for a newer one; see
    /// [`PoolBuilder::when_full`](crate::PoolBuilder::when_full).
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(self.0, Repr::Rejected)
    }

    /// Whether waiting for the job could never have ended: it was waited for by a
    /// job of the same [`serial`](crate::Pool::serial) view, which has to end
    /// before this one may start. It comes in its turn.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        matches!(self.0, Repr::Deadlock)
    }

    /// Whether the job ran for longer than its
    /// [`timeout`](crate::JobBuilder::timeout). It may still run.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self.0, Repr::TimedOut)
    }

    /// Whether this process is a fork of the one with the pool's threads: the job
    /// came in after the fork, or had not ended before it. Of such a job it is not
    /// known here whether it has run, or runs, in the other process. See
    /// [`Pool`](crate::Pool#fork).
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self.0, Repr::Forked)
    }

    /// What the job's panic carried, to be raised again with
    /// [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// If the job did not panic; see [`JoinError::try_into_panic`].
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic()
            .unwrap_or_else(|error| panic!("into_panic on a JoinError that is none: {error}"))
    }

    /// What the job's panic carried.
    ///
    /// # Errors
    /// Gives the error back if the job did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.0 {
            Repr::Panic(payload) => Ok(payload.into_inner()),
            other => Err(Self(other)),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Panic(payload) => match payload_message(&**payload.lock()) {
                Some(text) => write!(f, "the job panicked: {text}"),
                None => f.write_str("the job panicked"),
            },
            Repr::Cancelled => f.write_str("the job was cancelled before it started"),
            Repr::Closed => f.write_str("the pool is closed; the job did not run"),
            Repr::Expired => f.write_str("the job did not start before its deadline"),
            Repr::TimedOut => f.write_str("the job ran for longer than its timeout"),
            Repr::Rejected => f.write_str("the job was rejected: there was no room for it"),
            Repr::Forked => f.write_str(
                "this process is a fork, and the thread that was to run the job is not in it",
            ),
            Repr::Deadlock => f.write_str(
                "the job cannot start before the one that waits for it has ended: \
                 both are of one serial view",
            ),
        }
    }
}

// The payload of a panic can only be taken out whole.
impl UnwindSafe for JoinError {}
impl RefUnwindSafe for JoinError {}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

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
