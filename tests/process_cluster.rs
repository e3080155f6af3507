//! Promise: a cluster's workers share one port; whichever of them dies, is exchanged or
//! is told to go, connections that nobody had taken are served by another.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::forks::{alone, in_a_fork_with, leaving_no_thread};
use common::tasks::{self, children_here, descriptors_here, is_there};
use common::{is_child_of, until, watched};
use futures_core::Stream;
use windlass::MainLoop;
use windlass::process::{
    Cluster, ClusterBuilder, ClusterError, ClusterEvent, ClusterWorker, Scheduling,
};

const BOTH: [Scheduling; 2] = [Scheduling::RoundRobin, Scheduling::Shared];

/// What a worker is to be, in its environment.
const ROLE: &str = "WINDLASS_TEST_ROLE";

/// What the workers run.
#[test]
fn worker() {
    if !Cluster::is_worker() {
        return;
    }
    assert!(!Cluster::is_primary());
    let role = std::env::var(ROLE).unwrap_or_default();
    if role == "listens itself" {
        let error = builder(1).listen("127.0.0.1:0").unwrap_err();
        eprintln!("expected: {error}");
        std::process::exit(7);
    }
    let worker = Cluster::worker().unwrap();
    assert!(Cluster::is_worker());
    assert!(matches!(Cluster::worker(), Err(ClusterError::NotWorker)));
    match &*role {
        "never listens" => assert!(worker.recv().is_err(), "nobody writes"),
        "never takes" => {
            let _incoming = worker.incoming();
            loop {
                thread::park();
            }
        }
        "talks" => {
            let _incoming = worker.incoming();
            let (first, variable): (u32, String) = worker.recv().unwrap().read().unwrap();
            let value = std::env::var(variable).unwrap_or_default();
            worker.post(&(first + 1, value)).unwrap();
            for message in worker.iter().unwrap() {
                worker.post(&message.read::<Vec<u8>>().unwrap()).unwrap();
            }
        }
        "stream" => {
            let connections = worker.connections().unwrap();
            let mut stream = connections.stream().unwrap();
            assert!(connections.stream().unwrap_err().is_taken());
            let mut next = || pollster::block_on(poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)));
            thread::scope(|scope| {
                while let Some(stream) = next() {
                    let worker = &worker;
                    scope.spawn(move || answer(worker, &stream));
                }
            });
        }
        "main loop" => {
            let main = MainLoop::new();
            let answers = worker.clone();
            main.on_message(&worker.connections().unwrap(), move |_main, stream| {
                answer(&answers, &stream);
            })
            .unwrap();
            // Clones of it are all there is.
            drop(worker);
            main.run();
        }
        _ => serve(&worker),
    }
}

/// Answers one line on each connection, and ends when all are answered.
fn serve(worker: &ClusterWorker) {
    thread::scope(|scope| {
        for stream in worker.incoming() {
            scope.spawn(move || answer(worker, &stream));
        }
    });
}

fn answer(worker: &ClusterWorker, stream: &TcpStream) {
    let mut line = String::new();
    let _ = BufReader::new(stream).read_line(&mut line);
    if let Some(millis) = line.trim().strip_prefix("slow ") {
        thread::sleep(Duration::from_millis(millis.parse().unwrap()));
    }
    let _ = writeln!(&*stream, "{} {}", worker.id(), std::process::id());
}

/// A machine that stalls does not make it kill any.
fn builder(workers: usize) -> ClusterBuilder {
    Cluster::builder()
        .workers(workers)
        .test_child("worker")
        .env("RUST_BACKTRACE", "0")
        .min_uptime(Duration::ZERO)
        .start_timeout(Duration::from_secs(120))
        .grace(Duration::from_secs(120))
}

fn cluster(workers: usize, scheduling: Scheduling) -> Cluster {
    let builder = builder(workers).scheduling(scheduling);
    let cluster = builder.listen("127.0.0.1:0").unwrap();
    until_listening(&cluster, workers);
    cluster
}

fn until_listening(cluster: &Cluster, count: usize) {
    until(|| {
        cluster
            .workers()
            .iter()
            .filter(|it| it.is_listening)
            .count()
            == count
    });
}

/// Asks for one line; who answered, by id and process.
fn ask(address: SocketAddr, what: &str) -> io::Result<(u64, u32)> {
    let mut stream = TcpStream::connect(address)?;
    writeln!(stream, "{what}")?;
    read_answer(stream)
}

