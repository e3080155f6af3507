//! Promise: handing over a small job allocates nothing of its own, and the
//! cells of jobs with a handle are used again.
//!
//! The injector is allowed its blocks, one per 63 jobs.

mod common;
#[path = "common/counting.rs"]
mod counting;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{SIZES, watched};
use counting::{TURN, allocations};
use windlass::{Pool, Spawner};

/// How many jobs a measurement takes.
const JOBS: usize = 10_000;

/// Of these, one allocation is expected per block of the injector's.
const BLOCKS: usize = JOBS / 63;

/// Queues that grow, threads that are parked, other tests that are started:
/// less than one allocation in 50 jobs.
const SLACK: usize = JOBS / 50;

/// Runs `body` with pools of all sizes, alone.
fn alone(body: impl Fn(&Pool) + Send + 'static) {
    // To wait for one's turn is not to hang.
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    watched(move || {
        for threads in SIZES {
            println!("on a pool of {threads}");
            body(&counting::pool(threads));
        }
    });
}

/// Hands over [`JOBS`] jobs that capture `capture`, a hundred at a time.
fn execute_all<T: Copy + Send + 'static>(pool: &Pool, capture: T) {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    for _ in 0..JOBS / 100 {
        DONE.store(0, Ordering::Relaxed);
        for _ in 0..100 {
            pool.execute(move || {
                std::hint::black_box(capture);
                DONE.fetch_add(1, Ordering::Relaxed);
            });
        }
        while DONE.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
    }
}

/// Up to 56 bytes of captures lie in the queue itself.
#[test]
fn a_small_fire_and_forget_job_allocates_nothing() {
    alone(|pool| {
        for count in [
            allocations(|| execute_all(pool, ())),
            allocations(|| execute_all(pool, 1_u64)),
            allocations(|| execute_all(pool, [7_u8; 56])),
        ] {
            assert!(count <= BLOCKS + SLACK, "{count} allocations");
        }
    });
}

/// And this is what the count says when there is something to count.
#[test]
fn a_larger_fire_and_forget_job_is_one_allocation() {
    alone(|pool| {
        let count = allocations(|| execute_all(pool, [7_u8; 57]));
        assert!(
            (JOBS..=JOBS + BLOCKS + SLACK).contains(&count),
            "{count} allocations"
        );
    });
}

/// Looks until the result is there. No waiter, and so nothing to wake it with.
fn take<T>(mut handle: windlass::JoinHandle<T>) -> T {
    loop {
        if let Some(result) = handle.try_join() {
            return result.unwrap();
        }
        std::thread::yield_now();
    }
}

/// One after the other, each job gets the cell of one before it. A quarter as many, as each
/// look may cost a turn of whoever else is on the processor.
#[test]
fn a_job_with_a_handle_uses_the_cell_of_one_before_it() {
    alone(|pool| {
        let count = allocations(|| {
            for i in 0..JOBS / 4 {
                assert_eq!(take(pool.spawn(move || i)), i);
            }
        });
        assert!(count <= (BLOCKS + SLACK) / 4, "{count} allocations");
    });
}

/// A thousand at a time, cells come and go by the magazine.
#[test]
fn spawning_in_bursts_uses_cells_again() {
    alone(|pool| {
        let mut handles = Vec::with_capacity(1000);
        let count = allocations(|| {
            for _ in 0..JOBS / 1000 {
                handles.extend((0..1000).map(|i| pool.spawn(move || i)));
                for (i, handle) in handles.drain(..).enumerate() {
                    assert_eq!(take(handle), i);
                }
            }
        });
        // A quarter: magazines may lie full in the wrong thread for a while.
        assert!(count <= BLOCKS + JOBS / 4, "{count} allocations");
    });
}

/// What wakes the waiter is at most one allocation, and the cell is none.
#[test]
fn joining_is_at_most_one_allocation() {
    alone(|pool| {
        let count = allocations(|| {
            for i in 0..JOBS {
                assert_eq!(pool.spawn(move || i).join().unwrap(), i);
            }
        });
        assert!(count <= JOBS + BLOCKS + SLACK, "{count} allocations");
    });
}

