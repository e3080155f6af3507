//! Jobs in processes of their own, where a crash, a runaway or a leak cannot hurt.
//! Feature `process`, on unix; on other systems this module is not there.
//!
//! A [`Task`] is a job with a name that can be written down; [`Tasks`] are those that a
//! program has; a [`ProcessPool`] runs them in children, which are this program started
//! again. All else is as on threads: the same handles, the same errors and some more.
//! A [`Cluster`] is this program started again too, to serve one port with many processes.
//!
//! # What goes on
//!
//! | file | what it is |
//! |---|---|
//! | `task` | [`Task`], [`TaskContext`]; tasks on threads |
//! | `tasks` | [`Tasks`]: names, and how one is run |
//! | `child` | a child process, as its parent sees it |
//! | `serve` | the same, as it sees itself |
//! | `resident` | how much of a process is in memory |
//! | `program` | what is started, and how often that may go wrong |
//! | `output`, `pipes` | [`Output`]: what children write |
//! | `signal` | [`Signal`] |
//! | `wire` | what goes over the socket between the two, and how |
//! | `pool` | [`ProcessPool`]: children that run tasks |
//! | `worker` | [`ProcessWorker`]: a child of its own that talks by messages |
//! | `cluster` | [`Cluster`]: processes that serve one port |
//!
//! A child's stdin is one end of a socket pair, which it moves away; so the standard
//! library starts it without a fork of this process's memory. What else it inherits is
//! closed on exec. The parent says welcome, and gives a file of shared memory along; the
//! child says hello, with the version of the protocol and a hash of its tasks. After
//! that there is one frame each way for each job. All that a child says is held against
//! what it may say: whatever else comes, it is killed, and the job that it had is lost.
//!
//! A process worker's child is told after its hello which worker it is, and from then on
//! there are messages, both ways at once. These are all in frames, large ones too: the
//! shared memory has room for one, and its turn is nobody's. Descriptors come with a
//! message's first byte.

mod child;
mod cluster;
mod output;
mod pipes;
mod pool;
mod program;
mod resident;
mod serve;
mod signal;
mod task;
mod tasks;
mod wire;
mod worker;

pub use self::cluster::{
    Cluster, ClusterBuilder, ClusterError, ClusterEvent, ClusterMessage, ClusterRemote,
    ClusterWorker, ConnectionStream, Connections, Incoming, Scheduling, WorkerStatus,
};
pub use self::output::{Output, Stream};
pub use self::pool::{ProcessJob, ProcessPool, ProcessPoolBuilder};
pub use self::signal::Signal;
pub use self::task::{Task, TaskContext};
pub use self::tasks::Tasks;
pub use self::wire::{Bytes, Descriptor};
pub use self::worker::{
    ProcessExit, ProcessExited, ProcessParent, ProcessWorker, ProcessWorkerBuilder,
};
pub use crate::error::{Crash, KillReason, StartError};
