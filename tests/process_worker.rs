//! Promise: a worker in a process is a worker: messages in order, all of them before its
//! exit, however it ends; and besides it can be killed.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::forks::{alone, in_a_fork_with, leaving_no_thread};
use common::tasks::{Awkward, START, children_here, descriptors_here, is_there};
use common::{is_child_of, until, watched};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass::MainLoop;
use windlass::process::{
    Bytes, Output, ProcessParent, ProcessWorker, ProcessWorkerBuilder, Signal, StartError, Tasks,
};

/// How long a child may go on without its handle, where no test is about that: it is to
/// come to its end by itself on the busiest machine.
const GRACE: Duration = Duration::from_secs(120);

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Say {
    Number(u64),
    Text(String),
    Bytes(Bytes),
    /// Posts that many numbers, and then does the next.
    Count(u64, Box<Say>),
    Pid,
    Panic(String),
    Abort,
    Exit(i32),
    Print(String),
    Return,
    Sleep(u64),
    /// Closes the way to the parent, and goes on.
    CloseSocket,
    /// Writes this to the parent, past the protocol, and goes on.
    Raw(Vec<u8>),
}

fn act(parent: &ProcessParent<Say, Say>) {
    let post = |say| parent.post(say).unwrap();
    let mut next = None;
    while let Some(say) = next.take().or_else(|| parent.recv().ok()) {
        match say {
            Say::Count(to, then) => {
                (0..to).for_each(|n| post(Say::Number(n)));
                next = Some(*then);
            }
            Say::Pid => post(Say::Number(std::process::id().into())),
            Say::Panic(text) => panic!("{text}"),
            Say::Abort => std::process::abort(),
            Say::Exit(code) => std::process::exit(code),
            Say::Print(line) => println!("{line}"),
            Say::Return => return,
            Say::Sleep(millis) => thread::sleep(Duration::from_millis(millis)),
            Say::CloseSocket => {
                socket().shutdown(std::net::Shutdown::Both).unwrap();
                loop {
                    thread::park();
                }
            }
            Say::Raw(bytes) => socket().write_all(&bytes).unwrap(),
            other => post(other),
        }
    }
    assert!(!parent.is_connected());
    post(Say::Text("disconnected".into()));
}

/// A child has no other socket than that to its parent.
#[allow(unsafe_code)]
fn socket() -> UnixStream {
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        if target.to_string_lossy().starts_with("socket:") {
            let fd = entry.file_name().to_str().unwrap().parse().unwrap();
            // SAFETY: it is open, and nothing closes it meanwhile.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            return fd.try_clone_to_owned().unwrap().into();
        }
    }
    panic!("there is no socket");
}

fn tasks() -> Tasks {
    Tasks::new()
        .with_worker("act", act)
        .with_worker("deaf", |parent: &ProcessParent<Bytes, u64>| {
            let _ = parent.post(1);
            loop {
                thread::park();
            }
        })
        .with_worker("loop", |parent: &ProcessParent<u64, u64>| {
            // A main loop of its own; the listener is gone with the parent's last word.
            let main = MainLoop::new();
            let answer = parent.clone();
            main.on_message(parent, move |_main, n| answer.post(n * n).unwrap())
                .unwrap();
            main.run();
        })
        .with_worker("ways", |parent: &ProcessParent<u64, u64>| {
            let say = |n| parent.post(n).unwrap();
            say(parent.recv().unwrap());
            say(pollster::block_on(parent.recv_async()).unwrap());
            say(parent.recv().unwrap());
            parent.iter().unwrap().for_each(say);
            assert!(!parent.is_connected());
            assert!(parent.recv().unwrap_err().is_closed());
        })
        .with_worker("one at a time", |parent: &ProcessParent<u64, u64>| {
            let other = parent.clone();
            let waits = thread::spawn(move || other.recv().unwrap());
            // Mostly it reads the socket by then; it may also come later, to a lane.
            thread::sleep(Duration::from_millis(20));
            until(|| parent.try_recv().unwrap_err().is_taken());
            assert!(
                pollster::block_on(parent.recv_async())
                    .unwrap_err()
                    .is_taken()
            );
            assert!(parent.is_connected());
            // Wanted while somebody else receives, and polled when that has it no more.
            let later = parent.recv_async();
            parent.post(0).unwrap();
            parent.post(waits.join().unwrap()).unwrap();
            parent.post(pollster::block_on(later).unwrap()).unwrap();
            parent.post(parent.recv().unwrap()).unwrap();
        })
        .with_worker("threads", |parent: &ProcessParent<u64, (u64, u64)>| {
            let posts = |thread| {
                let parent = parent.clone();
                move || (0..500).for_each(|n| parent.post((thread, n)).unwrap())
            };
            let threads: Vec<_> = (0..4).map(|n| thread::spawn(posts(n))).collect();
            threads.into_iter().for_each(|it| it.join().unwrap());
        })
        .with_worker("awkward", |parent: &ProcessParent<Awkward, u64>| {
            while parent.recv().is_ok() {
                let _ = parent.post(1);
            }
        })
        .with_worker("awkwardly", |parent: &ProcessParent<u8, Awkward>| {
            while let Ok(n) = parent.recv() {
                let what = [
                    Awkward::Fine,
                    Awkward::CannotBeWritten,
                    Awkward::CannotBeRead,
                    Awkward::PanicsWhenWritten,
                    Awkward::PanicsWhenRead,
                ][usize::from(n)];
                let _ = parent.post(what);
            }
        })
        .with_worker("nested", |parent: &ProcessParent<u64, u64>| {
            let inner = builder::<u64, u64>("loop").start().unwrap();
            while let Ok(n) = parent.recv() {
                inner.post(n).unwrap();
                parent.post(inner.recv().unwrap() + 1).unwrap();
            }
        })
}