fn read_answer(stream: TcpStream) -> io::Result<(u64, u32)> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let numbers = line.trim().split_once(' ');
    let numbers = numbers.and_then(|(id, pid)| Some((id.parse().ok()?, pid.parse().ok()?)));
    numbers.ok_or_else(|| io::Error::other(format!("the answer {line:?}")))
}

/// Asks as often as that, from four threads; how often each worker answered.
fn ask_often(address: SocketAddr, times: usize) -> HashMap<u64, usize> {
    let answers = thread::scope(|scope| {
        let ask_some = || (0..times / 4).map(|_| ask(address, "who").unwrap().0);
        let threads = [(); 4].map(|()| scope.spawn(move || ask_some().collect::<Vec<_>>()));
        threads.map(|thread| thread.join().unwrap())
    });
    let mut counts = HashMap::new();
    for id in answers.into_iter().flatten() {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

#[test]
fn round_robin_is_even() {
    watched(|| {
        for workers in [1, 2, 3] {
            let cluster = cluster(workers, Scheduling::RoundRobin);
            let counts = ask_often(cluster.local_addr(), 1000);
            assert_eq!(counts.len(), workers);
            let even = 1000 / workers;
            for (id, count) in &counts {
                assert!(count.abs_diff(even) <= even / 10, "{id} of {counts:?}");
            }
        }
    });
}

#[test]
fn workers_that_share_the_listener_serve_too() {
    watched(|| {
        let cluster = cluster(2, Scheduling::Shared);
        let counts = ask_often(cluster.local_addr(), 400);
        assert_eq!(counts.values().sum::<usize>(), 400);
    });
}

#[test]
fn events_come_in_order_and_the_exit_last() {
    watched(|| {
        let cluster = cluster(1, Scheduling::RoundRobin);
        let pid = cluster.workers()[0].pid;
        let status = &cluster.workers()[0];
        assert_eq!((status.id, status.place), (1, 0));
        cluster.stop(Duration::from_secs(60)).unwrap();
        let events: Vec<_> = cluster.iter().unwrap().collect();
        let expected = [
            ClusterEvent::Fork {
                id: 1,
                pid,
                place: 0,
            },
            ClusterEvent::Online { id: 1 },
            ClusterEvent::Listening { id: 1 },
            ClusterEvent::Disconnect { id: 1 },
            ClusterEvent::Exit {
                id: 1,
                pid,
                place: 0,
                code: Some(0),
                signal: None,
                was_told: true,
            },
        ];
        assert_eq!(events, expected);
        cluster.run().unwrap();
    });
}

#[test]
fn messages_go_both_ways_and_each_worker_has_its_environment() {
    watched(|| {
        let cluster = builder(2)
            .env(ROLE, "talks")
            .env_of(0, "PLACE", "zero")
            .env_of(1, "PLACE", "one")
            .listen("127.0.0.1:0")
            .unwrap();
        until_listening(&cluster, 2);
        for worker in cluster.workers() {
            cluster
                .post(worker.id, &(worker.place as u32, "PLACE"))
                .unwrap();
        }
        // More than a socket holds, to both.
        let long = vec![7_u8; 3_000_000];
        cluster.broadcast(&long).unwrap();
        assert!(matches!(
            cluster.post(9, "nobody"),
            Err(ClusterError::NoWorker(9))
        ));

        let main = MainLoop::new();
        let (mut greetings, mut echoes) = (0, 0);
        let remote = cluster.remote();
        let (tell, told) = std::sync::mpsc::channel();
        main.on_message(&cluster, move |_main, event| {
            let ClusterEvent::Message { id, message } = event else {
                return;
            };
            if let Ok((number, value)) = message.read::<(u32, String)>() {
                let place = ["", "zero", "one"][number as usize];
                tell.send((id, value == place)).unwrap();
                greetings += 1;
            } else {
                assert_eq!(message.read::<Vec<u8>>().unwrap(), long);
                echoes += 1;
            }
            if (greetings, echoes) == (2, 2) {
                remote.stop(Duration::from_secs(60)).unwrap();
            }
        })
        .unwrap();
        main.run();
        let mut told: Vec<_> = told.iter().collect();
        told.sort_unstable();
        assert_eq!(told, [(1, true), (2, true)]);
        cluster.run().unwrap();
    });
}

#[test]
fn a_worker_that_is_killed_is_started_again() {
    watched(|| {
        for scheduling in BOTH {
            let cluster = cluster(2, scheduling);
            let victim = cluster.workers()[0].clone();
            tasks::kill(victim.pid);
            let exit = cluster.iter().unwrap().find_map(|event| match event {
                ClusterEvent::Exit {
                    id,
                    signal,
                    was_told,
                    ..
                } => Some((id, signal, was_told)),
                _ => None,
            });
            assert_eq!(exit, Some((victim.id, Some(9), false)));
            until_listening(&cluster, 2);
            let counts = ask_often(cluster.local_addr(), 200);
            assert!(!counts.contains_key(&victim.id));
            let new = &cluster.workers()[1];
            assert_eq!((new.id, new.place), (3, victim.place));
        }
    });
}

#[test]
fn connections_that_a_dead_worker_had_not_taken_go_to_the_next() {
    watched(|| {
        let cluster = builder(2)
            .env_of(0, ROLE, "never takes")
            .restart(false)
            .listen("127.0.0.1:0")
            .unwrap();
        until_listening(&cluster, 2);
        let lazy = cluster.workers()[0].id;
        let address = cluster.local_addr();
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    assert_ne!(ask(address, "who").unwrap().0, lazy);
                    answered.fetch_add(1, Ordering::SeqCst);
                });
            }
            // Every other one waits with it.
            until(|| answered.load(Ordering::SeqCst) == 3);
            cluster.kill(lazy, 9).unwrap();
        });
        assert_eq!(cluster.workers().len(), 1);
    });
}

