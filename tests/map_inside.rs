//! Promise: a map may be consumed inside a job of its own pool, at any depth and on one
//! thread, and in a pool whose queue has a bound its items wait for room.

mod common;

use std::sync::{Arc, Mutex};
use std::thread;

use common::{EXPECTED, Occupied, for_each_size, hush, watched};
use windlass::{Pool, Spawner};

/// Ends later for some numbers than for those that come after them.
fn uneven(n: usize) -> usize {
    for _ in 0..(n % 7) * 100 {
        std::hint::spin_loop();
    }
    n
}

#[test]
fn in_a_bounded_pool_items_wait_for_room() {
    for_each_size(|threads| {
        for capacity in [1, 2, 10] {
            let pool = Pool::builder().num_threads(threads);
            let pool = pool.queue_capacity(capacity).build().unwrap();
            assert!(pool.map(0..300, uneven).look_ahead(20).eq(0..300));
            let all = pool.map(0..300, uneven).look_ahead(20).unordered();
            assert_eq!(all.results().filter(Result::is_ok).count(), 300);

            // Others fill the queue.
            let busy = Occupied::all(&pool);
            let fill: Vec<_> = (0..capacity).map(|_| pool.spawn(|| ())).collect();
            let spawner = pool.spawner();
            let waits = thread::spawn(move || spawner.map(0..20, uneven).sum::<usize>());
            busy.release();
            assert_eq!(waits.join().unwrap(), 190);
            assert!(fill.into_iter().all(|job| job.join().is_ok()));
        }
    });
}

/// The sum of a tree of maps, the last of them inside two jobs' waits.
fn nested(depth: u32, look_ahead: usize) -> u64 {
    if depth == 0 {
        return 1;
    }
    let pool = Spawner::current().unwrap();
    let ordered = pool.map(0..6, move |_| nested(depth - 1, look_ahead));
    let unordered = pool.map(0..6, move |_| nested(depth - 1, look_ahead));
    let ordered: u64 = ordered.look_ahead(look_ahead).sum();
    ordered + unordered.look_ahead(look_ahead).unordered().sum::<u64>()
}

#[test]
fn jobs_may_consume_maps_of_their_own_pool_without_substitutes() {
    for_each_size(|threads| {
        for capacity in [None, Some(1), Some(3)] {
            let mut pool = Pool::builder().num_threads(threads).max_substitutes(0);
            if let Some(capacity) = capacity {
                pool = pool.queue_capacity(capacity);
            }
            let pool = pool.build().unwrap();
            for look_ahead in [1, 2, 5] {
                let sum = pool.spawn(move || nested(3, look_ahead)).join();
                assert_eq!(sum.unwrap(), 12_u64.pow(3));
            }
        }
    });
}

/// Strangers fill the queue, and the only thread that could make room is the one that
/// takes the results.
#[test]
fn a_job_without_room_for_its_items_runs_them_itself() {
    hush();
    watched(|| {
        let pool = Pool::builder().num_threads(1).max_substitutes(0);
        let pool = pool.queue_capacity(2).build().unwrap();
        let job = pool.spawn(|| {
            let pool = Spawner::current().unwrap();
            let strangers: Vec<_> = (0..2).map(|_| pool.spawn(|| ())).collect();
            let here = thread::current().id();
            let f = move |n| {
                assert_eq!(thread::current().id(), here);
                assert!(n != 3, "{EXPECTED}: three");
                n
            };
            let ordered = pool.map(0..9, f).results().filter_map(Result::ok);
            assert!(ordered.eq([0, 1, 2, 4, 5, 6, 7, 8]));
            let unordered = pool.map(0..9, f).unordered().results();
            assert_eq!(unordered.filter(Result::is_ok).count(), 8);
            strangers
        });
        let strangers = job.join().unwrap();
        assert!(strangers.into_iter().all(|job| job.join().is_ok()));
        let _ = Occupied::all(&pool);
        assert_eq!(pool.metrics().queued, 0);
    });
}

#[test]
fn a_lock_held_while_a_map_is_consumed_does_not_deadlock() {
    for_each_size(|threads| {
        let pool = Pool::builder().num_threads(threads).max_substitutes(0);
        let pool = pool.build().unwrap();
        let job = pool.spawn(|| {
            let pool = Spawner::current().unwrap();
            let lock = Arc::new(Mutex::new(()));
            let held = lock.lock().unwrap();
            let theirs = Arc::clone(&lock);
            let stranger = pool.spawn(move || drop(theirs.lock().unwrap()));
            // As many as may be blocked by it leave the map to this thread.
            let sum = pool.map(0..50, uneven).look_ahead(4).sum::<usize>();
            let unordered = pool.map(0..50, uneven).unordered().sum::<usize>();
            drop(held);
            stranger.join().unwrap();
            sum + unordered
        });
        assert_eq!(job.join().unwrap(), 2 * 1225);
    });
}
