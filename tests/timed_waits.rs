//! Promise: a wait with a time limit ends at it and gives the handle back, at
//! zero and at the largest `Duration` alike.
//!
//! A negative time cannot be written down, as a `Duration` has none; that only
//! monotonic time is read (checklist 41) is held by `tidy.rs`.

mod common;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Occupied, on_each_size};
use windlass::Spawner;

/// More than any clock can count to.
const FOREVER: [Duration; 4] = [
    Duration::MAX,
    Duration::from_secs(u64::MAX),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_secs(i64::MAX as u64 / 2),
];

/// Checklist 40.
#[test]
fn a_wait_of_zero_looks_once() {
    on_each_size(|pool| {
        let (go, wait) = mpsc::channel::<()>();
        let mut handle = pool.spawn(move || wait.recv().is_ok());
        for _ in 0..100 {
            handle = handle.join_timeout(Duration::ZERO).unwrap_err();
        }
        go.send(()).unwrap();
        while !handle.is_finished() {
            thread::yield_now();
        }
        assert!(handle.join_timeout(Duration::ZERO).unwrap().unwrap());
    });
}

/// Checklist 40.
#[test]
fn a_wait_without_end_neither_overflows_nor_returns_early() {
    on_each_size(|pool| {
        for timeout in FOREVER {
            let (go, wait) = mpsc::channel::<()>();
            let handle = pool.spawn(move || wait.recv().is_ok());
            let (entered, waiting) = mpsc::channel();
            let waiter = thread::spawn(move || {
                entered.send(()).unwrap();
                handle.join_timeout(timeout).unwrap().unwrap()
            });
            waiting.recv().unwrap();
            for _ in 0..20 {
                thread::yield_now();
                assert!(!waiter.is_finished());
            }
            go.send(()).unwrap();
            assert!(waiter.join().unwrap());
        }
    });
}

/// Checklist 40.
#[test]
fn a_wait_lasts_at_least_as_long_as_it_was_told_to() {
    on_each_size(|pool| {
        let (go, wait) = mpsc::channel::<()>();
        let handle = pool.spawn(move || wait.recv().is_ok());
        let limit = Duration::from_millis(20);
        let begin = Instant::now();
        let handle = handle.join_timeout(limit).unwrap_err();
        assert!(begin.elapsed() >= limit);
        let begin = Instant::now();
        assert!(pool.shutdown_timeout(limit).is_err());
        assert!(begin.elapsed() >= limit);
        go.send(()).unwrap();
        assert!(handle.join().unwrap());
    });
}

/// Checklist 40.
#[test]
fn a_shutdown_without_end_neither_overflows_nor_returns_early() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        thread::scope(|scope| {
            let waiters: Vec<_> = FOREVER
                .into_iter()
                .map(|timeout| {
                    let pool = &pool;
                    scope.spawn(move || pool.shutdown_timeout(timeout))
                })
                .collect();
            while !pool.is_closed() {
                thread::yield_now();
            }
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
            occupied.release();
            for waiter in waiters {
                waiter.join().unwrap().unwrap();
            }
        });
    });
}

/// A result that is there already is given without a look at the clock.
#[test]
fn a_finished_job_is_given_whatever_the_limit() {
    on_each_size(|pool| {
        for limit in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let handle = pool.spawn(|| 5);
            while !handle.is_finished() {
                thread::yield_now();
            }
            assert_eq!(handle.join_timeout(limit).unwrap().unwrap(), 5);
        }
    });
}

/// A limit can be kept only if the job is not run by its waiter.
#[test]
fn a_timed_wait_inside_a_job_keeps_its_time_and_runs_nothing() {
    on_each_size(|pool| {
        let (go, wait) = mpsc::channel::<()>();
        let pool = Arc::new(pool);
        let owner = Arc::clone(&pool);
        let outer = pool.spawn(move || {
            let here = thread::current().id();
            let inner = Spawner::current().unwrap().spawn(move || {
                wait.recv().unwrap();
                thread::current().id()
            });
            // Nobody lets it end, so it would hang here if it were run here.
            let inner = inner.join_timeout(Duration::from_millis(1)).unwrap_err();
            go.send(()).unwrap();
            (here, inner.join().unwrap(), owner.threads_aboard())
        });
        let (here, ran_on, aboard) = outer.join().unwrap();
        if aboard == 1 {
            // There was nobody else, so it was the untimed wait that ran it.
            assert_eq!(here, ran_on);
        }
    });
}

/// A wait without end has no time to keep, and may run what it waits for.
#[test]
fn a_timed_wait_without_end_inside_a_job_ends() {
    on_each_size(|pool| {
        let outer = pool.spawn(|| {
            let inner = Spawner::current().unwrap().spawn(|| 4);
            inner.join_timeout(Duration::MAX).unwrap().unwrap()
        });
        match outer.join_timeout(Duration::from_secs(120)) {
            Ok(result) => assert_eq!(result.unwrap(), 4),
            Err(_) => {
                // Its threads are stuck, so that it cannot even be dropped.
                std::mem::forget(pool);
                panic!("it hangs");
            }
        }
    });
}
