//! Promise: a cluster's worker that does not keep to the protocol is killed and replaced,
//! and the others serve on, whatever was said. A worker whose primary says nonsense ends.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::clusters::{ROLE, ask, builder, event, role, serve, until_listening};
use common::forks::alone;
use common::tasks::{children_here, descriptors_here};
use common::{until, watched};
use windlass::process::{Cluster, ClusterEvent};

const JOB: u8 = 2;
const POST: u8 = 5;
const DISCONNECT: u8 = 6;
const HELLO: u8 = 16;
const REFUSED: u8 = 20;
const POSTED: u8 = 21;
const ENLIST: u8 = 32;
const CONNECTION: u8 = 33;
const ONLINE: u8 = 48;
const LISTENING: u8 = 49;
const ACCEPTED: u8 = 50;

fn frame(len: u32, kind: u8, number: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = len.to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend(number.to_le_bytes());
    frame.extend(payload);
    frame
}

/// What a rogue says, given the version that it was told; and what is told of it.
type Says = fn(u32) -> Vec<u8>;

/// After its words a rogue of this name ends; others wait for what comes.
const ENDS: &str = "truncated";

fn online(version: u32) -> Vec<u8> {
    frame(4, ONLINE, 0, &version.to_le_bytes())
}

fn up(version: u32) -> Vec<u8> {
    [online(version), frame(0, LISTENING, 0, &[])].concat()
}

fn garbage() -> Vec<u8> {
    let garbage = (0..3_000_000_u32).map(|n| (n.wrapping_mul(7919) >> 3) as u8 ^ 0x5a);
    garbage.collect()
}

const ROGUES: [(&str, Says, &str); 16] = [
    (
        ENDS,
        |version| [up(version), vec![9, 0, 0, 0, POSTED, 1]].concat(),
        "exit status: 0",
    ),
    (
        "oversize",
        |version| [up(version), frame(u32::MAX, POSTED, 0, &[])].concat(),
        "4294967295 bytes",
    ),
    (
        "a bit oversize",
        |version| [up(version), frame((64 << 20) + 1, POSTED, 0, &[])].concat(),
        "67108865 bytes",
    ),
    (
        "an unknown kind",
        |version| [up(version), frame(0, 99, 0, &[])].concat(),
        "unknown kind 99",
    ),
    (
        "a primary's kind",
        |version| [up(version), frame(0, CONNECTION, 1, &[])].concat(),
        "it said Connection",
    ),
    (
        "a pool's kind",
        |version| [up(version), frame(0, JOB, 1, &[])].concat(),
        "it said Job",
    ),
    (
        "a hello",
        |_| frame(12, HELLO, 0, &[0; 12]),
        "it said Hello",
    ),
    (
        "a connection that it was not given",
        |version| [up(version), frame(0, ACCEPTED, 77_777, &[])].concat(),
        "connection 77777",
    ),
    (
        "one that it cannot have refused",
        |version| [up(version), frame(0, REFUSED, 77_777, &[])].concat(),
        "connection 77777",
    ),
    (
        "online twice",
        |version| [online(version), online(version)].concat(),
        "it said Online",
    ),
    (
        "listening twice",
        |version| [up(version), frame(0, LISTENING, 0, &[])].concat(),
        "it said Listening",
    ),
    (
        "listening before it is online",
        |_| frame(0, LISTENING, 0, &[]),
        "it said Listening",
    ),
    (
        "a message before it is online",
        |_| frame(1, POSTED, 0, &[1]),
        "it said Posted",
    ),
    (
        "another version",
        |version| online(version + 1),
        "another build",
    ),
    ("garbage", |_| garbage(), "was killed"),
    (
        "garbage after all was well",
        |version| [up(version), garbage()].concat(),
        "was killed",
    ),
];

/// Announces the longest message that may be, and never sends it.
const ANNOUNCES: &str = "announces";

/// Says that it has each connection twice.
const TAKES_TWICE: &str = "takes twice";

/// Has a process of its own go on talking when it is gone, for ever.
const LEAVES_A_TALKER: &str = "leaves a talker";
const TALKS: &str = "talks";

