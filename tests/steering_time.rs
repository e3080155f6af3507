//! Promise: a job that is too late never starts, one that takes too long is over
//! for its handle, and both are told in time, whatever the pool is busy with.
//! (Checklist 52.)

mod common;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Drops, Occupied, for_each_size, on_each_size, pool_with_panics, until};
use windlass::is_cancelled;

const SOON: Duration = Duration::from_millis(5);
const LATE: Duration = Duration::from_secs(3600);

/// 52: expired at its deadline, although no thread is there to see to it; and
/// what it captured is dropped once one is.
#[test]
fn a_job_that_is_late_never_starts_and_its_handle_is_told_in_time() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let drops = Drops::default();
        let jobs: Vec<_> = (0..100)
            .map(|_| {
                let captured = drops.token();
                pool.job().deadline(SOON).spawn(move || {
                    drop(captured);
                    unreachable!("the threads are busy")
                })
            })
            .collect();
        for job in jobs {
            let result: Result<(), _> = job.join();
            let error = result.unwrap_err();
            assert!(error.is_expired() && !error.is_cancelled() && !error.is_timed_out());
        }
        drop(busy);
        until(|| drops.count() == 100);
    });
}

/// 52: it is told once, to whatever waits: a thread, a future, a main loop.
#[test]
fn a_main_loop_is_told_of_an_expired_job() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let main = windlass::MainLoop::new();
        let told = std::rc::Rc::new(std::cell::Cell::new(0));
        let tell = std::rc::Rc::clone(&told);
        main.on_complete(pool.job().deadline(SOON).spawn(|| ()), move |_, result| {
            assert!(result.unwrap_err().is_expired());
            tell.set(tell.get() + 1);
        });
        main.run();
        drop(busy);
        pool.spawn(|| ()).join().unwrap();
        main.turn();
        assert_eq!(told.get(), 1);
    });
}

#[test]
fn a_job_in_time_is_like_any_other() {
    on_each_size(|pool| {
        for limit in [Duration::from_secs(600), LATE, Duration::MAX] {
            let job = pool.job().deadline(limit).timeout(limit);
            assert_eq!(job.spawn(|| 6 * 7).join().unwrap(), 42);
        }
    });
}

/// No time at all: it is over when `spawn` returns, captures and all.
#[test]
fn a_deadline_of_zero_expires_at_once() {
    on_each_size(|pool| {
        let drops = Drops::default();
        for _ in 0..100 {
            let captured = drops.token();
            let job = pool
                .job()
                .deadline(Duration::ZERO)
                .spawn(move || drop(captured));
            assert!(job.is_finished());
            assert!(job.join().unwrap_err().is_expired());
        }
        assert_eq!(drops.count(), 100);
    });
}

/// 51: the handle resolves while the job runs; the job is asked to stop; what it
/// gives after that is dropped.
#[test]
fn a_job_that_takes_too_long_is_over_for_its_handle() {
    on_each_size(|pool| {
        for limit in [Duration::ZERO, SOON] {
            let drops = Drops::default();
            let (result, captured) = (drops.token(), drops.token());
            let (go, wait) = mpsc::channel::<()>();
            let job = pool.job().timeout(limit).spawn(move || {
                let _ = wait.recv();
                assert!(is_cancelled());
                drop(captured);
                result
            });
            let error = job.join().map(drop).unwrap_err();
            assert!(error.is_timed_out() && !error.is_expired());
            assert_eq!(drops.count(), 0, "it runs still");
            drop(go);
            until(|| drops.count() == 2);
        }
    });
}

/// The timeout begins when the job does, not when it is spawned.
#[test]
fn waiting_in_a_queue_is_not_running() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let job = pool
            .job()
            .timeout(Duration::from_secs(600))
            .spawn(|| "in time");
        drop(busy);
        assert_eq!(job.join().unwrap(), "in time");
    });
}

/// A late panic is nobody's result, and so goes to the hook.
#[test]
fn a_panic_after_the_timeout_reaches_the_hook() {
    for_each_size(|threads| {
        let (pool, panics) = pool_with_panics(threads);
        let job = pool.job().timeout(SOON).spawn(|| {
            while !is_cancelled() {
                std::thread::yield_now();
            }
            panic!("{}: too late", common::EXPECTED);
        });
        let result: Result<(), _> = job.join();
        assert!(result.unwrap_err().is_timed_out());
        panics.recv().unwrap();
    });
}