#[test]
fn a_child_receives_in_any_way_and_one_way_at_a_time() {
    watched(|| {
        let worker = builder::<u64, u64>("ways").start().unwrap();
        (1..=5).for_each(|n| worker.post(n).unwrap());
        worker.disconnect();
        let said: Vec<_> = worker.iter().unwrap().collect();
        assert_eq!(said, [1, 2, 3, 4, 5]);
        assert_eq!(worker.exited().wait().code(), Some(0));
        for _ in 0..5 {
            let worker = builder::<u64, u64>("one at a time").start().unwrap();
            assert_eq!(worker.recv().unwrap(), 0);
            (1..=3).for_each(|n| worker.post(n).unwrap());
            let said: Vec<_> = worker.iter().unwrap().collect();
            assert_eq!(said, [1, 2, 3]);
            assert_eq!(worker.exited().wait().code(), Some(0));
        }
    });
}

#[test]
fn child() {
    let _ = tasks().serve_if_child();
}

fn builder<In, Out>(name: &str) -> ProcessWorkerBuilder<In, Out>
where
    In: Serialize + Send + 'static,
    Out: DeserializeOwned + Send + 'static,
{
    ProcessWorker::builder(&tasks(), name)
        .start_timeout(START)
        .grace(GRACE)
        .test_child("child")
        .env("RUST_BACKTRACE", "0")
        .output(Output::Collect(1000))
}

fn start() -> ProcessWorker<Say, Say> {
    builder("act").start().unwrap()
}

#[test]
fn messages_arrive_in_order_and_before_the_exit() {
    watched(|| {
        let worker = start();
        for n in 0..20_000 {
            worker.post(Say::Number(n)).unwrap();
        }
        worker.disconnect();
        assert!(!worker.is_connected());
        assert!(worker.post(Say::Pid).unwrap_err().is_closed());
        let exit = worker.exited().wait();
        assert!(exit.is_success(), "{exit}");
        assert_eq!((exit.code(), exit.signal()), (Some(0), None));
        assert!(!worker.is_alive());
        let mut arrived = worker.iter().unwrap();
        for n in 0..20_000 {
            assert_eq!(arrived.next(), Some(Say::Number(n)));
        }
        // It may post after it was disconnected.
        assert_eq!(arrived.next(), Some(Say::Text("disconnected".into())));
        assert_eq!(arrived.next(), None);
    });
}

