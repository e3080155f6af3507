//! What Node's tests say of workers and the process around them: its end, its
//! limits, its memory. Each runs in a process of its own.
#![cfg(unix)]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{child, is_child_of, run_child, watched};
use windlass::{MainLoop, Parent, Worker};

/// Runs a child that ends otherwise than by passing its test.
fn end_of(mut command: Command) -> Output {
    let output = command.output().unwrap();
    println!("{output:?}");
    output
}

/// Runs a program under a limit of the shell's, without a core dump.
fn limited(test: &str, limit: &str) -> Command {
    let script = format!("ulimit -c 0 && {limit} && exec \"$0\" \"$@\"");
    child(test, &["sh", "-c", &script])
}

/// How long a part of a test that must not return goes on.
fn busy_for_ever() -> ! {
    let mut text = String::new();
    loop {
        text.push_str("busy");
        if text.len() > 1 << 12 {
            text = String::new();
        }
    }
}

/// Node: test-worker-cleanexit-with-js. A process may end while ten workers are
/// in the middle of their work.
#[test]
fn a_process_may_exit_while_workers_are_busy() {
    const ME: &str = "a_process_may_exit_while_workers_are_busy";
    if !is_child_of(ME) {
        watched(|| {
            for _ in 0..5 {
                assert!(end_of(child(ME, &[])).status.success());
            }
        });
        return;
    }
    let pool = common::pool(8);
    let spin = |(), parent: &Parent<()>| {
        parent.post(()).unwrap();
        busy_for_ever()
    };
    let pooled: Vec<Worker<(), ()>> = (0..8).map(|_| pool.worker(spin)).collect();
    let own: Vec<Worker<(), ()>> = (0..2)
        .map(|_| {
            Worker::dedicated()
                .spawn(move |parent: Parent<()>| move |()| spin((), &parent))
                .unwrap()
        })
        .collect();
    for worker in pooled.iter().chain(&own) {
        worker.post(()).unwrap();
    }
    own[1].recv().unwrap();
    process::exit(0);
}

/// Node: test-worker-cleanexit-with-moduleload. And while they are starting.
#[test]
fn a_process_may_exit_while_workers_start() {
    const ME: &str = "a_process_may_exit_while_workers_start";
    if !is_child_of(ME) {
        watched(|| {
            for _ in 0..5 {
                assert!(end_of(child(ME, &[])).status.success());
            }
        });
        return;
    }
    static STARTING: AtomicUsize = AtomicUsize::new(0);
    let pool = common::pool(2);
    let _workers: Vec<Worker<(), ()>> = (0..10)
        .map(|number| {
            Worker::builder(&pool).spawn(move |_: Parent<()>| {
                STARTING.fetch_add(1, Ordering::SeqCst);
                if number % 4 == 3 {
                    busy_for_ever()
                }
                |()| ()
            })
        })
        .collect();
    common::until(|| STARTING.load(Ordering::SeqCst) >= 4);
    process::exit(0);
}

/// Node: test-worker-on-process-exit. A process that ends reports no exit of
/// its workers.
#[test]
fn a_process_that_exits_reports_no_exit_of_its_workers() {
    const ME: &str = "a_process_that_exits_reports_no_exit_of_its_workers";
    const REPORT: &str = "exit event received";
    if !is_child_of(ME) {
        watched(|| {
            let output = end_of(child(ME, &[]));
            assert!(output.status.success());
            for written in [output.stdout, output.stderr] {
                assert!(!String::from_utf8_lossy(&written).contains(REPORT));
            }
        });
        return;
    }
    let pool = common::pool(2);
    let main = MainLoop::new();
    let worker = pool.worker(|(), parent: &Parent<()>| parent.post(()).unwrap());
    main.on_exit(&worker, |_, _| println!("{REPORT}"));
    main.on_message(&worker, |_, ()| process::exit(0)).unwrap();
    worker.post(()).unwrap();
    main.run();
    unreachable!("the callback ended the process");
}

/// Goes as deep as told, with about 1 KiB of stack a step.
#[inline(never)]
fn deep(steps: usize) -> usize {
    let filling = std::hint::black_box([steps; 128]);
    match filling[steps % 128] {
        0 => 0,
        left => 1 + deep(left - 1),
    }
}

