//! One job on all threads: joins, and what is made of them.
//!
//! | file | what it is |
//! |---|---|
//! | [`join`](self::join()) | two closures |
//! | [`join_all`](self::join_all()) | more than two: tuples, arrays, vectors |
//! | [`par_chunks`](self::par_chunks()), [`par_map`](self::par_map()), [`par_reduce`](self::par_reduce()) | all items of a slice |
//! | [`grain`] | how many items are worked on at a time, and when work is divided |
//! | [`results`] | where a map's results are written to |
//! | [`scope`] | any number of jobs that borrow, and maps that do |
//! | [`mod@install`] | the way into the pool from a thread that is none of its own |
//!
//! All of it borrows: who calls waits until everything has ended, on all threads, and
//! so closures may use what lies on the caller's stack. How a join comes to be run by
//! two threads is the scheduler's business (`scheduler/halves.md`).

mod grain;
mod install;
mod join;
mod join_all;
mod par_chunks;
mod par_map;
mod par_reduce;
mod results;
mod scope;

pub(crate) use self::install::install;
pub use self::join::join;
pub use self::join_all::{JoinAll, join_all};
pub use self::par_chunks::{par_chunks, par_chunks_mut};
pub use self::par_map::par_map;
pub use self::par_reduce::par_reduce;
pub use self::scope::{Scope, ScopedHandle, ScopedMap};
