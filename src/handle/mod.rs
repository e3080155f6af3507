//! The way back from a job.
//!
//! | file | what it is |
//! |---|---|
//! | [`join`] | [`JoinHandle`]: wait for the result, poll for it, await it |
//! | [`cancel`] | [`CancelHandle`]: keeps the power to cancel |

mod cancel;
mod join;

pub use self::cancel::CancelHandle;
pub use self::join::JoinHandle;
pub(crate) use self::join::{Help, into_result};
