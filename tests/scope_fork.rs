//! Promise: in a fork of its process a scope does not hang: what nobody has started runs
//! on the thread that is there, and what runs on another one is told of.
//!
//! Each test forks in a copy of this program that runs it alone.
#![cfg(unix)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use common::forks::{alone, end_of, exit, fork, pool};
use common::{Occupied, for_each_size, hush, text, until};
use windlass::Spawner;

#[test]
fn what_nobody_has_started_runs_on_the_waiter() {
    alone("what_nobody_has_started_runs_on_the_waiter", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let busy = Occupied::all(&pool);
            let mut ran = [0; 5];
            let child = pool.scope(|s| {
                let handle = s.spawn(|| 7);
                for ran in &mut ran {
                    s.spawn(|| *ran += 1);
                }
                let child = fork();
                if child.is_some() {
                    busy.release();
                } else if s.spawn(|| 8).join().unwrap() != 8 || !handle.is_finished() {
                    exit(false);
                }
                assert_eq!(handle.join().unwrap(), 7);
                child
            });
            assert_eq!(ran, [1; 5]);
            match child {
                None => exit(true),
                Some(child) => assert!(end_of(child).success()),
            }
        });
    });
}

#[test]
fn a_job_that_forks_in_a_scope_has_its_jobs() {
    alone("a_job_that_forks_in_a_scope_has_its_jobs", || {
        // On a pool of one thread nobody has started them.
        let pool = pool(1);
        let job = pool.spawn(|| {
            let mut ran = [0; 5];
            let child = Spawner::current().unwrap().scope(|s| {
                for ran in &mut ran {
                    s.spawn(|| *ran += 1);
                }
                fork()
            });
            assert_eq!(ran, [1; 5]);
            child
        });
        // The fork's copy of the thread ends with its job, and so does the fork.
        if let Some(child) = job.join().unwrap() {
            assert!(end_of(child).success());
        }
    });
}

#[test]
fn what_runs_on_another_thread_is_told_of() {
    hush();
    alone("what_runs_on_another_thread_is_told_of", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let (begun, go) = (AtomicBool::new(false), AtomicBool::new(false));
            let scope = || {
                pool.scope(|s| {
                    let runs = s.spawn(|| {
                        begun.store(true, Ordering::SeqCst);
                        until(|| go.load(Ordering::SeqCst));
                    });
                    until(|| begun.load(Ordering::SeqCst));
                    let child = fork();
                    if child.is_some() {
                        go.store(true, Ordering::SeqCst);
                        runs.join().unwrap();
                    } else if !runs.join().is_err_and(|error| error.is_forked()) {
                        exit(false);
                    }
                    child
                })
            };
            match catch_unwind(AssertUnwindSafe(scope)) {
                Ok(child) => assert!(end_of(child.unwrap()).success()),
                Err(payload) => {
                    let text = text(&*payload).unwrap();
                    exit(text.contains("not in this fork"));
                }
            }
        });
    });
}
