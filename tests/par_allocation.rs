//! Promise: helpers over slices allocate the vector of a map's results, and nothing else.

mod common;
#[path = "common/counting.rs"]
mod counting;

use std::thread;

use common::{SIZES, watched};
use counting::TURN;

const CALLS: usize = 200;

/// Threads that are parked, other tests that are started: less than one allocation in ten
/// calls.
const SLACK: usize = CALLS / 10;

/// How many allocations the calls make, inside one job on a pool of each size.
fn allocations(call: impl Fn(&[u64]) + Sync) -> Vec<usize> {
    let _turn = TURN.lock().unwrap();
    let numbers: Vec<_> = (0..10_000).collect();
    let count = |threads| {
        let run = || counting::allocations(|| (0..CALLS).for_each(|_| call(&numbers)));
        counting::pool(threads).join(run, || ()).0
    };
    SIZES.map(count).to_vec()
}

/// Long enough for another thread to come and take a half of the items.
fn work(n: &u64) -> u64 {
    if n.is_multiple_of(1000) {
        thread::yield_now();
    }
    std::hint::black_box(*n) * 3
}

#[test]
fn chunks_and_a_reduction_allocate_nothing() {
    watched(|| {
        for counts in [
            allocations(|numbers| {
                let sum = windlass::par_reduce(numbers, work, |a, b| a + b);
                assert_eq!(sum, Some(149_985_000));
            }),
            allocations(|numbers| {
                windlass::par_chunks(numbers, 10, |_, chunk| {
                    chunk.iter().for_each(|n| _ = work(n));
                });
            }),
        ] {
            assert!(counts.iter().all(|&count| count <= SLACK), "{counts:?}");
        }
    });
}

#[test]
fn a_map_allocates_its_results() {
    watched(|| {
        let counts = allocations(|numbers| {
            assert_eq!(windlass::par_map(numbers, work)[500], 1500);
        });
        let expected = CALLS..=CALLS + SLACK;
        assert!(
            counts.iter().all(|count| expected.contains(count)),
            "{counts:?}"
        );
    });
}
