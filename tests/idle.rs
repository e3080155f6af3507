//! Promise: an idle pool uses no CPU. Checklist 61.
//!
//! What is counted are context switches and processor ticks of the pool's own
//! threads, as the kernel keeps them: a thread that sleeps has neither, and no
//! heartbeat, however rare, hides from the first.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Occupied, for_each_size, watched};
use windlass::{MainLoop, Pool, Spawner};

/// How long nothing may happen.
const WINDOW: Duration = Duration::from_millis(700);

/// What the kernel says that one thread did so far.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Activity {
    switches: u64,
    ticks: u64,
}

/// The activity of all threads whose name begins with `name`.
fn activity(name: &str) -> BTreeMap<String, Activity> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task").unwrap() {
        let path = entry.unwrap().path();
        // A thread of another test may end while it is looked at.
        let (Ok(status), Ok(stat)) = (
            fs::read_to_string(path.join("status")),
            fs::read_to_string(path.join("stat")),
        ) else {
            continue;
        };
        let field = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line[key.len()..].trim().to_owned()
        };
        if !field("Name:").starts_with(name) {
            continue;
        }
        let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
            .iter()
            .map(|key| field(key).parse::<u64>().unwrap())
            .sum();
        // The fields after the name in parentheses; utime and stime are the
        // 14th and 15th of the line, counted from 1.
        let after_name = &stat[stat.rfind(')').unwrap() + 2..];
        let ticks = after_name
            .split(' ')
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        threads.insert(path.display().to_string(), Activity { switches, ticks });
    }
    threads
}

/// Returns once so many threads have come to rest and none of them has moved for the whole
/// of a [`WINDOW`]; fails if that does not happen.
///
/// On a busy machine they may take long to fall asleep. A heartbeat that is faster than the
/// window is in each of them.
fn assert_quiet(name: &str, threads: usize) {
    let begin = Instant::now();
    let mut before = activity(name);
    loop {
        thread::sleep(WINDOW);
        let now = activity(name);
        if now == before && now.len() == threads {
            return;
        }
        let waited = begin.elapsed();
        assert!(
            waited < Duration::from_secs(120),
            "never {threads} at rest: {before:?}, {now:?}"
        );
        before = now;
    }
}

fn pool_called(name: &'static str, threads: usize) -> Pool {
    // A substitute would stay for seconds after what it was for.
    Pool::builder()
        .num_threads(threads)
        .max_substitutes(0)
        .thread_name(move |index| format!("{name}-{index}"))
        .build()
        .unwrap()
}

/// Checklist 61.
#[test]
fn a_pool_that_never_had_a_job_is_quiet() {
    for_each_size(|threads| {
        let _pool = pool_called("fresh", threads);
        assert_quiet("fresh", threads);
    });
}

/// Checklist 61.
#[test]
fn a_pool_whose_work_is_done_is_quiet() {
    for_each_size(|threads| {
        let pool = pool_called("done", threads);
        Occupied::all(&pool).release();
        let jobs: Vec<_> = (0..2000)
            .map(|_| {
                pool.spawn(|| {
                    Spawner::current().unwrap().execute(|| ());
                    Spawner::current().unwrap().spawn(|| 1).join().unwrap()
                })
            })
            .collect();
        assert_eq!(
            jobs.into_iter().map(|job| job.join().unwrap()).sum::<i32>(),
            2000
        );
        assert_quiet("done", threads);
        // And it was asleep, not gone.
        assert_eq!(common::thread_ids(&pool).len(), threads);
    });
}

/// Checklist 61: while one of them runs, or waits, the others do nothing.
#[test]
fn the_idle_threads_of_a_busy_pool_are_quiet() {
    watched(|| {
        let pool = pool_called("busy", 4);
        Occupied::all(&pool).release();
        let (go, wait) = mpsc::channel::<()>();
        // A job that is blocked makes no switches either, so all four are quiet.
        let stuck = pool.spawn(move || wait.recv());
        let spawner = pool.spawner();
        let waiting = pool.spawn(move || {
            let _ = &spawner;
            stuck.join().unwrap()
        });
        assert_quiet("busy", 4);
        go.send(()).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}

/// Checklist 61: nor does a main loop that waits for a job poll for it.
#[test]
fn a_main_loop_that_waits_is_quiet() {
    watched(|| {
        let pool = pool_called("loop", 1);
        let (go, wait) = mpsc::channel::<()>();
        let waiter = thread::Builder::new().name("loop-main".into());
        let job = pool.spawn(move || wait.recv());
        let waiter = waiter
            .spawn(move || {
                let main = MainLoop::new();
                main.on_complete(job, |_, result| result.unwrap().unwrap());
                main.run();
            })
            .unwrap();
        assert_quiet("loop", 2);
        go.send(()).unwrap();
        waiter.join().unwrap();
    });
}
