//! Promise: a scope keeps to the wait rule, and whatever becomes of its pool, its jobs run.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use common::gate::Gate;
use common::{Occupied, on_each_size, pool, watched};
use windlass::{Pool, Spawner, WhenFull};

thread_local! {
    /// Whether this thread is inside the wait of a scope.
    static WAITING: Cell<bool> = const { Cell::new(false) };
}

/// Checklist 55.
#[test]
fn a_scope_runs_no_strangers_job_while_it_waits() {
    on_each_size(|pool| {
        let (strangers, intruders) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stranger = {
            let (strangers, intruders) = (Arc::clone(&strangers), Arc::clone(&intruders));
            move || {
                strangers.fetch_add(1, Ordering::SeqCst);
                if WAITING.get() {
                    intruders.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let occupied = Occupied::all(&pool);
        let jobs: Vec<_> = (0..50)
            .map(|_| {
                pool.execute(stranger.clone());
                let stranger = stranger.clone();
                pool.spawn(move || {
                    let spawner = Spawner::current().unwrap();
                    let mut ran = [false; 8];
                    spawner.execute(stranger.clone());
                    spawner.scope(|s| {
                        for ran in &mut ran {
                            let spawner = &spawner;
                            let stranger = stranger.clone();
                            s.spawn(move || {
                                spawner.execute(stranger);
                                *ran = true;
                            });
                        }
                        WAITING.set(true);
                    });
                    WAITING.set(false);
                    assert_eq!(ran, [true; 8]);
                })
            })
            .collect();
        occupied.release();
        jobs.into_iter().for_each(|job| job.join().unwrap());
        drop(pool);
        assert_eq!(strangers.load(Ordering::SeqCst), 50 * 10);
        assert_eq!(intruders.load(Ordering::SeqCst), 0);
    });
}

/// Checklist 55: strangers that want the same lock are in the queue, and are spawned by
/// the scope's own jobs.
#[test]
fn a_lock_held_across_a_scope_does_not_deadlock() {
    on_each_size(|pool| {
        let lock = Arc::new(Mutex::new(0_usize));
        let shared = Arc::new(RwLock::new(0_usize));
        let jobs: Vec<_> = (0..200)
            .map(|_| {
                let (lock, shared) = (Arc::clone(&lock), Arc::clone(&shared));
                let writer = Arc::clone(&shared);
                pool.execute(move || *writer.write().unwrap() += 1);
                pool.spawn(move || {
                    let spawner = Spawner::current().unwrap();
                    let mut held = lock.lock().unwrap();
                    let read = shared.read().unwrap();
                    let sum: usize = spawner.scope(|s| {
                        let (writer, spawner) = (&shared, &spawner);
                        let jobs: Vec<_> = (0..4)
                            .map(|n| {
                                s.spawn(move || {
                                    let writer = Arc::clone(writer);
                                    spawner.execute(move || *writer.write().unwrap() += 1);
                                    n
                                })
                            })
                            .collect();
                        jobs.into_iter().map(|job| job.join().unwrap()).sum()
                    });
                    *held += sum;
                    drop(read);
                })
            })
            .collect();
        jobs.into_iter().for_each(|job| job.join().unwrap());
        drop(pool);
        assert_eq!(*lock.lock().unwrap(), 200 * 6);
        assert_eq!(*shared.read().unwrap(), 200 * 5);
    });
}

#[test]
fn who_waits_from_outside_runs_nothing() {
    on_each_size(|pool| {
        let here = thread::current().id();
        let ran = AtomicUsize::new(0);
        pool.scope(|s| {
            for _ in 0..100 {
                s.spawn(|| {
                    assert_ne!(thread::current().id(), here);
                    ran.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(ran.into_inner(), 100);
    });
}

/// Two jobs that wait for each other can only end on two threads.
#[test]
fn a_scopes_jobs_run_at_once_if_threads_are_free() {
    watched(|| {
        let pool = pool(4);
        let arrived = AtomicUsize::new(0);
        pool.scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    arrived.fetch_add(1, Ordering::Relaxed);
                    common::until(|| arrived.load(Ordering::Relaxed) == 4);
                });
            }
        });
    });
}

#[test]
fn on_a_closed_pool_all_runs_on_the_caller() {
    on_each_size(|pool| {
        let here = thread::current().id();
        pollster::block_on(pool.shutdown());
        let ran = AtomicUsize::new(0);
        let text = String::from("borrowed");
        let len = pool.scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    assert_eq!(thread::current().id(), here);
                    s.spawn(|| ran.fetch_add(1, Ordering::Relaxed));
                });
            }
            s.spawn(|| text.len()).join().unwrap()
        });
        assert_eq!((len, ran.into_inner()), (8, 10));
    });
}

