//! Promise: a cancelled token ends its jobs: exactly those that have not started,
//! and by their leave those that run. (Checklist 48 to 53.)

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{Drops, Occupied, on_each_size, watched};
use windlass::{CancelToken, Pool, checkpoint, is_cancelled};

/// A job that says that it runs, and ends when it is told to stop.
fn obedient(pool: &Pool, token: &CancelToken) -> windlass::JoinHandle<&'static str> {
    let (begin, begun) = mpsc::channel();
    let job = pool.job().cancel_with(token).spawn(move || {
        begin.send(()).unwrap();
        while checkpoint().is_ok() {
            std::thread::yield_now();
        }
        "stopped"
    });
    begun.recv().unwrap();
    job
}

/// 48, 50: queued jobs never start, and what they captured is dropped by the time
/// the call returns, although every thread is busy.
#[test]
fn a_cancelled_token_ends_what_is_queued_at_once() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let (token, other) = (CancelToken::new(), CancelToken::new());
        let drops = Drops::default();
        let job = |token: &CancelToken| {
            let captured = drops.token();
            pool.job().cancel_with(token).spawn(move || drop(captured))
        };
        let ended: Vec<_> = (0..200).map(|_| job(&token)).collect();
        let spared = job(&other);
        token.cancel();
        assert_eq!(drops.count(), 200);
        token.cancel();
        assert!(ended.iter().all(windlass::JoinHandle::is_finished));
        for job in ended {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        assert!(!other.is_cancelled());
        drop(busy);
        spared.join().unwrap();
    });
}

/// 51: a running job is asked to stop, and its result is a result.
#[test]
fn a_running_job_is_asked_to_stop() {
    on_each_size(|pool| {
        let token = CancelToken::new();
        let job = obedient(&pool, &token);
        token.cancel();
        assert_eq!(job.join().unwrap(), "stopped");
        assert!(!is_cancelled(), "not here");
        assert!(
            !pool.spawn(is_cancelled).join().unwrap(),
            "nor in the next job"
        );
    });
}

/// 53: children are cancelled with their parent, at any depth, and not the other
/// way round; one that comes too late is born cancelled.
#[test]
fn a_parent_reaches_its_children() {
    on_each_size(|pool| {
        let parent = CancelToken::new();
        let (first, second) = (parent.child(), parent.child());
        let job = obedient(&pool, &second.child().child());
        first.cancel();
        assert!(!parent.is_cancelled() && !second.is_cancelled());
        parent.cancel();
        assert!(second.is_cancelled() && parent.child().is_cancelled());
        assert_eq!(
            job.join().unwrap(),
            "stopped",
            "although nobody had its token"
        );
        let late = pool.job().cancel_with(&parent.child()).spawn(|| ());
        assert!(late.join().unwrap_err().is_cancelled());
    });
}

/// A chain of children as long as memory allows is cancelled without recursion.
#[test]
fn a_long_line_of_children_is_cancelled() {
    watched(|| {
        let first = CancelToken::new();
        let mut line = vec![first.clone()];
        for _ in 0..100_000 {
            let child = line.last().unwrap().child();
            line.push(child);
        }
        first.cancel();
        assert!(line.iter().all(CancelToken::is_cancelled));
        // And one that is not cancelled is dropped without recursion.
        let first = CancelToken::new();
        let mut last = first.clone();
        for _ in 0..100_000 {
            last = last.child();
        }
        drop((first, last));
    });
}

/// With a cancelled token a job is over when `spawn` returns.
#[test]
fn a_cancelled_token_takes_no_jobs() {
    on_each_size(|pool| {
        let token = CancelToken::new();
        token.cancel();
        let drops = Drops::default();
        let captured = drops.token();
        let job = pool.job().cancel_with(&token).spawn(move || drop(captured));
        assert!(job.is_finished() && drops.count() == 1);
        assert!(job.join().unwrap_err().is_cancelled());
    });
}

/// Cancelling races with starting: each job either never ran, or ran to its end.
#[test]
fn cancel_against_start() {
    on_each_size(|pool| {
        for _ in 0..300 {
            let token = CancelToken::new();
            let ran = Arc::new(AtomicUsize::new(0));
            let jobs: Vec<_> = (0..8)
                .map(|_| {
                    let ran = Arc::clone(&ran);
                    pool.job()
                        .cancel_with(&token)
                        .spawn(move || ran.fetch_add(1, Ordering::SeqCst))
                })
                .collect();
            token.cancel();
            let finished = jobs.into_iter().filter_map(|job| job.join().ok()).count();
            assert_eq!(finished, ran.load(Ordering::SeqCst));
        }
    });
}

