//! A job, from the closure a user hands over to the outcome a handle reads.
//!
//! | file | what it is |
//! |---|---|
//! | [`slot`] | what the queues hold: 64 bytes, a closure inline or one end of a cell |
//! | [`cell`] | closure first, outcome afterwards: the block that `spawn` shares with its handle |
//! | [`ends`] | who holds a cell: the queue and the handle |
//! | [`party`] | and third parties, which may cancel |
//! | [`state`] | the cell's state word: every bit and every transition, in safe code |
//! | [`half`] | the second half of a join, on its owner's stack |
//! | [`children`] | the jobs of a scope, which may borrow, and their number |
//!
//! `cell.md` tells the cell's protocol to a newcomer and ends in a proof
//! sketch; `models.rs` runs the real code under loom.
//!
//! Nothing here knows of queues, threads or pools: running a job takes no
//! scheduler argument, and a finished job wakes a [`std::task::Waker`] instead
//! of calling up.

mod cell;
mod children;
mod ends;
mod half;
mod party;
mod slot;
mod state;

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use self::cell::Context;
pub(crate) use self::children::{Child, Children};
pub(crate) use self::ends::{Completion, HandleEnd, new_cell};
pub(crate) use self::half::{Bottom, Half, HalfPtr};
pub(crate) use self::party::{CancelEnd, current_end, is_asked_to_stop};
pub(crate) use self::slot::{Place, Slot, Turn, Verdict, Victim};
pub(crate) use self::state::Reason;
