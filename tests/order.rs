//! Promise: on a pool of one thread, jobs from one outside thread start in the
//! order they were spawned; and no job waits for ever, whatever the mix.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use common::{Occupied, on_each_size, watched};
use windlass::{Pool, Spawner};

/// Checklist 59.
#[test]
fn jobs_from_one_outside_thread_start_in_the_order_they_were_spawned() {
    watched(|| {
        const JOBS: usize = 5000;
        let pool = common::pool(1);
        for stuck in [true, false] {
            // With a backlog and without one, so that batches of all sizes occur.
            let occupied = stuck.then(|| Occupied::all(&pool));
            let (send, started) = mpsc::channel();
            for i in 0..JOBS {
                let send = send.clone();
                if i % 2 == 0 {
                    pool.execute(move || send.send(i).unwrap());
                } else {
                    drop(pool.spawn(move || send.send(i).unwrap()));
                }
            }
            drop(send);
            if let Some(occupied) = occupied {
                occupied.release();
            }
            let order: Vec<_> = started.iter().collect();
            assert_eq!(order, (0..JOBS).collect::<Vec<_>>());
        }
    });
}

/// Checklist 59.
#[test]
fn outside_jobs_keep_their_order_beside_nested_ones() {
    watched(|| {
        const JOBS: usize = 2000;
        let pool = common::pool(1);
        let outside = Arc::new(Mutex::new(Vec::new()));
        let (done, finished) = mpsc::channel::<()>();
        for i in 0..JOBS {
            let (outside, done) = (Arc::clone(&outside), done.clone());
            pool.execute(move || {
                outside.lock().unwrap().push(i);
                let spawner = Spawner::current().unwrap();
                for _ in 0..i % 5 {
                    let done = done.clone();
                    let nested = spawner.clone();
                    spawner.execute(move || nested.execute(move || drop(done)));
                }
            });
        }
        drop(done);
        assert!(finished.recv().is_err());
        drop(pool);
        assert_eq!(*outside.lock().unwrap(), (0..JOBS).collect::<Vec<_>>());
    });
}

/// Checklist 59: also if a thread that looks for work finds a cancelled job first, with
/// others behind it.
#[test]
fn outside_jobs_keep_their_order_behind_a_cancelled_one() {
    watched(|| {
        const ROUNDS: usize = 300;
        // More than one batch from the injector has.
        const JOBS: usize = 100;
        let pool = common::pool(1);
        for _ in 0..ROUNDS {
            let (send, started) = mpsc::channel();
            // Most often it is cancelled by the time the thread is awake.
            pool.spawn(|| ()).cancel();
            for i in 0..JOBS {
                let send = send.clone();
                pool.execute(move || send.send(i).unwrap());
            }
            drop(send);
            assert_eq!(started.iter().collect::<Vec<_>>(), Vec::from_iter(0..JOBS));
            // By then it looks for work, or sleeps.
            thread::sleep(std::time::Duration::from_micros(300));
        }
    });
}

/// Checklist 59: each of several outside threads keeps its own order.
#[test]
fn every_outside_threads_order_is_kept() {
    watched(|| {
        const JOBS: usize = 2000;
        let pool = common::pool(1);
        let log = Arc::new(Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for who in 0..3 {
                let (pool, log) = (&pool, &log);
                scope.spawn(move || {
                    for i in 0..JOBS {
                        let log = Arc::clone(log);
                        pool.execute(move || log.lock().unwrap().push((who, i)));
                    }
                });
            }
        });
        drop(pool);
        let log = log.lock().unwrap();
        for who in 0..3 {
            let own = log
                .iter()
                .filter(|entry| entry.0 == who)
                .map(|entry| entry.1);
            assert_eq!(own.collect::<Vec<_>>(), (0..JOBS).collect::<Vec<_>>());
        }
    });
}

