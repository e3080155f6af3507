//! Promise: who waits for room in a pool's queue gets it in order, is not overtaken,
//! and hears of the pool's end; who gives up is not in the way.

mod common;

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use common::{CountingWaker, Drops, Occupied, for_each_size, until};
use windlass::{JoinHandle, Parent, Pool, WhenFull};

fn bounded(threads: usize, capacity: usize) -> Pool {
    Pool::builder()
        .num_threads(threads)
        .queue_capacity(capacity)
        .build()
        .unwrap()
}

/// A future that is polled by hand, and how often it was woken.
struct Patient<'a, T> {
    future: Option<Pin<Box<dyn Future<Output = JoinHandle<T>> + Send + 'a>>>,
    woken: Arc<CountingWaker>,
}

impl<'a, T> Patient<'a, T> {
    /// A future that has to wait.
    fn new(future: impl Future<Output = JoinHandle<T>> + Send + 'a) -> Self {
        let mut this = Self {
            future: Some(Box::pin(future)),
            woken: Arc::default(),
        };
        assert!(this.poll().is_none());
        this
    }

    fn poll(&mut self) -> Option<JoinHandle<T>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        let future = self.future.as_mut().expect("not ready before");
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(handle) => {
                self.future = None;
                Some(handle)
            }
            Poll::Pending => None,
        }
    }

    fn is_woken(&self) -> bool {
        self.woken.count() > 0
    }
}

/// 62: the longest waiting one is let in when a place is free, and nobody else.
#[test]
fn those_who_wait_are_served_in_order_and_not_overtaken() {
    for_each_size(|threads| {
        let pool = bounded(threads, 3);
        let occupied = Occupied::all(&pool);
        let waiting: Vec<_> = (0..3).map(|_| pool.spawn(|| 0)).collect();
        let mut patient: Vec<_> = (1..=4)
            .map(|n| Patient::new(pool.spawn_async(move || n)))
            .collect();
        let mut let_in = Vec::new();
        for (n, job) in waiting.iter().enumerate() {
            assert!(patient.iter().all(|it| !it.is_woken()));
            assert!(job.cancel());
            assert!(patient[0].is_woken() && !patient[1].is_woken(), "{n}");
            // The place is taken, although nobody has come for it.
            assert!(pool.try_spawn(|| 0).unwrap_err().is_full());
            assert!(pool.spawn(|| 0).join().unwrap_err().is_rejected());
            assert!(patient[1].poll().is_none());
            let_in.push(patient.remove(0).poll().expect("it was let in"));
        }
        // Nor is anybody overtaken when the threads make room.
        let last = &mut patient[0];
        assert!(last.poll().is_none());
        occupied.release();
        until(|| last.is_woken());
        let_in.extend(last.poll());
        let results = let_in.into_iter().map(|job| job.join().unwrap());
        assert!(results.eq(1..=4));
    });
}

#[test]
fn who_gives_up_passes_the_place_on() {
    for_each_size(|threads| {
        let pool = bounded(threads, 2);
        let (occupied, drops) = (Occupied::all(&pool), Drops::default());
        let [job, _other] = [pool.spawn(|| ()), pool.spawn(|| ())];
        let mut patient: Vec<_> = (0..4)
            .map(|_| {
                let token = drops.token();
                Patient::new(pool.spawn_async(move || drop(token)))
            })
            .collect();
        drop(patient.remove(1)); // while it waits
        assert_eq!(drops.count(), 1);
        assert!(job.cancel());
        assert!(patient[0].is_woken() && !patient[1].is_woken());
        drop(patient.remove(0)); // after it was let in
        assert_eq!(drops.count(), 2);
        assert!(patient[0].is_woken() && !patient[1].is_woken());
        assert!(patient[0].poll().is_some_and(|job| job.cancel()));
        assert!(patient[1].is_woken());
        drop(patient);
        assert_eq!(drops.count(), 4);
        assert!(pool.try_spawn(|| ()).is_ok(), "nobody waits any more");
        assert!(pool.try_spawn(|| ()).is_err());
        occupied.release();
    });
}

/// The last waker left is the one that is woken, on whatever thread.
#[test]
fn a_wait_may_move_to_another_thread() {
    for_each_size(|threads| {
        let pool = bounded(threads, 1);
        let occupied = Occupied::all(&pool);
        let job = pool.spawn(|| ());
        let mut patient = Patient::new(pool.spawn_async(|| "late"));
        let first = std::mem::take(&mut patient.woken);
        let waits = thread::scope(|scope| {
            let there = scope.spawn(|| {
                assert!(patient.poll().is_none());
                patient
            });
            there.join().unwrap()
        });
        assert!(job.cancel());
        assert!(waits.is_woken() && first.count() == 0);
        patient = waits;
        let late = patient.poll().unwrap();
        occupied.release();
        assert_eq!(late.join().unwrap(), "late");
    });
}