/// The backlog is thrown away while jobs of scopes wait in it, and more come.
#[test]
fn a_backlog_that_is_thrown_away_does_not_hold_a_scopes_jobs() {
    on_each_size(|pool| {
        let here = thread::current().id();
        let begun = Arc::new(AtomicUsize::new(0));
        let go = Arc::new(AtomicBool::new(false));
        let jobs: Vec<_> = (0..pool.num_threads())
            .map(|_| {
                let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
                pool.spawn(move || {
                    let ran = AtomicUsize::new(0);
                    let run = || {
                        assert_ne!(
                            thread::current().id(),
                            here,
                            "whoever shuts down runs nothing"
                        );
                        ran.fetch_add(1, Ordering::Relaxed);
                    };
                    Spawner::current().unwrap().scope(|s| {
                        for _ in 0..50 {
                            s.spawn(run);
                        }
                        begun.fetch_add(1, Ordering::SeqCst);
                        // Not a wait that the pool sees.
                        common::until(|| go.load(Ordering::SeqCst));
                        for _ in 0..50 {
                            s.spawn(run);
                        }
                    });
                    ran.into_inner()
                })
            })
            .collect();
        common::until(|| begun.load(Ordering::SeqCst) == jobs.len());
        pool.shutdown_now();
        go.store(true, Ordering::SeqCst);
        for job in jobs {
            assert_eq!(job.join().unwrap(), 100);
        }
    });
}

#[test]
fn it_does_not_hold_those_of_a_scope_from_outside_either() {
    on_each_size(|pool| {
        let here = thread::current().id();
        let (ran, strangers) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let occupied = Occupied::all(&pool);
        let spawned = Gate::default();
        thread::scope(|threads| {
            threads.spawn(|| {
                pool.scope(|s| {
                    for _ in 0..100 {
                        s.spawn(|| {
                            assert_ne!(thread::current().id(), here);
                            ran.fetch_add(1, Ordering::Relaxed);
                        });
                        let strangers = Arc::clone(&strangers);
                        pool.execute(move || {
                            strangers.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                    spawned.open();
                });
            });
            spawned.wait();
            pool.shutdown_now();
            occupied.release();
        });
        assert_eq!(ran.into_inner(), 100);
        drop(pool);
        assert_eq!(strangers.load(Ordering::Relaxed), 0);
    });
}

/// Jobs of a scope are not counted: they are let in although the queue is full, throw
/// nobody out, and are not thrown out themselves.
#[test]
fn a_bounded_queue_does_not_count_them() {
    for when_full in [WhenFull::RejectNewest, WhenFull::DropOldest] {
        common::for_each_size(move |threads| {
            let pool = Pool::builder()
                .num_threads(threads)
                .queue_capacity(1)
                .when_full(when_full)
                .build()
                .unwrap();
            let occupied = Occupied::all(&pool);
            let one = pool.spawn(|| 1);
            let ran = AtomicUsize::new(0);
            let spawned = Gate::default();
            thread::scope(|threads| {
                threads.spawn(|| {
                    pool.scope(|s| {
                        for _ in 0..20 {
                            s.spawn(|| ran.fetch_add(1, Ordering::Relaxed));
                        }
                        spawned.open();
                    });
                });
                spawned.wait();
                // Whoever is thrown out now, it is none of the scope's.
                drop(pool.spawn(|| 2));
                occupied.release();
            });
            assert_eq!(ran.into_inner(), 20);
            match when_full {
                WhenFull::DropOldest => assert!(one.join().unwrap_err().is_rejected()),
                _ => assert_eq!(one.join().unwrap(), 1),
            }
            // And no place was lost or made.
            let inside = pool.spawn(|| {
                let pool = Spawner::current().unwrap();
                pool.scope(|s| s.spawn(|| 3).join().unwrap())
            });
            assert_eq!(inside.join().unwrap(), 3);
        });
    }
}

#[test]
fn a_scopes_jobs_hear_that_their_job_is_to_stop() {
    on_each_size(|pool| {
        let begun = Gate::default();
        let job = {
            let begun = begun.clone();
            pool.spawn(move || {
                Spawner::current().unwrap().scope(|s| {
                    for _ in 0..2 {
                        s.spawn(|| {
                            begun.open();
                            common::until(windlass::is_cancelled);
                            // And what they spawn.
                            s.spawn(|| assert!(windlass::is_cancelled()));
                        });
                    }
                });
                windlass::is_cancelled()
            })
        };
        begun.wait();
        assert!(!job.cancel(), "it runs");
        assert!(job.join().unwrap());
        // Of a scope from outside nothing is to stop.
        assert!(!pool.scope(|s| s.spawn(windlass::is_cancelled).join().unwrap()));
    });
}

/// The last pool handle is dropped while a scope of a spawner's is under way.
#[test]
fn the_end_of_the_pool_meets_a_scope() {
    on_each_size(|pool| {
        let spawner = pool.spawner();
        let ran = Arc::new(AtomicUsize::new(0));
        let (begun, count) = (Gate::default(), Arc::clone(&ran));
        let there = begun.clone();
        let scope = thread::spawn(move || {
            spawner.scope(|s| {
                for n in 0..20_000 {
                    s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                    if n == 100 {
                        there.open();
                    }
                }
            });
        });
        begun.wait();
        drop(pool);
        scope.join().unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), 20_000);
    });
}

/// The same, again and again, where the last job comes in as the last thread leaves.
#[test]
fn a_scope_that_races_with_the_end_of_its_pool_ends() {
    watched(|| {
        for round in 0..500 {
            let pool = pool(1 + round % 2);
            let spawner = pool.spawner();
            let scope = thread::spawn(move || {
                let mut ran = [0; 6];
                spawner.scope(|s| {
                    for ran in &mut ran {
                        s.spawn(|| *ran += 1);
                    }
                });
                ran
            });
            if round % 3 == 0 {
                pool.shutdown_now();
            }
            drop(pool);
            assert_eq!(scope.join().unwrap(), [1; 6]);
        }
    });
}