/// Many threads give jobs to a token that one of them cancels: none is forgotten.
#[test]
fn no_job_slips_past_a_token_that_is_just_cancelled() {
    on_each_size(|pool| {
        for _ in 0..50 {
            let busy = Occupied::all(&pool);
            let token = CancelToken::new();
            let jobs: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..3)
                    .map(|_| {
                        let job = || pool.job().cancel_with(&token).spawn(|| ());
                        // Enough that some of them look for jobs that are over.
                        scope.spawn(move || (0..200).map(|_| job()).collect::<Vec<_>>())
                    })
                    .collect();
                token.cancel();
                threads
                    .into_iter()
                    .flat_map(|thread| thread.join().unwrap())
                    .collect()
            });
            // All of them: some by the call, some by the thread that gave them.
            for job in jobs {
                assert!(job.join().unwrap_err().is_cancelled());
            }
            drop(busy);
        }
    });
}

/// A server's token has a child for each request: jobs of children that nobody has
/// any more are reached all the same, and those that are over are forgotten.
#[test]
fn a_token_takes_over_the_jobs_of_children_that_are_gone() {
    on_each_size(|pool| {
        let server = CancelToken::new();
        let busy = Occupied::all(&pool);
        let drops = Drops::default();
        let jobs: Vec<_> = (0..1000)
            .map(|_| {
                let captured = drops.token();
                let request = server.child();
                pool.job()
                    .cancel_with(&request)
                    .spawn(move || drop(captured))
            })
            .collect();
        server.cancel();
        assert_eq!(drops.count(), 1000);
        drop((jobs, busy));
    });
}

/// The `Drop` of a capture may do anything: cancel again, spawn, panic.
#[test]
fn what_a_capture_does_when_it_is_dropped_harms_nobody() {
    struct Meddler(CancelToken, windlass::Spawner);

    impl Drop for Meddler {
        fn drop(&mut self) {
            self.0.cancel();
            let late = self.1.job().cancel_with(&self.0).spawn(|| ());
            assert!(late.join().unwrap_err().is_cancelled());
            panic!("{}: from a capture", common::EXPECTED);
        }
    }

    common::hush();
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let token = CancelToken::new();
        let jobs: Vec<_> = (0..3)
            .map(|_| {
                let meddler = Meddler(token.clone(), pool.spawner());
                pool.job().cancel_with(&token).spawn(move || drop(meddler))
            })
            .collect();
        token.cancel();
        for job in jobs {
            assert!(
                job.join().unwrap_err().is_panic(),
                "the handle is told of it"
            );
        }
        drop(busy);
    });
}

#[test]
fn a_token_can_be_awaited_by_any_number() {
    watched(|| {
        let token = CancelToken::new();
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let cancelled = token.cancelled();
                std::thread::spawn(move || pollster::block_on(cancelled))
            })
            .collect();
        // Those that were given up are no trouble.
        for _ in 0..1000 {
            let mut given_up = Box::pin(token.cancelled());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(given_up.as_mut().poll(&mut context).is_pending());
        }
        token.cancel();
        for waiter in waiters {
            waiter.join().unwrap();
        }
        pollster::block_on(token.cancelled());
    });
}

#[test]
fn a_guard_cancels_when_it_goes_unless_it_is_disarmed() {
    let token = CancelToken::new();
    let disarmed = token.drop_guard().disarm();
    assert!(!disarmed.is_cancelled());
    drop(token.drop_guard());
    assert!(disarmed.is_cancelled());
}

/// 51: all that tells a running job to stop.
#[test]
fn a_job_hears_of_its_handle_and_of_its_pool() {
    common::for_each_size(|threads| {
        for way in ["cancel", "cancel handle", "cancel on drop", "shutdown_now"] {
            let pool = common::pool(threads);
            let (begin, begun) = mpsc::channel();
            let (end, ended) = mpsc::channel();
            let job = pool.spawn(move || {
                begin.send(()).unwrap();
                while !is_cancelled() {
                    std::thread::yield_now();
                }
                end.send(()).unwrap();
            });
            begun.recv().unwrap();
            match way {
                "cancel" => assert!(!job.cancel()),
                "cancel handle" => assert!(!job.cancel_handle().cancel()),
                "cancel on drop" => drop(job.cancel_on_drop()),
                _ => pool.shutdown_now(),
            }
            assert_eq!(
                ended.recv_timeout(Duration::from_secs(120)),
                Ok(()),
                "{way}"
            );
        }
    });
}

/// A job that joins another one asks for itself again afterwards.
#[test]
fn each_job_asks_for_itself() {
    on_each_size(|pool| {
        let token = CancelToken::new();
        let spawner = pool.spawner();
        let inner_token = token.clone();
        let outer = pool.spawn(move || {
            let inner = spawner.job().cancel_with(&inner_token).spawn(|| {
                while !is_cancelled() {
                    std::thread::yield_now();
                }
                is_cancelled()
            });
            let canceller = std::thread::spawn(move || {
                while !inner.is_finished() && !inner_token.is_cancelled() {
                    std::thread::yield_now();
                    inner_token.cancel();
                }
                inner.join()
            });
            let inner = canceller.join().unwrap();
            (inner.is_ok_and(|told| !told), is_cancelled())
        });
        assert_eq!(outer.join().unwrap(), (false, false));
    });
}