#[test]
fn a_main_loop_hears_the_exit_after_the_messages_whichever_it_asked_for_first() {
    watched(|| {
        for exit_first in [false, true] {
            let worker = start();
            let main = MainLoop::new();
            let heard = Rc::new(RefCell::new(Vec::new()));
            let on_exit = || {
                let heard = Rc::clone(&heard);
                main.on_exit(&worker, move |_, exit| {
                    heard.borrow_mut().push(format!("{:?}", exit.code()));
                });
            };
            if exit_first {
                on_exit();
            }
            let messages = Rc::clone(&heard);
            main.on_message(&worker, move |_, say| {
                if let Say::Number(n) = say {
                    messages.borrow_mut().push(n.to_string());
                }
            })
            .unwrap();
            if !exit_first {
                on_exit();
            }
            worker
                .post(Say::Count(3000, Box::new(Say::Exit(3))))
                .unwrap();
            main.run();
            let expected = (0..3000).map(|n: u64| n.to_string());
            let expected: Vec<_> = expected.chain(["Some(3)".into()]).collect();
            assert_eq!(*heard.borrow(), expected);
        }
    });
}

#[test]
fn what_was_posted_before_a_crash_arrives() {
    watched(|| {
        for _ in 0..20 {
            let worker = start();
            worker.post(Say::Count(1000, Box::new(Say::Abort))).unwrap();
            let exited = worker.exited();
            assert_eq!(worker.iter().unwrap().count(), 1000);
            let exit = exited.wait();
            assert_eq!(exit.signal(), Some(libc::SIGABRT));
            assert!(exit.to_string().contains("SIGABRT"), "{exit}");
            assert!(worker.post(Say::Pid).unwrap_err().is_closed());
        }
    });
}

#[test]
fn a_panic_ends_it_as_it_ends_a_program() {
    watched(|| {
        let worker = start();
        worker.post(Say::Print("a last line".into())).unwrap();
        worker.post(Say::Panic("no more rope".into())).unwrap();
        let exit = worker.exited().wait();
        assert_eq!((exit.code(), exit.signal()), (Some(101), None));
        assert_eq!(exit.panic(), Some("no more rope"));
        assert!(exit.stderr().contains("no more rope"), "{}", exit.stderr());
        assert!(exit.output().unwrap().contains("a last line"));
        assert!(
            exit.to_string().contains("panicked: no more rope"),
            "{exit}"
        );
        assert!(!exit.is_success());
    });
}

#[test]
fn it_can_be_killed_whatever_it_does() {
    watched(|| {
        for signal in [Signal::TERM, Signal::KILL, Signal::from(libc::SIGUSR1)] {
            let worker = builder::<Bytes, u64>("deaf").start().unwrap();
            assert_eq!(worker.recv().unwrap(), 1);
            assert!(is_there(worker.id()));
            assert!(!worker.kill(12_345), "there is no such signal");
            assert!(worker.kill(signal));
            let exit = worker.exited().wait();
            assert_eq!((exit.code(), exit.signal()), (None, Some(signal.number())));
            assert!(!worker.kill(signal));
            assert!(!is_there(worker.id()));
            assert!(worker.recv().unwrap_err().is_closed());
        }
    });
}

#[test]
fn it_can_be_killed_before_it_has_said_hello() {
    watched(|| {
        for _ in 0..20 {
            let worker = start();
            let exit = worker.terminate().wait();
            assert_eq!(exit.signal(), Some(libc::SIGKILL), "{exit}");
            assert_eq!(exit.problem(), None);
        }
    });
}

#[test]
fn it_can_be_made_to_stand_still() {
    watched(|| {
        let worker = start();
        worker.post(Say::Number(1)).unwrap();
        worker.recv().unwrap();
        worker.kill(Signal::STOP);
        let stat = format!("/proc/{}/stat", worker.id());
        until(|| std::fs::read_to_string(&stat).unwrap().contains(") T "));
        worker.post(Say::Number(2)).unwrap();
        assert!(worker.try_recv().unwrap_err().is_empty());
        worker.kill(Signal::CONT);
        assert_eq!(worker.recv().unwrap(), Say::Number(2));
    });
}

#[test]
fn large_messages_go_both_ways_at_once() {
    watched(|| {
        let worker = start();
        let large = |n: u8| Say::Bytes(Bytes(vec![n; 5_000_000 + usize::from(n)]));
        for n in 0..10 {
            worker.post(large(n)).unwrap();
            worker.post(Say::Number(n.into())).unwrap();
        }
        worker.close();
        for n in 0..10 {
            assert!(worker.recv().unwrap() == large(n));
            assert_eq!(worker.recv().unwrap(), Say::Number(n.into()));
        }
        assert!(worker.exited().wait().is_success());
    });
}