/// What workers run: the good, and those that do not even use the library.
#[test]
fn worker() {
    if role() == TALKS {
        return talk();
    }
    if !Cluster::is_worker() {
        return;
    }
    if role().is_empty() {
        return serve(&Cluster::worker().unwrap());
    }
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut socket = UnixStream::from(stdin);
    let mut enlist = vec![0; 13];
    socket.read_exact(&mut enlist).unwrap();
    let len = u32::from_le_bytes(enlist[..4].try_into().unwrap());
    enlist.resize(13 + len as usize, 0);
    socket.read_exact(&mut enlist[13..]).unwrap();
    assert_eq!(enlist[4], ENLIST);
    let version = u32::from_le_bytes(enlist[13..17].try_into().unwrap());
    let rogue = ROGUES.iter().find(|(name, ..)| *name == role());
    let says = match rogue {
        Some((_, says, _)) => says(version),
        None => up(version),
    };
    let _ = socket.write_all(&says);
    match &*role() {
        ENDS => std::process::exit(0),
        LEAVES_A_TALKER => {
            let mut talker = common::child("worker", &[]);
            talker.env(ROLE, TALKS).stdin(Stdio::inherit());
            let talker = talker.stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(talker.stdout.unwrap()).lines();
            let mut lines = lines.map(Result::unwrap);
            assert!(lines.any(|line| line.contains(TALKS)));
            std::process::exit(0);
        }
        ANNOUNCES => {
            let mut says = frame(1, POSTED, 0, &[7]);
            says.extend(frame(64 << 20, POSTED, 0, &[1, 2, 3]));
            socket.write_all(&says).unwrap();
        }
        TAKES_TWICE => {
            let mut connection = [0; 13];
            while socket.read_exact(&mut connection).is_ok() {
                connection[4] = ACCEPTED;
                let _ = socket.write_all(&[connection, connection].concat());
            }
        }
        _ => {}
    }
    // Until the primary has had enough.
    let _ = socket.read_to_end(&mut Vec::new());
    std::process::exit(0);
}

/// Says something for ever, on the socket of another.
fn talk() {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut socket = UnixStream::from(stdin);
    // It may be one that does not wait.
    socket.set_nonblocking(false).unwrap();
    println!("{TALKS}");
    let many = frame(100, POSTED, 0, &[7; 100]).repeat(10_000);
    while socket.write_all(&many).is_ok() {}
    std::process::exit(0);
}

#[test]
fn what_no_worker_says_ends_it_and_is_told() {
    watched(|| {
        for (name, _, told) in ROGUES {
            let cluster = builder(1).env(ROLE, name).max_quick_deaths(1);
            // A quick one may have served: it is one all the same.
            let cluster = cluster.min_uptime(Duration::from_secs(3600));
            let cluster = cluster.listen("127.0.0.1:0").unwrap();
            let signal = event(&cluster, |event| match event {
                ClusterEvent::Exit {
                    signal, was_told, ..
                } => {
                    assert!(!was_told);
                    Some(signal)
                }
                _ => None,
            });
            assert_eq!(signal, (name != ENDS).then_some(libc::SIGKILL), "{name}");
            let reason = event(&cluster, |event| match event {
                ClusterEvent::Failed { reason } => Some(reason),
                _ => None,
            });
            assert!(reason.contains(told), "{name}: {reason}");
            let error = cluster.run().unwrap_err().to_string();
            assert!(error.contains(&reason), "{error}");
        }
    });
}

#[test]
fn rogues_are_replaced_and_the_others_serve_on() {
    const NAME: &str = "rogues_are_replaced_and_the_others_serve_on";
    alone(NAME, || {
        let mut cluster = builder(1 + ROGUES.len()).max_quick_deaths(u32::MAX);
        for (index, (rogue, ..)) in ROGUES.iter().enumerate() {
            cluster = cluster.env_of(1 + index, ROLE, rogue);
        }
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        let address = cluster.local_addr();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut asked = 0;
                    while asked < 50 || !is_over.load(Ordering::SeqCst) {
                        // What the others were given comes back.
                        assert_eq!(ask(address).unwrap(), 1);
                        asked += 1;
                    }
                });
            }
            let mut exits = BTreeSet::new();
            event(&cluster, |event| {
                if let ClusterEvent::Exit { id, .. } = event {
                    assert_ne!(id, 1, "the one that serves");
                    assert!(exits.insert(id), "{id} ends once");
                }
                (exits.len() >= 3 * ROGUES.len()).then_some(())
            });
            is_over.store(true, Ordering::SeqCst);
        });
        drop(cluster);
        assert!(children_here().is_empty());
    });
}

