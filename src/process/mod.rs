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
//! | `bytes` | [`Bytes`]: arguments in one piece |
//! | `descriptor` | [`Descriptor`]: sockets and files in a worker's messages |
//! | `descriptors` | how these go over the socket |
//! | `pool`, `builder`, `job` | [`ProcessPool`]: an inner [`Pool`](crate::Pool) with a driver for each thread |
//! | `driver` | one thread's child, and how a job runs in it |
//! | `child` | a child process, as its parent sees it |
//! | `serve` | the same, as it sees itself |
//! | `worker`, `worker_builder` | [`ProcessWorker`]: a child of its own that talks by messages |
//! | `worker_exit` | [`ProcessExit`]: how such a one ends, and who wants to know |
//! | `keeper`, `alarm` | the thread in the parent that looks after it; what wakes that |
//! | `parent`, `mail` | [`ProcessParent`]: the child's end; how it reads |
//! | `signal` | [`Signal`] |
//! | `program` | what is started, and how often that may go wrong |
//! | `frame` | what goes over the socket |
//! | `patience` | looking again and again before a wait |
//! | `payload`, `source` | arguments and results, written and read; the memory for large ones |
//! | `output`, `pipes` | [`Output`]: what children write |
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

mod alarm;
mod builder;
mod bytes;
mod child;
mod cluster;
mod descriptor;
mod descriptors;
mod driver;
mod frame;
mod job;
mod keeper;
mod mail;
mod output;
mod parent;
mod patience;
mod payload;
mod pipes;
mod pool;
mod program;
mod serve;
mod signal;
mod source;
mod task;
mod tasks;
mod worker;
mod worker_builder;
mod worker_exit;

pub use self::builder::ProcessPoolBuilder;
pub use self::bytes::Bytes;
pub use self::cluster::{
    Cluster, ClusterBuilder, ClusterError, ClusterEvent, ClusterMessage, ClusterRemote,
    ClusterWorker, ConnectionStream, Connections, Incoming, Scheduling, WorkerStatus,
};
pub use self::descriptor::Descriptor;
pub use self::job::ProcessJob;
pub use self::output::{Output, Stream};
pub use self::parent::ProcessParent;
pub use self::pool::ProcessPool;
pub use self::signal::Signal;
pub use self::task::{Task, TaskContext};
pub use self::tasks::Tasks;
pub use self::worker::ProcessWorker;
pub use self::worker_builder::ProcessWorkerBuilder;
pub use self::worker_exit::{ProcessExit, ProcessExited};
pub use crate::error::{Crash, KillReason, StartError};
