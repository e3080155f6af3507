//! Promise: children end with their pool and with their parent, however that ends, and
//! leave nothing behind.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::forks::{alone, assert_forked, in_a_fork, leaving_no_thread};
use common::tasks::{self, Act, Reply, builder, children_here, descriptors_here, is_there, procs};
use common::{is_child_of, until, watched};

#[test]
fn child() {
    tasks::child();
}

#[test]
fn dropping_the_pool_finishes_what_was_accepted() {
    watched(|| {
        let procs = procs(2);
        let pids = procs.child_ids();
        let jobs: Vec<_> = (0..20)
            .map(|n| procs.submit(Act::Sum(vec![n, 5])))
            .chain([procs.submit(Act::Sleep(30))])
            .collect();
        drop(procs);
        for pid in pids {
            assert!(!is_there(pid));
        }
        for (n, job) in jobs.into_iter().enumerate() {
            assert!(job.is_finished());
            match job.join().unwrap() {
                Reply::Number(sum) => assert_eq!(sum, n as u64 + 5),
                slept => assert_eq!(slept.text(), "slept"),
            }
        }
    });
}

#[test]
fn a_shutdown_ends_the_children_and_refuses_what_comes_after_it() {
    watched(|| {
        let procs = procs(2);
        let pids = procs.child_ids();
        let running = procs.submit(Act::Sleep(10));
        pollster::block_on(procs.shutdown());
        assert!(procs.is_closed());
        assert!(pids.iter().all(|&pid| !is_there(pid)));
        assert_eq!(running.join().unwrap().text(), "slept");
        assert!(procs.submit(Act::Pid).join().unwrap_err().is_closed());
        assert_eq!(procs.child_ids(), []);
    });
}

#[test]
fn shutdown_now_kills_what_runs_and_cancels_what_waits() {
    watched(|| {
        let procs = procs(2);
        let pids = procs.child_ids();
        let jobs: Vec<_> = (0..6).map(|_| procs.submit(Act::LoopForEver)).collect();
        until(|| procs.metrics().queued == 4);
        procs.shutdown_now();
        for job in jobs {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        drop(procs);
        assert!(pids.iter().all(|&pid| !is_there(pid)));
    });
}

#[test]
fn a_time_limit_for_the_shutdown_names_who_is_at_work() {
    watched(|| {
        let procs = procs(1);
        let runs = procs.submit(Act::LoopForEver);
        until(|| procs.metrics().running == 1);
        let still = procs
            .shutdown_timeout(Duration::from_millis(20))
            .unwrap_err();
        assert_eq!(still.threads(), ["windlass-proc-0"]);
        runs.cancel();
        assert!(runs.join().unwrap_err().is_cancelled());
        procs.shutdown_timeout(Duration::MAX).unwrap();
    });
}

#[test]
fn two_pools_do_not_know_of_each_other() {
    watched(|| {
        let (one, other) = (procs(1), procs(2));
        assert!(one.submit(Act::Abort).join().unwrap_err().is_crashed());
        let in_other = other.submit(Act::Pid).join().unwrap().number() as u32;
        let in_one = one.submit(Act::Pid).join().unwrap().number() as u32;
        assert!(other.child_ids().contains(&in_other) && !other.child_ids().contains(&in_one));
        // The children of one do not hold the ways to those of the other open.
        drop(one);
        assert!(!is_there(in_one));
        other.submit(Act::Pid).join().unwrap();
        drop(other);
        assert!(!is_there(in_other));
    });
}

#[test]
fn pools_that_come_and_go_leave_nothing_behind() {
    alone("pools_that_come_and_go_leave_nothing_behind", || {
        let round = || {
            let procs = procs(2);
            procs.submit(Act::Pid).join().unwrap();
            procs.submit(Act::Abort).join().unwrap_err();
        };
        round();
        let before = descriptors_here();
        leaving_no_thread(|| (0..20).for_each(|_| round()));
        assert_eq!(descriptors_here(), before);
        assert!(children_here().is_empty());
    });
}

#[test]
fn a_handle_that_is_dropped_with_its_cancel_kills_the_job() {
    watched(|| {
        let procs = procs(1);
        let runs = procs.submit(Act::LoopForEver).cancel_on_drop();
        until(|| procs.metrics().running == 1);
        drop(runs);
        procs.submit(Act::Pid).join().unwrap();
        // Without it, it runs on, and its crash is told to nobody's harm.
        drop(procs.submit(Act::Exit(1)));
        procs.submit(Act::Pid).join().unwrap();
    });
}

#[test]
fn in_a_fork_the_children_are_the_other_processs() {
    alone("in_a_fork_the_children_are_the_other_processs", || {
        let procs = procs(2);
        let before = procs.child_ids();
        let runs = procs.submit(Act::Sleep(300));
        let procs = common::forks::in_a_fork_with(procs, |procs| {
            assert!(procs.is_closed());
            assert_forked(procs.submit(Act::Pid));
            procs.shutdown_now();
            drop(procs);
        });
        in_a_fork(|| {
            // It may have a pool of its own.
            let own = builder(1).build().unwrap();
            let pid = own.submit(Act::Pid).join().unwrap().number() as u32;
            assert!(!before.contains(&pid));
        });
        assert_eq!(runs.join().unwrap().text(), "slept");
        assert_eq!(procs.child_ids(), before);
        procs.submit(Act::Pid).join().unwrap();
    });
}

/// A parent that is about to be killed: it says which children it has.
#[test]
fn doomed() {
    if !is_child_of("doomed") {
        return;
    }
    let procs = procs(3);
    let pids = procs.child_ids();
    let _one_loops = procs.submit(Act::LoopForEver);
    let _one_sleeps = procs.submit(Act::Sleep(3_600_000));
    until(|| procs.metrics().running == 2);
    // A fork of it lives on, with the ways to the children open. (Where a process cannot
    // be watched, they would not hear of its end.)
    let fork = match cfg!(windlass_portable) {
        true => 0,
        false => common::forks::fork().unwrap_or_else(|| {
            std::thread::sleep(Duration::from_secs(150));
            common::forks::exit(true)
        }),
    };
    eprintln!("children {pids:?} {fork}");
    loop {
        std::thread::park();
    }
}

#[test]
fn children_of_a_parent_that_is_killed_end_within_a_second() {
    watched(|| {
        let mut doomed = common::child("doomed", &[]);
        doomed.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut doomed = doomed.spawn().unwrap();
        let mut lines = BufReader::new(doomed.stderr.take().unwrap()).lines();
        let line = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, numbers)) = line.split_once("children ") {
                break numbers.to_owned();
            }
        };
        let numbers: Vec<u32> = line
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let (children, fork) = (&numbers[..3], numbers[3]);
        assert!(children.iter().all(|&pid| is_there(pid)), "{line}");
        doomed.kill().unwrap();
        let begin = Instant::now();
        doomed.wait().unwrap();
        // Whoever takes orphans in waits for them, or does not: both count as ended.
        until(|| children.iter().all(|&pid| tasks::has_ended(pid)));
        let took = begin.elapsed();
        if !cfg!(windlass_portable) {
            assert!(
                is_there(fork),
                "it has kept their sockets open all the while"
            );
            tasks::kill(fork);
        }
        assert!(
            took < Duration::from_secs(60),
            "{took:?}, where the fork lives for 150 s"
        );
        println!("{took:?}");
    });
}
