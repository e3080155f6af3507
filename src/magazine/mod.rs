//! Where the memory of jobs' cells and of messages comes from: blocks of two
//! sizes, kept per thread.
//!
//! | file | what it is |
//! |---|---|
//! | `cache` | the magazines of a thread, and the depot between threads |
//! | `model` | what the models have instead: it counts, and keeps what is freed |
//!
//! A cell is usually made on the main loop's thread and freed there or on a
//! pool thread, a message is freed by whoever receives it. Through the allocator
//! such a block costs up to 130 ns, and erratically; through the two magazines
//! each thread keeps here, a few. The scheme is Bonwick's ("Magazines and Vmem",
//! USENIX 2001): a thread works on its *loaded* magazine, keeps a *spare* one so
//! that a run of frees followed by a run of allocations does not go back and
//! forth, and exchanges full ones with the *depot*.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;

#[cfg(not(loom))]
mod cache;
#[cfg(loom)]
mod model;

#[cfg(not(loom))]
pub(crate) use self::cache::{alloc, free};
#[cfg(all(test, loom))]
pub(crate) use self::model::account;
#[cfg(loom)]
pub(crate) use self::model::{alloc, free};

/// Moves a value into a block.
#[inline]
pub(crate) fn put<T>(value: T) -> NonNull<T> {
    const { assert!(size_of::<T>() > 0, "a block for nothing") };
    let block = alloc(Layout::new::<T>()).cast::<T>();
    // SAFETY: `alloc` gave a block of this layout that is nobody else's.
    unsafe { block.write(value) };
    block
}

/// Moves a value out of its block, and gives the block back.
///
/// # Safety
/// It came from [`put`], and nobody uses it any more.
#[inline]
pub(crate) unsafe fn take<T>(block: NonNull<T>) -> T {
    // SAFETY: by the caller, the value is there, and is not used again.
    let value = unsafe { block.read() };
    // SAFETY: by the caller; `put` had it from `alloc`, with this layout.
    unsafe { free(block.cast(), Layout::new::<T>()) };
    value
}
