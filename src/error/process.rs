//! How a job in a process of its own can end without a result, and why no such
//! process could be started.

use std::{fmt, io};

use super::BuildError;
use crate::util::limits::MAX_THREADS;

/// Why a process was killed: that of a job, as
/// [`JoinError::killed`](crate::JoinError::killed) gives it, or a worker's, as
/// [`ProcessExit::killed`](crate::process::ProcessExit::killed) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KillReason {
    /// The job ran for longer than its `timeout`. Not of a worker.
    Timeout,
    /// The job was cancelled while it ran. Not of a worker: one that its owner ends by
    /// `terminate` or `kill` has no reason but that.
    Cancelled,
    /// The process had more memory than its `memory_limit`, or was given no more of
    /// it by the operating system.
    Memory,
}

/// How a process died that was running a job; what
/// [`JoinError::crash`](crate::JoinError::crash) gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    pub(crate) pid: u32,
    pub(crate) signal: Option<i32>,
    pub(crate) code: Option<i32>,
    /// The line to show.
    pub(crate) last_words: String,
    pub(crate) stderr: String,
}

impl Crash {
    /// The number that the process had.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The signal that ended it, for example 6 (`SIGABRT`) after an abort or a stack
    /// overflow, 11 (`SIGSEGV`) after a bad pointer, 9 (`SIGKILL`) if another program
    /// or the kernel's out-of-memory killer did it.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.signal
    }

    /// The exit code, if the process ended by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// The last that it wrote to stderr during the job, four kilobytes at most.
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.stderr
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ", self.pid)?;
        match (self.signal, self.code) {
            (Some(signal), _) => match signal_name(signal) {
                Some(name) => write!(f, "was ended by {name}")?,
                None => write!(f, "was ended by signal {signal}")?,
            },
            (None, Some(code)) => write!(f, "exited with code {code}")?,
            (None, None) => f.write_str("ended")?,
        }
        match &*self.last_words {
            "" => Ok(()),
            line => write!(f, ": {line}"),
        }
    }
}

/// What a signal is called, if it is one that ends or steers processes.
pub(crate) fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGALRM => "SIGALRM",
        libc::SIGBUS => "SIGBUS",
        libc::SIGCONT => "SIGCONT",
        libc::SIGFPE => "SIGFPE",
        libc::SIGHUP => "SIGHUP",
        libc::SIGILL => "SIGILL",
        libc::SIGINT => "SIGINT",
        libc::SIGKILL => "SIGKILL",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGSTOP => "SIGSTOP",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        _ => return None,
    })
}

/// The end of a job that a process of its own was to run: the payload with which the
/// thread that drives the process unwinds, and what becomes of it in a `JoinError`.
#[derive(Debug)]
pub(crate) struct ProcessEnd {
    pub(crate) task: &'static str,
    pub(crate) how: How,
    /// What the process wrote last, if it was to be collected.
    pub(crate) output: Option<String>,
}

#[derive(Debug)]
pub(crate) enum How {
    /// The process was killed with the job in it.
    Killed {
        pid: u32,
        reason: KillReason,
    },
    /// The job was to end before it had come to a process.
    Withdrawn,
    /// Its deadline passed before it had come to a process.
    Expired,
    Crashed(Crash),
    /// It got lost on the way there or back.
    Lost(String),
    /// There is no process to run it.
    StartFailed(String),
}

impl ProcessEnd {
    pub(crate) fn killed(&self) -> Option<KillReason> {
        match self.how {
            How::Killed { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {:?}: ", self.task)?;
        match &self.how {
            How::Killed { pid, reason } => {
                write!(f, "process {pid} was killed: ")?;
                f.write_str(match reason {
                    KillReason::Timeout => "the job ran for longer than its timeout",
                    KillReason::Cancelled => "the job was cancelled",
                    KillReason::Memory => "it wanted more memory than it may have",
                })
            }
            How::Withdrawn => f.write_str("the job was cancelled before it came to a process"),
            How::Expired => f.write_str("its deadline passed before there was a process for it"),
            How::Crashed(crash) => write!(f, "{crash}"),
            How::Lost(text) => f.write_str(text),
            How::StartFailed(text) => write!(f, "no process to run it: {text}"),
        }
    }
}

/// Why a [`ProcessPool`](crate::process::ProcessPool) could not be built, or a
/// [`ProcessWorker`](crate::process::ProcessWorker) not be started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A number of children that is not possible.
    #[error(
        "num_children({0}) is not possible: a process pool has 1 to {MAX_THREADS} children; \
         leave it out for one per core"
    )]
    ChildCount(usize),
    /// The pool's own threads or settings; see [`BuildError`].
    #[error(transparent)]
    Pool(#[from] BuildError),
    /// This process is itself a child that a process pool started, and has gone on as
    /// the whole program would.
    #[error(
        "this process was started to run tasks, and runs the program instead: \
         `main` has to begin with `let tasks = tasks.serve_if_child();` \
         (in a test: name one that does with `test_child`)"
    )]
    NotServing,
    /// There is no worker of that name with these messages; see
    /// [`Tasks::with_worker`](crate::process::Tasks::with_worker).
    #[error(
        "there is no worker {name:?} with these messages among the tasks: add it by `with_worker`"
    )]
    UnknownWorker {
        /// The name.
        name: String,
    },
    /// No program to start.
    #[error("what program this is cannot be found out: {0}; name one with `program`")]
    Program(io::Error),
    /// The children that were started died, or said nothing.
    #[error("no child process could be started: {reason}")]
    Children {
        /// What became of the last one.
        reason: String,
    },
}

/// The whole sentence, for programs whose `main` returns the error.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StartError({self})")
    }
}
