//! Messages: two-way channels between threads and loops.
//!
//! | file | what it is |
//! |---|---|
//! | [`ends`] | `channel`, `bounded_channel`, [`Port`] |
//! | [`receive`] | the ways to receive, which ports, workers and others share |
//! | [`post`] | a message that waits for room |
//! | [`lane`] | one direction: who receives, who is told, when it is over |
//! | [`queue`] | the word under it: a lock-free list with three flags |
//! | [`room`] | a bound, of a lane or of a pool's queues, and who waits for room |
//! | [`hub`] | channels by name, and their members |
//! | [`bell`] | something that ends, and who wants to know |
//! | [`error`] | [`PostError`], [`RecvError`] |
//!
//! `port.md` tells the protocol to a newcomer and ends in a proof sketch;
//! `models.rs` and `bell_models.rs` run the real code under loom.
//!
//! Nothing here knows of pools or loops: who is to be told of a message is a
//! [`std::task::Waker`], or is told by the caller of `Lane::push`.

mod bell;
mod ends;
mod error;
mod hub;
mod lane;
mod post;
mod queue;
pub(crate) mod receive;
mod room;

#[cfg(all(test, loom))]
mod bell_models;
#[cfg(all(test, loom))]
mod models;

pub use self::ends::{Closed, Port, bounded_channel, channel};
pub use self::error::{PostError, RecvError};
pub use self::post::PostFuture;
pub use self::receive::{Iter, MessageStream, RecvFuture};

pub(crate) use self::bell::{Bell, Rank, Waiting};
pub(crate) use self::hub::{Hub, Members};
pub(crate) use self::lane::{Claim, Lane, OwnedClaim};
pub(crate) use self::post::Target;
pub(crate) use self::queue::{Batch, Queue, Wait};
pub(crate) use self::receive::receiving_methods;
pub(crate) use self::room::{Room, Ticket};
