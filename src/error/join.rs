//! [`JoinError`]: why a job has no result.

use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::sync::Mutex;
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