/// 62: closing tells all who wait; their closures are dropped where they find out.
#[test]
fn the_end_of_the_pool_reaches_who_waits_for_room() {
    for_each_size(|threads| {
        let ends: [fn(&Pool); 3] = [
            |pool| drop(pool.shutdown()),
            Pool::shutdown_now,
            |pool| assert!(pool.shutdown_timeout(Duration::ZERO).is_err()),
        ];
        for end in ends {
            let pool = bounded(threads, 1);
            let (occupied, drops) = (Occupied::all(&pool), Drops::default());
            let job = pool.spawn(|| ());
            let mut patient: Vec<_> = (0..3)
                .map(|_| {
                    let token = drops.token();
                    Patient::new(pool.spawn_async(move || drop(token)))
                })
                .collect();
            let blocked = {
                let (spawner, token) = (pool.spawner(), drops.token());
                thread::spawn(move || spawner.spawn_async(move || drop(token)).wait())
            };
            end(&pool);
            let blocked = blocked.join().unwrap();
            assert!(patient.iter().all(Patient::is_woken));
            for one in &mut patient {
                let handle = one.poll().expect("it is over");
                assert!(handle.join().unwrap_err().is_closed());
            }
            assert!(blocked.join().unwrap_err().is_closed());
            assert_eq!(drops.count(), 4);
            // Who comes later need not wait.
            let late = pool.spawn_async(|| ()).wait();
            assert!(late.join().unwrap_err().is_closed());
            occupied.release();
            drop(job);
        }
    });
}

/// A job of a pool that is closed meanwhile may still hand jobs over, and so waits
/// on.
#[test]
fn a_job_waits_for_room_although_its_pool_is_closed() {
    for_each_size(|threads| {
        // Without substitutes: one that has not lain down yet would take what is queued.
        let pool = Pool::builder()
            .num_threads(threads)
            .queue_capacity(1)
            .max_substitutes(0)
            .build()
            .unwrap();
        let spawner = pool.spawner();
        let (waits, waiting) = mpsc::channel();
        let (go, closed) = mpsc::channel::<()>();
        let outer = pool.spawn_async(move || {
            let all = Arc::new(Barrier::new(spawner.num_threads()));
            let stuck: Vec<_> = (1..spawner.num_threads())
                .map(|_| {
                    let (sender, receiver) = mpsc::channel::<()>();
                    let all = Arc::clone(&all);
                    let job = spawner.spawn_async(move || {
                        all.wait();
                        let _ = receiver.recv();
                    });
                    drop(job.wait());
                    sender
                })
                .collect();
            all.wait();
            let queued = spawner.spawn(|| ());
            let mut patient = Patient::new(spawner.spawn_async(|| "let in"));
            waits.send(()).unwrap();
            closed.recv().unwrap();
            assert!(patient.is_woken() && patient.poll().is_none());
            assert!(queued.cancel());
            let inner = patient.poll().expect("there is room");
            drop(stuck);
            inner
        });
        let outer = outer.wait();
        waiting.recv().unwrap();
        drop(pool.shutdown());
        go.send(()).unwrap();
        assert_eq!(outer.join().unwrap().join().unwrap(), "let in");
    });
}

/// Many threads and many tasks that wait, on a small queue: all get their turn, and
/// each keeps its order.
#[test]
fn all_who_wait_get_their_turn() {
    for_each_size(|threads| {
        for capacity in [1, 3] {
            let pool = bounded(threads, capacity);
            let ran = Arc::new(AtomicUsize::new(0));
            thread::scope(|scope| {
                for thread in 0..4 {
                    let (spawner, ran) = (pool.spawner(), &ran);
                    scope.spawn(move || {
                        for n in 0..500 {
                            let ran = Arc::clone(ran);
                            let job = spawner.spawn_async(move || {
                                ran.fetch_add(1, Ordering::SeqCst);
                            });
                            match thread {
                                0 if n % 3 == 0 => drop(job), // never polled
                                0 | 1 => drop(pollster::block_on(job)),
                                _ => drop(job.wait()),
                            }
                        }
                    });
                }
            });
            drop(pool);
            assert_eq!(ran.load(Ordering::SeqCst), 2000 - 167);
        }
    });
}

#[test]
fn a_waker_that_panics_harms_no_thread() {
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("expected: a waker");
        }
    }
    common::hush();
    for_each_size(|threads| {
        let pool = bounded(threads, 1);
        let occupied = Occupied::all(&pool);
        let job = pool.spawn(|| 1);
        let waker = Waker::from(Arc::new(Bad));
        let mut bad = Box::pin(pool.spawn_async(|| 2));
        let poll = bad.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        occupied.release();
        assert_eq!(job.join().unwrap(), 1);
        assert_eq!(pollster::block_on(bad).join().unwrap(), 2);
        assert_eq!(common::thread_ids(&bounded(threads, 100)).len(), threads);
    });
}

