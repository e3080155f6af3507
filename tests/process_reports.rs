//! Promise: nobody waits for this process's stdout or stderr to hear of a child, and an end
//! is told whatever state these are in.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::io::{self, Write, pipe};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc;

use common::tasks::{Act, START, tasks as acts};
use common::{child as another, is_child_of, run_child, watched};
use windlass::Pool;
use windlass::process::{ProcessParent, ProcessPool, ProcessWorker, Signal, Tasks};

/// The tasks of all tests, and workers.
fn tasks() -> Tasks {
    acts().with_worker("ends", |parent: &ProcessParent<bool, u8>| {
        ignore(libc::SIGUSR1);
        parent.post(1).unwrap();
        match parent.recv() {
            Ok(true) => std::process::abort(),
            _ => panic!("expected: it fails"),
        }
    })
}

#[allow(unsafe_code)]
fn ignore(signal: i32) {
    // SAFETY: it is no handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

#[test]
fn child() {
    let _ = tasks().serve_if_child();
}

fn procs() -> ProcessPool {
    let procs = ProcessPool::builder(tasks()).num_children(1);
    let procs = procs.start_timeout(START).test_child("child");
    procs.build().unwrap()
}

/// Makes stderr a pipe that nobody reads from.
#[allow(unsafe_code)]
fn close_the_pipe() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    // SAFETY: both are open, and stderr stays so.
    assert_eq!(unsafe { libc::dup2(writer.as_raw_fd(), 2) }, 2);
}

fn worker() -> ProcessWorker<bool, u8> {
    let worker = ProcessWorker::builder(&tasks(), "ends").test_child("child");
    let worker = worker.start_timeout(START).start().unwrap();
    assert_eq!(worker.recv().unwrap(), 1);
    worker
}

/// Who prints results as they come holds stdout, and waits.
#[test]
fn a_line_of_a_child_is_passed_on_while_somebody_holds_the_streams() {
    const NAME: &str = "a_line_of_a_child_is_passed_on_while_somebody_holds_the_streams";
    if !is_child_of(NAME) {
        let all = run(another(NAME, &[]));
        assert!(all.contains("[act] on stdout") && all.contains("[act] on stderr"));
        return;
    }
    let procs = procs();
    let mut out = io::stdout().lock();
    let mut err = io::stderr().lock();
    let print = Act::Print(vec!["on stdout".into()], vec!["on stderr".into()]);
    let printed = procs.submit(print).join().unwrap().text();
    writeln!(out, "{printed}").unwrap();
    // An end that nobody handles is told on stderr.
    let worker = worker();
    worker.post(true).unwrap();
    assert!(worker.recv().unwrap_err().is_closed());
    writeln!(err, "{}", worker.exited().wait()).unwrap();
}

#[test]
fn ends_are_told_with_a_stderr_that_nobody_reads() {
    const NAME: &str = "ends_are_told_with_a_stderr_that_nobody_reads";
    if !is_child_of(NAME) {
        run(another(NAME, &[]));
        return;
    }
    close_the_pipe();
    assert!(io::stderr().write_all(b"x").is_err());
    let worker = worker();
    worker.post(true).unwrap();
    assert!(worker.recv().unwrap_err().is_closed());
    assert_eq!(worker.exited().wait().signal(), Some(libc::SIGABRT));
    // Jobs and workers on threads, too.
    let pool = Pool::builder().num_threads(1).build().unwrap();
    pool.execute(|| panic!("expected: nobody handles it"));
    let fails = pool.worker(|(), _: &windlass::Parent<()>| panic!("expected: it fails"));
    fails.post(()).unwrap();
    assert!(fails.recv().unwrap_err().is_closed());
    assert!(fails.exited().wait().is_failed());
    assert_eq!(pool.spawn(|| 7).join().unwrap(), 7);
    drop(pool);
    drop(procs().submit(Act::Abort));
    assert_eq!(
        procs().submit(Act::Say("hi".into())).join().unwrap().text(),
        "hi"
    );
}

/// One that was sent a signal that asks for something else has not been killed by that.
#[test]
fn a_crash_after_a_signal_that_did_not_end_it_is_told() {
    const NAME: &str = "a_crash_after_a_signal_that_did_not_end_it_is_told";
    if !is_child_of(NAME) {
        let all = run(another(NAME, &[]));
        let told = all.matches("nobody handled this: process worker \"ends\"");
        assert_eq!(told.count(), 1, "{all}");
        return;
    }
    let one = worker();
    assert!(one.kill(Signal::USR1));
    one.post(true).unwrap();
    assert!(one.recv().unwrap_err().is_closed());
    // And one that was killed, is no news.
    let another = worker();
    assert!(another.kill(Signal::KILL));
    assert!(another.recv().unwrap_err().is_closed());
}

/// The system waits for children itself then, and nobody hears of how they ended.
#[test]
fn an_end_that_somebody_else_was_told_is_not_made_up() {
    const NAME: &str = "an_end_that_somebody_else_was_told_is_not_made_up";
    if !is_child_of(NAME) {
        run(another(NAME, &[]));
        return;
    }
    ignore(libc::SIGCHLD);
    let worker = worker();
    worker.post(true).unwrap();
    let exit = worker.exited().wait();
    assert_eq!((exit.code(), exit.signal()), (None, None), "{exit}");
    assert!(exit.problem().unwrap().contains("SIGCHLD"), "{exit}");
    assert!(!exit.is_success());
    // What it has said itself is known.
    let worker = self::worker();
    worker.post(false).unwrap();
    let exit = worker.exited().wait();
    assert!(exit.panic().unwrap().contains("it fails"), "{exit}");
    assert_eq!(exit.problem(), None);
}

/// Runs it to its end, which has to be a good one; what it wrote.
fn run(command: Command) -> String {
    let (send, sent) = mpsc::channel();
    watched(move || send.send(run_child(command)).unwrap());
    sent.recv().unwrap()
}