#[test]
fn a_worker_that_says_twice_that_it_has_a_connection_costs_that_one() {
    watched(|| {
        let cluster = builder(2).env_of(1, ROLE, TAKES_TWICE);
        let cluster = cluster.max_quick_deaths(u32::MAX);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        let address = cluster.local_addr();
        let mut bad = 0;
        while bad < 3 {
            match ask(address) {
                Ok(id) => assert_eq!(id, 1),
                Err(_) => bad += 1,
            }
        }
        for _ in 0..bad {
            let signal = event(&cluster, |event| match event {
                ClusterEvent::Exit { signal, .. } => Some(signal),
                _ => None,
            });
            assert_eq!(signal, Some(libc::SIGKILL));
        }
    });
}

/// How much memory this process has asked for, in bytes.
fn asked_for() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_length_takes_no_memory_before_its_bytes_come() {
    const NAME: &str = "a_length_takes_no_memory_before_its_bytes_come";
    alone(NAME, || {
        const COUNT: usize = 8;
        let cluster = builder(COUNT).env(ROLE, ANNOUNCES);
        let cluster = cluster.grace(Duration::from_millis(50));
        let before = asked_for();
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        let mut messages = 0;
        event(&cluster, |event| {
            messages += usize::from(matches!(event, ClusterEvent::Message { .. }));
            (messages == COUNT).then_some(())
        });
        let after = asked_for();
        // The engine's thread has a stack and an arena of 64 MiB for the address space.
        let most = before + (COUNT as u64) * (32 << 20);
        assert!(after < most, "{before} before, {after} after");
    });
}

#[test]
fn a_process_that_talks_on_for_a_dead_worker_does_not_hold_it_up() {
    const NAME: &str = "a_process_that_talks_on_for_a_dead_worker_does_not_hold_it_up";
    alone(NAME, || {
        let cluster = builder(2).env_of(1, ROLE, LEAVES_A_TALKER);
        let cluster = cluster.max_quick_deaths(u32::MAX);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        let address = cluster.local_addr();
        for _ in 0..3 {
            event(&cluster, |event| {
                matches!(event, ClusterEvent::Exit { .. }).then_some(())
            });
        }
        until(|| ask(address).is_ok_and(|id| id == 1));
    });
}

/// What a worker does whose primary may be nobody: it says what became of it.
#[test]
fn enlisted() {
    if !Cluster::is_worker() {
        return;
    }
    let worker = match Cluster::worker() {
        Ok(worker) => worker,
        Err(error) => {
            println!("refused: {error}");
            std::process::exit(3);
        }
    };
    let mut messages = 0;
    while worker.recv().is_ok() {
        messages += 1;
    }
    assert!(worker.is_disconnected());
    println!(
        "ended: {messages} messages, {} connections",
        worker.incoming().count()
    );
    std::process::exit(4);
}

/// A worker of this test's own, and the way to it.
fn enlist_by_hand() -> (std::process::Child, UnixStream) {
    let (socket, its_end) = UnixStream::pair().unwrap();
    let end = OwnedFd::from(its_end);
    let file = File::from(end.try_clone().unwrap()).metadata().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["enlisted", "--exact", "--nocapture", "--test-threads=1"])
        .env("WINDLASS_WORKER", format!("{}:{}", file.dev(), file.ino()))
        .stdin(Stdio::from(end))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    (command.spawn().unwrap(), socket)
}

/// The version that workers speak, by one that is asked.
fn version() -> u32 {
    let cluster = builder(1).listen("127.0.0.1:0").unwrap();
    until_listening(&cluster, 1);
    drop(cluster);
    let probe = |version: u32| {
        let (child, mut socket) = enlist_by_hand();
        socket.write_all(&enlist(version)).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let output = child.wait_with_output().unwrap();
        !String::from_utf8_lossy(&output.stdout).contains("another build")
    };
    (1..100).find(|&version| probe(version)).unwrap()
}

fn enlist(version: u32) -> Vec<u8> {
    let mut payload = version.to_le_bytes().to_vec();
    payload.extend(std::process::id().to_le_bytes());
    payload.extend(7_u64.to_le_bytes());
    payload.extend(b"127.0.0.1:80");
    frame(payload.len() as u32, ENLIST, 0, &payload)
}

