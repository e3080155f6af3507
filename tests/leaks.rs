//! Promise: a pool that is gone has left nothing behind. Checklist 14.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use windlass::{MainLoop, Pool};

/// The names in a directory of the kernel's.
fn names(directory: &str) -> BTreeSet<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn threads() -> usize {
    names("/proc/self/task").len()
}

fn descriptors() -> usize {
    names("/proc/self/fd").len()
}

/// One life of a pool, with every part of the crate in it.
fn live_and_die(round: usize, held: &Arc<()>, ran: &Arc<AtomicUsize>) {
    let (token, count) = (Arc::clone(held), Arc::clone(ran));
    let threads = common::SIZES[round % 3];
    let pool = Pool::builder()
        .num_threads(threads)
        .on_thread_start(move |_| {
            let _held = &token;
        })
        .build()
        .unwrap();
    for _ in 0..10 {
        let (token, count) = (Arc::clone(held), Arc::clone(&count));
        pool.execute(move || {
            let _held = token;
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
    let token = Arc::clone(held);
    let result = pool.spawn(move || token);
    let unwanted = Arc::clone(held);
    let cancelled = pool.spawn(move || drop(unwanted));
    cancelled.cancel();
    let spawner = pool.spawner();
    match round % 4 {
        0 => drop(pool),
        1 => {
            pool.shutdown_now();
            drop(pool);
        }
        2 => pollster::block_on(pool.shutdown()),
        _ => {
            // In its own job; the threads end by themselves, a moment later.
            let (give, take) = mpsc::channel::<Pool>();
            let job = pool.spawn(move || drop(take.recv()));
            give.send(pool).unwrap();
            job.join().unwrap();
        }
    }
    drop((result, cancelled));
    assert!(spawner.is_closed());
    if round.is_multiple_of(10) {
        let main = MainLoop::new();
        let descriptor = main.pollable().unwrap();
        main.on_complete(std::future::ready(Arc::clone(held)), |_, _| ());
        main.turn();
        drop(descriptor);
    }
}

/// Checklist 14.
///
/// Alone in its process, as it counts all of its threads.
#[test]
fn a_thousand_pools_leave_no_thread_no_descriptor_and_no_capture() {
    const ME: &str = "a_thousand_pools_leave_no_thread_no_descriptor_and_no_capture";
    if !common::is_child_of(ME) {
        common::watched(|| drop(common::run_child(common::child(ME, &[]))));
        return;
    }
    common::watched(|| {
        let (held, ran) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
        for round in 0..40 {
            live_and_die(round, &held, &ran);
        }
        common::until(|| threads() <= 3);
        let before = (threads(), descriptors());
        for round in 0..1000 {
            live_and_die(round, &held, &ran);
        }
        common::until(|| threads() <= before.0);
        assert_eq!((threads(), descriptors()), before);
        common::until(|| Arc::strong_count(&held) == 1);
        assert!(ran.load(Ordering::Relaxed) >= 750 * 10);
    });
}

/// The count above can fail: a pool that lives is seen.
#[test]
fn the_threads_of_a_living_pool_are_counted() {
    const ME: &str = "the_threads_of_a_living_pool_are_counted";
    if !common::is_child_of(ME) {
        common::watched(|| drop(common::run_child(common::child(ME, &[]))));
        return;
    }
    let before = threads();
    let pool = common::pool(8);
    assert_eq!(threads(), before + 8);
    drop(pool);
    common::until(|| threads() == before);
}
