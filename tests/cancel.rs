//! Promise: cancelling is exact before the start. A cancelled job never starts,
//! what it captured is dropped at once, on the canceller's thread, and a job
//! that started is not affected.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use common::{Drops, Occupied, for_each_size, on_each_size, until};
use windlass::{CancelHandle, JoinHandle, Pool, Spawner};

/// Checklist 48: queued.
#[test]
fn a_queued_job_is_cancelled_and_stays_so() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let ran = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ran);
        let handle = pool.spawn(move || flag.store(true, Ordering::SeqCst));
        let other = handle.cancel_handle();
        assert!(!handle.is_finished() && !other.is_finished());
        assert!(handle.cancel(), "it had not started");
        assert!(handle.is_finished() && other.is_finished());
        assert!(handle.cancel(), "a second time it is still cancelled");
        assert!(other.cancel() && other.clone().cancel());
        let error = handle.join().unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic() && !error.is_closed());
        assert!(error.to_string().contains("cancelled"), "{error}");
        // And also when the handle is gone.
        assert!(other.cancel());
        occupied.release();
        drop(pool);
        assert!(!ran.load(Ordering::SeqCst));
    });
}

/// Checklist 48 and 51: running.
#[test]
fn a_running_job_is_not_affected() {
    on_each_size(|pool| {
        let (there, running) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let handle = pool.spawn(move || {
            there.send(()).unwrap();
            wait.recv().unwrap();
            "a value"
        });
        running.recv().unwrap();
        assert!(!handle.cancel());
        assert!(!handle.cancel_handle().cancel());
        assert!(!handle.is_finished());
        go.send(()).unwrap();
        assert_eq!(handle.join().unwrap(), "a value");
    });
}

/// Checklist 48: done.
#[test]
fn a_finished_job_is_not_affected() {
    on_each_size(|pool| {
        let handle = pool.spawn(|| "a value");
        let other = handle.cancel_handle();
        until(|| handle.is_finished());
        assert!(!handle.cancel() && !other.cancel());
        assert_eq!(handle.join().unwrap(), "a value");
        assert!(!other.cancel() && other.is_finished());
    });
}

/// Checklist 48, beside an awaited handle.
#[test]
fn the_power_to_cancel_outlives_the_handle() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let awaited = pool.spawn(|| unreachable!("cancelled"));
        let dropped = pool.spawn(|| unreachable!("cancelled"));
        let (by_await, by_drop) = (awaited.cancel_handle(), dropped.cancel_handle());
        drop(dropped);
        let (polled, waiting) = mpsc::channel();
        let waiter = thread::spawn(move || {
            pollster::block_on(async move {
                let mut awaited = awaited;
                std::future::poll_fn(|cx| {
                    let poll = std::pin::Pin::new(&mut awaited).poll(cx);
                    let _ = polled.send(());
                    poll
                })
                .await
            })
        });
        waiting.recv().unwrap();
        assert!(by_await.cancel() && by_drop.cancel());
        let result: Result<(), _> = waiter.join().unwrap();
        assert!(result.unwrap_err().is_cancelled());
        assert!(by_drop.is_finished());
        occupied.release();
    });
}

/// Checklist 50.
#[test]
fn the_captures_are_dropped_at_once_on_the_cancellers_thread() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let drops = Drops::default();
        let (small, large, ballast) = (drops.token(), drops.token(), [1_u64; 50]);
        let here = pool.spawn(move || drop(small));
        let there = pool.spawn(move || {
            let _ballast = ballast;
            let _large = large;
        });
        assert!(here.cancel());
        assert_eq!(drops.threads(), [thread::current().id()]);
        let canceller = thread::spawn(move || {
            assert!(there.cancel());
            thread::current().id()
        });
        let canceller = canceller.join().unwrap();
        assert_eq!(drops.threads(), [thread::current().id(), canceller]);
        occupied.release();
        drop(pool);
        assert_eq!(drops.count(), 2);
    });
}

