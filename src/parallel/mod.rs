//! One job on all threads: joins, and what is made of them.
//!
//! | file | what it is |
//! |---|---|
//! | [`join`](self::join()) | two closures |
//! | [`join_all`](self::join_all()) | more than two: tuples, arrays, vectors |
//! | [`install`] | the way into the pool from a thread that is none of its own |
//!
//! All of it borrows: who calls waits until everything has ended, on all threads, and
//! so closures may use what lies on the caller's stack. How a join comes to be run by
//! two threads is the scheduler's business (`scheduler/halves.md`).

mod install;
mod join;
mod join_all;

pub(crate) use self::install::install;
pub use self::join::join;
pub use self::join_all::{JoinAll, join_all};
