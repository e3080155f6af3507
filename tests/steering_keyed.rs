//! Promise: jobs of one key run one after another and in order, those of different
//! keys side by side; and a key costs something only while it has jobs.

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use common::{Drops, Occupied, for_each_size, hush, on_each_size, pool, until, watched};
use windlass::Pool;

#[test]
fn jobs_of_one_key_run_in_order_and_never_two_at_once() {
    on_each_size(|pool| {
        const KEYS: usize = 7;
        let keyed = pool.keyed::<usize>();
        let inside: Arc<Vec<AtomicBool>> = Arc::new((0..KEYS).map(|_| false.into()).collect());
        let log = Arc::new(Mutex::new(HashMap::<usize, Vec<usize>>::new()));
        for n in 0..700 {
            let key = n % KEYS;
            let (inside, log) = (Arc::clone(&inside), Arc::clone(&log));
            keyed.execute(&key, move || {
                assert!(!inside[key].swap(true, Ordering::SeqCst), "two at once");
                log.lock().unwrap().entry(key).or_default().push(n);
                inside[key].store(false, Ordering::SeqCst);
            });
        }
        assert_eq!(pool.panic_count(), 0);
        drop(pool);
        let log = log.lock().unwrap();
        for key in 0..KEYS {
            assert!(log[&key].iter().copied().eq((key..700).step_by(KEYS)));
        }
    });
}

/// They wait for each other, and so have to run at once.
#[test]
fn jobs_of_different_keys_run_side_by_side() {
    on_each_size(|pool| {
        let threads = pool.num_threads();
        let keyed = pool.keyed::<String>();
        let all_there = Arc::new(Barrier::new(threads));
        let jobs: Vec<_> = (0..threads)
            .map(|n| {
                let there = Arc::clone(&all_there);
                keyed.spawn(&format!("key {n}"), move || {
                    there.wait();
                })
            })
            .collect();
        for job in jobs {
            job.join().unwrap();
        }
    });
}

#[test]
fn a_key_without_jobs_costs_nothing() {
    on_each_size(|pool| {
        let keyed = pool.keyed();
        assert!(keyed.is_empty());
        for n in 0..2000_u32 {
            keyed.spawn(&n, || ()).join().unwrap();
        }
        let busy = Occupied::all(&pool);
        let waiting = keyed.spawn(&5, || 5);
        until(|| keyed.len() == 1);
        busy.release();
        assert_eq!(waiting.join().unwrap(), 5);
        until(|| keyed.is_empty());
    });
}

/// Keys that come and go while others hand over jobs for them.
#[test]
fn no_order_is_lost_when_a_key_goes_and_comes_back() {
    on_each_size(|pool| {
        let keyed = pool.keyed::<u8>();
        let producers: Vec<_> = (0..3)
            .map(|_| {
                let keyed = keyed.clone();
                thread::spawn(move || {
                    // Own counters per producer: its jobs are in its order.
                    let next: Arc<[AtomicUsize; 3]> = Arc::default();
                    for n in 0..500 {
                        for key in 0..3 {
                            let next = Arc::clone(&next);
                            keyed.execute(&(key as u8), move || {
                                assert_eq!(next[key].fetch_add(1, Ordering::SeqCst), n);
                            });
                        }
                        if n % 7 == 0 {
                            thread::yield_now();
                        }
                    }
                    next
                })
            })
            .collect();
        let counters: Vec<_> = producers.into_iter().map(|it| it.join().unwrap()).collect();
        until(|| keyed.is_empty());
        assert_eq!(pool.panic_count(), 0);
        for counter in counters.iter().flat_map(|counters| counters.iter()) {
            assert_eq!(counter.load(Ordering::SeqCst), 500);
        }
    });
}

#[test]
fn waiting_for_ones_own_key_is_an_error_and_for_another_is_not() {
    on_each_size(|pool| {
        let keyed = pool.keyed::<char>();
        let inner = keyed.clone();
        let outer = keyed.spawn(&'a', move || {
            let other = inner.spawn(&'b', || 2).join().unwrap();
            let own = inner.spawn(&'a', || 1).join().unwrap_err();
            assert!(own.is_deadlock(), "{own}");
            other
        });
        assert_eq!(outer.join().unwrap(), 2);
    });
}

#[test]
fn panics_and_cancelled_jobs_do_not_hold_a_key_up() {
    on_each_size(|pool| {
        hush();
        let keyed = pool.keyed::<i32>();
        let busy = Occupied::all(&pool);
        let first = keyed.spawn(&1, || panic!("expected"));
        let second = keyed.spawn(&1, || unreachable!("cancelled"));
        let third = keyed.spawn(&1, || 3);
        assert!(second.cancel());
        busy.release();
        let result: Result<(), _> = first.join();
        assert!(result.unwrap_err().is_panic());
        assert_eq!(third.join().unwrap(), 3);
    });
}

/// A key's hash is the user's code: its panic is the caller's, and leaves all as it
/// was.
#[test]
fn a_hash_that_panics_harms_nobody() {
    struct Odd;
    impl std::hash::Hash for Odd {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {
            panic!("expected");
        }
    }
    watched(|| {
        hush();
        let pool = pool(1);
        let keyed = pool.keyed::<Odd>();
        let drops = Drops::default();
        let token = drops.token();
        let attempt = std::panic::catch_unwind(|| keyed.execute(&Odd, move || drop(token)));
        assert!(attempt.is_err());
        assert_eq!(drops.count(), 1);
        assert!(keyed.is_empty());
    });
}

#[test]
fn what_waits_for_its_key_is_finished_or_thrown_away_with_the_pool() {
    for_each_size(|threads| {
        let pool = pool(threads);
        let keyed = pool.keyed::<i32>();
        let jobs: Vec<_> = (0..30).map(|n| keyed.spawn(&(n % 3), move || n)).collect();
        drop(pool);
        for (n, job) in (0..).zip(jobs) {
            assert_eq!(job.join().unwrap(), n);
        }
        assert!(keyed.spawn(&1, || ()).join().unwrap_err().is_closed());

        let pool = Pool::builder()
            .num_threads(threads)
            .on_reject(drop)
            .build()
            .unwrap();
        let keyed = pool.keyed::<i32>();
        let busy = Occupied::all(&pool);
        let jobs: Vec<_> = (0..30).map(|n| keyed.spawn(&(n % 3), move || n)).collect();
        pool.shutdown_now();
        for job in jobs {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        busy.release();
    });
}
