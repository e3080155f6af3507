//! Promise: a job that runs for too long is reported, once, by its name; and so is a
//! wait without a substitute.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{for_each_size, hush, until, watched};
use windlass::{Pool, PoolBuilder, Stall, blocking};

const LIMIT: Duration = Duration::from_millis(20);

/// More than a busy machine keeps a thread waiting for a processor.
const LONG_LIMIT: Duration = Duration::from_secs(1);

fn watched_pool(threads: usize, limit: Duration) -> (PoolBuilder, mpsc::Receiver<Stall>) {
    let (tell, stalls) = mpsc::channel();
    let builder = Pool::builder()
        .num_threads(threads)
        .stall_after(limit)
        .on_stall(move |stall| tell.send(stall).unwrap());
    (builder, stalls)
}

#[test]
fn a_slow_job_is_reported_once_with_name_age_and_thread() {
    for_each_size(|threads| {
        // So long that the job has noted its name by then.
        let limit = LONG_LIMIT / 4;
        let (builder, stalls) = watched_pool(threads, limit);
        let pool = builder
            .thread_name(|index| format!("haul-{index}"))
            .build()
            .unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let slow = pool.job().name("thumbnail").spawn(move || {
            (
                wait.recv().is_err(),
                thread::current().name().map(String::from),
            )
        });
        let stall = stalls.recv().unwrap();
        assert_eq!(stall.job_name(), Some("thumbnail"));
        assert!(stall.age() >= limit, "{stall:?}");
        assert!(!stall.is_out_of_substitutes());
        let text = stall.to_string();
        assert!(
            text.starts_with("the job \"thumbnail\" has been running for "),
            "{text}"
        );
        // The others may go on meanwhile; it is not said again.
        thread::sleep(3 * limit);
        drop(go);
        let (_, name) = slow.join().unwrap();
        assert_eq!(name.as_deref(), Some(stall.thread()));
        assert_eq!(name, Some(format!("haul-{}", stall.index())));
        assert!(stalls.try_recv().is_err(), "reported twice");
        assert_eq!(pool.metrics().stalls, 1);
    });
}

/// Each job anew, and jobs without a name too; a wait inside a job is no excuse.
#[test]
fn every_slow_job_is_reported() {
    for_each_size(|threads| {
        let (builder, stalls) = watched_pool(threads, LIMIT);
        let pool = builder.build().unwrap();
        for waits in [false, true, false] {
            let (go, wait) = mpsc::channel::<()>();
            let slow = pool.spawn(move || {
                if waits {
                    blocking(|| wait.recv().is_err())
                } else {
                    wait.recv().is_err()
                }
            });
            let stall = stalls.recv().unwrap();
            assert_eq!(stall.job_name(), None);
            drop(go);
            assert!(slow.join().unwrap());
        }
    });
}

/// A thread that has always something to do is not at the same job.
#[test]
fn many_small_jobs_are_no_stall() {
    for_each_size(|threads| {
        let stalls = || {
            let (builder, stalls) = watched_pool(threads, LONG_LIMIT);
            let pool = builder.build().unwrap();
            // Each thread is at work for twice the limit.
            let jobs: Vec<_> = (0..2000 * threads)
                .map(|_| pool.spawn(|| thread::sleep(Duration::from_millis(1))))
                .collect();
            jobs.into_iter().for_each(|job| job.join().unwrap());
            stalls.try_iter().count()
        };
        // On a machine that stands still for a second any job is slow, but not each time.
        assert!((0..5).any(|_| stalls() == 0));
    });
}

/// The name belongs to the innermost job that runs, and goes with it.
#[test]
fn a_name_goes_with_its_job() {
    watched(|| {
        let (builder, stalls) = watched_pool(1, LIMIT);
        let pool = builder.build().unwrap();
        pool.job().name("short").spawn(|| ()).join().unwrap();
        hush();
        let named = pool.job().name("panics").spawn(|| panic!("expected"));
        assert!(named.join().unwrap_err().is_panic());
        let (go, wait) = mpsc::channel::<()>();
        let slow = pool.spawn(move || wait.recv().is_err());
        // On a busy machine the others may have been slow, too, and told of once each.
        let mut others = vec!["short", "panics"];
        let next = || stalls.recv().unwrap().job_name().map(String::from);
        while let Some(name) = next() {
            let told = others.iter().position(|other| *other == name);
            others.remove(told.expect("once"));
        }
        drop(go);
        slow.join().unwrap();
    });
}

#[test]
fn a_hook_that_panics_does_not_end_the_watch() {
    watched(|| {
        hush();
        let (tell, stalls) = mpsc::channel();
        let pool = Pool::builder()
            .num_threads(1)
            .stall_after(LIMIT)
            .on_stall(move |stall| {
                tell.send(stall).unwrap();
                panic!("expected");
            })
            .build()
            .unwrap();
        for _ in 0..3 {
            let (go, wait) = mpsc::channel::<()>();
            let slow = pool.spawn(move || wait.recv().is_err());
            stalls.recv().unwrap();
            drop(go);
            slow.join().unwrap();
        }
    });
}

#[test]
fn limits_of_any_length_are_fine() {
    for_each_size(|threads| {
        for limit in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let pool = Pool::builder()
                .num_threads(threads)
                .stall_after(limit)
                .on_stall(drop)
                .build()
                .unwrap();
            for _ in 0..100 {
                pool.spawn(|| ()).join().unwrap();
            }
        }
    });
}

/// The bound past which the stall hook speaks.
#[test]
fn a_wait_without_a_substitute_is_reported_once() {
    for_each_size(|threads| {
        let (tell, stalls) = mpsc::channel();
        let pool = Pool::builder()
            .num_threads(threads)
            .max_substitutes(1)
            .on_stall(move |stall| tell.send(stall).unwrap())
            .build()
            .unwrap();
        let (goes, jobs): (Vec<_>, Vec<_>) = (0..=threads)
            .map(|_| {
                let (go, wait) = mpsc::channel::<()>();
                (go, pool.spawn(move || blocking(|| wait.recv().is_err())))
            })
            .unzip();
        let stall = stalls.recv().unwrap();
        assert!(stall.is_out_of_substitutes());
        assert!(stall.to_string().contains("no substitute"), "{stall}");
        until(|| pool.metrics().substitutes == 1);
        drop(goes);
        for job in jobs {
            assert!(job.join().unwrap());
        }
        assert!(stalls.try_recv().is_err(), "reported twice");
    });
}