/// Checklist 50: ten thousand cancelled jobs hold nothing of what they
/// captured while the pool is stuck.
#[test]
fn a_cancelled_backlog_holds_no_captures() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let held = Arc::new(());
        for _ in 0..10_000 {
            let held = Arc::clone(&held);
            assert!(pool.spawn(move || drop(held)).cancel());
        }
        assert_eq!(Arc::strong_count(&held), 1);
        occupied.release();
    });
}

/// Dropping the handle of a wanted-only-while-held job cancels it.
#[test]
fn cancel_on_drop_cancels_what_has_not_started_and_nothing_else() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let drops = Drops::default();
        let token = drops.token();
        let unwanted = pool.spawn(move || drop(token)).cancel_on_drop();
        let cancel = unwanted.cancel_handle();
        drop(unwanted);
        assert_eq!(drops.threads(), [thread::current().id()]);
        assert!(cancel.cancel(), "it was cancelled by the drop");
        let ran = Arc::new(AtomicUsize::new(0));
        let (joined, detached) = (Arc::clone(&ran), Arc::clone(&ran));
        let joined = pool
            .spawn(move || joined.fetch_add(1, Ordering::SeqCst))
            .cancel_on_drop();
        drop(pool.spawn(move || detached.fetch_add(1, Ordering::SeqCst)));
        occupied.release();
        joined.join().unwrap();

        let (there, running) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let token = drops.token();
        let started = pool
            .spawn(move || {
                there.send(()).unwrap();
                wait.recv().unwrap();
                drop(token);
            })
            .cancel_on_drop();
        running.recv().unwrap();
        drop(started);
        assert_eq!(drops.count(), 1, "it goes on");
        go.send(()).unwrap();
        drop(pool);
        assert_eq!((drops.count(), ran.load(Ordering::SeqCst)), (2, 2));
    });
}

/// Dropping a power to cancel does nothing.
#[test]
fn dropping_a_cancel_handle_does_nothing() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let handle = pool.spawn(|| 1);
        drop(handle.cancel_handle());
        let kept = handle.cancel_handle().clone();
        drop(kept);
        occupied.release();
        assert_eq!(handle.join().unwrap(), 1);
    });
}

/// Does something with a pool when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// No lock is held while captures are dropped.
#[test]
fn a_capture_whose_drop_spawns_or_cancels_may() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let (send, received) = mpsc::channel();
        let last = pool.spawn(|| unreachable!("cancelled by a drop"));
        let (spawner, cancel) = (pool.spawner(), last.cancel_handle());
        let capture = OnDrop(move || {
            let send = send.clone();
            spawner.execute(move || send.send("spawned by a drop").unwrap());
            assert!(cancel.cancel());
        });
        let middle = pool.spawn(move || drop(capture));
        let cancel = middle.cancel_handle();
        let capture = OnDrop(move || assert!(cancel.cancel()));
        let first = pool.spawn(move || drop(capture));
        assert!(first.cancel());
        let last: Result<(), _> = last.join();
        assert!(last.unwrap_err().is_cancelled());
        assert!(first.join().unwrap_err().is_cancelled());
        assert!(middle.join().unwrap_err().is_cancelled());
        occupied.release();
        assert_eq!(received.recv().unwrap(), "spawned by a drop");
    });
}

/// A capture that cancels its own job finds that somebody does that already.
#[test]
fn a_capture_whose_drop_cancels_its_own_job_is_harmless() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let (give, take) = mpsc::channel::<CancelHandle>();
        let capture = OnDrop(move || {
            let own = take.recv().unwrap();
            own.cancel();
            assert!(
                !own.is_finished(),
                "the captures go before the handle resolves"
            );
        });
        let handle = pool.spawn(move || drop(capture));
        give.send(handle.cancel_handle()).unwrap();
        assert!(handle.cancel());
        assert!(handle.join().unwrap_err().is_cancelled());
        occupied.release();
    });
}

