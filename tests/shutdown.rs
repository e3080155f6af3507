//! Promise: shutting down finishes or throws away what was accepted, refuses
//! what comes later, and always ends.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use common::{Drops, Occupied, for_each_size, on_each_size, until, watched};
use windlass::{JoinError, JoinHandle, Pool, Spawner};

/// Checklist 1.
#[test]
fn a_second_shutdown_of_any_kind_does_nothing() {
    on_each_size(|pool| {
        let job = pool.spawn(|| 7);
        pollster::block_on(pool.shutdown());
        pollster::block_on(pool.shutdown());
        pool.shutdown_now();
        assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
        assert_eq!(pool.shutdown_timeout(Duration::ZERO), Ok(()));
        assert_eq!(job.join().unwrap(), 7);
        drop(pool);
    });
}

/// Checklist 1.
#[test]
fn concurrent_shutdowns_all_end() {
    for_each_size(|threads| {
        for _ in 0..30 {
            let pool = common::pool(threads);
            let ran = Arc::new(AtomicUsize::new(0));
            for _ in 0..50 {
                let ran = Arc::clone(&ran);
                pool.execute(move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                });
            }
            let start = Barrier::new(4);
            thread::scope(|scope| {
                for waiter in 0..4 {
                    let (pool, start, ran) = (&pool, &start, &ran);
                    scope.spawn(move || {
                        start.wait();
                        if waiter % 2 == 0 {
                            pollster::block_on(pool.shutdown());
                        } else {
                            pool.shutdown_timeout(Duration::MAX).unwrap();
                        }
                        assert_eq!(ran.load(Ordering::Relaxed), 50);
                    });
                }
            });
        }
    });
}

/// Checklist 2.
#[test]
fn a_job_that_comes_after_the_shutdown_is_refused_and_dropped_by_its_caller() {
    for_each_size(|threads| {
        let (give, refused) = mpsc::channel();
        let pool = Pool::builder()
            .num_threads(threads)
            .on_reject(move |job| give.send((thread::current().id(), job)).unwrap())
            .build()
            .unwrap();
        let spawner = pool.spawner();
        pollster::block_on(pool.shutdown());
        let here = thread::current().id();

        let drops = Drops::default();
        let tokens = (drops.token(), drops.token());
        let by_pool = pool.spawn(move || drop(tokens.0));
        let by_spawner = spawner.spawn(move || drop(tokens.1));
        assert_eq!(drops.threads(), [here, here]);
        for handle in [by_pool, by_spawner] {
            assert!(handle.is_finished());
            assert!(!handle.cancel(), "it was refused, not cancelled");
            assert!(handle.join().unwrap_err().is_closed());
        }

        let ran = Arc::new(AtomicUsize::new(0));
        let token = drops.token();
        let count = Arc::clone(&ran);
        pool.execute(move || {
            let _token = token;
            count.fetch_add(1, Ordering::Relaxed);
        });
        let (hook_thread, job) = refused.try_recv().unwrap();
        assert_eq!(hook_thread, here);
        assert!(job.is_closed() && !job.is_cancelled());
        assert_eq!(pool.rejected_count(), 1);
        assert_eq!((ran.load(Ordering::Relaxed), drops.count()), (0, 2));
        job.run();
        assert_eq!((ran.load(Ordering::Relaxed), drops.count()), (1, 3));
    });
}

/// Checklist 3.
#[test]
fn a_spawn_that_races_with_the_shutdown_runs_or_says_that_it_did_not() {
    for_each_size(|threads| {
        const JOBS: usize = 60;
        for round in 0..100 {
            let (pool, rejected) = common::pool_that_counts_rejects(threads);
            let ran = Arc::new(AtomicUsize::new(0));
            let executed = Arc::new(AtomicUsize::new(0));
            let spawner = pool.spawner();
            let start = Arc::new(Barrier::new(2));
            let submitter = {
                let (ran, executed, start) =
                    (Arc::clone(&ran), Arc::clone(&executed), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    race_jobs(&spawner, JOBS, &ran, &executed)
                })
            };
            start.wait();
            for _ in 0..round * 20 {
                std::hint::spin_loop();
            }
            if round % 2 == 0 {
                drop(pool);
            } else {
                pool.shutdown_timeout(Duration::MAX).unwrap();
            }
            let mut ok = 0;
            for handle in submitter.join().unwrap() {
                match handle.join() {
                    Ok(()) => ok += 1,
                    Err(error) => assert!(error.is_closed(), "{error}"),
                }
            }
            assert_eq!(ran.load(Ordering::SeqCst), ok);
            let rejected = rejected.load(Ordering::SeqCst);
            assert_eq!(executed.load(Ordering::SeqCst) + rejected, JOBS);
        }
    });
}

