//! What can go wrong, and what it gives back.
//!
//! | file | what it is |
//! |---|---|
//! | [`join`] | [`JoinError`]: why a job has no result |
//! | [`pool`] | [`BuildError`], [`ResizeError`], [`StillRunning`]: a pool's threads |
//! | `process` | how jobs in processes of their own end |
//! | [`try_spawn`] | [`TrySpawnError`]: a job that was not handed over |

mod join;
mod pool;
#[cfg(all(unix, feature = "process"))]
mod process;
mod try_spawn;

pub use self::join::JoinError;
pub use self::pool::{BuildError, ResizeError, StillRunning};
#[cfg(all(unix, feature = "process"))]
pub use self::process::{Crash, KillReason, StartError};
#[cfg(all(unix, feature = "process"))]
pub(crate) use self::process::{How, ProcessEnd, signal_name};
pub use self::try_spawn::TrySpawnError;
pub(crate) use self::try_spawn::Why;