#[test]
fn a_worker_that_takes_nothing_is_passed_over() {
    watched(|| {
        let cluster = builder(2)
            .env_of(0, ROLE, "never takes")
            .listen("127.0.0.1:0")
            .unwrap();
        until_listening(&cluster, 2);
        let lazy = cluster.workers()[0].id;
        let address = cluster.local_addr();
        // It has its window full, and these wait until it is gone.
        let waiting: Vec<_> = (0..8)
            .map(|_| thread::spawn(move || ask(address, "who").unwrap().0))
            .collect();
        until(|| waiting.iter().filter(|it| it.is_finished()).count() == 4);
        for _ in 0..50 {
            assert_ne!(ask(address, "who").unwrap().0, lazy);
        }
        cluster.disconnect(lazy).unwrap();
        cluster.kill(lazy, 9).unwrap();
        for waiting in waiting {
            assert_ne!(waiting.join().unwrap(), lazy);
        }
        until(|| cluster.workers().len() == 1);
    });
}

#[test]
fn a_rolling_restart_costs_no_request() {
    watched(|| {
        for scheduling in BOTH {
            let cluster = cluster(2, scheduling);
            let address = cluster.local_addr();
            let done = AtomicBool::new(false);
            let asked = AtomicUsize::new(0);
            thread::scope(|scope| {
                for what in ["who", "slow 3", "who", "slow 20"] {
                    let (done, asked) = (&done, &asked);
                    scope.spawn(move || {
                        while !done.load(Ordering::SeqCst) {
                            ask(address, what).unwrap();
                            asked.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
                for round in 1..=3 {
                    cluster.rolling_restart().unwrap();
                    let mut fewest = usize::MAX;
                    for event in cluster.iter().unwrap() {
                        let listening = cluster
                            .workers()
                            .iter()
                            .filter(|it| it.is_listening)
                            .count();
                        fewest = fewest.min(listening);
                        match event {
                            ClusterEvent::Restarted { error } => {
                                assert_eq!(error, None);
                                break;
                            }
                            ClusterEvent::Exit { was_told, code, .. } => {
                                assert!(was_told);
                                assert_eq!(code, Some(0));
                            }
                            _ => {}
                        }
                    }
                    let ids: Vec<_> = cluster.workers().iter().map(|it| it.id).collect();
                    assert_eq!(ids, [round * 2 + 1, round * 2 + 2]);
                    assert_eq!(fewest, 2, "there are never fewer");
                    let before = asked.load(Ordering::SeqCst);
                    until(|| asked.load(Ordering::SeqCst) > before + 20);
                }
                done.store(true, Ordering::SeqCst);
            });
            cluster.stop(Duration::from_secs(60)).unwrap();
            cluster.run().unwrap();
        }
    });
}

#[test]
fn connections_come_as_a_stream_and_to_a_main_loop_too() {
    watched(|| {
        for (scheduling, role) in BOTH
            .into_iter()
            .flat_map(|it| ["stream", "main loop"].map(|role| (it, role)))
        {
            let builder = builder(2).scheduling(scheduling).env(ROLE, role);
            let cluster = builder.listen("127.0.0.1:0").unwrap();
            until_listening(&cluster, 2);
            let address = cluster.local_addr();
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        ask_often(address, 40);
                    }
                });
                cluster.rolling_restart().unwrap();
                let mut events = cluster.iter().unwrap();
                let end = events.find(|event| matches!(event, ClusterEvent::Restarted { .. }));
                assert_eq!(end, Some(ClusterEvent::Restarted { error: None }), "{role}");
                done.store(true, Ordering::SeqCst);
            });
            cluster.stop(Duration::from_secs(60)).unwrap();
            let codes = cluster.iter().unwrap().filter_map(|event| match event {
                ClusterEvent::Exit { code, .. } => Some(code),
                _ => None,
            });
            assert_eq!(codes.collect::<Vec<_>>(), [Some(0); 2], "{role}");
        }
    });
}

