//! Promise: after a `fork`, nothing in the child hangs, everything of the pool
//! says at once where it is, and the parent does not notice.
//!
//! Each test forks in a copy of this program that runs it alone.
#![cfg(unix)]

mod common;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use common::forks::{
    alone, assert_forked, in_a_fork, in_a_fork_with, pool, threads_at_rest, threads_here,
};
use common::{Drops, Occupied, for_each_size, thread_ids, until};
use pollster::block_on;
use windlass::{JobSet, JoinHandle, Parent, Pool, Progress, Worker};

/// A job that does not end before it is told to, and runs.
fn running(spawn: impl FnOnce(Box<dyn FnOnce() -> u32 + Send>) -> JoinHandle<u32>) -> Running {
    let (started, begun) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let job = spawn(Box::new(move || {
        started.send(()).unwrap();
        let _ = wait.recv();
        7
    }));
    begun.recv().unwrap();
    Running { job, go }
}

struct Running {
    job: JoinHandle<u32>,
    go: mpsc::Sender<()>,
}

/// 23: what comes in after the fork.
#[test]
fn what_comes_after_a_fork_is_refused_at_once() {
    alone("what_comes_after_a_fork_is_refused_at_once", || {
        for_each_size(|threads| {
            let rejected = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&rejected);
            let pool = Pool::builder()
                .num_threads(threads)
                .on_reject(move |job| {
                    assert!(job.is_forked() && !job.is_closed() && !job.is_cancelled());
                    assert!(job.to_string().contains("fork"));
                    count.fetch_add(1, Ordering::SeqCst);
                })
                .build()
                .unwrap();
            let (spawner, limit) = (pool.spawner(), pool.limit(2));
            let (serial, latest) = (pool.serial(), pool.latest());
            let state = pool.thread_state(|| 1);
            pool.spawn(|| ()).join().unwrap();
            in_a_fork(|| {
                assert!(pool.is_closed() && spawner.is_closed());
                let drops = Drops::default();
                let token = drops.token();
                let refused = pool.spawn(move || drop(token));
                assert_eq!(drops.count(), 1, "refused here and now");
                let error = block_on(refused).unwrap_err();
                assert!(
                    error.is_forked() && !error.is_closed() && error.to_string().contains("fork")
                );

                let long = Duration::from_secs(3600);
                for handle in [
                    spawner.spawn(|| ()),
                    limit.spawn(|| ()),
                    serial.spawn(|| ()),
                    latest.spawn(|| ()),
                    pool.limit(1).spawn(|| ()),
                    pool.job().deadline(long).spawn(|| ()),
                    pool.job().timeout(long).spawn(|| ()),
                ] {
                    assert_forked(handle);
                }
                let each = pool.on_each_thread(|_| ());
                assert_eq!(each.len(), threads);
                each.into_iter().for_each(assert_forked);
                let mut set = JobSet::new(&pool);
                set.spawn(|| ());
                assert!(set.join_next().unwrap().unwrap_err().is_forked());

                pool.execute(|| ());
                spawner.execute(|| ());
                limit.execute(|| ());
                assert_eq!(rejected.load(Ordering::SeqCst), 3);

                let worker = pool.worker(|(), _: &Parent<()>| ());
                assert!(!worker.is_alive());
                assert!(worker.post(()).unwrap_err().is_closed());
                assert!(worker.recv().unwrap_err().is_closed());
                assert!(worker.exit().unwrap().is_forked());
                let worker = Worker::<(), ()>::builder(&pool).spawn(|_| |()| ());
                assert!(worker.exited().wait().is_forked());
                drop(state);
            });
            assert!(!pool.is_closed());
            assert_eq!(rejected.load(Ordering::SeqCst), 0);
        });
    });
}

