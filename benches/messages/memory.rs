//! How much memory does a worker take?
//!
//! The bench's allocator is the system's, and counts the bytes that are asked
//! for while [`COUNTING`] is set, which is before the first group only: the
//! groups' allocations cost one load more than they would, and no shared write.
//!
//! It touches no block that it gives out: every call is handed on as it is.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

use windlass::Pool;

const WORKERS: u64 = 10_000;

/// Prints how many bytes one of many workers takes: before its first message,
/// after it, and after its second.
///
/// It is what the library asks the allocator for, the worker's entry in the
/// pool's register included, and neither the 16 bytes of the `Worker` itself, which
/// lie where the program keeps them, nor what the allocator adds. The handler
/// captures nothing.
///
/// What the first message adds is not the worker's: all of them have one under
/// way at once here, and the library keeps the memory of as many messages for
/// those that come next. So the second adds nothing.
///
/// For scale: a `Worker` of Node's takes 7.5 MB and 25 ms to its first answer
/// (node 20.20.2, 2 virtual CPUs, resident memory; measured apart from this
/// bench, and not run by it).
pub(crate) fn report() {
    // One thread, so that a job is done when all before it are.
    let pool = Pool::builder().num_threads(1).build().unwrap();
    let mut workers = Vec::with_capacity(WORKERS as usize);
    come_to_rest(&pool);
    let started = growth(|| {
        workers.extend((0..WORKERS).map(|_| crate::echo(&pool)));
        come_to_rest(&pool);
    });
    let message_each = || {
        for (n, worker) in (0..).zip(&workers) {
            worker.post(n).unwrap();
        }
        for (n, worker) in (0_u64..).zip(&workers) {
            assert_eq!(worker.recv().unwrap(), n);
        }
        come_to_rest(&pool);
    };
    let first = started + growth(message_each);
    let second = first + growth(message_each);
    let [started, first, second] =
        [started, first, second].map(|bytes| bytes as f64 / WORKERS as f64);
    println!(
        "memory per worker, {WORKERS} workers: {started:.0} bytes before its first message, \
         {first:.0} after it, {second:.0} after its second"
    );
}

/// Waits until the pool has done all that it was given.
fn come_to_rest(pool: &Pool) {
    pool.spawn(|| ()).join().unwrap();
}

/// How many more bytes are in use after `run` than before.
fn growth(run: impl FnOnce()) -> isize {
    IN_USE.store(0, Ordering::Relaxed);
    COUNTING.store(true, Ordering::Relaxed);
    run();
    COUNTING.store(false, Ordering::Relaxed);
    IN_USE.load(Ordering::Relaxed)
}

/// The system's allocator, counted on demand.
struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

/// Relaxed, as [`IN_USE`] is: both change while the pool rests, and handing it
/// jobs and joining them orders the rest.
static COUNTING: AtomicBool = AtomicBool::new(false);

static IN_USE: AtomicIsize = AtomicIsize::new(0);

fn count(more: usize, less: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        IN_USE.fetch_add(more as isize - less as isize, Ordering::Relaxed);
    }
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: handed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: handed on from the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: handed on from the caller.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: handed on from the caller.
        unsafe { System.dealloc(block, layout) };
    }
}
