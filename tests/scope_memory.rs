//! Promise: a scope holds memory for the jobs that are alive, and not for those that were.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{on_each_size, until};
use windlass::Spawner;

/// The system's allocator, which knows how much is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)]
// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: handed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: handed on from the caller.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A million of them would hold 64 MB in their cells alone.
const JOBS: usize = 1_000_000;

/// How many are alive at a time.
const ALIVE: usize = 1000;

/// For each of those a slot, a cell and an entry, with room to grow, in the queues of
/// every thread that came by them, and all again for what is kept to be used again.
const ENOUGH: usize = ALIVE * 8000;

/// How much more is held in the middle of `run` than before.
fn held_by(run: impl FnOnce()) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    run();
    MOST.load(Ordering::Relaxed) - before
}

/// One test, as the memory is the process's.
#[test]
fn a_million_jobs_of_one_scope_hold_no_more_than_those_that_are_alive() {
    on_each_size(|pool| {
        // From outside: whoever spawns waits for the others now and then.
        let held = held_by(|| {
            let ran = AtomicUsize::new(0);
            pool.scope(|s| {
                for n in 1..=JOBS {
                    s.spawn(|| ran.fetch_add(1, Ordering::Relaxed));
                    if n % ALIVE == 0 {
                        until(|| ran.load(Ordering::Relaxed) == n);
                    }
                }
            });
        });
        assert!(held < ENOUGH, "from outside: {held} bytes");
        // From a job, which runs them itself, or finds that they have run.
        let held = held_by(|| {
            let job = pool.spawn(|| {
                Spawner::current().unwrap().scope(|s| {
                    for _ in 0..JOBS / ALIVE {
                        let handles: Vec<_> = (0..ALIVE).map(|n| s.spawn(move || n)).collect();
                        for handle in handles.into_iter().rev() {
                            handle.join().unwrap();
                        }
                    }
                });
            });
            job.join().unwrap();
        });
        assert!(held < ENOUGH, "from a job: {held} bytes");
    });
}