#[test]
fn a_rolling_restart_whose_new_worker_dies_leaves_the_old_ones() {
    watched(|| {
        let folder = common::scratch("cluster");
        let (program, works) = (folder.path("program"), folder.path("works"));
        let this = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\n[ -e '{works}' ] || exit 9\nexec {} \"$@\"\n",
            this.display()
        );
        std::fs::write(&works, "").unwrap();
        std::fs::write(&program, script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, executable).unwrap();
        let cluster = builder(2).program(&program).listen("127.0.0.1:0").unwrap();
        until_listening(&cluster, 2);
        std::fs::remove_file(&works).unwrap();
        cluster.rolling_restart().unwrap();
        let error = cluster.iter().unwrap().find_map(|event| match event {
            ClusterEvent::Restarted { error } => Some(error.unwrap()),
            _ => None,
        });
        let error = error.unwrap();
        assert!(error.contains("exit status: 9"), "{error}");
        let ids: Vec<_> = cluster.workers().iter().map(|it| it.id).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!(ask_often(cluster.local_addr(), 8).len(), 2);
    });
}

#[test]
fn a_stop_drains_and_what_takes_too_long_is_killed() {
    watched(|| {
        for scheduling in BOTH {
            let cluster = cluster(2, scheduling);
            let address = cluster.local_addr();
            let mut streams = [(); 2].map(|()| TcpStream::connect(address).unwrap());
            // Both ends of both.
            until(|| established(address) >= 4);
            for stream in &mut streams {
                writeln!(stream, "slow 300").unwrap();
            }
            cluster.stop(Duration::from_secs(60)).unwrap();
            cluster.run().unwrap();
            for stream in streams {
                read_answer(stream).unwrap();
            }
            assert!(ask(address, "who").is_err(), "the port is closed");
        }
        let cluster = cluster(1, Scheduling::RoundRobin);
        let address = cluster.local_addr();
        let too_slow = thread::spawn(move || ask(address, "slow 3600000"));
        until(|| established(address) >= 2);
        cluster.stop(Duration::from_millis(50)).unwrap();
        let signal = cluster.iter().unwrap().find_map(|event| match event {
            ClusterEvent::Exit { signal, .. } => signal,
            _ => None,
        });
        assert_eq!(signal, Some(9));
        assert!(too_slow.join().unwrap().is_err());
    });
}

/// How many ends of connections to an address there are on this machine.
fn established(address: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X}", address.port());
    let is_it = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[3] == "01" && (fields[1].ends_with(&port) || fields[2].ends_with(&port))
    };
    table.lines().skip(1).filter(is_it).count()
}

#[test]
fn starts_that_go_wrong_end_in_an_error() {
    alone("starts_that_go_wrong_end_in_an_error", || {
        let quick = |builder: ClusterBuilder| {
            let millis = Duration::from_millis;
            builder.backoff(millis(1), millis(2)).listen("127.0.0.1:0")
        };
        let text = quick(builder(1).program("/nowhere/at/all")).unwrap_err();
        assert!(matches!(text, ClusterError::Start(_)), "{text}");
        let error = quick(builder(0)).unwrap_err();
        assert!(matches!(error, ClusterError::WorkerCount(_)), "{error}");
        assert!(error.to_string().starts_with("workers("), "{error}");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = builder(1).listen(taken.local_addr().unwrap()).unwrap_err();
        assert!(matches!(error, ClusterError::Listen(_)), "{error}");
        assert!(matches!(Cluster::worker(), Err(ClusterError::NotWorker)));

        let cluster = quick(builder(2).program("/bin/false").max_quick_deaths(4)).unwrap();
        let mut forks = 0;
        let mut failed = None;
        for event in cluster.iter().unwrap() {
            match event {
                ClusterEvent::Fork { .. } => forks += 1,
                ClusterEvent::Failed { reason } => failed = Some(reason),
                _ => {}
            }
        }
        assert!((4..=5).contains(&forks), "{forks}");
        let reason = failed.unwrap();
        assert!(reason.contains("exit status: 1"), "{reason}");
        let error = cluster.run().unwrap_err();
        assert!(error.to_string().contains(&reason), "{error}");

        let sleeps = builder(1)
            .program("/bin/sleep")
            .args(["3600"])
            .max_quick_deaths(1)
            .start_timeout(Duration::from_millis(50));
        let error = quick(sleeps).unwrap().run().unwrap_err();
        assert!(error.to_string().contains("Cluster::worker()"), "{error}");

        let itself = builder(1).env(ROLE, "listens itself").max_quick_deaths(1);
        let error = quick(itself).unwrap().run().unwrap_err();
        assert!(error.to_string().contains("exit status: 7"), "{error}");
        assert!(children_here().is_empty());
    });
}