/// One slow `Drop` does not make others late: the thread that keeps the time drops
/// nothing.
#[test]
fn a_slow_drop_delays_no_deadline() {
    struct Slow(mpsc::Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let (go, wait) = mpsc::channel::<()>();
        let slow = Slow(wait);
        let first = pool.job().deadline(SOON).spawn(move || drop(slow));
        let second = pool.job().deadline(SOON * 2).spawn(|| ());
        assert!(first.join().unwrap_err().is_expired());
        assert!(second.join().unwrap_err().is_expired());
        drop(go);
        drop(busy);
    });
}

/// Deadlines come in any order, and each is kept for itself.
#[test]
fn limits_of_every_length_side_by_side() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let far: Vec<_> = (0..500)
            .map(|_| pool.job().deadline(LATE).spawn(|| 1))
            .collect();
        let near: Vec<_> = (0..50)
            .rev()
            .map(|n| {
                pool.job()
                    .deadline(Duration::from_micros(n * 100 + 1))
                    .spawn(|| 1)
            })
            .collect();
        for job in near {
            assert!(job.join().unwrap_err().is_expired());
        }
        drop(busy);
        assert_eq!(
            far.into_iter().map(|job| job.join().unwrap()).sum::<i32>(),
            500
        );
    });
}

/// A deadline against the start and against a cancel: one of them wins.
#[test]
fn deadline_against_start_and_cancel() {
    on_each_size(|pool| {
        let mut seen = [0; 3];
        for n in 0..2000_u64 {
            let limit = Duration::from_nanos(1 + n % 100 * 1000);
            let job = pool.job().deadline(limit).spawn(|| ());
            if n % 3 == 0 {
                job.cancel();
            }
            match job.join() {
                Ok(()) => seen[0] += 1,
                Err(error) if error.is_expired() => seen[1] += 1,
                Err(error) => {
                    assert!(error.is_cancelled(), "{error}");
                    seen[2] += 1;
                }
            }
        }
        assert_eq!(seen.iter().sum::<usize>(), 2000);
    });
}

/// The backlog's expired jobs are no trouble for the end of a pool.
#[test]
fn the_end_of_a_pool_drops_what_expired() {
    for_each_size(|threads| {
        for way in ["drop", "now"] {
            let pool = common::pool(threads);
            let busy = Occupied::all(&pool);
            let drops = Drops::default();
            let captured = drops.token();
            let job = pool.job().deadline(SOON).spawn(move || drop(captured));
            assert!(job.join().unwrap_err().is_expired());
            if way == "now" {
                pool.shutdown_now();
            }
            drop(busy);
            drop(pool);
            assert_eq!(drops.count(), 1);
        }
    });
}

/// A time that is there is shown to be kept: not before it.
#[test]
fn nothing_expires_early() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let begin = Instant::now();
        let job = pool.job().deadline(SOON).spawn(|| ());
        assert!(job.join().unwrap_err().is_expired());
        assert!(begin.elapsed() >= SOON);
        drop(busy);
    });
}

/// How many threads keep the time.
#[cfg(target_os = "linux")]
fn keepers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "windlass-timer").count()
}

/// One thread keeps the time, and only while there is a limit.
#[cfg(target_os = "linux")]
#[test]
fn the_time_keeper_comes_and_goes() {
    // A process of its own: other tests have limits too.
    let test = "the_time_keeper_comes_and_goes";
    if !common::is_child_of(test) {
        common::run_child(common::child(test, &[]));
        return;
    }
    on_each_size(|pool| {
        assert_eq!(keepers(), 0);
        let (go, wait) = mpsc::channel::<()>();
        let jobs: Vec<_> = (0..10)
            .map(|_| pool.job().deadline(LATE).spawn(|| ()))
            .collect();
        let running = pool.job().timeout(LATE).spawn(move || wait.recv().is_err());
        until(|| keepers() == 1);
        drop(go);
        assert!(running.join().unwrap());
        jobs.into_iter().for_each(|job| job.join().unwrap());
        until(|| keepers() == 0);
    });
}

/// Never more than one, however many threads set limits, and however short.
#[cfg(target_os = "linux")]
#[test]
fn there_is_one_time_keeper_whoever_starts_it() {
    let test = "there_is_one_time_keeper_whoever_starts_it";
    if !common::is_child_of(test) {
        common::run_child(common::child(test, &[]));
        return;
    }
    common::watched(|| {
        let pool = common::pool(2);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for n in 0..3000 {
                        let limit = if n % 5 == 0 {
                            LATE
                        } else {
                            Duration::from_micros(n % 100)
                        };
                        let _ = pool.job().deadline(limit).spawn(|| ()).join();
                    }
                });
            }
        });
        // One may be about to go while another comes.
        until(|| keepers() == 0);
    });
}
