//! Promise: large messages of a process worker arrive as small ones do, with what goes along
//! with them, and leave nothing behind.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::forks::{alone, leaving_no_thread};
use common::tasks::{children_here, descriptors_here};
use common::{scratch, until, watched};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass::MainLoop;
use windlass::process::{
    Bytes, Descriptor, Output, ProcessParent, ProcessWorker, ProcessWorkerBuilder, Tasks,
};

/// So many bytes do not go through the socket at once, and are more than a buffer begins with.
const SMALL: usize = 256 * 1024;

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Say {
    Bytes(Bytes),
    Numbers(Vec<u16>),
    Texts(Vec<String>),
    Number(u64),
    /// Answers with so many bytes.
    Give(usize),
    HowManyDescriptors,
    Park,
}

fn act(parent: &ProcessParent<Say, Say>) {
    let post = |say| parent.post(say).unwrap();
    while let Ok(say) = parent.recv() {
        match say {
            Say::Give(count) => post(Say::Bytes(Bytes(pattern(count)))),
            Say::HowManyDescriptors => post(Say::Number(descriptors_here() as u64)),
            Say::Park => loop {
                thread::park();
            },
            other => post(other),
        }
    }
}

/// A message with descriptors.
type Mixed = (Bytes, Vec<Descriptor<File>>);

fn tasks() -> Tasks {
    Tasks::new()
        .with_worker("act", act)
        .with_worker("mixed", |parent: &ProcessParent<Mixed, Mixed>| {
            while let Ok(message) = parent.recv() {
                parent.post(message).unwrap();
            }
        })
        .with_worker("loop", |parent: &ProcessParent<Bytes, Bytes>| {
            let main = MainLoop::new();
            let answer = parent.clone();
            main.on_message(parent, move |_main, bytes| answer.post(bytes).unwrap())
                .unwrap();
            main.run();
        })
        .with_worker("ways", |parent: &ProcessParent<Bytes, Bytes>| {
            let say = |bytes| parent.post(bytes).unwrap();
            say(parent.recv().unwrap());
            say(pollster::block_on(parent.recv_async()).unwrap());
            say(parent.recv().unwrap());
            parent.iter().unwrap().for_each(say);
        })
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
        .test_child("child")
        .env("RUST_BACKTRACE", "0")
        .output(Output::Collect(1000))
}

fn start() -> ProcessWorker<Say, Say> {
    builder("act").start().unwrap()
}

/// So many bytes, of which no two neighbours and no two pages are the same.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 31 + (n >> 12)) as u8).collect()
}

fn number(of: Say) -> u64 {
    match of {
        Say::Number(number) => number,
        other => panic!("{other:?} is no number"),
    }
}

#[test]
fn all_sizes_arrive_whole_and_in_order_both_ways() {
    watched(|| {
        let worker = start();
        let around = (SMALL - 9..SMALL + 9).chain([0, 1, 2 * SMALL, 5_000_000]);
        let messages = || {
            around.clone().flat_map(|size| {
                let numbers = (0..size / 2).map(|n| n as u16).collect();
                let texts = (0..size / 8).map(|n| format!("{n:07}")).collect();
                [
                    Say::Bytes(Bytes(pattern(size))),
                    Say::Number(size as u64),
                    Say::Numbers(numbers),
                    Say::Texts(texts),
                ]
            })
        };
        thread::scope(|scope| {
            scope.spawn(|| messages().for_each(|message| worker.post(message).unwrap()));
            for expected in messages() {
                assert!(worker.recv().unwrap() == expected);
            }
        });
        worker.disconnect();
        assert!(worker.exited().wait().is_success());
    });
}

#[test]
fn descriptors_come_with_the_message_that_they_are_in() {
    watched(|| {
        let folder = scratch("large-descriptors");
        let worker = builder::<Mixed, Mixed>("mixed").start().unwrap();
        let numbered = |n: u64| {
            let path = folder.path(&n.to_string());
            fs::write(&path, n.to_string()).unwrap();
            Descriptor(File::open(path).unwrap())
        };
        let cases = [(SMALL + 1, 0), (1, 3), (SMALL + 1, 1), (1, 64), (SMALL, 64)];
        for (size, count) in cases {
            let files = (0..count).map(numbered).collect();
            worker.post((Bytes(pattern(size)), files)).unwrap();
        }
        for (size, count) in cases {
            let (bytes, files) = worker.recv().unwrap();
            assert_eq!((&bytes.0, files.len() as u64), (&pattern(size), count));
            for (n, file) in files.iter().enumerate() {
                let mut text = [0; 10];
                let len = file.read_at(&mut text, 0).unwrap();
                assert_eq!(text[..len], *n.to_string().as_bytes());
            }
        }
        let files = (0..65).map(numbered).collect();
        worker.post((Bytes(pattern(SMALL)), files)).unwrap();
        let exit = worker.exited().wait();
        let problem = exit.problem().unwrap();
        assert!(problem.contains("can have 64 descriptors"), "{problem}");
    });
}

