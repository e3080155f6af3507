//! Memory that threads share: moved, read together, or split into disjoint
//! owned parts; and arrays of atomics to wait on.
//!
//! | file | what it is |
//! |---|---|
//! | [`shared`] | `SharedBuffer`: one `Vec`, read by many |
//! | [`split`] | where a buffer is cut: evenly, at ranges, between rows |
//! | [`part`], [`whole`] | `Part`, `Whole`: what a split gives |
//! | [`reunion`] | the parts' count and the way back to the whole: all of the unsafe code |
//! | [`view`] | the same bytes as another plain type |
//! | [`error`] | `SplitError`, `ViewError` |
//! | `array`, [`integer`] | `SharedArray`: atomics of every width |
//! | [`wait`], [`wait_list`] | waiting for an element and notifying: futures and threads in one list |
//!
//! `models.rs` runs the reunion and the wait list under loom; `compile_fail.rs`
//! has what must not compile.
//!
//! Nothing here knows of jobs or pools: the last part wakes a
//! [`std::task::Waker`], and so does a notification.

mod array;
#[cfg(doctest)]
mod compile_fail;
mod error;
mod integer;
mod part;
mod reunion;
mod shared;
mod split;
mod view;
mod wait;
mod wait_list;
mod whole;

#[cfg(all(test, loom))]
mod models;

pub use self::array::SharedArray;
pub use self::error::{SplitError, ViewError};
pub use self::integer::SharedInteger;
pub use self::part::Part;
pub use self::shared::SharedBuffer;
pub use self::wait::{WaitAsync, WaitOutcome};
pub use self::whole::Whole;
