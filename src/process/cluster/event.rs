//! What a cluster tells, and what can go wrong with it.

use std::{fmt, io};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::link::MAX_MESSAGE;
use crate::error::BuildError;
use crate::process::wire::descriptor;
use crate::util::limits::MAX_THREADS;

/// What happens to a cluster's workers, in Node's words. Workers are told apart by their
/// ids, which count up from 1 and are not given twice.
///
/// For each worker: `Fork`, `Online`, `Listening`, `Disconnect`, `Exit`, in this order, as
/// far as it comes; and any number of `Message`s, from `Online` to `Disconnect`. `Oversize`
/// comes among the messages, once it is `Listening`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterEvent {
    /// A process was started.
    Fork {
        /// The worker.
        id: u64,
        /// Its process.
        pid: u32,
        /// Which of the `workers(n)` it is, from 0; see
        /// [`env_of`](super::ClusterBuilder::env_of).
        place: usize,
    },
    /// It has called [`Cluster::worker`](super::Cluster::worker).
    Online {
        /// The worker.
        id: u64,
    },
    /// It takes connections.
    Listening {
        /// The worker.
        id: u64,
    },
    /// It has [posted](super::ClusterWorker::post) something.
    Message {
        /// The worker.
        id: u64,
        /// What.
        message: ClusterMessage,
    },
    /// It has more memory than the
    /// [`memory_limit`](super::ClusterBuilder::memory_limit), and another one takes its
    /// place: that one's `Fork` comes after this. Told again if it could not be replaced and
    /// is tried anew.
    Oversize {
        /// The worker.
        id: u64,
        /// What it had in memory, in bytes.
        bytes: u64,
        /// The most that it may have, in bytes.
        limit: u64,
    },
    /// The way to it is closed: nothing more will come but its exit.
    Disconnect {
        /// The worker.
        id: u64,
    },
    /// Its process is gone. Connections that it had not taken go to others.
    Exit {
        /// The worker.
        id: u64,
        /// Its process, which was waited for.
        pid: u32,
        /// Which of the `workers(n)` it was.
        place: usize,
        /// The exit code, if it ended by itself. (Neither a code nor a signal is known where
        /// `SIGCHLD` is ignored, or the program waits for all of its children.)
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Whether it had been told to go, by a restart, a
        /// [`disconnect`](super::Cluster::disconnect) or a [`stop`](super::Cluster::stop),
        /// or for its size (`Oversize`).
        was_told: bool,
    },
    /// A worker that is to take another's place could not be started. It is tried again
    /// after the [`backoff`](super::ClusterBuilder::backoff), and counts as a quick death.
    StartFailed {
        /// Which of the `workers(n)`, from 0.
        place: usize,
        /// What the system said.
        reason: String,
    },
    /// A [`rolling_restart`](super::Cluster::rolling_restart) is over.
    Restarted {
        /// Why it was given up, if it was: the workers that had not had their turn go on.
        error: Option<String>,
    },
    /// No worker is left that serves or is about to, and starting more of them was given
    /// up. The cluster stops; [`run`](super::Cluster::run) gives the same as an error.
    Failed {
        /// What became of the last one.
        reason: String,
    },
}

/// A message between a primary and a worker, not read yet.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterMessage(pub(super) Vec<u8>);

impl ClusterMessage {
    /// Reads it. Nothing in it says what it is: it has to be what was posted.
    ///
    /// # Errors
    /// [`ClusterError::Message`] if it cannot be read as a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClusterError> {
        let read = descriptor::nowhere(|| postcard::take_from_bytes(&self.0));
        let (value, rest) = read.map_err(unreadable)?;
        match rest {
            [] => Ok(value),
            rest => Err(unreadable(format!("{} bytes are left over", rest.len()))),
        }
    }

    pub(super) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Self, ClusterError> {
        let bytes = descriptor::nowhere(|| postcard::to_stdvec(value))
            .map_err(|error| ClusterError::Message(format!("it cannot be written: {error}")))?;
        match bytes.len() > MAX_MESSAGE {
            true => Err(ClusterError::Message(format!(
                "it has {} bytes, and {MAX_MESSAGE} are the most",
                bytes.len()
            ))),
            false => Ok(Self(bytes)),
        }
    }
}

fn unreadable(why: impl fmt::Display) -> ClusterError {
    ClusterError::Message(format!("it cannot be read: {why}"))
}

/// How long it is.
impl fmt::Debug for ClusterMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterMessage({} bytes)", self.0.len())
    }
}

/// What can go wrong with a cluster.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A number of workers that is not possible.
    #[error(
        "workers({0}) is not possible: a cluster has 1 to {MAX_THREADS} workers; \
         leave it out for one per core"
    )]
    WorkerCount(usize),
    /// The environment's number of threads, of which as many workers were to come.
    #[error(transparent)]
    Setting(#[from] BuildError),
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    /// A process, a thread or the way between two cannot be had.
    #[error("a worker cannot be started: {0}")]
    Start(io::Error),
    /// The workers that were started died, or never came to
    /// [`Cluster::worker`](super::Cluster::worker).
    #[error("no worker serves: {reason}")]
    Workers {
        /// What became of the last one.
        reason: String,
    },
    /// This process is a worker, and was about to start a cluster of its own.
    #[error(
        "this process is a cluster's worker: it is to call `Cluster::worker()`, \
         and `listen` is for the primary (`Cluster::is_primary()`)"
    )]
    InWorker,
    /// This process is no worker, or [`Cluster::worker`](super::Cluster::worker) was
    /// called before.
    #[error("this process is no cluster's worker, or has called `Cluster::worker()` before")]
    NotWorker,
    /// The primary is of another build of the program, or is gone.
    #[error("the primary: {0}")]
    Primary(String),
    /// A message that is none.
    #[error("a message: {0}")]
    Message(String),
    /// There is no worker of that id any more.
    #[error("there is no worker {0}")]
    NoWorker(u64),
    /// A number that is no signal's, or a real-time signal's.
    #[error("there is no signal {0}")]
    NoSignal(i32),
    /// The cluster has ended, or this process is a fork of its primary.
    #[error("the cluster has ended")]
    Ended,
}

/// The whole sentence, for programs whose `main` returns the error.
impl fmt::Debug for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterError({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_what_it_was_or_not_at_all() {
        let message = ClusterMessage::write(&("words", 7_u32)).unwrap();
        assert_eq!(message.read::<(String, u32)>().unwrap().0, "words");
        assert!(message.read::<String>().is_err(), "a rest");
        assert!(message.read::<[u64; 9]>().is_err(), "too short");
        assert!(ClusterMessage::write(&vec![1_u8; MAX_MESSAGE + 1]).is_err());
    }

    #[test]
    fn a_message_that_cannot_have_a_descriptor_says_so() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let file = crate::process::Descriptor(file);
        let error = ClusterMessage::write(&file).unwrap_err().to_string();
        assert!(error.contains("of a process worker only"), "{error}");
        let error = ClusterMessage(vec![0]).read::<crate::process::Descriptor<std::fs::File>>();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("of a process worker only"), "{error}");
    }
}
