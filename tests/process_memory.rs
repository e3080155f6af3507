//! Promise: a process worker with more memory than its limit is killed, and says why; a
//! cluster's is exchanged, and costs no request. Who has less, or no limit, goes on.
//!
//! The pool's children have theirs in `process_jobs.rs`.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::clusters::{self, BOTH, ROLE, ask, event, listening, role, until_listening};
use common::tasks::{eat, eat_at_once, is_there};
use common::{scratch, until, watched};
use serde::{Deserialize, Serialize};
use windlass::process::{
    Cluster, ClusterBuilder, ClusterEvent, KillReason, Output, ProcessExit, ProcessParent,
    ProcessWorker, ProcessWorkerBuilder, Tasks,
};

/// More than this program has, in bytes.
const LIMIT: u64 = 150 << 20;

/// What is beyond it for sure, in megabytes.
const TOO_MUCH: usize = 300;

/// A process that eats before it serves.
const HUNGRY: &str = "hungry";

/// A cluster's worker that is told when to come to listen, and is too large by then.
const LARGE: &str = "large";

/// A wait that no test lives to see the end of.
const LONG: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
enum Say {
    Number(u64),
    /// Eats so many megabytes, and says nothing.
    Eat(usize),
    EatAtOnce,
    /// Posts numbers and eats until it is killed; the file has how many were posted.
    Brag(String),
}

fn act(parent: &ProcessParent<Say, u64>) {
    let mut eaten = Vec::new();
    while let Ok(say) = parent.recv() {
        match say {
            Say::Number(n) => parent.post(n).unwrap(),
            Say::Eat(megabytes) => eaten.extend(eat(megabytes)),
            Say::EatAtOnce => eaten.push(eat_at_once()),
            Say::Brag(path) => {
                let file = File::create(path).unwrap();
                for n in 0.. {
                    parent.post(n).unwrap();
                    file.write_all_at(&(n + 1).to_le_bytes(), 0).unwrap();
                    if n % 16 == 0 && eaten.len() < TOO_MUCH {
                        eaten.extend(eat(1));
                    }
                }
            }
        }
    }
}

fn tasks() -> Tasks {
    Tasks::new().with_worker("act", act)
}

#[test]
fn child() {
    if role() == HUNGRY {
        let _eaten = eat(TOO_MUCH);
        loop {
            thread::park();
        }
    }
    let _ = tasks().serve_if_child();
}

fn builder() -> ProcessWorkerBuilder<Say, u64> {
    ProcessWorker::builder(&tasks(), "act")
        .start_timeout(LONG)
        .test_child("child")
        .env("RUST_BACKTRACE", "0")
        .output(Output::Collect(1000))
}

/// It was killed for its size, and says what that was.
fn assert_too_large(exit: &ProcessExit) {
    assert_eq!(exit.killed(), Some(KillReason::Memory), "{exit}");
    assert_eq!((exit.code(), exit.signal()), (None, Some(libc::SIGKILL)));
    assert!(!exit.is_success());
    let problem = exit.problem().unwrap();
    let had = problem.strip_prefix("it had ").unwrap();
    let (had, rest) = had.split_once(' ').unwrap();
    assert!(had.parse::<u64>().unwrap() > LIMIT, "{problem}");
    let expected = format!("bytes of memory, where {LIMIT} are the most, and was killed");
    assert_eq!(rest, expected);
    assert!(exit.to_string().contains(problem), "{exit}");
}

#[test]
fn a_worker_over_its_limit_is_killed_and_what_it_had_posted_arrives() {
    watched(|| {
        let folder = scratch("brag");
        for round in 0..5 {
            let path = folder.path(&round.to_string());
            let worker = builder().memory_limit(LIMIT).start().unwrap();
            worker.post(Say::Brag(path.clone())).unwrap();
            let exited = worker.exited();
            let mut arrived = 0;
            for n in worker.iter().unwrap() {
                assert_eq!(n, arrived);
                arrived += 1;
            }
            assert_too_large(&exited.wait());
            assert!(!is_there(worker.id()));
            let posted = fs::read(&path).unwrap().try_into().unwrap();
            let posted = u64::from_le_bytes(posted);
            assert!(arrived >= posted, "{arrived} of {posted}");
        }
    });
}

