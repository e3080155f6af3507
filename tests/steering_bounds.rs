//! Promise: a pool with a bound on its queue has no more jobs waiting than that,
//! whoever hands them over; what does not fit comes back, is rejected, or is let in
//! for the oldest, and says so.

mod common;

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use common::{Drops, Occupied, for_each_size, until, watched};
use windlass::{BuildError, JobSet, JoinHandle, Parent, Pool, RejectedJob, Spawner, WhenFull};

/// A pool with a bound, and what its `on_reject` is given.
fn bounded(
    threads: usize,
    capacity: usize,
    when_full: WhenFull,
) -> (Pool, mpsc::Receiver<RejectedJob>) {
    let (give, rejected) = mpsc::channel();
    let pool = Pool::builder()
        .num_threads(threads)
        .queue_capacity(capacity)
        .when_full(when_full)
        .on_reject(move |job| give.send(job).unwrap())
        .build()
        .unwrap();
    (pool, rejected)
}

/// Runs `body` while all threads are stuck, once on a thread outside and once in
/// a job; what it gives is to hold when they go on.
fn while_stuck<A: FnOnce() + Send + 'static>(
    pool: &Pool,
    body: impl Fn(&Spawner) -> A + Send + Sync + 'static,
) {
    let occupied = Occupied::all(pool);
    let after = body(&pool.spawner());
    occupied.release();
    after();

    let all_there = Arc::new(Barrier::new(pool.num_threads()));
    let mut release = Vec::new();
    for _ in 1..pool.num_threads() {
        let (sender, receiver) = mpsc::channel::<()>();
        let there = Arc::clone(&all_there);
        let job = pool.spawn_async(move || {
            there.wait();
            let _ = receiver.recv();
        });
        drop(job.wait());
        release.push(sender);
    }
    let spawner = pool.spawner();
    let inside = pool.spawn_async(move || {
        all_there.wait();
        body(&spawner)
    });
    let after = inside.wait().join().unwrap();
    drop(release);
    after();
}

/// Whether exactly `capacity` jobs fit into the queue of a pool that has nothing
/// to do.
fn assert_has_room_for(pool: &Pool, capacity: usize) {
    let occupied = Occupied::all(pool);
    let jobs: Vec<_> = (0..capacity)
        .map(|_| pool.try_spawn(|| ()).unwrap())
        .collect();
    assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
    occupied.release();
    jobs.into_iter().for_each(|job| job.join().unwrap());
}

#[test]
fn a_bound_of_zero_is_an_error_that_names_the_value() {
    let error = Pool::builder().queue_capacity(0).build().unwrap_err();
    assert!(matches!(error, BuildError::QueueCapacity { value: 0 }));
    assert!(error.to_string().contains("queue_capacity(0)"), "{error}");
}

/// 62: and each job that was let in runs.
#[test]
fn no_more_jobs_wait_than_may() {
    for_each_size(|threads| {
        for capacity in [1, 3, 100] {
            let (pool, _) = bounded(threads, capacity, WhenFull::default());
            assert_eq!(pool.queue_capacity(), Some(capacity));
            assert_eq!(pool.spawner().queue_capacity(), Some(capacity));
            while_stuck(&pool, move |spawner| {
                let jobs: Vec<_> = (0..capacity)
                    .map(|n| spawner.try_spawn(move || n).unwrap())
                    .collect();
                let error = spawner.try_execute(|| ()).unwrap_err();
                assert!(error.is_full() && !error.is_closed());
                assert!(error.to_string().contains(&capacity.to_string()), "{error}");
                move || {
                    for (n, job) in jobs.into_iter().enumerate() {
                        assert_eq!(job.join().unwrap(), n);
                    }
                }
            });
            assert_has_room_for(&pool, capacity);
        }
    });
}

