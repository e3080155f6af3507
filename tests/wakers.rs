//! Promise: the waker left last is woken, once, whatever it does; its panic
//! harms neither thread nor result.

mod common;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{CountingWaker, on_each_size, thread_ids, until};
use windlass::{JoinError, JoinHandle, Pool};

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// A job that runs until it is told to go on.
fn gated(pool: &Pool) -> (mpsc::Sender<u32>, JoinHandle<u32>) {
    let (go, wait) = mpsc::channel();
    (go, pool.spawn(move || wait.recv().unwrap()))
}

/// Checklist 28.
#[test]
fn a_waker_replaced_between_polls_is_not_woken_and_the_last_one_is() {
    on_each_size(|pool| {
        let (go, mut handle) = gated(&pool);
        let wakers: Vec<_> = (0..5).map(|_| Arc::new(CountingWaker::default())).collect();
        for waker in &wakers {
            assert!(poll(&mut handle, &Waker::from(Arc::clone(waker))).is_pending());
        }
        // A replaced waker was let go of, too.
        for waker in &wakers[..4] {
            assert_eq!(Arc::strong_count(waker), 1);
        }
        go.send(3).unwrap();
        until(|| wakers[4].count() == 1);
        assert_eq!(
            poll(&mut handle, Waker::noop()).map(Result::unwrap),
            Poll::Ready(3)
        );
        let counts: Vec<_> = wakers.iter().map(|waker| waker.count()).collect();
        assert_eq!(counts, [0, 0, 0, 0, 1]);
        drop(pool);
        assert_eq!(Arc::strong_count(&wakers[4]), 1);
    });
}

/// Checklist 28, with the job ending at any moment of it.
#[test]
fn a_waker_replaced_while_the_job_ends_loses_no_wake_up() {
    on_each_size(|pool| {
        for round in 0..1000 {
            let mut handle = pool.spawn(move || round);
            loop {
                let waker = Arc::new(CountingWaker::default());
                match poll(&mut handle, &Waker::from(Arc::clone(&waker))) {
                    Poll::Ready(result) => {
                        assert_eq!(result.unwrap(), round);
                        break;
                    }
                    // Every other time the next poll is at once, so that it
                    // replaces this one in the middle of the job's end.
                    Poll::Pending if round % 2 == 0 => {}
                    Poll::Pending => {
                        until(|| waker.count() == 1);
                        assert!(handle.is_finished());
                    }
                }
            }
        }
    });
}

/// Checklist 29.
#[test]
fn spurious_polls_stay_pending_and_cause_one_wake_up() {
    on_each_size(|pool| {
        let (go, mut handle) = gated(&pool);
        let counter = Arc::new(CountingWaker::default());
        let waker = Waker::from(Arc::clone(&counter));
        for _ in 0..100 {
            assert!(poll(&mut handle, &waker).is_pending());
        }
        assert!(!handle.is_finished());
        assert_eq!(counter.count(), 0);
        // Polling again with the same waker clones it no more than once.
        assert_eq!(Arc::strong_count(&counter), 3);
        go.send(1).unwrap();
        until(|| counter.count() > 0);
        assert_eq!(
            poll(&mut handle, &waker).map(Result::unwrap),
            Poll::Ready(1)
        );
        drop(pool);
        assert_eq!(counter.count(), 1);
    });
}

/// Checklist 29.
#[test]
fn spurious_unparks_of_a_waiting_thread_are_absorbed() {
    on_each_size(|pool| {
        let (go, handle) = gated(&pool);
        let returned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&returned);
        let waiter = thread::spawn(move || {
            let result = handle.join_timeout(Duration::MAX);
            flag.store(true, Ordering::SeqCst);
            result.unwrap().unwrap()
        });
        for _ in 0..500 {
            waiter.thread().unpark();
            thread::yield_now();
            assert!(!returned.load(Ordering::SeqCst));
        }
        go.send(8).unwrap();
        assert_eq!(waiter.join().unwrap(), 8);
    });
}

