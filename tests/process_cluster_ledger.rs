//! Promise: whenever a cluster's workers are killed, a request is answered rightly or was
//! one that a killed worker had taken, and nothing is left behind.
//!
//! The large set takes half a minute:
//!
//! ```sh
//! cargo test --release --features process --test process_cluster_ledger -- --ignored
//! ```
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::clusters::{builder, until_listening};
use common::forks::{alone, leaving_no_thread};
use common::tasks::{self, children_here, descriptors_here};
use common::{scratch, until};
use windlass::process::{Cluster, ClusterEvent, Scheduling, Signal};

/// Where workers write down which connections they have taken.
const LOG: &str = "WINDLASS_TEST_LOG";

const WORKERS: usize = 3;
const CLIENTS: u64 = 4;

/// What the workers run: the answer to a number is the number, at once or somewhat later.
#[test]
fn worker() {
    if !Cluster::is_worker() {
        return;
    }
    let path = std::env::var(LOG).unwrap();
    let mut log = File::options().append(true).open(path).unwrap();
    let pid = std::process::id();
    let worker = Cluster::worker().unwrap();
    thread::scope(|scope| {
        for stream in worker.incoming() {
            let line = match stream.peer_addr() {
                Ok(peer) => format!("{} {pid}\n", peer.port()),
                Err(_) => continue,
            };
            log.write_all(line.as_bytes()).unwrap();
            scope.spawn(move || {
                let mut line = String::new();
                let _ = BufReader::new(&stream).read_line(&mut line);
                if let Ok(number) = line.trim().parse::<u64>() {
                    thread::sleep(Duration::from_micros(number % 7 * 300));
                    let _ = writeln!(&stream, "{number}");
                }
            });
        }
    });
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// How the requests have ended.
#[derive(Default)]
struct Ledger {
    ends: Mutex<BTreeMap<&'static str, u64>>,
    /// The processes that are about to be killed, or were.
    killed: Mutex<HashSet<u32>>,
    numbers: AtomicU64,
    /// Nobody will be killed any more.
    is_quiet: AtomicBool,
    is_over: AtomicBool,
}

impl Ledger {
    fn enter(&self, how: &'static str) {
        *self.ends.lock().unwrap().entry(how).or_default() += 1;
    }

    fn count(&self, how: &str) -> u64 {
        let ends = self.ends.lock().unwrap();
        ends.get(how).copied().unwrap_or_default()
    }

    /// One request, and how it ends.
    fn ask(&self, address: SocketAddr, log: &str) {
        let was_quiet = self.is_quiet.load(Ordering::SeqCst);
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        // What stands in the log by now is of others.
        let begin = fs::metadata(log).unwrap().len() as usize;
        let stream = TcpStream::connect(address).unwrap();
        let error = match exchange(&stream, number) {
            Ok(answer) => {
                assert_eq!(answer, number);
                return self.enter(if was_quiet { "at the end" } else { "answered" });
            }
            Err(error) => error,
        };
        let is_an_end = [
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
            ErrorKind::UnexpectedEof,
        ];
        assert!(is_an_end.contains(&error.kind()), "{error}");
        assert!(!was_quiet, "nobody was killed: {error}");
        // The port is still this connection's alone.
        let port = stream.local_addr().unwrap().port();
        let log = fs::read_to_string(log).unwrap();
        let taken = log[begin..].lines().find_map(|line| {
            let (its, pid) = line.split_once(' ')?;
            (its == port.to_string()).then(|| pid.parse().unwrap())
        });
        match taken {
            Some(pid) => {
                let is_killed = self.killed.lock().unwrap().contains(&pid);
                assert!(is_killed, "{pid} is not one that was killed: {error}");
                self.enter("taken by a dead one");
            }
            // Between taking and writing that down there is a moment.
            None => self.enter("taken by one that was just dying"),
        }
    }
}

/// Asks, and reads the answer, a whole line.
fn exchange(mut stream: &TcpStream, number: u64) -> io::Result<u64> {
    writeln!(stream, "{number}")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(answer) => Ok(answer.parse().unwrap()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn kill_at_random(cluster: &Cluster, ledger: &Ledger, kills: u32) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ u64::from(kills));
    for round in 0..kills {
        thread::sleep(Duration::from_micros(dice.below(dice.0 % 20_000 + 1)));
        let workers = cluster.workers();
        let Some(victim) = workers.get(dice.below(WORKERS as u64) as usize) else {
            continue;
        };
        ledger.killed.lock().unwrap().insert(victim.pid);
        match dice.below(2) {
            // By somebody else; or it has gone meanwhile.
            0 => tasks::kill(victim.pid),
            _ => drop(cluster.kill(victim.id, Signal::KILL)),
        }
        if round % 20 == 10 {
            cluster.rolling_restart().unwrap();
        }
    }
    let killed = ledger.killed.lock().unwrap().clone();
    until(|| cluster.workers().iter().all(|it| !killed.contains(&it.pid)));
}

fn kills_under_load(test: &str, scheduling: Scheduling, kills: u32) {
    alone(test, || {
        let before = descriptors_here();
        let folder = scratch(test);
        let log = folder.path("log");
        fs::write(&log, "").unwrap();
        let ledger = Ledger::default();
        leaving_no_thread(|| {
            let cluster = builder(WORKERS)
                .scheduling(scheduling)
                .env(LOG, &log)
                .max_quick_deaths(u32::MAX)
                .listen("127.0.0.1:0")
                .unwrap();
            until_listening(&cluster, WORKERS);
            let address = cluster.local_addr();
            thread::scope(|scope| {
                for _ in 0..CLIENTS {
                    scope.spawn(|| {
                        while !ledger.is_over.load(Ordering::SeqCst) {
                            ledger.ask(address, &log);
                        }
                    });
                }
                kill_at_random(&cluster, &ledger, kills);
                until(|| ledger.count("answered") > u64::from(kills));
                ledger.is_quiet.store(true, Ordering::SeqCst);
                until(|| ledger.count("at the end") >= 200 * CLIENTS);
                ledger.is_over.store(true, Ordering::SeqCst);
            });
            until_listening(&cluster, WORKERS);
            cluster.stop(Duration::from_secs(60)).unwrap();
            let events: Vec<_> = cluster.iter().unwrap().collect();
            every_worker_ended_once(&events, &ledger);
            cluster.run().unwrap();
        });
        eprintln!("{:?}", ledger.ends.lock().unwrap());
        let ended = ["taken by a dead one", "taken by one that was just dying"];
        let ended: u64 = ended.iter().map(|how| ledger.count(how)).sum();
        // Nobody who died can have taken more than one of each client.
        let most = CLIENTS * ledger.killed.lock().unwrap().len() as u64;
        assert!(ended <= most, "{ended} of {most}");
        assert_eq!(descriptors_here(), before);
        assert!(children_here().is_empty());
    });
}

fn every_worker_ended_once(events: &[ClusterEvent], ledger: &Ledger) {
    let killed = ledger.killed.lock().unwrap();
    let mut living = HashSet::new();
    for event in events {
        match event {
            ClusterEvent::Fork { id, .. } => assert!(living.insert(*id)),
            ClusterEvent::Exit {
                id,
                pid,
                code,
                signal,
                was_told,
                ..
            } => {
                assert!(living.remove(id));
                match signal {
                    Some(signal) => assert!(*signal == libc::SIGKILL && killed.contains(pid)),
                    None => assert!(*was_told && *code == Some(0), "{event:?}"),
                }
            }
            ClusterEvent::StartFailed { .. } | ClusterEvent::Failed { .. } => panic!("{event:?}"),
            _ => {}
        }
    }
    assert!(living.is_empty());
}

#[test]
fn every_request_is_answered_or_was_a_dead_workers_in_turn() {
    let test = "every_request_is_answered_or_was_a_dead_workers_in_turn";
    kills_under_load(test, Scheduling::RoundRobin, 100);
}

#[test]
fn every_request_is_answered_or_was_a_dead_workers_shared() {
    let test = "every_request_is_answered_or_was_a_dead_workers_shared";
    kills_under_load(test, Scheduling::Shared, 100);
}

#[test]
#[ignore = "a quarter of a minute; by hand"]
fn every_request_is_answered_or_was_a_dead_workers_in_turn_large() {
    let test = "every_request_is_answered_or_was_a_dead_workers_in_turn_large";
    kills_under_load(test, Scheduling::RoundRobin, 3000);
}

#[test]
#[ignore = "a quarter of a minute; by hand"]
fn every_request_is_answered_or_was_a_dead_workers_shared_large() {
    let test = "every_request_is_answered_or_was_a_dead_workers_shared_large";
    kills_under_load(test, Scheduling::Shared, 3000);
}
