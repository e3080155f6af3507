//! A wait in a join runs nothing but parts of what it waits for, so that a lock held
//! across one cannot deadlock: the shapes of rayon's issue 592, in which a thread that
//! waits takes up an unrelated job, and that one wants the lock.

mod common;

use std::cell::Cell;
use std::sync::{Arc, Mutex, RwLock};

use common::{on_each_size, watched};
use windlass::{Pool, join};

/// Enough joins for halves to be stolen, and waited for.
fn work(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = join(|| work(n - 1), || work(n - 2));
    a + b
}

/// Many jobs, each of which does `locked` often.
fn in_many_jobs(pool: &Pool, locked: impl Fn() + Send + Sync + 'static) {
    let locked = Arc::new(locked);
    let jobs: Vec<_> = (0..64)
        .map(|_| {
            let locked = Arc::clone(&locked);
            pool.spawn(move || {
                for _ in 0..20 {
                    locked();
                }
            })
        })
        .collect();
    for job in jobs {
        job.join().unwrap();
    }
}

#[test]
fn a_mutex_held_across_a_join() {
    on_each_size(|pool| {
        let lock = Mutex::new(0);
        in_many_jobs(&pool, move || {
            let mut count = lock.lock().unwrap();
            assert_eq!(work(10), 55);
            *count += 1;
        });
    });
}

#[test]
fn a_read_lock_held_across_a_join_beside_writers() {
    on_each_size(|pool| {
        let lock = RwLock::new(0_u64);
        in_many_jobs(&pool, move || {
            assert_eq!(work(9), 34);
            let count = lock.read().unwrap();
            let (sum, _) = join(|| work(9), || *count);
            drop(count);
            *lock.write().unwrap() += sum;
        });
    });
}

/// The lock is taken in the first half and in the second, and held across joins of
/// their own.
#[test]
fn a_mutex_that_both_halves_want() {
    on_each_size(|pool| {
        let lock = Mutex::new(0);
        in_many_jobs(&pool, move || {
            let locked = || {
                let mut count = lock.lock().unwrap();
                let sum = work(8);
                *count += 1;
                sum
            };
            assert_eq!(join(locked, locked), (21, 21));
        });
    });
}

/// A value that is made once, by joins: who comes second waits for who came first.
#[test]
fn a_value_that_is_made_once_by_joins() {
    on_each_size(|pool| {
        for _ in 0..20 {
            let once = std::sync::OnceLock::new();
            in_many_jobs(&pool, move || {
                assert_eq!(*once.get_or_init(|| work(12)), 144);
            });
        }
    });
}

/// What a thread keeps for the job that it is in is not seen by another job.
#[test]
fn a_thread_local_that_is_in_use_across_a_join() {
    thread_local! {
        static IN_USE: Cell<bool> = const { Cell::new(false) };
    }
    on_each_size(|pool| {
        in_many_jobs(&pool, || {
            assert!(!IN_USE.replace(true), "another job runs in this one's wait");
            assert_eq!(work(10), 55);
            IN_USE.set(false);
        });
    });
}

/// Two pools, each waiting for the other with a lock held.
#[test]
fn a_mutex_held_across_a_join_of_another_pool() {
    watched(|| {
        let (one, other) = (common::pool(1), common::pool(2));
        let lock = Arc::new(Mutex::new(0));
        let spawner = other.spawner();
        in_many_jobs(&one, move || {
            let mut count = lock.lock().unwrap();
            let (a, b) = spawner.join(|| work(8), || work(9));
            *count += a + b;
        });
        drop(other);
    });
}