/// The newest nested job starts first: its data are still in the cache.
#[test]
fn nested_jobs_start_newest_first() {
    watched(|| {
        const JOBS: usize = 20;
        let pool = common::pool(1);
        let (send, started) = mpsc::channel();
        let parent = pool.spawn(move || {
            let spawner = Spawner::current().unwrap();
            for i in 0..JOBS {
                let send = send.clone();
                spawner.execute(move || send.send(i).unwrap());
            }
        });
        parent.join().unwrap();
        let order: Vec<_> = started.iter().collect();
        // One pick of 61 takes the oldest instead, so one may be out of line.
        let in_line = order
            .windows(2)
            .filter(|pair| pair[0] == pair[1] + 1)
            .count();
        assert!(in_line >= JOBS - 3, "{order:?}");
    });
}

/// Runs again and again until it is told to stop.
fn respawn_until(stop: Arc<AtomicBool>) {
    if !stop.load(Ordering::Relaxed) {
        Spawner::current()
            .unwrap()
            .execute(move || respawn_until(stop));
    }
}

/// A pool each of whose threads has nested jobs that respawn without end.
fn churn(pool: &Pool) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..2 * pool.num_threads() {
        let stop = Arc::clone(&stop);
        pool.execute(move || respawn_until(stop));
    }
    stop
}

/// Checklist 60.
#[test]
fn a_job_from_outside_starts_although_nested_jobs_respawn_for_ever() {
    on_each_size(|pool| {
        let stop = churn(&pool);
        for i in 0..50 {
            // It would hang here, and the watchdog would say so.
            assert_eq!(pool.spawn(move || i).join().unwrap(), i);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Checklist 60.
#[test]
fn the_oldest_nested_job_starts_although_newer_ones_respawn_for_ever() {
    watched(|| {
        let pool = common::pool(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (send, started) = mpsc::channel();
        let flag = Arc::clone(&stop);
        pool.execute(move || {
            let spawner = Spawner::current().unwrap();
            for i in 0..20 {
                let send = send.clone();
                spawner.execute(move || send.send(i).unwrap());
            }
            // On top of those, and again on top each time.
            spawner.execute(move || respawn_until(flag));
        });
        let order: Vec<_> = started.iter().collect();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(order, (0..20).collect::<Vec<_>>());
    });
}

/// Checklist 60: the other way round.
#[test]
fn a_nested_job_starts_although_outside_jobs_come_for_ever() {
    on_each_size(|pool| {
        let stop = Arc::new(AtomicBool::new(false));
        let pool = Arc::new(pool);
        let flooder = {
            let (pool, stop) = (Arc::clone(&pool), Arc::clone(&stop));
            thread::spawn(move || {
                let mut last = pool.spawn(|| ());
                while !stop.load(Ordering::Relaxed) {
                    // Kept within bounds: at most 200 jobs ahead.
                    for _ in 0..199 {
                        pool.execute(|| ());
                    }
                    let next = pool.spawn(|| ());
                    last.join().unwrap();
                    last = next;
                }
            })
        };
        for _ in 0..20 {
            let parent = pool.spawn(|| {
                let (send, receive) = mpsc::channel();
                Spawner::current()
                    .unwrap()
                    .execute(move || send.send(6).unwrap());
                receive
            });
            assert_eq!(parent.join().unwrap().recv().unwrap(), 6);
        }
        stop.store(true, Ordering::Relaxed);
        flooder.join().unwrap();
    });
}

/// On several threads as well every job starts, however long one of them is.
#[test]
fn a_long_job_holds_up_none_that_another_thread_could_run() {
    watched(|| {
        for threads in [2, 8] {
            let pool = common::pool(threads);
            let (go, wait) = mpsc::channel::<()>();
            let (there, running) = mpsc::channel();
            // Its nested jobs lie in its own thread's queue, to be stolen.
            let long = pool.spawn(move || {
                let spawner = Spawner::current().unwrap();
                let nested: Vec<_> = (0..100).map(|i| spawner.spawn(move || i)).collect();
                there.send(nested).unwrap();
                wait.recv().unwrap();
            });
            let nested = running.recv().unwrap();
            let outside: Vec<_> = (0..500).map(|i| pool.spawn(move || i)).collect();
            for (i, job) in nested.into_iter().enumerate() {
                assert_eq!(job.join().unwrap(), i);
            }
            for (i, job) in outside.into_iter().enumerate() {
                assert_eq!(job.join().unwrap(), i);
            }
            assert!(!long.is_finished());
            go.send(()).unwrap();
            long.join().unwrap();
        }
    });
}