/// Node: test-worker-stack-overflow. In Node an error of the worker; here it
/// cannot be caught and ends the process by a signal, at once, not in a hang.
#[test]
fn a_stack_overflow_ends_the_process_by_a_signal() {
    const ME: &str = "a_stack_overflow_ends_the_process_by_a_signal";
    if !is_child_of(ME) {
        watched(|| {
            let output = end_of(limited(ME, "true"));
            assert!(output.status.signal().is_some(), "{}", output.status);
        });
        return;
    }
    let pool = common::pool(2);
    let worker = pool.worker(|(), parent: &Parent<usize>| parent.post(deep(usize::MAX)).unwrap());
    worker.post(()).unwrap();
    worker.recv().unwrap();
    unreachable!("the worker overflowed its stack");
}

/// Node: test-worker-stack-overflow-stack-size. The stack of a worker is what
/// its builder says, whatever the process says of threads in general.
#[test]
fn a_workers_stack_size_is_its_own() {
    const ME: &str = "a_workers_stack_size_is_its_own";
    if !is_child_of(ME) {
        watched(|| {
            for minimum in ["65536", "33554432"] {
                let mut command = child(ME, &[]);
                command.env("RUST_MIN_STACK", minimum);
                run_child(command);
            }
        });
        return;
    }
    for (stack, steps) in [(4 << 20, 1000), (64 << 20, 30_000)] {
        let worker = Worker::dedicated()
            .stack_size(stack)
            .spawn(|parent: Parent<usize>| move |steps| parent.post(deep(steps)).unwrap())
            .unwrap();
        worker.post(steps).unwrap();
        assert_eq!(worker.recv().unwrap(), steps);
    }
}

/// Node: test-worker-init-failure. 256 workers where 128 files may be open, and
/// where not all their threads can be started: what fails does so with an
/// error, and the others work.
#[test]
#[cfg(target_os = "linux")]
fn workers_that_cannot_start_fail_with_an_error() {
    const ME: &str = "workers_that_cannot_start_fail_with_an_error";
    const WORKERS: usize = 256;
    if !is_child_of(ME) {
        watched(|| {
            // 4 GiB of address space; 256 stacks of 64 MiB would take 16.
            let output = run_child(limited(ME, "ulimit -n 128 && ulimit -v 4194304"));
            assert!(output.contains("could not start: "), "{output}");
        });
        return;
    }
    let pool = common::pool(2);
    let pooled: Vec<_> = (0..WORKERS)
        .map(|_| pool.worker(|(), parent: &Parent<i32>| parent.post(2 + 2).unwrap()))
        .collect();
    let own: Vec<_> = (0..WORKERS)
        .map(|_| {
            Worker::dedicated()
                .stack_size(64 << 20)
                .spawn(|parent: Parent<i32>| move |()| parent.post(2 + 2).unwrap())
        })
        .collect();
    let (started, failed): (Vec<_>, Vec<_>) = own.into_iter().partition(Result::is_ok);
    assert!(!started.is_empty() && !failed.is_empty());
    let started: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    for worker in pooled.iter().chain(&started) {
        worker.post(()).unwrap();
    }
    for worker in pooled.iter().chain(&started) {
        assert_eq!(worker.recv().unwrap(), 4);
    }
    for error in failed.into_iter().map(Result::unwrap_err) {
        assert!(!error.to_string().is_empty());
        println!("could not start: {error}");
    }
}

/// The memory of this process that is in use, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// One worker's whole life.
#[cfg(target_os = "linux")]
fn live(pool: &windlass::Pool, own_thread: bool) {
    let worker = if own_thread {
        Worker::dedicated()
            .spawn(|parent: Parent<i32>| move |()| parent.post(2 + 2).unwrap())
            .unwrap()
    } else {
        pool.worker(|(), parent: &Parent<i32>| parent.post(2 + 2).unwrap())
    };
    worker.post(()).unwrap();
    assert_eq!(worker.recv().unwrap(), 4);
    worker.close();
    assert!(worker.exited().wait().is_success());
}

/// Node: test-worker-memory. 60 workers one after another on each of two
/// threads leave no memory behind; nor do ten thousand.
#[test]
#[cfg(target_os = "linux")]
fn workers_that_are_gone_leave_no_memory_behind() {
    const ME: &str = "workers_that_are_gone_leave_no_memory_behind";
    if !is_child_of(ME) {
        watched(|| drop(run_child(child(ME, &[]))));
        return;
    }
    let pool = common::pool(2);
    let lives = |count: usize| {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for number in 0..count {
                        live(&pool, number % 60 == 0);
                    }
                });
            }
        });
    };
    let start = resident();
    lives(60);
    assert!(resident() < start * 5, "{start}, then {}", resident());
    lives(1000);
    let warm = resident();
    lives(10_000);
    // A hundred bytes a worker would be seen.
    let grown = resident().saturating_sub(warm);
    assert!(grown < 2 << 20, "{grown} bytes more than {warm}");
}
