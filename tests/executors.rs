//! Promise: a handle can be awaited on any executor, and needs none of its own.

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{Occupied, on_each_size};

/// tokio's, on one thread.
#[test]
fn a_handle_is_awaited_on_tokio_while_its_loop_goes_on() {
    on_each_size(|pool| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (go, wait) = mpsc::channel();
            let slow = pool.spawn(move || wait.recv().unwrap());
            let task = tokio::spawn(slow);
            // The loop is free while the job runs: these take their turns.
            let ticks = Arc::new(AtomicUsize::new(0));
            for _ in 0..10 {
                let ticks = Arc::clone(&ticks);
                tokio::spawn(async move { ticks.fetch_add(1, Ordering::SeqCst) })
                    .await
                    .unwrap();
            }
            assert!(!task.is_finished());
            assert_eq!(ticks.load(Ordering::SeqCst), 10);
            go.send(5).unwrap();
            assert_eq!(task.await.unwrap().unwrap(), 5);

            let (a, b, c) = tokio::join!(pool.spawn(|| 1), pool.spawn(|| 2), pool.spawn(|| 3));
            assert_eq!(a.unwrap() + b.unwrap() + c.unwrap(), 6);
        });
    });
}

/// A timeout of the executor's drops the handle, and that cancels.
#[test]
fn an_executors_timeout_cancels_a_job_that_has_not_started() {
    on_each_size(|pool| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let occupied = Occupied::all(&pool);
        let late = pool.spawn(|| unreachable!("cancelled")).cancel_on_drop();
        let cancel = late.cancel_handle();
        let result: Result<Result<(), _>, _> =
            runtime.block_on(async { tokio::time::timeout(Duration::from_millis(5), late).await });
        assert!(result.is_err(), "the time is over");
        assert!(cancel.cancel(), "it was cancelled with its handle");
        occupied.release();
    });
}

/// No executor at all but a blocking one.
#[test]
fn a_handle_is_awaited_by_a_bare_block_on() {
    on_each_size(|pool| {
        for i in 0..300 {
            assert_eq!(pollster::block_on(pool.spawn(move || i)).unwrap(), i);
        }
        let sum = pollster::block_on(async {
            let mut sum = 0;
            for handle in (0..100).map(|i| pool.spawn(move || i)).collect::<Vec<_>>() {
                sum += handle.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 99 * 50);
    });
}

/// Wakes a task of the hand-made executor below.
struct TaskWaker {
    task: usize,
    ready: mpsc::Sender<usize>,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            // The executor may be gone; nobody minds then.
            let _ = self.ready.send(self.task);
        }
    }
}

/// Polls each future when it was woken and at no other time.
fn run_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let (ready, woken) = mpsc::channel();
    let wakers: Vec<_> = (0..futures.len())
        .map(|task| {
            let _ = ready.send(task);
            Arc::new(TaskWaker {
                task,
                ready: ready.clone(),
                queued: AtomicBool::new(true),
            })
        })
        .collect();
    let mut results: Vec<_> = futures.iter().map(|_| None).collect();
    let mut left = futures.len();
    while left > 0 {
        let task = woken.recv().unwrap();
        wakers[task].queued.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&wakers[task]));
        let future = pin!(&mut futures[task]);
        if let Poll::Ready(output) = future.poll(&mut Context::from_waker(&waker)) {
            results[task] = Some(output);
            left -= 1;
        }
    }
    results.into_iter().map(Option::unwrap).collect()
}

/// One that polls only what was woken, so that a lost wake-up hangs it.
#[test]
fn a_handle_is_awaited_on_a_hand_made_executor() {
    on_each_size(|pool| {
        let handles: Vec<_> = (0..500_usize).map(|i| pool.spawn(move || i)).collect();
        for (i, result) in run_all(handles).into_iter().enumerate() {
            assert_eq!(result.unwrap(), i);
        }
    });
}

/// A handle that was polled by one executor is awaited by another.
#[test]
fn a_handle_may_move_between_executors() {
    on_each_size(|pool| {
        let (go, wait) = mpsc::channel();
        let mut handle = pool.spawn(move || wait.recv().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(std::future::poll_fn(|cx| {
            assert!(pin!(&mut handle).poll(cx).is_pending());
            Poll::Ready(())
        }));
        drop(runtime);
        let other = thread::spawn(move || pollster::block_on(handle));
        go.send("moved").unwrap();
        assert_eq!(other.join().unwrap().unwrap(), "moved");
    });
}

/// A pool's jobs may run an executor, whose tasks wait for jobs of another pool.
#[test]
fn a_job_may_run_an_executor_that_waits_for_another_pool() {
    on_each_size(|pool| {
        let other = common::pool(1).spawner();
        assert!(other.is_closed(), "spawners keep nothing alive");
        let other = common::pool(2);
        let spawner = other.spawner();
        let jobs: Vec<_> = (0..50)
            .map(|i| {
                let spawner = spawner.clone();
                pool.spawn(move || pollster::block_on(spawner.spawn(move || i)).unwrap())
            })
            .collect();
        for (i, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), i);
        }
    });
}
