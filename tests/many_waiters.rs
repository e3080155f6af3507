//! Promise: everybody who waits is woken, however many there are.
//!
//! A job has one handle and so one waiter; many wait at the many handles of
//! many jobs, for one job through something shared, and for a pool's end.

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use common::{CountingWaker, Occupied, on_each_size, until};
use windlass::JoinHandle;

/// Checklist 39.
#[test]
fn all_threads_that_join_are_woken() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let waiters: Vec<_> = (0..40)
            .map(|i| {
                let handle = pool.spawn(move || i);
                thread::spawn(move || match i % 2 {
                    0 => handle.join().unwrap(),
                    _ => handle.join_timeout(Duration::MAX).unwrap().unwrap(),
                })
            })
            .collect();
        occupied.release();
        for (i, waiter) in waiters.into_iter().enumerate() {
            assert_eq!(waiter.join().unwrap(), i);
        }
    });
}

/// Checklist 39.
#[test]
fn all_wakers_of_many_jobs_are_woken() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let mut waiting: Vec<_> = (0..1000)
            .map(|i| {
                let mut handle = pool.spawn(move || i);
                let counter = Arc::new(CountingWaker::default());
                let waker = Waker::from(Arc::clone(&counter));
                assert!(
                    pin!(&mut handle)
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
                (handle, counter)
            })
            .collect();
        occupied.release();
        until(|| waiting.iter().all(|(_, counter)| counter.count() == 1));
        for (i, (handle, _)) in waiting.iter_mut().enumerate() {
            assert_eq!(handle.try_join().unwrap().unwrap(), i);
        }
    });
}

/// Checklist 39: one job, whose waiters share its result.
#[test]
fn many_threads_may_wait_for_one_job_through_something_shared() {
    on_each_size(|pool| {
        let shared: Arc<(Mutex<Option<u32>>, Condvar)> = Arc::default();
        let (go, wait) = mpsc::channel::<()>();
        let setter = Arc::clone(&shared);
        pool.execute(move || {
            wait.recv().unwrap();
            *setter.0.lock().unwrap() = Some(9);
            setter.1.notify_all();
        });
        let waiters: Vec<_> = (0..20)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let result = shared.0.lock().unwrap();
                    shared
                        .1
                        .wait_while(result, |result| result.is_none())
                        .unwrap()
                        .unwrap()
                })
            })
            .collect();
        go.send(()).unwrap();
        assert!(
            waiters
                .into_iter()
                .all(|waiter| waiter.join().unwrap() == 9)
        );
    });
}

/// Checklist 39: many look at one handle, each in its turn.
#[test]
fn many_threads_may_look_at_one_handle() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let handle: Arc<Mutex<JoinHandle<u32>>> = Arc::new(Mutex::new(pool.spawn(|| 3)));
        let lookers: Vec<_> = (0..8)
            .map(|_| {
                let handle = Arc::clone(&handle);
                thread::spawn(move || {
                    until(|| handle.lock().unwrap().is_finished());
                    handle.lock().unwrap().try_join().map(Result::unwrap)
                })
            })
            .collect();
        occupied.release();
        let mut seen: Vec<_> = lookers
            .into_iter()
            .map(|looker| looker.join().unwrap())
            .collect();
        seen.sort();
        // Exactly one has it.
        assert_eq!(seen[..7], [None; 7]);
        assert_eq!(seen[7], Some(3));
    });
}

/// Checklist 1 and 39.
#[test]
fn all_who_wait_for_a_pools_end_are_woken() {
    on_each_size(|pool| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let occupied = Occupied::all(&pool);
        let pool = Arc::new(pool);
        let blocking: Vec<_> = (0..4)
            .map(|i| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || match i % 2 {
                    0 => pool.shutdown_timeout(Duration::MAX).unwrap(),
                    _ => pollster::block_on(pool.shutdown()),
                })
            })
            .collect();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let pool = Arc::clone(&pool);
                runtime.spawn(async move { pool.shutdown().await })
            })
            .collect();
        runtime.block_on(async {
            // They all wait before anything can end.
            tokio::task::yield_now().await;
            assert!(tasks.iter().all(|task| !task.is_finished()));
            let release = thread::spawn(move || occupied.release());
            for task in tasks {
                task.await.unwrap();
            }
            release.join().unwrap();
        });
        for thread in blocking {
            thread.join().unwrap();
        }
        drop(pool);
    });
}

/// Checklist 28 and 39: a shutdown's future moved to another task is woken
/// there, and one that is dropped is none's loss.
#[test]
fn a_shutdown_future_may_be_polled_with_changing_wakers() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let mut kept = pin!(pool.shutdown());
        let mut dropped = Box::pin(pool.shutdown());
        let counters: Vec<_> = (0..3).map(|_| Arc::new(CountingWaker::default())).collect();
        let wakers: Vec<_> = counters
            .iter()
            .map(|c| Waker::from(Arc::clone(c)))
            .collect();
        for _ in 0..5 {
            assert!(
                kept.as_mut()
                    .poll(&mut Context::from_waker(&wakers[0]))
                    .is_pending()
            );
            assert!(
                kept.as_mut()
                    .poll(&mut Context::from_waker(&wakers[1]))
                    .is_pending()
            );
            assert!(
                dropped
                    .as_mut()
                    .poll(&mut Context::from_waker(&wakers[2]))
                    .is_pending()
            );
        }
        drop(dropped);
        occupied.release();
        until(|| counters[1].count() == 1);
        assert!(
            kept.as_mut()
                .poll(&mut Context::from_waker(&wakers[1]))
                .is_ready()
        );
        assert!(counters.iter().all(|counter| counter.count() <= 1));
    });
}