#[test]
fn posts_to_a_child_that_never_reads_do_not_block() {
    watched(|| {
        let message = || Bytes(vec![1; 10_000]);
        let worker = builder::<Bytes, u64>("deaf").start().unwrap();
        assert_eq!(worker.recv().unwrap(), 1);
        for _ in 0..5000 {
            worker.post(message()).unwrap();
        }
        // With a bound it is felt.
        let bounded = builder::<Bytes, u64>("deaf").mailbox(10).start().unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                // Among them one waits for good.
                (0..200).any(|_| {
                    let posted = pollster::block_on(bounded.post_async(message()));
                    posted.is_err_and(|error| error.is_closed())
                })
            });
            until(|| bounded.post(message()).is_err_and(|error| error.is_full()));
            bounded.terminate().wait();
            assert!(waits.join().unwrap());
        });
        assert!(!worker.terminate().wait().is_success());
    });
}

#[test]
fn every_way_to_receive_is_there() {
    watched(|| {
        let worker = start();
        assert!(worker.try_recv().unwrap_err().is_empty());
        let short = Duration::from_millis(1);
        assert!(worker.recv_timeout(short).unwrap_err().is_timeout());
        worker.post(Say::Count(3, Box::new(Say::Return))).unwrap();
        assert_eq!(pollster::block_on(worker.recv_async()), Ok(Say::Number(0)));
        {
            let mut iter = worker.iter().unwrap();
            assert!(worker.recv().unwrap_err().is_taken());
            assert_eq!(iter.next(), Some(Say::Number(1)));
        }
        let stream = worker.stream().unwrap();
        let exited = worker.exited();
        drop(worker);
        // The stream is the receiver, and goes on.
        let mut stream = std::pin::pin!(stream);
        let next = || {
            let poll = |cx: &mut std::task::Context<'_>| {
                futures_core::Stream::poll_next(stream.as_mut(), cx)
            };
            pollster::block_on(std::future::poll_fn(poll))
        };
        let mut next = next;
        assert_eq!(next(), Some(Say::Number(2)));
        assert_eq!(next(), None);
        assert!(pollster::block_on(exited).is_success());
    });
}

#[test]
fn the_child_may_have_a_main_loop_threads_and_workers_of_its_own() {
    watched(|| {
        let worker = builder::<u64, u64>("loop").start().unwrap();
        (0..100).for_each(|n| worker.post(n).unwrap());
        worker.disconnect();
        let squares: Vec<_> = worker.iter().unwrap().collect();
        assert_eq!(squares, (0..100).map(|n| n * n).collect::<Vec<_>>());
        assert!(worker.exited().wait().is_success());

        let worker = builder::<u64, (u64, u64)>("threads").start().unwrap();
        let mut next = [0; 4];
        for (thread, n) in worker.iter().unwrap() {
            assert_eq!(std::mem::replace(&mut next[thread as usize], n + 1), n);
        }
        assert_eq!(next, [500; 4]);

        let worker = builder::<u64, u64>("nested").start().unwrap();
        worker.post(5).unwrap();
        assert_eq!(worker.recv().unwrap(), 26);
        worker.disconnect();
        assert!(worker.exited().wait().is_success());
    });
}

#[test]
fn a_drop_disconnects_and_then_kills() {
    watched(|| {
        let worker = start();
        let pid = worker.id();
        let (exited, stubborn_exited);
        {
            exited = worker.exited();
            // What was posted before the drop reaches it.
            worker.post(Say::Sleep(20)).unwrap();
            worker.post(Say::Exit(7)).unwrap();
            drop(worker);
        }
        assert_eq!(exited.wait().code(), Some(7));
        assert!(!is_there(pid));
        let stubborn = builder::<Bytes, u64>("deaf").grace(Duration::from_millis(30));
        let stubborn = stubborn.start().unwrap();
        stubborn.recv().unwrap();
        stubborn_exited = stubborn.exited();
        drop(stubborn);
        let exit = stubborn_exited.wait();
        assert_eq!(exit.signal(), Some(libc::SIGKILL));
        assert!(exit.problem().unwrap().contains("was dropped"), "{exit}");
    });
}

