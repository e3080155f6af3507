//! [`Cluster`]: processes that serve one port.
//!
//! | file | what it is |
//! |---|---|
//! | `builder` | [`ClusterBuilder`], [`Scheduling`] |
//! | `handle` | [`Cluster`]: what the primary's program holds |
//! | `remote` | [`ClusterRemote`]: what it is steered with |
//! | `event` | [`ClusterEvent`], [`ClusterMessage`], [`ClusterError`] |
//! | `engine` | the primary's thread: what has happened, what is due, whose turn it is |
//! | `places` | restarts: after a death, of all one by one, of one that is too large |
//! | `sizes` | who is too large |
//! | `member` | a worker, as the primary sees it |
//! | `worker` | [`ClusterWorker`]: the same, as it sees itself |
//! | `accept` | the listener that all workers have, if the primary does not accept |
//! | `connections` | [`Incoming`], [`Connections`]: the ways in which it takes them |
//! | `link` | frames and descriptors over the socket between the two |
//!
//! A worker's stdin is one end of a socket pair, as a pool's child's is. The primary says
//! [`Enlist`](crate::process::wire::frame::Enlist), with the listener if that is shared.
//! The worker says when it is online and when it listens. With round robin each connection
//! comes as a frame with a descriptor, and the primary keeps its own descriptor until the
//! worker says that the program has taken it: so a worker that dies costs only what it had
//! taken, and the rest is given to others. So is what a worker refuses, having no
//! descriptor left for it; for a moment it is given no more.

mod accept;
mod builder;
mod connections;
mod engine;
mod event;
mod handle;
mod link;
mod member;
mod places;
mod remote;
mod sizes;
mod worker;

pub use self::builder::{ClusterBuilder, Scheduling};
pub use self::connections::{ConnectionStream, Connections, Incoming};
pub use self::event::{ClusterError, ClusterEvent, ClusterMessage};
pub use self::handle::Cluster;
pub use self::remote::{ClusterRemote, WorkerStatus};
pub use self::worker::ClusterWorker;