/// Checklist 29: the other way round, a pool thread is unparked by a stranger.
#[test]
fn spurious_unparks_of_pool_threads_are_absorbed() {
    on_each_size(|pool| {
        let ids = thread_ids(&pool);
        let threads: Vec<_> = (0..50)
            .map(|_| pool.spawn(thread::current).join().unwrap())
            .collect();
        for thread in threads.iter().cycle().take(2000) {
            thread.unpark();
        }
        let ran = Arc::new(AtomicUsize::new(0));
        for thread in &threads {
            let ran = Arc::clone(&ran);
            thread.unpark();
            pool.execute(move || {
                ran.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(thread_ids(&pool), ids);
        drop(pool);
        assert_eq!(ran.load(Ordering::Relaxed), threads.len());
    });
}

/// Panics when it is woken, or only when it is dropped.
struct Faulty {
    in_wake: bool,
}

impl Wake for Faulty {
    fn wake(self: Arc<Self>) {
        if self.in_wake {
            panic!("{}: a waker", common::EXPECTED);
        }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if !self.in_wake {
            panic!("{}: the drop of a waker", common::EXPECTED);
        }
    }
}

/// Checklist 30.
#[test]
fn a_panicking_waker_costs_neither_the_thread_nor_the_result() {
    common::hush();
    common::for_each_size(|threads| {
        let (pool, panics) = common::pool_with_panics(threads);
        let ids = thread_ids(&pool);
        for (count, in_wake) in [true, false].into_iter().enumerate() {
            let (go, mut handle) = gated(&pool);
            let waker = Waker::from(Arc::new(Faulty { in_wake }));
            assert!(poll(&mut handle, &waker).is_pending());
            // The pool's is the only one, so that it is dropped there, too.
            drop(waker);
            go.send(6).unwrap();
            let payload = panics.recv().unwrap();
            assert!(common::text(&*payload).unwrap().contains("waker"));
            assert_eq!(handle.join().unwrap(), 6);
            assert_eq!(pool.panic_count(), count as u64 + 1);
        }
        assert_eq!(thread_ids(&pool), ids);
    });
}

/// Takes the result at once, on the thread that woke it.
struct Taker {
    handle: Mutex<Option<JoinHandle<u32>>>,
    got: mpsc::Sender<u32>,
}

impl Wake for Taker {
    fn wake(self: Arc<Self>) {
        let mut handle = self.handle.lock().unwrap().take().unwrap();
        self.got.send(handle.try_join().unwrap().unwrap()).unwrap();
    }
}

/// A waker is called with no lock held, and after everything else.
#[test]
fn a_waker_may_take_the_result_at_once() {
    on_each_size(|pool| {
        for _ in 0..200 {
            let (go, mut handle) = gated(&pool);
            let (send, got) = mpsc::channel();
            let taker = Arc::new(Taker {
                handle: Mutex::new(None),
                got: send,
            });
            assert!(poll(&mut handle, &Waker::from(Arc::clone(&taker))).is_pending());
            *taker.handle.lock().unwrap() = Some(handle);
            go.send(4).unwrap();
            assert_eq!(got.recv().unwrap(), 4);
        }
    });
}

/// Spawns on the pool that wakes it, as an executor on the pool would.
struct Respawner {
    pool: windlass::Spawner,
    done: Mutex<mpsc::Sender<()>>,
}

impl Wake for Respawner {
    fn wake(self: Arc<Self>) {
        let done = self.done.lock().unwrap().clone();
        self.pool.execute(move || done.send(()).unwrap());
    }
}

/// A waker is called with no lock held.
#[test]
fn a_waker_may_spawn_on_the_pool_that_wakes_it() {
    on_each_size(|pool| {
        let (done, finished) = mpsc::channel();
        for _ in 0..100 {
            let (go, mut handle) = gated(&pool);
            let waker = Waker::from(Arc::new(Respawner {
                pool: pool.spawner(),
                done: Mutex::new(done.clone()),
            }));
            assert!(poll(&mut handle, &waker).is_pending());
            go.send(0).unwrap();
            finished.recv().unwrap();
        }
    });
}

/// Checklist 28: the canceller is the one who wakes, then.
#[test]
fn a_cancelled_job_wakes_its_waker_once() {
    on_each_size(|pool| {
        let occupied = common::Occupied::all(&pool);
        let mut handle = pool.spawn(|| unreachable!("cancelled"));
        let counter = Arc::new(CountingWaker::default());
        let waker = Waker::from(Arc::clone(&counter));
        assert!(poll(&mut handle, &waker).is_pending());
        assert!(handle.cancel() && handle.cancel());
        assert_eq!(counter.count(), 1);
        let Poll::Ready(result) = poll::<()>(&mut handle, &waker) else {
            panic!("it was cancelled");
        };
        assert!(result.unwrap_err().is_cancelled());
        occupied.release();
        drop(pool);
        assert_eq!(counter.count(), 1);
    });
}