/// Hands over `jobs` jobs of either kind; the handles of those that have one.
fn race_jobs(
    spawner: &Spawner,
    jobs: usize,
    ran: &Arc<AtomicUsize>,
    executed: &Arc<AtomicUsize>,
) -> Vec<JoinHandle<()>> {
    (0..jobs)
        .map(|_| {
            let (ran, executed) = (Arc::clone(ran), Arc::clone(executed));
            spawner.execute(move || {
                executed.fetch_add(1, Ordering::SeqCst);
            });
            spawner.spawn(move || {
                ran.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect()
}

/// Checklist 4.
#[test]
fn a_shutdown_finishes_what_was_accepted() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let ran = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..100)
            .map(|i| {
                let ran = Arc::clone(&ran);
                pool.execute(move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                });
                pool.spawn(move || i)
            })
            .collect();
        let shutdown = pool.shutdown();
        assert!(pool.is_closed());
        occupied.release();
        pollster::block_on(shutdown);
        assert_eq!(ran.load(Ordering::Relaxed), 100);
        for (i, job) in jobs.into_iter().enumerate() {
            assert!(job.is_finished());
            assert_eq!(job.join().unwrap(), i);
        }
    });
}

/// Checklist 4.
#[test]
fn shutdown_now_cancels_the_backlog_and_lets_running_jobs_finish() {
    for_each_size(|threads| {
        let (give, refused) = mpsc::channel();
        let pool = Pool::builder()
            .num_threads(threads)
            .on_reject(move |job| {
                let _ = give.send((thread::current().id(), job.is_cancelled()));
            })
            .build()
            .unwrap();
        let occupied = Occupied::all(&pool);
        let drops = Drops::default();
        let jobs: Vec<_> = (0..100)
            .map(|_| {
                let (token, other) = (drops.token(), drops.token());
                pool.execute(move || {
                    let _other = other;
                    unreachable!("it was thrown away");
                });
                pool.spawn(move || {
                    let _token = token;
                    unreachable!("it was cancelled");
                })
            })
            .collect();
        pool.shutdown_now();
        // All threads are stuck, so it can only have happened here.
        let here = thread::current().id();
        assert_eq!(drops.threads(), vec![here; 200]);
        assert_eq!(pool.rejected_count(), 100);
        assert_eq!(
            refused.try_iter().collect::<Vec<_>>(),
            vec![(here, true); 100]
        );
        for job in jobs {
            assert!(job.is_finished());
            assert!(job.cancel(), "it never will run");
            assert!(job.join().unwrap_err().is_cancelled());
        }
        occupied.release();
        drop(pool);
    });
}

/// Checklist 4.
#[test]
fn what_a_running_job_spawns_after_shutdown_now_does_not_start() {
    on_each_size(|pool| {
        let (closed, wait) = mpsc::channel::<()>();
        let (there, running) = mpsc::channel();
        let parent = pool.spawn(move || {
            there.send(()).unwrap();
            wait.recv().unwrap();
            let spawner = Spawner::current().unwrap();
            spawner.execute(|| unreachable!("refused"));
            // Not even by who waits for it.
            let joined = spawner.spawn(|| unreachable!("refused")).join();
            let error: JoinError = Result::<(), _>::unwrap_err(joined);
            assert!(error.is_closed());
            spawner.spawn(|| unreachable!("refused"))
        });
        running.recv().unwrap();
        pool.shutdown_now();
        closed.send(()).unwrap();
        let child: JoinHandle<()> = parent.join().unwrap();
        pool.shutdown_timeout(Duration::MAX).unwrap();
        assert!(child.is_finished());
        assert!(child.join().unwrap_err().is_closed());
        assert_eq!(pool.rejected_count(), 1);
    });
}

