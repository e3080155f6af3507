//! Promise: whatever a job's process is doing when it is killed, the job ends once, with
//! a reason that is true, and nothing is left behind.
//!
//! The large set takes a minute:
//!
//! ```sh
//! cargo test --release --features process --test process_ledger -- --ignored
//! ```
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::forks::{alone, leaving_no_thread};
use common::tasks::{self, Act, Echo, Reply, builder, children_here, descriptors_here};
use common::until;
use windlass::JoinError;
use windlass::process::{Bytes, KillReason, ProcessPool};

#[test]
fn child() {
    tasks::child();
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

/// How the jobs have ended.
#[derive(Default, Debug)]
struct Ledger(BTreeMap<&'static str, u32>);

impl Ledger {
    fn enter(&mut self, how: &'static str) {
        *self.0.entry(how).or_default() += 1;
    }

    fn all(&self) -> u32 {
        self.0.values().sum()
    }

    /// The one reason of a job that was to be cancelled, late or killed from outside.
    fn enter_error(&mut self, error: &JoinError, may: &[&str]) {
        let how = match error.killed() {
            Some(KillReason::Cancelled) => "killed: cancelled",
            Some(KillReason::Timeout) => "killed: late",
            _ if error.is_cancelled() => "cancelled before",
            _ if error
                .crash()
                .is_some_and(|crash| crash.signal() == Some(libc::SIGKILL)) =>
            {
                "killed from outside"
            }
            _ => panic!("nothing of that was done to it: {error}"),
        };
        assert!(may.contains(&how), "{how}: {error}");
        self.enter(how);
    }
}

const MEGABYTE: usize = 1 << 20;

/// One job, ended at a random time after it was handed over.
fn kill_at_random(procs: &ProcessPool, dice: &mut Dice, size: usize, ledger: &mut Ledger) {
    let length = 1 + dice.below(size as u64) as usize;
    let wait = Duration::from_micros(dice.below(dice.0 % 40_000 + 1));
    let busy = (dice.below(3) == 0).then(|| procs.submit(Act::Sleep(dice.below(8))));
    match dice.below(4) {
        // While the argument is written, or the result.
        0 => {
            let job = procs.submit(Echo(Bytes(vec![7; length])));
            thread::sleep(wait);
            job.cancel();
            match job.join() {
                Ok(bytes) => {
                    assert_eq!(bytes.len(), length);
                    ledger.enter("done");
                }
                Err(error) => {
                    ledger.enter_error(&error, &["killed: cancelled", "cancelled before"]);
                }
            }
        }
        1 => {
            let job = procs.job().timeout(wait).submit(Act::Give(length));
            match job.join() {
                Ok(Reply::Bytes(bytes)) => {
                    assert_eq!(bytes.len(), length);
                    ledger.enter("done");
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => ledger.enter_error(&error, &["killed: late"]),
            }
        }
        // While it runs.
        2 => {
            let job = procs.job().timeout(wait).submit(Act::LoopForEver);
            ledger.enter_error(&job.join().unwrap_err(), &["killed: late"]);
        }
        // By somebody else.
        _ => {
            let job = procs.submit(Echo(Bytes(vec![7; length])));
            thread::sleep(wait);
            let killed = procs.child_ids();
            killed.iter().for_each(|&pid| tasks::kill(pid));
            match job.join() {
                Ok(bytes) => {
                    assert_eq!(bytes.len(), length);
                    ledger.enter("done");
                }
                Err(error) => ledger.enter_error(&error, &["killed from outside"]),
            }
            // So that later jobs are not given to one that is just dying.
            until(|| killed.iter().all(|&pid| tasks::has_ended(pid)));
        }
    }
    if let Some(busy) = busy {
        match busy.join() {
            Ok(slept) => assert_eq!(slept.text(), "slept"),
            // Who kills from outside does not choose; nor does a start that was hit.
            Err(error) => assert!(error.is_crashed() || error.is_start_failed(), "{error}"),
        }
    }
}

fn kill_at_every_point(test: &str, rounds: u32, size: usize) {
    alone(test, || {
        let procs = builder(2).max_start_failures(1000).build().unwrap();
        let (mut dice, mut ledger) = (Dice(0x9e37_79b9_7f4a_7c15), Ledger::default());
        for _ in 0..rounds {
            kill_at_random(&procs, &mut dice, size, &mut ledger);
        }
        assert_eq!(ledger.all(), rounds, "each has ended once");
        eprintln!("{ledger:?}");
        procs.submit(Act::Pid).join().unwrap();
        drop(procs);
        assert!(children_here().is_empty());
    });
}

#[test]
fn a_job_that_is_killed_at_any_time_ends_once_with_its_reason() {
    let test = "a_job_that_is_killed_at_any_time_ends_once_with_its_reason";
    kill_at_every_point(test, 60, 4 * MEGABYTE);
}

#[test]
#[ignore = "a minute; by hand"]
fn a_job_that_is_killed_at_any_time_ends_once_with_its_reason_large() {
    let test = "a_job_that_is_killed_at_any_time_ends_once_with_its_reason_large";
    kill_at_every_point(test, 1500, 64 * MEGABYTE);
}

fn jobs_and_kills(test: &str, jobs: u32, kills: u32) {
    alone(test, || {
        let procs = Arc::new(builder(2).max_start_failures(1000).build().unwrap());
        let before = descriptors_here();
        let over = Arc::new(AtomicBool::new(false));
        // Honest jobs all the while: they end with their value, whatever becomes of others.
        let honest = thread::spawn({
            let (procs, over) = (Arc::clone(&procs), Arc::clone(&over));
            move || {
                let mut done = 0;
                while done < jobs || !over.load(Ordering::SeqCst) {
                    let hundred: Vec<_> = (0..100)
                        .map(|n| procs.submit(Act::Sum(vec![n, done.into()])))
                        .collect();
                    for (n, job) in hundred.into_iter().enumerate() {
                        assert_eq!(
                            job.join().unwrap(),
                            Reply::Number(n as u64 + u64::from(done))
                        );
                    }
                    done += 100;
                }
            }
        });
        for round in 0..kills {
            let error = match round % 4 {
                0 => procs.submit(Act::Abort).join(),
                1 => procs.submit(Act::Exit(1)).join(),
                2 => {
                    let limit = Duration::from_micros(500);
                    procs.job().timeout(limit).submit(Act::LoopForEver).join()
                }
                _ => {
                    let job = procs.submit(Act::LoopForEver);
                    job.cancel();
                    job.join()
                }
            };
            let error = error.unwrap_err();
            let is = [
                error.is_crashed(),
                error.is_timed_out(),
                error.is_cancelled(),
            ];
            assert!(is[[0, 0, 1, 2][round as usize % 4]], "{error}");
        }
        over.store(true, Ordering::SeqCst);
        honest.join().unwrap();
        let procs = Arc::into_inner(procs).unwrap();
        // Two greeted children, as at the beginning.
        until(|| procs.child_ids().len() == 2);
        assert_eq!(descriptors_here(), before);
        assert_eq!(children_here().len(), 2, "none of them a zombie");
        leaving_no_thread(|| {});
        drop(procs);
        assert!(children_here().is_empty());
    });
}

#[test]
fn jobs_and_kills_leave_no_descriptor_and_no_zombie() {
    let test = "jobs_and_kills_leave_no_descriptor_and_no_zombie";
    jobs_and_kills(test, 1000, 60);
}

#[test]
#[ignore = "a minute; by hand"]
fn ten_thousand_jobs_and_a_thousand_kills_leave_no_descriptor_and_no_zombie() {
    let test = "ten_thousand_jobs_and_a_thousand_kills_leave_no_descriptor_and_no_zombie";
    jobs_and_kills(test, 10_000, 1000);
}