#[test]
fn workers_that_come_and_go_leave_nothing_behind() {
    alone("workers_that_come_and_go_leave_nothing_behind", || {
        let round = |n| {
            let worker = start();
            worker.post(Say::Pid).unwrap();
            if n % 2 == 0 {
                assert_eq!(worker.recv().unwrap(), Say::Number(worker.id().into()));
            }
            let exited = match n % 3 {
                0 => worker.terminate(),
                1 => {
                    worker.post(Say::Abort).unwrap();
                    worker.exited()
                }
                _ => {
                    worker.disconnect();
                    worker.exited()
                }
            };
            exited.wait();
        };
        leaving_no_thread(|| round(0));
        let before = descriptors_here();
        leaving_no_thread(|| (0..60).for_each(round));
        assert_eq!(descriptors_here(), before);
        assert!(children_here().is_empty());
    });
}

#[test]
fn messages_that_cannot_be_written_or_read_end_it_with_that_as_the_problem() {
    common::hush();
    watched(|| {
        for (message, problem) in [
            (Awkward::CannotBeWritten, "could not be written: "),
            (
                Awkward::PanicsWhenWritten,
                "could not be written: it panicked",
            ),
        ] {
            let worker = builder::<Awkward, u64>("awkward").start().unwrap();
            worker.post(Awkward::Fine).unwrap();
            worker.recv().unwrap();
            worker.post(message).unwrap();
            let exit = worker.exited().wait();
            assert!(exit.problem().unwrap().contains(problem), "{exit}");
        }
        for (message, said) in [
            (Awkward::CannotBeRead, "could not be read"),
            (Awkward::PanicsWhenRead, "could not be read: it panicked"),
        ] {
            let worker = builder::<Awkward, u64>("awkward").start().unwrap();
            worker.post(message).unwrap();
            let exit = worker.exited().wait();
            assert_eq!(exit.code(), Some(86), "{exit}");
            assert!(exit.stderr().contains(said), "{}", exit.stderr());
        }
        for (number, said) in [
            (1, "could not be written: "),
            (2, "could not be read: "),
            (3, "expected: written"),
            (4, "could not be read: it panicked"),
        ] {
            let worker = builder::<u8, Awkward>("awkwardly").start().unwrap();
            worker.post(0).unwrap();
            assert_eq!(worker.recv().unwrap(), Awkward::Fine);
            worker.post(number).unwrap();
            let exit = worker.exited().wait();
            assert!(exit.to_string().contains(said), "{number}: {exit}");
        }
        let worker = builder::<Say, Say>("act").max_payload(100).start().unwrap();
        worker.post(Say::Bytes(Bytes(vec![0; 101]))).unwrap();
        let exit = worker.exited().wait();
        assert!(exit.to_string().contains("more than 100 bytes"), "{exit}");
    });
}

#[test]
fn a_worker_that_is_none_is_told_apart() {
    watched(|| {
        let error = builder::<Say, Say>("nobody").start().unwrap_err();
        assert!(matches!(error, StartError::UnknownWorker { .. }), "{error}");
        // Of that name, with other messages.
        let error = builder::<u64, Say>("act").start().unwrap_err();
        assert!(matches!(error, StartError::UnknownWorker { .. }), "{error}");
        let missing = builder::<Say, Say>("act").program("/nowhere/at/all");
        assert!(
            missing
                .start()
                .unwrap_err()
                .to_string()
                .contains("/nowhere/at/all")
        );
        let silent = ProcessWorker::<Say, Say>::builder(&tasks(), "act")
            .program("/bin/sleep")
            .args(["3600"])
            .start_timeout(Duration::from_millis(50));
        let exit = silent.start().unwrap().exited().wait();
        assert!(exit.problem().unwrap().contains("serve_if_child"), "{exit}");
        // Of a program that has other workers.
        let other = Tasks::new().with_worker("act", |_: &ProcessParent<Say, Say>| {});
        let other = ProcessWorker::<Say, Say>::builder(&other, "act").test_child("child");
        let other = other.start_timeout(START);
        let exit = other.start().unwrap().exited().wait();
        assert!(exit.problem().unwrap().contains("another build"), "{exit}");
    });
}