#[test]
fn a_primary_that_says_nonsense_ends_its_worker() {
    watched(|| {
        let version = version();
        let cases: [(&str, Vec<u8>, &str); 7] = [
            ("nothing", vec![], "it is gone"),
            ("half a frame", enlist(version)[..20].into(), "it is gone"),
            ("garbage", garbage(), "a frame"),
            ("an unknown kind", frame(0, 99, 0, &[]), "unknown kind 99"),
            ("another kind", frame(0, POST, 0, &[]), "as it should"),
            ("short", frame(3, ENLIST, 0, &[1, 2, 3]), "as it should"),
            ("another version", enlist(version + 9), "another build"),
        ];
        for (name, says, told) in cases {
            let (code, stdout, _) = end_of_one_that_hears(&says);
            assert!(stdout.contains(told), "{name}: {stdout}");
            assert_eq!(code, Some(3), "{name}");
        }
        // Those that it had are served, what came before is received, and then it ends.
        let post = frame(1, POST, 0, &[5]);
        let after: [(&str, Vec<u8>, &str); 7] = [
            ("its end", vec![], ""),
            ("a disconnect", frame(1, DISCONNECT, 0, &[0]), ""),
            ("half a frame", vec![1, 0, 0, 0, POST, 0], ""),
            (
                "oversize",
                frame(u32::MAX, POST, 0, &[]),
                "4294967295 bytes",
            ),
            ("an unknown kind", frame(0, 77, 0, &[]), "unknown kind 77"),
            (
                "a worker's kind",
                frame(0, ONLINE, 0, &[]),
                "it said Online",
            ),
            ("again", enlist(version), "it said Enlist"),
        ];
        for (name, says, told) in after {
            let says = [enlist(version), post.clone(), says].concat();
            let (code, stdout, stderr) = end_of_one_that_hears(&says);
            assert!(
                stdout.contains("ended: 1 messages, 0 connections"),
                "{name}: {stdout}"
            );
            assert!(stderr.contains(told), "{name}: {stderr}");
            assert_eq!(code, Some(4), "{name}: {stderr}");
        }
    });
}

/// What becomes of a worker that hears this, and then no more.
fn end_of_one_that_hears(says: &[u8]) -> (Option<i32>, String, String) {
    let (child, mut socket) = enlist_by_hand();
    // It may not want to hear all of it.
    let _ = socket.write_all(says);
    let _ = socket.shutdown(Shutdown::Write);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output.status.code(), stdout, stderr)
}

/// The next frame's kind and number.
fn hear(socket: &mut UnixStream) -> (u8, u64) {
    let mut header = [0; 13];
    socket.read_exact(&mut header).unwrap();
    let len = u32::from_le_bytes(header[..4].try_into().unwrap());
    let mut payload = vec![0; len as usize];
    socket.read_exact(&mut payload).unwrap();
    (
        header[4],
        u64::from_le_bytes(header[5..].try_into().unwrap()),
    )
}

#[test]
fn a_connection_without_its_descriptor_is_refused_and_nothing_else() {
    watched(|| {
        let version = version();
        let (child, mut socket) = enlist_by_hand();
        socket.write_all(&enlist(version)).unwrap();
        assert_eq!(hear(&mut socket), (ONLINE, 0));
        for number in [5, 6, 99] {
            socket
                .write_all(&frame(0, CONNECTION, number, &[]))
                .unwrap();
            assert_eq!(hear(&mut socket), (REFUSED, number));
        }
        socket.write_all(&frame(1, POST, 0, &[5])).unwrap();
        socket.write_all(&frame(1, DISCONNECT, 0, &[0])).unwrap();
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.contains("ended: 1 messages"), "{stdout}");
    });
}

#[test]
fn rogues_leave_no_descriptor() {
    alone("rogues_leave_no_descriptor", || {
        let before = descriptors_here();
        let cluster = builder(2).max_quick_deaths(u32::MAX);
        let cluster = cluster.env(ROLE, "online twice");
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        let mut exits = 0;
        event(&cluster, |event| {
            exits += u32::from(matches!(event, ClusterEvent::Exit { .. }));
            (exits == 30).then_some(())
        });
        drop(cluster);
        assert_eq!(descriptors_here(), before);
        assert!(children_here().is_empty());
    });
}