#[test]
fn one_that_says_nothing_is_killed_and_those_with_room_or_no_limit_go_on() {
    watched(|| {
        let limits = [Some(LIMIT), Some(10 * LIMIT), None];
        let [small, large, free] = limits.map(|limit| {
            let worker = match limit {
                Some(limit) => builder().memory_limit(limit).start().unwrap(),
                None => builder().start().unwrap(),
            };
            worker.post(Say::Number(1)).unwrap();
            assert_eq!(worker.recv(), Ok(1));
            worker.post(Say::Eat(TOO_MUCH)).unwrap();
            worker
        });
        for worker in [large, free] {
            // It has eaten by then.
            worker.post(Say::Number(2)).unwrap();
            assert_eq!(worker.recv(), Ok(2));
            assert_too_large(&small.exited().wait());
            // In that time others are looked at more than once.
            for n in 0..2000 {
                worker.post(Say::Number(n)).unwrap();
                assert_eq!(worker.recv(), Ok(n));
            }
            worker.close();
            let exit = worker.exited().wait();
            assert!(exit.is_success() && exit.killed().is_none(), "{exit}");
        }
    });
}

#[test]
fn one_that_eats_before_its_hello_is_killed_too() {
    watched(|| {
        let hungry = builder().memory_limit(LIMIT).env(ROLE, HUNGRY);
        let worker = hungry.start().unwrap();
        assert_too_large(&worker.exited().wait());
    });
}

#[test]
fn one_that_its_owner_kills_was_not_killed_for_its_memory() {
    watched(|| {
        let worker = builder().memory_limit(LIMIT).start().unwrap();
        let exit = worker.terminate().wait();
        assert_eq!(exit.killed(), None, "{exit}");
        assert_eq!(exit.signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn one_that_the_system_refuses_memory_says_so_with_a_limit_or_without() {
    watched(|| {
        for limit in [None, Some(LIMIT)] {
            let worker = match limit {
                Some(limit) => builder().memory_limit(limit).start().unwrap(),
                None => builder().start().unwrap(),
            };
            worker.post(Say::Number(1)).unwrap();
            worker.post(Say::EatAtOnce).unwrap();
            let exit = worker.exited().wait();
            assert_eq!(worker.recv(), Ok(1));
            assert_eq!(exit.killed(), Some(KillReason::Memory), "{exit}");
            assert_eq!(exit.signal(), Some(libc::SIGABRT));
            assert_eq!(exit.problem(), None);
            let text = exit.to_string();
            assert!(text.contains("no more memory"), "{text}");
            assert!(text.contains("memory allocation of "), "{text}");
        }
    });
}

/// What the clusters' workers run: they eat what they are told to.
#[test]
fn worker() {
    if !Cluster::is_worker() {
        return;
    }
    let worker = Cluster::worker().unwrap();
    let mut eaten = Vec::new();
    if role() == LARGE {
        let Ok(_) = worker.recv() else { return };
        eaten = eat(TOO_MUCH);
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            for message in worker.iter().unwrap() {
                eaten.extend(eat(message.read::<usize>().unwrap()));
            }
        });
        clusters::serve(&worker);
    });
}

/// Ends a loop, also amid a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn limited(workers: usize) -> ClusterBuilder {
    let builder = clusters::builder(workers).start_timeout(LONG);
    builder.memory_limit(LIMIT)
}

/// Waits for a process in the first place; its id.
fn fork(cluster: &Cluster) -> u64 {
    event(cluster, |event| match event {
        ClusterEvent::Fork { id, place: 0, .. } => Some(id),
        _ => None,
    })
}