/// 62: with many who hand jobs over at once, from outside and in jobs, and cancel
/// some of them.
#[test]
fn the_bound_holds_when_many_hand_jobs_over() {
    for_each_size(|threads| {
        for capacity in [1, 7] {
            let (pool, _) = bounded(threads, capacity, WhenFull::default());
            // Let in and not started, as far as each side has got with counting: a
            // thread may have taken a job and not counted it.
            let waiting = Arc::new(AtomicIsize::new(0));
            let most = isize::try_from(capacity + threads).unwrap();
            let hand_over = move |spawner: &Spawner, waiting: &Arc<AtomicIsize>, n: usize| {
                let started = Arc::clone(waiting);
                if n.is_multiple_of(3) {
                    // Cancelled or not, it does not count below.
                    drop(spawner.try_spawn(|| ()).map(JoinHandle::cancel_on_drop));
                    return false;
                }
                let let_in = spawner.try_execute(move || {
                    started.fetch_sub(1, Ordering::SeqCst);
                });
                if let_in.is_ok() {
                    let now = waiting.fetch_add(1, Ordering::SeqCst) + 1;
                    assert!(now <= most, "{now} wait");
                }
                let_in.is_ok()
            };
            let let_in = Arc::new(AtomicUsize::new(0));
            thread::scope(|scope| {
                for inside in [false, true, false, true] {
                    let (spawner, waiting) = (pool.spawner(), Arc::clone(&waiting));
                    let let_in = Arc::clone(&let_in);
                    let run = move || {
                        let count = (0..3000).filter(|&n| hand_over(&spawner, &waiting, n));
                        let_in.fetch_add(count.count(), Ordering::SeqCst);
                    };
                    if inside {
                        let job = pool.spawn_async(run).wait();
                        scope.spawn(|| job.join().unwrap());
                    } else {
                        scope.spawn(run);
                    }
                }
            });
            until(|| waiting.load(Ordering::SeqCst) == 0);
            assert!(let_in.load(Ordering::SeqCst) > 0);
            assert_has_room_for(&pool, capacity);
        }
    });
}

#[test]
fn what_does_not_fit_comes_back_as_it_was() {
    for_each_size(|threads| {
        let (pool, rejected) = bounded(threads, 1, WhenFull::DropOldest);
        let drops = Drops::default();
        let occupied = Occupied::all(&pool);
        let first = pool.spawn(|| "not thrown out");
        let token = drops.token();
        let spawn = pool.try_spawn(move || drop(token)).unwrap_err();
        let token = drops.token();
        let execute = pool.try_execute(move || drop(token)).unwrap_err();
        assert!(spawn.is_full() && execute.is_full());
        assert_eq!(drops.count(), 0);
        spawn.into_inner()();
        assert_eq!(drops.count(), 1);
        drop(execute);
        assert_eq!(drops.count(), 2);
        occupied.release();
        assert_eq!(first.join().unwrap(), "not thrown out");

        pool.shutdown_timeout(Duration::MAX).unwrap();
        let token = drops.token();
        let error = pool.try_execute(move || drop(token)).unwrap_err();
        assert!(error.is_closed() && !error.is_full());
        assert!(error.to_string().contains("closed"), "{error}");
        assert_eq!(drops.count(), 2);
        drop(error.into_inner());
        assert!(pool.try_spawn(|| ()).unwrap_err().is_closed());
        assert!(rejected.try_recv().is_err(), "what comes back is not told");
    });
}

/// 62: the default. Its caller drops the closure, or the hook is given it.
#[test]
fn a_full_queue_rejects_the_newest() {
    for_each_size(|threads| {
        let (pool, rejected) = bounded(threads, 2, WhenFull::RejectNewest);
        let rejected = std::sync::Mutex::new(rejected);
        while_stuck(&pool, move |spawner| {
            let (drops, here) = (Drops::default(), thread::current().id());
            let kept = [spawner.spawn(|| 1), spawner.spawn(|| 2)];
            let token = drops.token();
            let error = spawner.spawn(move || drop(token)).join().unwrap_err();
            assert!(error.is_rejected() && !error.is_closed() && !error.is_cancelled());
            assert!(error.to_string().contains("no room"), "{error}");
            assert_eq!(drops.threads(), [here]);

            let token = drops.token();
            spawner.execute(move || drop(token));
            let job = rejected.lock().unwrap().try_recv().expect("the hook ran");
            assert!(job.is_rejected() && !job.is_closed() && !job.is_cancelled());
            assert!(job.to_string().contains("no room"), "{job}");
            assert_eq!(drops.count(), 1);
            job.run();
            assert_eq!(drops.threads(), [here, here]);

            let late = spawner.job().timeout(Duration::MAX).spawn(|| ());
            assert!(late.join().unwrap_err().is_rejected());
            let mut set = JobSet::new(spawner);
            set.spawn(|| ());
            assert!(set.join_next().unwrap().unwrap_err().is_rejected());
            move || {
                let sum: i32 = kept.into_iter().map(|job| job.join().unwrap()).sum();
                assert_eq!(sum, 3);
            }
        });
        assert_eq!(pool.rejected_count(), 2);
    });
}

