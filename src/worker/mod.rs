//! Workers: message handlers with a state of their own, run by the pool one
//! message at a time.
//!
//! | file | what it is |
//! |---|---|
//! | [`handle`] | [`Worker`], the owner's end, and its events on a main loop |
//! | [`builder`] | how workers come to be |
//! | [`dedicated`] | workers on threads of their own |
//! | [`parent`] | [`Parent`], how a worker answers |
//! | [`current`] | who runs here? |
//! | [`exit`] | how workers end, and who wants to know |
//! | [`actor`] | the worker itself: mailbox, body, and whoever has the turn |
//! | [`body`] | the user's code, and how it starts again |
//! | [`ending`] | workers that own workers, without recursion |
//! | [`core`] | what every worker has, whatever its messages are |
//!
//! `worker.md` tells the protocol of the turn to a newcomer and ends in a proof
//! sketch; `models.rs` runs the real code under loom.

mod actor;
mod body;
mod builder;
mod core;
mod current;
mod dedicated;
mod ending;
mod exit;
mod handle;
mod parent;

#[cfg(all(test, loom))]
mod models;

pub use self::body::Restart;
pub use self::builder::WorkerBuilder;
pub use self::core::WorkerId;
pub use self::current::{CurrentWorker, current_worker, is_main_thread};
pub use self::dedicated::DedicatedBuilder;
pub use self::exit::{BoxError, Exit, Exited, WorkerError};
pub use self::handle::{ExitSource, Worker};
pub use self::parent::Parent;
