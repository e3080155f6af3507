//! Promise: pools may wait for each other's jobs. (Without end: see
//! `substitutes.rs`.)

mod common;

use common::{for_each_size, watched};

/// 57: in one direction no thread needs to be left over.
#[test]
fn all_of_a_pools_threads_may_wait_for_another_pool() {
    for_each_size(|threads| {
        let (a, b) = (common::pool(threads), common::pool(threads));
        let to_b = b.spawner();
        let jobs: Vec<_> = (0..300)
            .map(|i| {
                let to_b = to_b.clone();
                a.spawn(move || to_b.spawn(move || i).join().unwrap())
            })
            .collect();
        for (i, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), i);
        }
    });
}

/// 57: in both directions, with as many at once as leave each pool one thread.
/// (A pool of one has none to leave.)
#[test]
fn two_pools_may_wait_for_each_other_while_each_has_a_thread_left() {
    watched(|| {
        for threads in [2, 8] {
            let (a, b) = (common::pool(threads), common::pool(threads));
            let (to_a, to_b) = (a.spawner(), b.spawner());
            for round in 0..100 {
                let chains: Vec<_> = (1..threads)
                    .map(|chain| {
                        let (to_a, to_b) = (to_a.clone(), to_b.clone());
                        a.spawn(move || {
                            let middle = to_b.spawn(move || {
                                let last = to_a.spawn(move || round * chain);
                                last.join().unwrap() + 1
                            });
                            middle.join().unwrap() + 1
                        })
                    })
                    .collect();
                for (i, chain) in chains.into_iter().enumerate() {
                    assert_eq!(chain.join().unwrap(), round * (i + 1) + 2);
                }
            }
        }
    });
}
