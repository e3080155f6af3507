//! The allocator of this program: the system's, with counters that are off
//! unless memory is the question.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static GIVEN: AtomicU64 = AtomicU64::new(0);

/// What was counted since [`on`].
#[derive(Clone, Copy)]
pub struct Heap {
    pub allocations: u64,
    /// Bytes that were taken and not given back; below zero if more was given
    /// back than taken.
    pub growth: i64,
}

/// Counts from now on.
pub fn on() {
    ON.store(true, Ordering::SeqCst);
}

pub fn heap() -> Heap {
    let taken = TAKEN.load(Ordering::SeqCst);
    Heap {
        allocations: ALLOCATIONS.load(Ordering::SeqCst),
        growth: taken
            .wrapping_sub(GIVEN.load(Ordering::SeqCst))
            .cast_signed(),
    }
}

/// # Safety
/// `block` is one of the system allocator's, of `bytes` bytes, or null.
unsafe fn took(block: *mut u8, bytes: usize) {
    if ON.load(Ordering::Relaxed) {
        // SAFETY: as for this function.
        let bytes = unsafe { footprint(block, bytes) };
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        TAKEN.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// # Safety
/// As [`took`].
unsafe fn gave(block: *mut u8, bytes: usize) {
    if ON.load(Ordering::Relaxed) {
        // SAFETY: as for this function.
        let bytes = unsafe { footprint(block, bytes) };
        GIVEN.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// What the block takes of the heap: with its header, and rounded up as the
/// allocator does it.
///
/// # Safety
/// As [`took`].
#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe fn footprint(block: *mut u8, _: usize) -> usize {
    // SAFETY: null or a block of malloc's, which the system's allocator is here.
    let usable = unsafe { libc::malloc_usable_size(block.cast()) };
    usable + size_of::<usize>()
}

/// # Safety
/// None needed.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
unsafe fn footprint(_: *mut u8, bytes: usize) -> usize {
    bytes
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: handed on from the caller.
        let block = unsafe { System.alloc(layout) };
        // SAFETY: it comes from there.
        unsafe { took(block, layout.size()) };
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: handed on from the caller.
        let block = unsafe { System.alloc_zeroed(layout) };
        // SAFETY: it comes from there.
        unsafe { took(block, layout.size()) };
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block, which came from there.
        unsafe { gave(block, layout.size()) };
        // SAFETY: handed on from the caller.
        let block = unsafe { System.realloc(block, layout, size) };
        // SAFETY: it comes from there.
        unsafe { took(block, size) };
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's block, which came from there.
        unsafe { gave(block, layout.size()) };
        // SAFETY: handed on from the caller.
        unsafe { System.dealloc(block, layout) };
    }
}