/// 62: the other policy. The victims are the oldest, and their captures go on the
/// newcomer's thread.
#[test]
fn a_full_queue_drops_the_oldest() {
    for_each_size(|threads| {
        let (pool, rejected) = bounded(threads, 3, WhenFull::DropOldest);
        let rejected = std::sync::Mutex::new(rejected);
        while_stuck(&pool, move |spawner| {
            let (drops, here) = (Drops::default(), thread::current().id());
            let jobs: Vec<_> = (0..9)
                .map(|n| {
                    let token = drops.token();
                    spawner.spawn(move || {
                        drop(token);
                        n
                    })
                })
                .collect();
            assert_eq!(drops.threads(), [here; 6]);
            assert!(spawner.try_spawn(|| ()).unwrap_err().is_full());
            for job in &jobs[..6] {
                assert!(job.is_finished());
            }
            // A job without a handle goes to the hook, where it can still be run.
            let token = drops.token();
            spawner.execute(move || drop(token));
            assert_eq!(drops.count(), 7);
            let last: Vec<_> = (0..3)
                .map(|n| {
                    assert!(rejected.lock().unwrap().try_recv().is_err());
                    spawner.job().deadline(Duration::MAX).spawn(move || n)
                })
                .collect();
            assert_eq!(drops.count(), 9);
            let job = rejected.lock().unwrap().try_recv().expect("the hook ran");
            assert!(job.is_rejected());
            job.run();
            assert_eq!(drops.threads(), [here; 10]);
            move || {
                for job in jobs {
                    assert!(job.join().unwrap_err().is_rejected());
                }
                for (n, job) in last.into_iter().enumerate() {
                    assert_eq!(job.join().unwrap(), n);
                }
            }
        });
        assert_has_room_for(&pool, 3);
    });
}

/// Turns of workers and views are nobody's victims, and take nobody's place.
#[test]
fn workers_and_views_and_calls_have_no_part_in_it() {
    for_each_size(|threads| {
        for when_full in [WhenFull::RejectNewest, WhenFull::DropOldest] {
            let (pool, rejected) = bounded(threads, 2, when_full);
            let worker = Arc::new(pool.worker(|n: u32, parent: &Parent<u32>| {
                parent.post(n).unwrap();
            }));
            let (posting, view) = (Arc::clone(&worker), pool.limit(1));
            while_stuck(&pool, move |spawner| {
                posting.post(1).unwrap();
                let viewed: Vec<_> = (0..10).map(|n| view.spawn(move || n)).collect();
                let calls = spawner.on_each_thread(|index| index);
                assert!(spawner.on_each_thread(|_| ())[0].cancel());
                let jobs: Vec<_> = (0..20).map(|_| spawner.spawn(|| ())).collect();
                assert!(spawner.try_execute(|| ()).unwrap_err().is_full());
                move || {
                    for (n, job) in viewed.into_iter().enumerate() {
                        assert_eq!(job.join().unwrap(), n);
                    }
                    for (n, call) in calls.into_iter().enumerate() {
                        assert_eq!(call.join().unwrap(), n);
                    }
                    let ran = jobs.into_iter().filter_map(|job| job.join().ok());
                    assert_eq!(ran.count(), 2);
                }
            });
            assert_eq!((worker.recv().unwrap(), worker.recv().unwrap()), (1, 1));
            assert_has_room_for(&pool, 2);
            assert!(rejected.try_recv().is_err());
        }
    });
}

/// By whatever way it is cancelled, or if it is run by who waits for it.
#[test]
fn a_cancelled_job_frees_its_place_at_once() {
    for_each_size(|threads| {
        let (pool, _) = bounded(threads, 20, WhenFull::RejectNewest);
        while_stuck(&pool, |spawner| {
            let token = windlass::CancelToken::new();
            let others: Vec<_> = (0..19).map(|_| spawner.spawn(|| ())).collect();
            let ways: [&dyn Fn(JoinHandle<()>); 5] = [
                &|job| assert!(job.cancel()),
                &|job| assert!(job.cancel_handle().cancel()),
                &|job| drop(job.cancel_on_drop()),
                &|_| token.cancel(),
                // In a job it is run here; a thread outside would wait for ever.
                &|job| match windlass::current_thread_index() {
                    Some(_) => job.join().unwrap(),
                    None => assert!(job.cancel()),
                },
            ];
            for way in ways {
                let job = match token.is_cancelled() {
                    false => spawner.job().cancel_with(&token).spawn(|| ()),
                    true => spawner.spawn(|| ()),
                };
                assert!(!job.is_finished());
                assert!(spawner.try_spawn(|| ()).unwrap_err().is_full());
                way(job);
                let next = spawner.try_spawn(|| ()).unwrap();
                assert!(spawner.try_spawn(|| ()).unwrap_err().is_full());
                assert!(next.cancel());
            }
            || others.into_iter().for_each(|job| job.join().unwrap())
        });
        assert_has_room_for(&pool, 20);
    });
}