/// Checklist 49.
#[test]
fn cancelling_and_starting_race_and_exactly_one_wins() {
    for_each_size(|threads| {
        const ROUNDS: usize = 3000;
        let pool = common::pool(threads);
        let ran = Arc::new(AtomicUsize::new(0));
        let (mut cancelled, mut finished) = (0, 0);
        for round in 0..ROUNDS {
            let count = Arc::clone(&ran);
            let before = ran.load(Ordering::SeqCst);
            let handle = pool.spawn(move || count.fetch_add(1, Ordering::SeqCst));
            for _ in 0..round % 100 * 4 {
                std::hint::spin_loop();
            }
            let won = handle.cancel();
            match handle.join() {
                Ok(_) => {
                    assert!(!won);
                    finished += 1;
                    assert_eq!(ran.load(Ordering::SeqCst), before + 1);
                }
                Err(error) => {
                    assert!(won && error.is_cancelled());
                    cancelled += 1;
                    assert_eq!(ran.load(Ordering::SeqCst), before);
                }
            }
        }
        drop(pool);
        assert_eq!(cancelled + finished, ROUNDS);
        assert_eq!(ran.load(Ordering::SeqCst), finished);
        println!("{cancelled} cancelled, {finished} finished");
    });
}

/// Checklist 49: of many cancellers and the pool itself.
#[test]
fn of_many_cancellers_at_once_all_agree() {
    for_each_size(|threads| {
        let pool = Arc::new(common::pool(threads));
        for round in 0..100 {
            let ran = Arc::new(AtomicUsize::new(0));
            let drops = Drops::default();
            let start = Arc::new(Barrier::new(3));
            let handle = {
                let (ran, token) = (Arc::clone(&ran), drops.token());
                pool.spawn(move || {
                    let _token = token;
                    ran.fetch_add(1, Ordering::SeqCst);
                })
            };
            let cancellers: Vec<_> = (0..2)
                .map(|_| {
                    let (cancel, start) = (handle.cancel_handle(), Arc::clone(&start));
                    thread::spawn(move || {
                        start.wait();
                        cancel.cancel()
                    })
                })
                .collect();
            start.wait();
            for _ in 0..round * 5 {
                std::hint::spin_loop();
            }
            let result = handle.join();
            let answers: Vec<_> = cancellers.into_iter().map(|c| c.join().unwrap()).collect();
            match result {
                Ok(()) => {
                    assert_eq!(answers, [false, false]);
                    assert_eq!(ran.load(Ordering::SeqCst), 1);
                }
                Err(error) => {
                    assert!(error.is_cancelled());
                    assert!(answers.contains(&true));
                    assert_eq!(ran.load(Ordering::SeqCst), 0);
                }
            }
            assert_eq!(drops.count(), 1);
        }
    });
}

/// A job may cancel others, whoever spawned them.
#[test]
fn a_job_cancels_its_own_children_and_strangers() {
    on_each_size(|pool: Pool| {
        let (there, running) = mpsc::channel();
        let (give, take) = mpsc::channel::<CancelHandle>();
        let parent = pool.spawn(move || {
            let spawner = Spawner::current().unwrap();
            there.send(()).unwrap();
            let stranger = take.recv().unwrap();
            let child: JoinHandle<usize> = spawner.spawn(|| 4);
            (stranger.cancel(), child.cancel(), child.join())
        });
        running.recv().unwrap();
        // The others stuck as well, the stranger cannot start.
        let stuck: Vec<_> = (1..pool.num_threads())
            .map(|_| {
                let (there, running) = mpsc::channel();
                let (go, wait) = mpsc::channel::<()>();
                let job = pool.spawn(move || {
                    there.send(()).unwrap();
                    let _ = wait.recv();
                });
                running.recv().unwrap();
                (go, job)
            })
            .collect();
        let stranger = pool.spawn(|| unreachable!("cancelled"));
        give.send(stranger.cancel_handle()).unwrap();
        let (stranger_gone, child_gone, child) = parent.join().unwrap();
        assert!(stranger_gone && child_gone);
        assert!(child.unwrap_err().is_cancelled());
        let stranger: Result<(), _> = stranger.join();
        assert!(stranger.unwrap_err().is_cancelled());
        drop(stuck);
    });
}