#[test]
fn dropping_the_cluster_ends_it_and_a_worker_that_does_not_listen_too() {
    watched(|| {
        let cluster = builder(2)
            .env_of(1, ROLE, "never listens")
            .grace(Duration::from_millis(50))
            .listen("127.0.0.1:0")
            .unwrap();
        until_listening(&cluster, 1);
        let pids: Vec<_> = cluster.workers().iter().map(|it| it.pid).collect();
        drop(cluster);
        assert!(pids.iter().all(|&pid| !is_there(pid)));
    });
}

#[test]
fn a_hundred_restarts_leave_nothing_behind() {
    alone("a_hundred_restarts_leave_nothing_behind", || {
        let round = |kills: u64| {
            let cluster = cluster(2, Scheduling::RoundRobin);
            let address = cluster.local_addr();
            for n in 0..kills {
                let workers = cluster.workers();
                let victim = workers[n as usize % 2].id;
                let slow = thread::spawn(move || ask(address, "slow 1"));
                cluster.kill(victim, 9).unwrap();
                until(|| cluster.workers().iter().all(|it| it.id != victim));
                let _ = slow.join().unwrap();
                until_listening(&cluster, 2);
            }
            ask(address, "who").unwrap();
            descriptors_here()
        };
        leaving_no_thread(|| {
            let few = round(1);
            // The last connection's may still be on its way out.
            let many = round(100);
            assert!(many <= few + 5, "{few} after one, {many} after a hundred");
        });
        assert!(children_here().is_empty());
    });
}

#[test]
fn in_a_fork_the_workers_are_the_other_processs() {
    alone("in_a_fork_the_workers_are_the_other_processs", || {
        let cluster = cluster(2, Scheduling::RoundRobin);
        let address = cluster.local_addr();
        let cluster = in_a_fork_with(cluster, |cluster| {
            let refused = cluster.rolling_restart();
            assert!(matches!(refused, Err(ClusterError::Ended)));
            assert!(matches!(cluster.run(), Err(ClusterError::Ended)));
        });
        assert_eq!(ask_often(address, 8).len(), 2);
        drop(cluster);
    });
}

/// A primary that is about to be killed: it says which workers it has.
#[test]
fn doomed() {
    if !is_child_of("doomed") {
        return;
    }
    let cluster = cluster(3, Scheduling::RoundRobin);
    let pids: Vec<_> = cluster.workers().iter().map(|it| it.pid).collect();
    eprintln!("workers {pids:?}");
    loop {
        thread::park();
    }
}

#[test]
fn workers_of_a_primary_that_is_killed_end_within_a_second() {
    watched(|| {
        let mut doomed = common::child("doomed", &[]);
        doomed.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut doomed = doomed.spawn().unwrap();
        let mut lines = BufReader::new(doomed.stderr.take().unwrap()).lines();
        let line = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, numbers)) = line.split_once("workers ") {
                break numbers.to_owned();
            }
        };
        let numbers = line.split(|c: char| !c.is_ascii_digit());
        let workers: Vec<u32> = numbers.filter_map(|number| number.parse().ok()).collect();
        assert_eq!(workers.len(), 3);
        assert!(workers.iter().all(|&pid| is_there(pid)), "{line}");
        doomed.kill().unwrap();
        let begin = Instant::now();
        doomed.wait().unwrap();
        // Whoever takes orphans in waits for them, or does not: both count as ended.
        until(|| workers.iter().all(|&pid| tasks::has_ended(pid)));
        println!("{:?}", begin.elapsed());
    });
}