/// 23: what was there before the fork.
#[test]
fn handles_from_before_a_fork_say_so_unless_the_job_had_ended() {
    alone(
        "handles_from_before_a_fork_say_so_unless_the_job_had_ended",
        || {
            for_each_size(|threads| {
                let pool = pool(threads);
                let ended = pool.spawn(|| 3);
                until(|| ended.is_finished());
                let mut set = JobSet::new(&pool);
                set.spawn(|| 1);
                assert_eq!(set.join_next().unwrap().unwrap(), 1);
                let (other_pool, serial) = (common::pool(1), pool.serial());
                let in_view = running(|job| other_pool.limit(1).spawn(job));
                let busy = Occupied::all(&pool);
                let [a, b, c, d, mut e] = [2; 5].map(|n| pool.spawn(move || n));
                let behind = [serial.spawn(|| 2), serial.spawn(|| 2)];
                (0..10).for_each(|n| set.spawn(move || n));
                set.spawn_job(other_pool.job().timeout(Duration::from_secs(3600)), || 10);
                let mut cx = Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut e).poll(&mut cx).is_pending());
                let steps = pool
                    .job()
                    .spawn_with_progress(|progress: &Progress<u32>| progress.post(1).is_ok());
                let values = (ended, [a, b, c, d, e], in_view.job, behind, set, steps);
                let values =
                    in_a_fork_with(values, |(ended, jobs, in_view, behind, mut set, steps)| {
                        assert_eq!(ended.join().unwrap(), 3);
                        let [a, b, c, mut d, mut e] = jobs;
                        assert_forked(a);
                        let error = b.join_timeout(Duration::MAX).unwrap().unwrap_err();
                        assert!(error.is_forked());
                        let error = c.join_timeout(Duration::ZERO).unwrap().unwrap_err();
                        assert!(error.is_forked());
                        assert!(d.try_join().unwrap().unwrap_err().is_forked());
                        assert!(d.try_join().is_none());
                        assert!(block_on(&mut e).unwrap_err().is_forked());
                        assert_forked(in_view);
                        behind.into_iter().for_each(assert_forked);
                        assert_eq!(steps.iter().unwrap().count(), 0);
                        assert!(block_on(steps).unwrap_err().is_forked());
                        // A new one beside them.
                        let own = common::pool(1);
                        set.spawn_job(own.job(), || 11);
                        let mut results = set.join_all();
                        assert_eq!(results.pop().unwrap().unwrap(), 11);
                        assert_eq!(results.len(), 11);
                        let mut errors = results.into_iter().map(Result::unwrap_err);
                        assert!(errors.all(|error| error.is_forked()));
                    });
                busy.release();
                drop(in_view.go);
                let (_, jobs, in_view, behind, set, steps) = values;
                assert!(jobs.map(|job| job.join().unwrap()) == [2; 5]);
                assert_eq!(in_view.join().unwrap(), 7);
                assert!(set.join_all().into_iter().map(Result::unwrap).eq(0..=10));
                assert!(steps.join().unwrap());
                assert!(behind.map(|job| job.join().unwrap()) == [2, 2]);
            });
        },
    );
}

/// 23: a job that had not started can be cancelled, and its handle then says that.
#[test]
fn what_waited_before_a_fork_can_be_cancelled_in_it() {
    alone("what_waited_before_a_fork_can_be_cancelled_in_it", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let busy = Occupied::all(&pool);
            let drops = Drops::default();
            let [first, second] = [drops.token(), drops.token()];
            let waits = pool.spawn(move || drop(first));
            let told = pool.spawn(move || drop(second)).cancel_on_drop();
            let (waits, told) = in_a_fork_with((waits, told), |(waits, mut told)| {
                assert!(waits.cancel());
                assert_eq!(drops.count(), 1);
                assert!(waits.join().unwrap_err().is_cancelled());
                // One thing after the other.
                let cancel = told.cancel_handle();
                assert!(told.try_join().unwrap().unwrap_err().is_forked());
                assert!(!told.cancel() && !cancel.cancel());
                assert_eq!(drops.count(), 1);
                drop(told);
            });
            assert_eq!(drops.count(), 0);
            busy.release();
            waits.join().unwrap();
            told.join().unwrap();
        });
    });
}

/// 23: the old pool's end.
#[test]
fn a_pool_from_before_a_fork_ends_at_once_in_it() {
    alone("a_pool_from_before_a_fork_ends_at_once_in_it", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let busy = Occupied::all(&pool);
            let drops = Drops::default();
            let queued: Vec<_> = (0..100)
                .map(|n| (n, drops.token()))
                .map(|(n, token)| pool.spawn(move || (n, token).0))
                .collect();
            let pool = in_a_fork_with(pool, |pool| {
                // It has the stacks that the old threads had.
                let own = common::pool(threads);
                own.spawn(|| ()).join().unwrap();
                assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
                block_on(pool.shutdown());
                pool.shutdown_now();
                drop(pool);
                assert_eq!(drops.count(), 0, "the queues are the parent's");
                let sum: u32 = (0..100).map(|n| own.spawn(move || n).join().unwrap()).sum();
                assert_eq!(sum, 4950);
                drop(own);
            });
            busy.release();
            let sum: u32 = queued.into_iter().map(|job| job.join().unwrap()).sum();
            assert_eq!(sum, 4950);
            drop(pool);
        });
    });
}