#[test]
fn many_leave_no_descriptor_behind_on_either_side() {
    const NAME: &str = "many_leave_no_descriptor_behind_on_either_side";
    alone(NAME, || {
        // What is made once is there.
        leaving_no_thread(|| drop(start().terminate().wait()));
        let without = descriptors_here();
        leaving_no_thread(|| {
            let worker = start();
            let there = || {
                worker.post(Say::HowManyDescriptors).unwrap();
                number(worker.recv().unwrap())
            };
            let before = (there(), descriptors_here());
            for _ in 0..200 {
                worker.post(Say::Bytes(Bytes(pattern(SMALL)))).unwrap();
                drop(worker.recv().unwrap());
            }
            assert_eq!((there(), descriptors_here()), before);
        });
        // Some are under way both ways when it is killed.
        leaving_no_thread(|| {
            let worker = start();
            for _ in 0..10 {
                worker.post(Say::Give(SMALL)).unwrap();
            }
            drop(worker.recv().unwrap());
            worker.post(Say::Park).unwrap();
            for _ in 0..50 {
                worker.post(Say::Bytes(Bytes(pattern(SMALL)))).unwrap();
            }
            assert_eq!(worker.terminate().wait().problem(), None);
        });
        assert_eq!(descriptors_here(), without);
        assert!(children_here().is_empty());
    });
}

#[test]
fn the_longest_is_written_and_one_byte_more_is_refused_both_ways() {
    common::hush();
    watched(|| {
        const MOST: usize = 1 << 20;
        let start = || builder::<Say, Say>("act").max_payload(MOST as u64).start();
        // What precedes the bytes: which message it is, and how many they are.
        let longest = MOST - 4;
        let worker = start().unwrap();
        worker.post(Say::Bytes(Bytes(pattern(longest)))).unwrap();
        assert!(worker.recv().unwrap() == Say::Bytes(Bytes(pattern(longest))));
        worker
            .post(Say::Bytes(Bytes(pattern(longest + 1))))
            .unwrap();
        let exit = worker.exited().wait();
        let problem = exit.problem().unwrap();
        let told = "a message for it could not be written: it has more than 1048576 bytes";
        assert!(problem.contains(told), "{problem}");
        // The texts' lengths come one after another.
        let worker = start().unwrap();
        let texts = vec!["text".to_owned(); MOST / 5 + 1];
        worker.post(Say::Texts(texts)).unwrap();
        let exit = worker.exited().wait();
        assert!(exit.problem().unwrap().contains(told), "{exit}");
        let worker = start().unwrap();
        worker.post(Say::Give(longest + 1)).unwrap();
        let exit = worker.exited().wait();
        let panic = exit.panic().unwrap();
        let told = "a message to the parent could not be written: it has more than 1048576 bytes";
        assert!(panic.contains(told), "{panic}");
    });
}

#[test]
fn every_way_to_receive_reads_them_on_both_sides() {
    watched(|| {
        for name in ["loop", "ways"] {
            let worker = builder::<Bytes, Bytes>(name).start().unwrap();
            let message = |n: usize| Bytes(pattern(SMALL * (n % 2) + n));
            (0..8).for_each(|n| worker.post(message(n)).unwrap());
            worker.disconnect();
            assert!(worker.recv().unwrap() == message(0));
            assert!(pollster::block_on(worker.recv_async()).unwrap() == message(1));
            let main = MainLoop::new();
            let came = Rc::new(RefCell::new(Vec::new()));
            let come = Rc::clone(&came);
            main.on_message(&worker, move |_main, bytes| come.borrow_mut().push(bytes))
                .unwrap();
            main.run();
            let expected: Vec<_> = (2..8).map(message).collect();
            assert!(*came.borrow() == expected, "{name}");
            assert!(worker.exited().wait().is_success());
        }
    });
}

#[test]
fn a_bounded_mailbox_feels_that_nobody_reads_them() {
    const NAME: &str = "a_bounded_mailbox_feels_that_nobody_reads_them";
    alone(NAME, || {
        watched(|| {
            let worker = builder::<Say, Say>("act").mailbox(2).start().unwrap();
            worker.post(Say::Number(1)).unwrap();
            worker.recv().unwrap();
            worker.post(Say::Park).unwrap();
            let posted = AtomicUsize::new(0);
            let message = Bytes(pattern(4 * SMALL));
            thread::scope(|scope| {
                scope.spawn(|| {
                    let post = || worker.post_async(Say::Bytes(message.clone()));
                    while pollster::block_on(post()).is_ok() {
                        posted.fetch_add(1, Ordering::SeqCst);
                    }
                });
                // Nothing happens any more if it looks so again and again.
                let (seen, quiet) = (Cell::new(0), Cell::new(0));
                until(|| {
                    let now = posted.load(Ordering::SeqCst);
                    let is_quiet = is_keeper_asleep() && seen.replace(now) == now;
                    quiet.set(if is_quiet { quiet.get() + 1 } else { 0 });
                    now > 40 || quiet.get() > 100
                });
                worker.terminate().wait();
            });
            let posted = posted.into_inner();
            assert!((2..40).contains(&posted), "{posted}");
        });
    });
}

/// Whether the one thread that looks after a worker here is asleep.
fn is_keeper_asleep() -> bool {
    fs::read_dir("/proc/self/task").unwrap().any(|task| {
        let path = task.unwrap().path();
        let read = |name| fs::read_to_string(path.join(name)).unwrap_or_default();
        read("comm").trim() == "windlass-keeper" && read("stat").contains(") S ")
    })
}
