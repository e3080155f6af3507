//! The system's allocator, counted: for the test crates whose allocator it is to be.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass::Pool;

use crate::common::Occupied;

/// The system's allocator, counted.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The count is the process's, so the tests take turns.
pub(crate) static TURN: Mutex<()> = Mutex::new(());

/// How many allocations a run makes once it has run before: the fewest of three.
///
/// What the machine brings about, a queue that grows or a thread that is parked for the
/// first time, is not in all of them; what the run itself allocates is.
pub(crate) fn allocations(mut run: impl FnMut()) -> usize {
    run();
    let counts = (0..3).map(|_| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        run();
        ALLOCATIONS.load(Ordering::Relaxed) - before
    });
    counts.min().unwrap()
}

/// A pool that starts no thread for one that waits, which is some allocations, and each of
/// whose threads has had a job.
pub(crate) fn pool(threads: usize) -> Pool {
    let builder = Pool::builder().num_threads(threads);
    let pool = builder.max_substitutes(0).build().unwrap();
    Occupied::all(&pool).release();
    pool
}

#[allow(unsafe_code)]
// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: handed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: handed on from the caller.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