/// A thousand at a time, messages' memory comes and goes by the magazine.
///
/// Looks until an answer is there, as [`take`] does: how often a wait happens
/// is the machine's to say.
#[test]
fn posting_in_bursts_uses_memory_again() {
    alone(|pool| {
        let worker = pool.worker(|n: [usize; 6], parent: &windlass::Parent<usize>| {
            parent.post(n[0]).unwrap();
        });
        let burst = || {
            for n in 0..1000 {
                worker.post([n; 6]).unwrap(); // 48 bytes
            }
            for n in 0..1000 {
                let answer = loop {
                    match worker.try_recv() {
                        Ok(answer) => break answer,
                        Err(error) => assert!(error.is_empty(), "{error}"),
                    }
                    std::thread::yield_now();
                };
                assert_eq!(answer, n);
            }
        };
        burst();
        let count = allocations(|| (0..JOBS / 1000).for_each(|_| burst()));
        // Two messages a post, and magazines in the wrong thread, as above.
        assert!(count <= BLOCKS + JOBS / 4, "{count} allocations");
    });
}

/// Runs [`JOBS`] jobs, that many to each parent, which joins them all.
fn nested(pool: &Pool, per_parent: usize) -> usize {
    allocations(|| {
        for _ in 0..JOBS / per_parent {
            let parent = pool.spawn(move || {
                let spawner = Spawner::current().unwrap();
                for i in 0..per_parent {
                    assert_eq!(spawner.spawn(move || i).join().unwrap(), i);
                }
            });
            parent.join().unwrap();
        }
    })
}

/// Inside a job there is no injector in between.
#[test]
fn nested_jobs_use_cells_again() {
    alone(|pool| {
        let count = nested(pool, 40);
        // At most one for each wait, and the parents.
        assert!(count <= JOBS + JOBS / 40 * 2 + SLACK, "{count} allocations");
    });
}

/// The same with more jobs to a parent than there are picks between two looks
/// at the jobs from outside.
#[test]
fn nested_jobs_use_cells_again_however_many_there_are() {
    alone(|pool| {
        let count = nested(pool, 400);
        assert!(count <= JOBS + SLACK, "{count} allocations");
    });
}

/// Cancelling gives the cell back once the queue has passed it by.
#[test]
fn cancelled_jobs_use_cells_again() {
    alone(|pool| {
        let count = allocations(|| {
            for i in 0..JOBS {
                let handle = pool.spawn(move || i);
                handle.cancel();
                drop(handle);
                if i % 500 == 0 {
                    pool.spawn(|| ()).join().unwrap();
                }
            }
        });
        assert!(count <= BLOCKS + JOBS / 4, "{count} allocations");
    });
}

/// The same inside one long job, whose thread gets round to its queue only when
/// the job ends.
#[test]
fn jobs_that_their_parent_cancels_use_cells_again_at_once() {
    alone(|pool| {
        let count = pool.spawn(|| {
            let spawner = Spawner::current().unwrap();
            allocations(|| {
                for i in 0..JOBS {
                    spawner.spawn(move || i).cancel();
                }
            })
        });
        let count = count.join().unwrap();
        assert!(count <= BLOCKS + SLACK, "{count} allocations");
    });
}

/// A tree of joins, in which halves are stolen and waited for.
fn fib(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = windlass::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

#[test]
fn a_join_allocates_nothing() {
    alone(|pool| {
        let spawner = pool.spawner();
        // One job, whatever is in it; a thread that parks for the first time is the slack.
        let allocated = allocations(|| {
            let spawner = spawner.clone();
            assert_eq!(spawner.spawn(|| fib(22)).join().unwrap(), 17_711);
        });
        assert!(
            allocated <= 28_656 / 50,
            "{allocated} allocations for 28,656 joins"
        );
    });
}