#[test]
fn a_child_that_closes_its_connection_is_ended() {
    watched(|| {
        let worker = start();
        worker
            .post(Say::Count(5, Box::new(Say::CloseSocket)))
            .unwrap();
        let exited = worker.exited();
        assert_eq!(worker.iter().unwrap().count(), 5);
        let exit = exited.wait();
        assert_eq!(exit.signal(), Some(libc::SIGKILL));
        assert!(
            exit.problem().unwrap().contains("closed its connection"),
            "{exit}"
        );
    });
}

#[test]
fn a_child_that_does_not_keep_to_the_protocol_is_killed() {
    fn frame(len: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
        [&len.to_le_bytes()[..], &[kind], &[0; 8], payload].concat()
    }
    watched(|| {
        let posted = 21;
        for (raw, problem) in [
            (frame(u32::MAX, posted, &[]), "are the most"),
            (frame(1 << 30 | 1 << 10, posted, &[]), "are the most"),
            (frame(0, 99, &[]), "unknown kind 99"),
            (frame(1, 17, &[1]), "no worker says"),
            (frame(1, posted, &[77]), "could not be read"),
            (frame(3, posted, &[0, 1, 1]), "left over"),
        ] {
            let worker = start();
            worker.post(Say::Number(1)).unwrap();
            worker.post(Say::Raw(raw)).unwrap();
            let exit = worker.exited().wait();
            assert!(
                exit.problem().unwrap().contains(problem),
                "{problem}: {exit}"
            );
            // What came before it was one.
            assert_eq!(worker.recv(), Ok(Say::Number(1)));
            assert!(worker.recv().unwrap_err().is_closed());
        }
    });
}

#[test]
fn what_it_writes_goes_by_line_and_with_its_name() {
    watched(|| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let hook = Arc::clone(&lines);
        let output = Output::lines(move |name, _, line| {
            hook.lock().unwrap().push(format!("{name}: {line}"));
        });
        let worker = builder::<Say, Say>("act").output(output).start().unwrap();
        worker.post(Say::Print("one".into())).unwrap();
        // Without an end of the worker, too.
        until(|| *lines.lock().unwrap() == ["act: one"]);
        worker.post(Say::Print("two".into())).unwrap();
        worker.disconnect();
        worker.exited().wait();
        assert_eq!(*lines.lock().unwrap(), ["act: one", "act: two"]);
    });
}

#[test]
fn in_a_fork_the_worker_is_the_other_processs() {
    alone("in_a_fork_the_worker_is_the_other_processs", || {
        let worker = start();
        worker.post(Say::Number(1)).unwrap();
        worker.recv().unwrap();
        let worker = in_a_fork_with(worker, |worker| {
            assert!(worker.post(Say::Pid).unwrap_err().is_closed());
            let posted = pollster::block_on(worker.post_async(Say::Pid));
            assert!(posted.unwrap_err().is_closed());
            assert!(!worker.kill(Signal::KILL) && !worker.is_connected());
            assert!(worker.recv().unwrap_err().is_closed());
            assert!(worker.exited().wait().problem().unwrap().contains("fork"));
            drop(worker);
        });
        worker.post(Say::Number(2)).unwrap();
        assert_eq!(worker.recv().unwrap(), Say::Number(2));
        assert!(worker.is_alive());
    });
}

/// A parent that is about to be killed: it says which child it has.
#[test]
fn doomed() {
    if !is_child_of("doomed") {
        return;
    }
    let worker = builder::<Bytes, u64>("deaf").start().unwrap();
    worker.recv().unwrap();
    eprintln!("child {}", worker.id());
    loop {
        thread::park();
    }
}

#[test]
fn a_child_ends_with_its_parent() {
    watched(|| {
        let mut doomed = common::child("doomed", &[]);
        doomed.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut doomed = doomed.spawn().unwrap();
        let mut lines = BufReader::new(doomed.stderr.take().unwrap()).lines();
        let pid = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, pid)) = line.split_once("child ") {
                break pid.parse().unwrap();
            }
        };
        assert!(is_there(pid));
        doomed.kill().unwrap();
        doomed.wait().unwrap();
        until(|| common::tasks::has_ended(pid));
    });
}