/// Checklist 5.
#[test]
fn a_bounded_shutdown_gives_up_and_names_the_threads_at_work() {
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .thread_name(|index| format!("hauler {index}"))
            .build()
            .unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let (there, running) = mpsc::channel();
        let job = pool.spawn(move || {
            let name = thread::current().name().map(str::to_owned);
            there.send(name.unwrap()).unwrap();
            wait.recv()
        });
        let busy = running.recv().unwrap();
        // A thread that was just woken for nothing counts as at work until it
        // sleeps again.
        for limit in [Duration::ZERO, Duration::from_millis(2)] {
            until(|| {
                let still = pool.shutdown_timeout(limit).unwrap_err();
                assert!(still.to_string().contains(&busy), "{still}");
                still.threads() == [busy.clone()]
            });
        }
        assert!(!job.is_finished());
        go.send(()).unwrap();
        pool.shutdown_timeout(Duration::MAX).unwrap();
        assert_eq!(job.join().unwrap(), Ok(()));
    });
}

/// Checklist 6.
#[test]
fn a_shutdown_inside_a_job_does_not_wait_for_itself() {
    on_each_size(|pool| {
        let pool = Arc::new(pool);
        let inner = Arc::clone(&pool);
        let (kept, keep) = mpsc::channel();
        let job = pool.spawn(move || {
            let me = thread::current().name().unwrap().to_owned();
            drop(inner.shutdown());
            inner.shutdown_now();
            let still = inner.shutdown_timeout(Duration::MAX).unwrap_err();
            // The pool is to end on the other thread, not here.
            kept.send(inner).unwrap();
            still.threads().contains(&me)
        });
        assert!(job.join().unwrap(), "the job's own thread still runs");
        drop(keep.recv().unwrap());
        pool.shutdown_timeout(Duration::MAX).unwrap();
    });
}

/// Checklist 11.
#[test]
fn what_running_jobs_spawn_during_the_shutdown_is_finished_too() {
    on_each_size(|pool| {
        const DEPTH: usize = 40;
        fn go_on(left: usize, ran: &Arc<AtomicUsize>) {
            ran.fetch_add(1, Ordering::Relaxed);
            if left > 0 {
                let ran = Arc::clone(ran);
                Spawner::current()
                    .unwrap()
                    .execute(move || go_on(left - 1, &ran));
            }
        }
        let ran = Arc::new(AtomicUsize::new(0));
        let (closed, wait) = mpsc::channel::<()>();
        let count = Arc::clone(&ran);
        let parent = pool.spawn(move || {
            wait.recv().unwrap();
            let spawner = Spawner::current().unwrap();
            assert!(spawner.is_closed());
            for _ in 0..10 {
                let count = Arc::clone(&count);
                spawner.execute(move || go_on(DEPTH, &count));
            }
            spawner.spawn(|| "nested").join()
        });
        let shutdown = pool.shutdown();
        closed.send(()).unwrap();
        pollster::block_on(shutdown);
        assert_eq!(ran.load(Ordering::Relaxed), 10 * (DEPTH + 1));
        assert_eq!(parent.join().unwrap().unwrap(), "nested");
    });
}

/// Checklist 13.
#[test]
fn once_closed_a_pool_stays_closed() {
    on_each_size(|pool| {
        let spawner = pool.spawner();
        assert!(!pool.is_closed() && !spawner.is_closed());
        let occupied = Occupied::all(&pool);
        drop(pool.shutdown());
        assert!(pool.is_closed() && spawner.is_closed());
        occupied.release();
        assert!(pool.is_closed() && spawner.is_closed());
        pool.shutdown_timeout(Duration::MAX).unwrap();
        assert!(pool.is_closed() && spawner.is_closed());
        drop(pool);
        assert!(spawner.is_closed());
    });
}

/// Checklist 1.
#[test]
fn dropping_the_shutdown_future_leaves_the_pool_closing() {
    on_each_size(|pool| {
        let job = pool.spawn(|| 3);
        drop(pool.shutdown());
        assert!(pool.spawn(|| ()).join().unwrap_err().is_closed());
        assert_eq!(job.join().unwrap(), 3);
        drop(pool);
    });
}

/// Checklist 2.
#[test]
fn a_refusal_names_its_reason_and_carries_no_panic() {
    watched(|| {
        let pool = common::pool(1);
        drop(pool.shutdown());
        let error: JoinError = pool.spawn(|| ()).join().unwrap_err();
        assert!(!error.is_panic() && !error.is_cancelled());
        assert!(error.to_string().contains("closed"), "{error}");
        let error = error.try_into_panic().unwrap_err();
        assert!(error.is_closed());
    });
}
