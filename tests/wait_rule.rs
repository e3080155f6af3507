//! Promise: a wait never runs work it does not depend on, so that a lock held
//! across `join` cannot deadlock through the pool.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use common::{Occupied, on_each_size};
use windlass::{JoinHandle, Spawner};

thread_local! {
    /// Whether this thread is inside a wait.
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Joins, and says so to whatever runs on this thread meanwhile.
fn join_marked<T>(handle: JoinHandle<T>) -> T {
    WAITING.set(true);
    let result = handle.join();
    WAITING.set(false);
    result.unwrap()
}

/// Checklist 55.
#[test]
fn a_waiter_runs_no_strangers_job() {
    on_each_size(|pool| {
        let strangers = Arc::new(AtomicUsize::new(0));
        let intruders = Arc::new(AtomicUsize::new(0));
        let occupied = Occupied::all(&pool);
        let waiters: Vec<_> = (0..100)
            .map(|i| {
                // In front of, behind, and nested beside what is waited for.
                let stranger = |strangers: &Arc<AtomicUsize>, intruders: &Arc<AtomicUsize>| {
                    let (strangers, intruders) = (Arc::clone(strangers), Arc::clone(intruders));
                    move || {
                        strangers.fetch_add(1, Ordering::SeqCst);
                        if WAITING.get() {
                            intruders.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                };
                pool.execute(stranger(&strangers, &intruders));
                let awaited = pool.spawn(move || i);
                let (before, after) = (
                    stranger(&strangers, &intruders),
                    stranger(&strangers, &intruders),
                );
                let waiter = pool.spawn(move || {
                    let spawner = Spawner::current().unwrap();
                    spawner.execute(before);
                    let nested = spawner.spawn(move || i);
                    spawner.execute(after);
                    join_marked(nested) + join_marked(awaited)
                });
                pool.execute(stranger(&strangers, &intruders));
                waiter
            })
            .collect();
        occupied.release();
        for (i, waiter) in waiters.into_iter().enumerate() {
            assert_eq!(waiter.join().unwrap(), 2 * i);
        }
        drop(pool);
        assert_eq!(strangers.load(Ordering::SeqCst), 400);
        assert_eq!(intruders.load(Ordering::SeqCst), 0);
    });
}

/// Checklist 55: on several threads the awaited job is running elsewhere, so
/// that the waiter really waits, with strangers' jobs at hand.
#[test]
fn a_waiter_whose_job_runs_elsewhere_runs_nothing_meanwhile() {
    common::watched(|| {
        let pool = common::pool(2);
        let (there, running) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let awaited = pool.spawn(move || {
            there.send(()).unwrap();
            wait.recv().unwrap();
        });
        running.recv().unwrap();
        let (ran, has_run) = mpsc::channel();
        let waiter = pool.spawn(move || {
            for _ in 0..10 {
                let ran = ran.clone();
                Spawner::current().unwrap().execute(move || {
                    ran.send(thread::current().id()).unwrap();
                });
            }
            join_marked(awaited);
            thread::current().id()
        });
        // Both threads are inside a job: one runs, one waits for it. A broken
        // waiter would use this time to run what it has just spawned; it is a
        // substitute who does.
        let ran_on: Vec<_> = has_run.iter().take(10).collect();
        go.send(()).unwrap();
        let waited_on = waiter.join().unwrap();
        assert!(!ran_on.contains(&waited_on), "the waiter ran a stranger");
    });
}

/// Checklist 55.
#[test]
fn a_lock_held_across_join_does_not_deadlock() {
    on_each_size(|pool| {
        let lock = Arc::new(Mutex::new(0_usize));
        let jobs: Vec<_> = (0..300)
            .map(|_| {
                let lock = Arc::clone(&lock);
                pool.spawn(move || {
                    let mut held = lock.lock().unwrap();
                    // Would take a job that wants the same lock, and hang on
                    // it, if waiting meant helping.
                    let nested = Spawner::current().unwrap().spawn(|| 1);
                    *held += nested.join().unwrap();
                })
            })
            .collect();
        for job in jobs {
            job.join().unwrap();
        }
        assert_eq!(*lock.lock().unwrap(), 300);
    });
}

/// Checklist 55: the same with a lock that is shared by readers, and with what
/// is waited for queued from outside.
#[test]
fn a_read_lock_held_across_join_does_not_deadlock() {
    on_each_size(|pool| {
        let lock = Arc::new(RwLock::new(0_usize));
        let jobs: Vec<_> = (0..200)
            .map(|i| {
                let (reader, writer) = (Arc::clone(&lock), Arc::clone(&lock));
                let outside = pool.spawn(move || i);
                pool.execute(move || *writer.write().unwrap() += 1);
                pool.spawn(move || {
                    let _held = reader.read().unwrap();
                    outside.join().unwrap()
                })
            })
            .collect();
        for (i, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), i);
        }
        drop(pool);
        assert_eq!(*lock.read().unwrap(), 200);
    });
}

/// A thread from outside never runs a job's body, however it asks.
#[test]
fn a_thread_from_outside_runs_nothing() {
    on_each_size(|pool| {
        let here = thread::current().id();
        let occupied = Occupied::all(&pool);
        let (tell, told) = mpsc::channel();
        let handles: Vec<_> = (0..4)
            .map(|_| {
                let tell = tell.clone();
                pool.spawn(move || tell.send(thread::current().id()).unwrap())
            })
            .collect();
        let mut handles = handles.into_iter();
        let mut tried = handles.next().unwrap();
        assert!(tried.try_join().is_none() && !tried.is_finished());
        let timed = handles
            .next()
            .unwrap()
            .join_timeout(Duration::from_millis(1))
            .unwrap_err();
        assert!(told.try_recv().is_err());
        let release = thread::spawn(move || occupied.release());
        timed.join().unwrap();
        handles.next().unwrap().join().unwrap();
        pollster::block_on(handles.next().unwrap()).unwrap();
        pollster::block_on(tried).unwrap();
        release.join().unwrap();
        assert!(told.try_iter().all(|id| id != here));
    });
}

/// The thread of another pool is a thread from outside.
#[test]
fn the_thread_of_another_pool_runs_nothing_either() {
    on_each_size(|pool| {
        let other = common::pool(1);
        let spawner = pool.spawner();
        let ids = other.spawn(move || {
            let ran_on = spawner.spawn(|| thread::current().id()).join().unwrap();
            (thread::current().id(), ran_on)
        });
        let (here, there) = ids.join().unwrap();
        assert_ne!(here, there);
    });
}
