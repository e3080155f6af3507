//! Promise: a pool works with the threads that could be started, says which
//! could not, and is an error only if there is none at all.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{Drops, watched};
use windlass::{BuildError, Pool};

/// No address space has room for such a stack.
const ABSURD_STACK: usize = 1 << 46;

/// Checklist 18.
#[test]
fn if_no_thread_starts_the_build_fails_and_leaves_nothing_behind() {
    watched(|| {
        let drops = Drops::default();
        for threads in common::SIZES {
            let token = drops.token();
            let error = Pool::builder()
                .num_threads(threads)
                .stack_size(ABSURD_STACK)
                .on_thread_start(move |_| {
                    let _held = &token;
                    unreachable!("no thread was started");
                })
                .build()
                .unwrap_err();
            let BuildError::NoThreads { requested, source } = &error else {
                panic!("{error:?}");
            };
            assert_eq!(*requested, threads);
            assert!(error.to_string().contains(&source.to_string()), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
        assert_eq!(drops.count(), common::SIZES.len(), "the hooks were dropped");
        // The process is none the worse for it.
        assert_eq!(common::pool(2).spawn(|| 1).join().unwrap(), 1);
    });
}

/// Checklist 17 and 19: in a process whose address space is limited, so that
/// only some of the threads' stacks fit.
#[test]
#[cfg(target_os = "linux")]
fn the_pool_works_with_the_threads_that_did_start() {
    const ME: &str = "the_pool_works_with_the_threads_that_did_start";
    const REQUESTED: usize = 64;
    if !common::is_child_of(ME) {
        watched(|| {
            // 4 GiB of address space, of which 64 stacks of 256 MiB would
            // take 16.
            let script = "ulimit -v 4194304 && exec \"$0\" \"$@\"";
            let output = common::run_child(common::child(ME, &["sh", "-c", script]));
            assert!(output.contains("shortfall: only"), "{output}");
        });
        return;
    }
    let stopped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&stopped);
    let pool = Pool::builder()
        .num_threads(REQUESTED)
        .stack_size(256 << 20)
        .on_thread_stop(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    let shortfall = pool.shortfall().expect("not all of them fit");
    println!("shortfall: {shortfall}");
    let started = pool.num_threads();
    assert!((1..REQUESTED).contains(&started), "{started}");
    assert_eq!(
        (shortfall.requested(), shortfall.started()),
        (REQUESTED, started)
    );
    assert!(
        shortfall
            .to_string()
            .contains(&shortfall.error().to_string())
    );

    // Each of them works, and nothing that is handed over is left lying.
    assert_eq!(common::thread_ids(&pool).len(), started);
    let jobs: Vec<_> = (0..2000_usize).map(|i| pool.spawn(move || i)).collect();
    for (i, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.join().unwrap(), i);
    }
    drop(pool);
    assert_eq!(stopped.load(Ordering::SeqCst), started);
}

/// Checklist 20.
#[test]
#[cfg(target_os = "linux")]
fn a_process_that_may_use_one_core_gets_one_thread() {
    const ME: &str = "a_process_that_may_use_one_core_gets_one_thread";
    if !common::is_child_of(ME) {
        let tool = ["/usr/bin/taskset", "/bin/taskset"]
            .into_iter()
            .find(|tool| Path::new(tool).exists());
        let Some(tool) = tool else {
            println!("skipped: there is no taskset here");
            return;
        };
        // This process may be kept from the first core.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let core = allowed.unwrap().trim().split([',', '-']).next().unwrap();
        let core = core.to_owned();
        watched(move || {
            common::run_child(common::child(ME, &[tool, "-c", &core]));
        });
        return;
    }
    let pool = Pool::new().unwrap();
    assert_eq!(pool.num_threads(), 1);
    // And on one core everything still works, with more threads than cores too.
    let jobs: Vec<_> = (0..1000_usize).map(|i| pool.spawn(move || i)).collect();
    let sum: usize = jobs.into_iter().map(|job| job.join().unwrap()).sum();
    assert_eq!(sum, 999 * 500);
    let eight = common::pool(8);
    let nested = eight.spawn(|| windlass::Spawner::current().unwrap().spawn(|| 3).join());
    assert_eq!(nested.join().unwrap().unwrap(), 3);
    assert_eq!(thread::available_parallelism().unwrap().get(), 1);
}