/// What is left of cancelled jobs in the queues of a stuck pool is bounded too.
#[test]
fn cancelled_jobs_cannot_fill_the_memory() {
    for_each_size(|threads| {
        let capacity = 10;
        let (pool, _) = bounded(threads, capacity, WhenFull::RejectNewest);
        for call in pool.on_each_thread(|_| ()) {
            call.join().unwrap(); // that does not count, here neither
        }
        let occupied = Occupied::all(&pool);
        let spawned = (0..1000).map_while(|_| pool.try_spawn(|| ()).ok());
        let cancelled = spawned.map(|job| assert!(job.cancel()));
        assert_eq!(cancelled.count(), 2 * capacity);
        assert!(pool.spawn(|| ()).join().unwrap_err().is_rejected());
        occupied.release();
        pool.spawn_async(|| ()).wait().join().unwrap();
        until(|| pool.try_spawn(|| ()).is_ok());
        assert_has_room_for(&pool, capacity);

        // Who drops the oldest lets go of them.
        let (pool, _) = bounded(threads, capacity, WhenFull::DropOldest);
        let occupied = Occupied::all(&pool);
        (0..1000).for_each(|_| assert!(pool.spawn(|| ()).cancel()));
        let jobs: Vec<_> = (0..capacity).map(|_| pool.spawn(|| ())).collect();
        occupied.release();
        jobs.into_iter().for_each(|job| job.join().unwrap());
        assert_has_room_for(&pool, capacity);
    });
}

/// It keeps what it captured, and so its place, until a thread comes to it.
#[test]
fn an_expired_job_keeps_its_place_and_may_be_thrown_out() {
    for_each_size(|threads| {
        for when_full in [WhenFull::RejectNewest, WhenFull::DropOldest] {
            let (pool, _) = bounded(threads, 2, when_full);
            let (occupied, drops) = (Occupied::all(&pool), Drops::default());
            let late: Vec<_> = (0..2)
                .map(|_| {
                    let (token, limit) = (drops.token(), Duration::from_millis(1));
                    pool.job().deadline(limit).spawn(move || drop(token))
                })
                .collect();
            let never = pool.job().deadline(Duration::ZERO).spawn(|| ());
            assert!(never.join().unwrap_err().is_expired(), "it needs no place");
            until(|| late.iter().all(JoinHandle::is_finished));
            assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
            let new = pool.spawn(|| ());
            let sheds = when_full == WhenFull::DropOldest;
            assert_eq!(drops.count(), usize::from(sheds));
            occupied.release();
            assert_eq!(new.join().is_ok(), sheds);
            for job in late {
                assert!(job.join().unwrap_err().is_expired());
            }
            until(|| drops.count() == 2);
            assert_has_room_for(&pool, 2);
        }
    });
}

#[test]
fn a_full_queue_is_thrown_away_whole() {
    for_each_size(|threads| {
        let (pool, rejected) = bounded(threads, 10, WhenFull::RejectNewest);
        let (occupied, drops) = (Occupied::all(&pool), Drops::default());
        let jobs: Vec<_> = (0..5)
            .map(|_| {
                let (one, other) = (drops.token(), drops.token());
                pool.execute(move || drop(one));
                pool.spawn(move || drop(other))
            })
            .collect();
        assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
        pool.shutdown_now();
        for job in jobs {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        let thrown: Vec<_> = rejected.try_iter().collect();
        assert_eq!(thrown.len(), 5);
        assert!(thrown.iter().all(RejectedJob::is_cancelled));
        drop(thrown);
        assert_eq!(drops.count(), 10);
        assert!(pool.try_spawn(|| ()).unwrap_err().is_closed());
        occupied.release();
    });
}

/// Without a bound nothing is ever full.
#[test]
fn a_pool_without_a_bound_is_as_it_was() {
    watched(|| {
        let pool = common::pool(2);
        assert_eq!(pool.queue_capacity(), None);
        let occupied = Occupied::all(&pool);
        let jobs: Vec<_> = (0..10_000)
            .map(|n| match n % 3 {
                0 => pool.try_spawn(|| 1).unwrap(),
                1 => pollster::block_on(pool.spawn_async(|| 1)),
                _ => pool.spawn(|| 1),
            })
            .collect();
        pool.try_execute(|| ()).unwrap();
        occupied.release();
        let sum: u32 = jobs.into_iter().map(|job| job.join().unwrap()).sum();
        assert_eq!(sum, 10_000);
    });
}
