//! Promise: what is refused, or given up, leaves nothing behind.
//!
//! Each test counts what its process has, and so has one of its own.
#![cfg(target_os = "linux")]

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{CountingWaker, hush, panic_of, text, watched};
use windlass::{MainLoop, Parent, Worker, bounded_channel};

/// Whoever gives up waiting leaves nothing behind, however often.
#[test]
fn giving_up_again_and_again_costs_no_memory() {
    const ME: &str = "giving_up_again_and_again_costs_no_memory";
    if !common::is_child_of(ME) {
        watched(|| drop(common::run_child(common::child(ME, &[]))));
        return;
    }
    const TIMES: usize = 50_000;
    fn resident() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    /// Polls a future once, with a waker of its own, and drops it.
    fn give_up(future: impl Future) {
        let waker = Arc::new(CountingWaker::default()).into();
        let mut context = std::task::Context::from_waker(&waker);
        assert!(std::pin::pin!(future).poll(&mut context).is_pending());
    }
    let pool = common::pool(1);
    let worker = pool.worker(|(), _: &Parent<()>| ());
    let (full, _other) = bounded_channel::<u8, u8>(1);
    full.post(0).unwrap();
    let main = MainLoop::new();
    let ways: [(&str, &dyn Fn()); 7] = [
        ("exited", &|| give_up(worker.exited())),
        ("closed", &|| give_up(full.closed())),
        ("recv_async", &|| give_up(full.recv_async())),
        ("recv_timeout", &|| {
            assert!(full.recv_timeout(Duration::from_nanos(1)).is_err());
        }),
        ("post_async", &|| give_up(full.post_async(1))),
        ("on_exit", &|| {
            let id = main.on_exit(&worker, |_, _| ());
            main.turn();
            main.clear(id);
            main.turn();
        }),
        ("on_message", &|| {
            let id = main.on_message(&worker, |_, ()| ()).unwrap();
            main.turn();
            main.clear(id);
            main.turn();
        }),
    ];
    let mut costly = Vec::new();
    for (name, way) in ways {
        (0..TIMES / 10).for_each(|_| way());
        let before = resident();
        (0..TIMES).for_each(|_| way());
        let grown = resident().saturating_sub(before);
        // 10 bytes each would be too many.
        if grown > TIMES * 10 {
            costly.push((name, grown / TIMES));
        }
    }
    assert!(costly.is_empty(), "bytes each time: {costly:?}");
}

/// A worker that was refused leaves no thread behind that was to be its own.
#[test]
fn a_worker_that_was_refused_leaves_no_thread_behind() {
    const ME: &str = "a_worker_that_was_refused_leaves_no_thread_behind";
    if !common::is_child_of(ME) {
        watched(|| drop(common::run_child(common::child(ME, &[]))));
        return;
    }
    hush();
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..10 {
        let own = Worker::<(), ()>::dedicated();
        let payload = panic_of(|| own.mailbox(0).spawn(|_| |()| ()));
        assert!(text(&*payload).unwrap().contains("capacity"));
    }
    let own = Worker::<(), ()>::dedicated().stack_size(1 << 46);
    drop(own.spawn(|_| |()| ()).unwrap_err());
    // A thread takes a moment to end; one that does not is to be a failure, and
    // not a process that hangs.
    let settled = (0..60_000).any(|_| {
        thread::sleep(Duration::from_millis(2));
        threads() <= before
    });
    assert!(settled, "{before} threads before, now {}", threads());
}
