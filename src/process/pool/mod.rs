//! [`ProcessPool`]: tasks in children, driven by the threads of a pool.
//!
//! | file | what it is |
//! |---|---|
//! | `handle` | [`ProcessPool`]: an inner [`Pool`](crate::Pool) with a driver for each thread |
//! | `builder` | [`ProcessPoolBuilder`] |
//! | `job` | [`ProcessJob`]: a job with more said about it |
//! | `driver` | one thread's child, and how a job runs in it |

mod builder;
mod driver;
mod handle;
mod job;

pub use self::builder::ProcessPoolBuilder;
pub use self::handle::ProcessPool;
pub use self::job::ProcessJob;
