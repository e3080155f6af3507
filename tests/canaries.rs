//! Mistakes on purpose, which the sanitizers must report: `ci/sanitizers` expects
//! each of these tests to fail. They are there with `--cfg windlass_canaries`
//! only, and with a sanitizer only; without one they are undefined behaviour.
#![cfg(windlass_canaries)]
#![allow(unsafe_code)]

mod common;

use std::cell::UnsafeCell;
use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A number without any order, and a count that gives none.
#[derive(Default)]
struct Unordered {
    number: UnsafeCell<u64>,
    here: AtomicUsize,
}

// SAFETY: there is none, and that is what is to be seen.
unsafe impl Sync for Unordered {}

impl Unordered {
    fn write(&self) {
        // SAFETY: none, see above.
        unsafe { *self.number.get() += 1 };
        self.here.fetch_add(1, Relaxed);
    }

    fn wait_for(&self, count: usize) {
        while self.here.load(Relaxed) < count {
            spin_loop();
        }
    }
}

/// Nothing that the pool does puts them in an order.
#[test]
fn two_jobs_that_write_without_an_order() {
    common::watched(|| {
        let pool = common::pool(2);
        let shared = Arc::new(Unordered::default());
        let jobs = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            pool.spawn(move || {
                shared.write();
                // So that the other one is on the other thread.
                shared.wait_for(2);
            })
        });
        jobs.map(|job| job.join().unwrap());
    });
}

/// A job's end gives an order to who joins it, and not to who does not.
#[test]
fn a_job_that_is_read_without_an_order() {
    common::watched(|| {
        let pool = common::pool(1);
        let shared = Arc::new(Unordered::default());
        let writer = Arc::clone(&shared);
        let job = pool.spawn(move || writer.write());
        shared.wait_for(1);
        // SAFETY: none, see above.
        black_box(unsafe { *shared.number.get() });
        job.join().unwrap();
    });
}

#[test]
fn a_block_that_is_used_after_it_was_freed() {
    let block = Box::new(7_u64);
    let address = &raw const *block;
    drop(black_box(block));
    // SAFETY: none: it is freed.
    black_box(unsafe { *black_box(address) });
}

#[test]
fn a_block_that_nobody_knows_any_more() {
    common::watched(|| {
        let pool = common::pool(1);
        let job = pool.spawn(|| std::mem::forget(black_box(Box::new([7_u64; 100]))));
        job.join().unwrap();
    });
}
