//! What can go wrong, and what it gives back.
//!
//! | file | what it is |
//! |---|---|
//! | [`join`] | [`JoinError`]: why a job has no result |
//! | [`pool`] | [`BuildError`], [`ResizeError`], [`StillRunning`]: a pool's threads |
//! | [`try_spawn`] | [`TrySpawnError`]: a job that was not handed over |

mod join;
mod pool;
mod try_spawn;

pub use self::join::JoinError;
pub use self::pool::{BuildError, ResizeError, StillRunning};
pub use self::try_spawn::TrySpawnError;
pub(crate) use self::try_spawn::Why;