/// A job that is thrown out and cancelled at once is one job all the same: its place
/// goes to one, and is not lost.
#[test]
fn throwing_out_and_cancelling_race_and_no_place_is_lost_or_made() {
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .queue_capacity(1)
            .when_full(WhenFull::DropOldest)
            .build()
            .unwrap();
        let occupied = Occupied::all(&pool);
        let (give, take) = mpsc::channel::<JoinHandle<()>>();
        thread::scope(|scope| {
            scope.spawn(move || {
                for job in take {
                    let _ = job.cancel();
                }
            });
            for _ in 0..20_000 {
                give.send(pool.spawn(|| ())).unwrap();
            }
            drop(give);
        });
        occupied.release();
        pool.spawn_async(|| ()).wait().join().unwrap();
        let occupied = Occupied::all(&pool);
        let only = pool.try_spawn(|| ()).unwrap();
        assert!(pool.try_spawn(|| ()).unwrap_err().is_full());
        occupied.release();
        only.join().unwrap();
    });
}

/// Every thread waits for room inside a job, and nobody is left to make some.
#[test]
fn every_thread_of_the_pool_waits_for_room_inside_a_job() {
    for_each_size(|threads| {
        let pool = bounded(threads, 1);
        let all = Arc::new(Barrier::new(threads));
        let jobs: Vec<_> = (0..threads)
            .map(|n| {
                let (spawner, all) = (pool.spawner(), Arc::clone(&all));
                let job = pool.spawn_async(move || {
                    all.wait();
                    let children = [(); 3].map(|()| spawner.spawn_async(move || n).wait());
                    children.map(|child| child.join().unwrap())
                });
                job.wait()
            })
            .collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), [n; 3]);
        }
    });
}

/// 62: each job runs, or its handle or the hook says that it did not, once; while
/// others throw it out, cancel it, or close the pool.
#[test]
fn every_job_is_accounted_for_when_many_throw_out_and_cancel() {
    for_each_size(|threads| {
        for round in 0..20 {
            let (give, rejected) = mpsc::channel();
            let pool = Pool::builder()
                .num_threads(threads)
                .queue_capacity(4)
                .when_full(WhenFull::DropOldest)
                .on_reject(move |job| give.send(job).unwrap())
                .build()
                .unwrap();
            let (ran, told) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
            let answered = Arc::new(AtomicUsize::new(0));
            let answers = Arc::clone(&answered);
            let worker = pool.worker(move |(), _: &Parent<()>| {
                answers.fetch_add(1, Ordering::SeqCst);
            });
            let mut posted = 0;
            thread::scope(|scope| {
                for thread in 0..3 {
                    let (spawner, ran, told) = (pool.spawner(), &ran, &told);
                    scope.spawn(move || {
                        for n in 0..200 {
                            let ran = Arc::clone(ran);
                            let run = move || {
                                ran.fetch_add(1, Ordering::SeqCst);
                            };
                            if thread == 0 {
                                spawner.execute(run);
                                continue;
                            }
                            let job = spawner.spawn(run);
                            if n % 5 == 0 {
                                job.cancel();
                            }
                            if job.join().is_err() {
                                told.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    });
                }
                for _ in 0..50 + round {
                    posted += usize::from(worker.post(()).is_ok());
                }
                drop(pool); // in the middle of it
            });
            let all = ran.load(Ordering::SeqCst) + told.into_inner() + rejected.try_iter().count();
            assert_eq!(all, 600);
            // What was posted before the pool closed is handled, whoever had the
            // worker's turn in hand.
            assert_eq!(answered.load(Ordering::SeqCst), posted);
        }
    });
}

/// What is thrown out owns the pool, and so waits for it when it is dropped, while a job
/// of the pool waits for room: the new job is handed over first.
#[test]
fn a_victim_that_waits_for_the_pool_does_not_hold_the_newcomer_up() {
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .queue_capacity(1)
            .when_full(WhenFull::DropOldest)
            .on_reject(drop)
            .build()
            .unwrap();
        let spawner = pool.spawner();
        let (started, running) = mpsc::channel();
        let goes: Vec<_> = (0..threads)
            .map(|_| {
                let (go, wait) = mpsc::channel::<()>();
                let (started, inner) = (started.clone(), spawner.clone());
                let job = spawner.spawn_async(move || {
                    started.send(()).unwrap();
                    let _ = wait.recv();
                    drop(inner.spawn_async(|| ()).wait());
                });
                drop(job.wait());
                go
            })
            .collect();
        for _ in 0..threads {
            running.recv().unwrap();
        }
        let pool = Arc::new(pool);
        spawner.execute(move || drop(pool));
        let closing = spawner.clone();
        let release = thread::spawn(move || {
            // The victim is being dropped, and the pool with it.
            until(|| closing.is_closed());
            drop(goes);
        });
        let newcomer = spawner.spawn(|| 7);
        release.join().unwrap();
        assert_eq!(newcomer.join().unwrap(), 7);
    });
}