/// Waits until that worker has gone, as it was told to; whom it heard to be too large by
/// then.
fn gone(cluster: &Cluster, worker: u64) -> Vec<u64> {
    let mut too_large = Vec::new();
    event(cluster, |event| match event {
        ClusterEvent::Oversize { id, bytes, limit } => {
            assert!(bytes > limit && limit == LIMIT, "{bytes} of {limit}");
            too_large.push(id);
            None
        }
        ClusterEvent::Exit {
            id, code, was_told, ..
        } if id == worker => {
            assert_eq!((code, was_told), (Some(0), true));
            Some(())
        }
        ClusterEvent::Restarted { error } => panic!("nobody asked for it: {error:?}"),
        _ => None,
    });
    too_large
}

#[test]
fn a_clusters_worker_over_the_limit_is_replaced_and_costs_no_request() {
    watched(|| {
        for scheduling in BOTH {
            let cluster = limited(2).scheduling(scheduling);
            let cluster = cluster.listen("127.0.0.1:0").unwrap();
            until_listening(&cluster, 2);
            let address = cluster.local_addr();
            let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
            thread::scope(|scope| {
                let _done = Done(&done);
                for _ in 0..3 {
                    scope.spawn(|| {
                        while !done.load(Ordering::SeqCst) {
                            ask(address).unwrap();
                            asked.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
                cluster.post(1, &TOO_MUCH).unwrap();
                let told = |event: &ClusterEvent| match *event {
                    ClusterEvent::Oversize { id, .. } => Some((0, id)),
                    ClusterEvent::Fork { id, place, .. } if id > 2 => {
                        assert_eq!(place, 0);
                        Some((1, id))
                    }
                    ClusterEvent::Listening { id } if id > 2 => Some((2, id)),
                    ClusterEvent::Exit { id, was_told, .. } => {
                        assert!(was_told);
                        Some((3, id))
                    }
                    _ => None,
                };
                let steps = cluster.iter().unwrap().filter_map(|event| {
                    assert!(listening(&cluster).len() >= 2, "there are never fewer");
                    told(&event)
                });
                let steps: Vec<_> = steps.take(4).collect();
                assert_eq!(steps, [(0, 1), (1, 3), (2, 3), (3, 1)]);
                let before = asked.load(Ordering::SeqCst);
                until(|| asked.load(Ordering::SeqCst) > before + 20);
            });
            let places: Vec<_> = cluster.workers().iter().map(|it| it.place).collect();
            assert_eq!(places, [1, 0]);
            cluster.stop(LONG).unwrap();
            cluster.run().unwrap();
        }
    });
}

#[test]
fn a_limit_below_the_programs_own_size_does_not_loop() {
    watched(|| {
        let cluster = limited(2).backoff(LONG, LONG).env_of(0, ROLE, LARGE);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        until_listening(&cluster, 1);
        // It is too large from the start, and the look that finds it sees the other, small.
        assert_eq!(fork(&cluster), 1);
        cluster.post(1, &()).unwrap();
        let new = fork(&cluster);
        cluster.post(new, &()).unwrap();
        gone(&cluster, 1);
        // So is the next, but it stays; the look that finds the other sees that, too.
        cluster.post(2, &TOO_MUCH).unwrap();
        assert_eq!(gone(&cluster, 2), [2]);
        assert_eq!(listening(&cluster), [new, new + 1]);
        drop(cluster);

        // It is only put off.
        let cluster = limited(1).env(ROLE, LARGE).listen("127.0.0.1:0").unwrap();
        for id in 1..=3 {
            assert_eq!(fork(&cluster), id);
            cluster.post(id, &()).unwrap();
        }
        gone(&cluster, 2);
    });
}

#[test]
fn if_nobody_can_take_its_place_it_goes_on_and_is_replaced_later() {
    watched(|| {
        let folder = scratch("nobody");
        let (program, works) = (folder.path("program"), folder.path("works"));
        let this = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\n[ \"$FRAIL\" ] && ! [ -e '{works}' ] && exit 9\nexec {} \"$@\"\n",
            this.display()
        );
        fs::write(&works, "").unwrap();
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let cluster = |builder: ClusterBuilder| {
            let cluster = builder.program(&program).env_of(0, "FRAIL", "1");
            cluster.listen("127.0.0.1:0").unwrap()
        };
        let told = |event| match event {
            ClusterEvent::Exit { code, was_told, .. } => Some((code, was_told)),
            _ => None,
        };

        // The look that finds the second sees the first, small.
        let waiting = cluster(limited(3).backoff(LONG, LONG));
        until_listening(&waiting, 3);
        waiting.post(2, &TOO_MUCH).unwrap();
        assert_eq!(gone(&waiting, 2), [2]);
        fs::remove_file(&works).unwrap();
        waiting.post(1, &TOO_MUCH).unwrap();
        assert_eq!(event(&waiting, told), (Some(9), false));
        // It is not tried again before its wait is over; the look that finds the third sees it.
        waiting.post(3, &TOO_MUCH).unwrap();
        assert_eq!(gone(&waiting, 3), [3]);
        assert_eq!(listening(&waiting), [1, 4, 6]);
        drop(waiting);

        fs::write(&works, "").unwrap();
        let cluster = cluster(limited(1));
        until_listening(&cluster, 1);
        fs::remove_file(&works).unwrap();
        cluster.post(1, &TOO_MUCH).unwrap();
        assert_eq!(event(&cluster, told), (Some(9), false));
        assert_eq!(listening(&cluster), [1]);
        assert_eq!(ask(cluster.local_addr()).unwrap(), 1);
        fs::write(&works, "").unwrap();
        let told = gone(&cluster, 1);
        assert!(
            !told.is_empty() && told.iter().all(|id| *id == 1),
            "{told:?}"
        );
        until_listening(&cluster, 1);
    });
}

/// Two of them, the first of which is being replaced: the third is to listen once it hears
/// something.
fn amid_an_exchange() -> Cluster {
    let cluster = limited(2).backoff(LONG, LONG).env_of(0, ROLE, LARGE);
    let cluster = cluster.listen("127.0.0.1:0").unwrap();
    assert_eq!(fork(&cluster), 1);
    cluster.post(1, &()).unwrap();
    assert_eq!(fork(&cluster), 3);
    until_listening(&cluster, 2);
    cluster
}

#[test]
fn a_restart_of_all_amid_an_exchange_is_of_all_and_told_once() {
    watched(|| {
        let cluster = amid_an_exchange();
        cluster.rolling_restart().unwrap();
        cluster.post(3, &()).unwrap();
        // The second is exchanged first, and then the third, who is large again.
        assert_eq!(fork(&cluster), 5);
        cluster.post(5, &()).unwrap();
        let told = |event| match event {
            ClusterEvent::Restarted { error } => Some(error),
            _ => None,
        };
        assert_eq!(event(&cluster, told), None);
        let ids: Vec<_> = cluster.workers().iter().map(|it| it.id).collect();
        assert_eq!(ids, [4, 5]);
        cluster.stop(LONG).unwrap();
        assert_eq!(cluster.iter().unwrap().find_map(told), None);
    });
}

#[test]
fn one_that_is_disconnected_amid_its_exchange_leaves_its_place_empty() {
    watched(|| {
        let cluster = amid_an_exchange();
        cluster.disconnect(1).unwrap();
        gone(&cluster, 1);
        until(|| cluster.workers().iter().all(|it| it.id == 2));
        assert_eq!(ask(cluster.local_addr()).unwrap(), 2);
    });
}

#[test]
fn one_that_is_disconnected_before_it_replaces_another_leaves_the_place_to_that() {
    watched(|| {
        let cluster = amid_an_exchange();
        cluster.disconnect(3).unwrap();
        gone(&cluster, 3);
        assert_eq!(listening(&cluster), [1, 2]);
        cluster.kill(1, 9).unwrap();
        assert_eq!(fork(&cluster), 4);
    });
}
