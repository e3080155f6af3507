//! [`JoinError`]: why a job has no result.

use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

#[cfg(all(unix, feature = "process"))]
use super::{Crash, How, KillReason, ProcessEnd};
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
    /// The job was to run in a process of its own.
    #[cfg(all(unix, feature = "process"))]
    Process(Box<ProcessEnd>),
}

impl JoinError {
    pub(crate) fn panic(payload: PanicPayload) -> Self {
        #[cfg(all(unix, feature = "process"))]
        let payload = match payload.downcast::<ProcessEnd>() {
            Ok(end) => return Self(Repr::Process(end)),
            Err(payload) => payload,
        };
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
    /// [`Pool::shutdown_now`](crate::Pool::shutdown_now). Also true of a job whose
    /// process was killed because of that.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        #[cfg(all(unix, feature = "process"))]
        if let Repr::Process(end) = &self.0 {
            return matches!(end.how, How::Withdrawn)
                || end.killed() == Some(KillReason::Cancelled);
        }
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
        #[cfg(all(unix, feature = "process"))]
        if let Repr::Process(end) = &self.0 {
            return matches!(end.how, How::Expired);
        }
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
    /// [`timeout`](crate::JobBuilder::timeout). It may still run (but not if it ran in a
    /// process of its own, which was killed).
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        #[cfg(all(unix, feature = "process"))]
        if let Repr::Process(end) = &self.0 {
            return end.killed() == Some(KillReason::Timeout);
        }
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

    /// Whether the job's process was killed by its pool with the job in it; see
    /// [`killed`](Self::killed).
    #[cfg(all(unix, feature = "process"))]
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.killed().is_some()
    }

    /// Why the job's process was killed by its pool, if it was.
    #[cfg(all(unix, feature = "process"))]
    #[must_use]
    pub fn killed(&self) -> Option<KillReason> {
        self.process_end()?.killed()
    }

    /// Whether the job's process died while it ran the job; see
    /// [`crash`](Self::crash).
    #[cfg(all(unix, feature = "process"))]
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.crash().is_some()
    }

    /// How the job's process died, if it did.
    #[cfg(all(unix, feature = "process"))]
    #[must_use]
    pub fn crash(&self) -> Option<&Crash> {
        match &self.process_end()?.how {
            How::Crashed(crash) => Some(crash),
            _ => None,
        }
    }

    /// Whether the job got lost on the way to its process or back: its argument or its
    /// result could not be written or read, or was too long, or the process answered
    /// with what is no answer. The message says which, and whether it may have run.
    #[cfg(all(unix, feature = "process"))]
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.process_end()
            .is_some_and(|end| matches!(end.how, How::Lost(_)))
    }

    /// Whether there was no process to run the job: too many had died at their start,
    /// one after another. The job has not run.
    #[cfg(all(unix, feature = "process"))]
    #[must_use]
    pub fn is_start_failed(&self) -> bool {
        self.process_end()
            .is_some_and(|end| matches!(end.how, How::StartFailed(_)))
    }

    /// What the job's process had written to stdout and stderr when it crashed or was
    /// killed, if that was [collected](crate::process::Output::Collect).
    #[cfg(all(unix, feature = "process"))]
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.process_end()?.output.as_deref()
    }

    #[cfg(all(unix, feature = "process"))]
    fn process_end(&self) -> Option<&ProcessEnd> {
        match &self.0 {
            Repr::Process(end) => Some(end),
            _ => None,
        }
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
            #[cfg(all(unix, feature = "process"))]
            Repr::Process(end) => write!(f, "{end}"),
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