/// Does not end before its thread may.
struct Straggler(mpsc::Receiver<()>, mpsc::Sender<()>);

impl Drop for Straggler {
    fn drop(&mut self) {
        let _ = self.1.send(());
        let _ = self.0.recv();
    }
}

thread_local! {
    static STRAGGLER: std::cell::RefCell<Option<Straggler>> =
        const { std::cell::RefCell::new(None) };
}

/// 23: somebody else was waiting for the pool's end, and holds what that needs.
#[test]
fn a_fork_amid_a_shutdown_does_not_wait_for_it() {
    alone("a_fork_amid_a_shutdown_does_not_wait_for_it", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let (go, wait) = mpsc::channel();
            let (leaving, left) = mpsc::channel();
            let last = Straggler(wait, leaving);
            pool.spawn(move || STRAGGLER.set(Some(last)))
                .join()
                .unwrap();
            thread::scope(|scope| {
                let waiter = scope.spawn(|| pool.shutdown_timeout(Duration::MAX));
                left.recv().unwrap();
                // It joins the threads by now, or is about to.
                for _ in 0..20 {
                    in_a_fork(|| {
                        assert_eq!(pool.shutdown_timeout(Duration::MAX), Ok(()));
                        block_on(pool.shutdown());
                    });
                    thread::yield_now();
                }
                drop(go);
                assert_eq!(waiter.join().unwrap(), Ok(()));
            });
        });
    });
}

/// 23: forks at any moment, and the parent has all of its jobs done, once each.
#[test]
fn the_parent_does_not_notice_a_fork() {
    alone("the_parent_does_not_notice_a_fork", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let (crew, before) = (thread_ids(&pool), threads_at_rest());
            let ran = Arc::new(AtomicUsize::new(0));
            let stop = Arc::new(AtomicBool::new(false));
            let spawner = pool.spawner();
            let feeder = thread::spawn({
                let (ran, stop) = (Arc::clone(&ran), Arc::clone(&stop));
                move || {
                    let mut handed_over = 0;
                    while !stop.load(Ordering::SeqCst) {
                        let jobs = (0..100).map(|_| {
                            let ran = Arc::clone(&ran);
                            spawner.spawn(move || ran.fetch_add(1, Ordering::SeqCst))
                        });
                        let jobs: Vec<_> = jobs.collect();
                        handed_over += jobs.len();
                        for job in jobs {
                            job.join().unwrap();
                        }
                    }
                    handed_over
                }
            });
            for _ in 0..30 {
                until(|| ran.swap(0, Ordering::SeqCst) > 0 || feeder.is_finished());
                let mine = pool.spawn(|| 1);
                let mine = in_a_fork_with(mine, |mine| {
                    assert_forked(pool.spawn(|| 1));
                    match mine.join() {
                        Ok(one) => assert_eq!(one, 1),
                        Err(error) => assert!(error.is_forked()),
                    }
                });
                assert_eq!(mine.join().unwrap(), 1);
            }
            stop.store(true, Ordering::SeqCst);
            assert!(feeder.join().unwrap() > 0);
            assert_eq!(thread_ids(&pool), crew);
            until(|| threads_here() <= before);
        });
    });
}

/// 23: the default hook writes a line, although somebody held stderr at the fork.
#[test]
fn what_is_said_of_a_refused_job_waits_for_nobody() {
    alone("what_is_said_of_a_refused_job_waits_for_nobody", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let (held, holds) = mpsc::channel();
            let (go, wait) = mpsc::channel::<()>();
            let holder = thread::spawn(move || {
                let _stderr = std::io::stderr().lock();
                held.send(()).unwrap();
                let _ = wait.recv();
            });
            holds.recv().unwrap();
            in_a_fork(|| pool.execute(|| ()));
            drop(go);
            holder.join().unwrap();
        });
    });
}
