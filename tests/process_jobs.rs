//! Promise: a task gives in a process what it gives on a thread, and what goes wrong in
//! its process is told by its handle, harms no other job, and is not tried again.
#![cfg(all(unix, feature = "process"))]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::tasks::{self, Act, Awkward, Awkwardly, Echo, Reply, builder, procs};
use common::{EXPECTED, hush, pool, text, watched};
use serde::{Deserialize, Serialize};
use windlass::process::{Bytes, KillReason, ProcessPool, Task, TaskContext, Tasks};
use windlass::{JoinError, Pool};

#[test]
fn child() {
    tasks::child();
}

/// The pool still does what it is there for, on all of its children.
fn assert_well(procs: &ProcessPool) {
    let jobs: Vec<_> = (0..20)
        .map(|n| (n, procs.submit(Act::Sum(vec![n, 1]))))
        .collect();
    for (n, job) in jobs {
        assert_eq!(job.join().unwrap(), Reply::Number(n + 1));
    }
}

fn only<T: std::fmt::Debug>(result: Result<T, JoinError>) -> JoinError {
    let error = result.unwrap_err();
    let is = [
        error.is_panic(),
        error.is_killed(),
        error.is_crashed(),
        error.is_lost(),
        error.is_start_failed(),
    ];
    assert_eq!(is.iter().filter(|is| **is).count(), 1, "{error}");
    error
}

#[test]
fn a_task_gives_the_same_on_threads_and_in_processes() {
    watched(|| {
        let (threads, procs) = (pool(2), procs(2));
        for acts in [
            Act::Say("hello".into()),
            Act::Sum((0..1000).collect()),
            Act::Give(0),
            Act::Give(1_000_000),
        ] {
            let here = threads.submit(acts.clone()).join().unwrap();
            assert_eq!(procs.submit(acts).join().unwrap(), here);
        }
        let here = threads.spawner().submit(Act::Pid).join().unwrap().number();
        let there = procs.submit(Act::Pid).join().unwrap().number();
        assert_eq!(here, u64::from(std::process::id()));
        assert!(procs.child_ids().contains(&(there as u32)));
    });
}

#[test]
fn arguments_of_every_size_come_back_as_they_were() {
    watched(|| {
        let procs = procs(1);
        let limit = 256 * 1024;
        let around = limit - 40..limit + 40;
        let sizes = [
            0,
            1,
            64,
            4096,
            65_535,
            65_536,
            200_000,
            1 << 20,
            5_000_001,
            40 << 20,
        ];
        for size in sizes.into_iter().chain(around) {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let back = procs.submit(Echo(Bytes(bytes.clone()))).join().unwrap();
            assert!(back.0 == bytes, "{size} bytes");
        }
        // And element by element.
        let numbers: Vec<u64> = (0..300_000).collect();
        let sum = procs.submit(Act::Sum(numbers.clone())).join().unwrap();
        assert_eq!(sum, Reply::Number(numbers.iter().sum()));
    });
}

#[test]
fn a_panic_arrives_with_its_message_and_the_child_goes_on() {
    watched(|| {
        let procs = procs(1);
        let before = procs.child_ids();
        let panicked = procs.submit(Act::Panic(format!("{EXPECTED}: no more rope")));
        let error = only(panicked.join());
        assert!(error.is_panic(), "{error}");
        let payload = error.into_panic();
        assert_eq!(text(&*payload), Some("expected: no more rope"));
        let error = only(procs.submit(Act::PanicWithNoText).join());
        assert!(error.is_panic(), "{error}");
        assert_well(&procs);
        assert_eq!(procs.child_ids(), before);
    });
}

/// Checklist 47.
#[test]
fn a_crash_is_told_with_its_signal_or_code_and_fails_its_job_alone() {
    watched(|| {
        let procs = procs(2);
        let cases = [
            (Act::Abort, Some(libc::SIGABRT), None, "SIGABRT"),
            (Act::Segfault, Some(libc::SIGSEGV), None, "SIGSEGV"),
            (
                Act::Overflow,
                Some(libc::SIGABRT),
                None,
                "overflowed its stack",
            ),
            (Act::Exit(3), None, Some(3), "code 3"),
            (Act::Exit(0), None, Some(0), "code 0"),
        ];
        for (act, signal, code, said) in cases {
            let beside = procs.submit(Act::Sleep(20));
            let before = procs.child_ids();
            let error = only(procs.submit(act.clone()).join());
            let crash = error.crash().unwrap_or_else(|| panic!("{act:?}: {error}"));
            assert_eq!((crash.signal(), crash.code()), (signal, code), "{act:?}");
            let text = error.to_string();
            assert!(text.contains(said) && text.contains("\"act\""), "{text}");
            assert!(text.contains(&crash.pid().to_string()), "{text}");
            assert!(before.contains(&crash.pid()));
            assert!(!tasks::is_there(crash.pid()), "it is waited for");
            assert!(!error.is_cancelled() && !error.is_timed_out());
            assert!(error.try_into_panic().is_err());
            assert_eq!(beside.join().unwrap().text(), "slept");
            assert_well(&procs);
        }
    });
}

#[test]
fn a_runaway_is_killed_when_its_time_is_over() {
    watched(|| {
        let procs = procs(1);
        for act in [Act::LoopForEver, Act::Sleep(3_600_000), Act::PrintForEver] {
            let quiet = builder(1).output(windlass::process::Output::Collect(10));
            let quiet = quiet.build().unwrap();
            let limit = Duration::from_millis(30);
            let error = only(quiet.job().timeout(limit).submit(act).join());
            assert_eq!(error.killed(), Some(KillReason::Timeout), "{error}");
            assert!(error.is_timed_out() && !error.is_cancelled(), "{error}");
            assert!(error.to_string().contains("timeout"), "{error}");
            assert_well(&quiet);
        }
        // Who is in time is not killed.
        let in_time = procs.job().timeout(Duration::MAX).submit(Act::Sleep(1));
        assert_eq!(in_time.join().unwrap().text(), "slept");
        let in_time = procs
            .job()
            .timeout(Duration::from_secs(50))
            .submit(Act::Pid);
        in_time.join().unwrap();
    });
}

#[test]
fn cancelling_kills_a_job_that_runs() {
    watched(|| {
        let procs = procs(2);
        let dir = common::scratch("cancel");
        for round in 0..6 {
            let path = dir.path(&round.to_string());
            let token = windlass::CancelToken::new();
            let job = procs.job().cancel_with(&token);
            let job = job.submit(Act::Touch(path.clone()));
            common::until(|| std::fs::exists(&path).unwrap());
            if round % 2 == 0 {
                assert!(!job.cancel(), "it runs already");
            } else {
                token.cancel();
            }
            let error = only(job.join());
            assert_eq!(error.killed(), Some(KillReason::Cancelled), "{error}");
            assert!(error.is_cancelled() && !error.is_timed_out(), "{error}");
            assert_well(&procs);
        }
    });
}

#[test]
fn a_queued_job_that_is_cancelled_never_comes_to_a_process() {
    watched(|| {
        let procs = procs(1);
        let busy = procs.submit(Act::LoopForEver);
        let before = procs.child_ids();
        let queued = procs.submit(Act::Abort);
        assert!(queued.cancel());
        let error = queued.join().unwrap_err();
        assert!(error.is_cancelled() && !error.is_killed());
        assert_eq!(procs.child_ids(), before);
        busy.cancel();
        assert!(busy.join().unwrap_err().is_cancelled());
        assert_well(&procs);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_job_that_eats_memory_is_killed() {
    watched(|| {
        let procs = builder(1).memory_limit(150 << 20).build().unwrap();
        assert_eq!(procs.submit(Act::Eat(20)).join().unwrap().text(), "20");
        let error = only(procs.submit(Act::EatAndStay(400)).join());
        assert_eq!(error.killed(), Some(KillReason::Memory), "{error}");
        assert!(!error.is_cancelled() && !error.is_timed_out());
        assert_well(&procs);
        // What is refused by the system is for the same reason.
        let error = only(procs.submit(Act::EatAtOnce).join());
        assert!(error.is_killed() || error.is_panic(), "{error}");
        assert_well(&procs);
        // A child that has grown on its own is replaced before it is given a job.
        let dir = common::scratch("leak");
        let done = dir.path("done");
        let before = procs.child_ids();
        procs
            .submit(Act::LeakLater(200, done.clone()))
            .join()
            .unwrap();
        common::until(|| std::fs::exists(&done).unwrap());
        assert_well(&procs);
        assert_ne!(procs.child_ids(), before);
    });
}

#[test]
fn what_cannot_be_written_or_read_is_lost_and_nothing_else() {
    watched(|| {
        hush();
        let procs = procs(1);
        let before = procs.child_ids();
        let submit = |argument, result| procs.submit(Awkwardly { argument, result }).join();
        assert_eq!(submit(Awkward::Fine, 0).unwrap(), Awkward::Fine);
        let error = only(submit(Awkward::CannotBeWritten, 0));
        assert!(
            error.is_lost() && error.to_string().contains("did not run"),
            "{error}"
        );
        let error = only(submit(Awkward::CannotBeRead, 0));
        assert!(
            error.is_lost() && error.to_string().contains("did not run"),
            "{error}"
        );
        assert!(only(submit(Awkward::PanicsWhenWritten, 0)).is_panic());
        assert!(
            only(submit(Awkward::PanicsWhenRead, 0)).is_panic(),
            "in the child"
        );
        let error = only(submit(Awkward::Fine, 1));
        assert!(
            error.is_lost() && error.to_string().contains("it ran"),
            "{error}"
        );
        assert!(only(submit(Awkward::Fine, 3)).is_panic(), "in the child");
        assert!(only(submit(Awkward::Fine, 4)).is_panic(), "here");
        assert!(only(procs.submit(tasks::Explosive).join()).is_panic());
        assert_eq!(procs.child_ids(), before, "the child is well");
        // A result that is none is the child's fault.
        assert!(only(submit(Awkward::Fine, 2)).is_lost());
        assert_well(&procs);
    });
}

#[test]
fn payloads_have_a_limit_both_ways() {
    watched(|| {
        for most in [1000_usize, 1 << 20] {
            let procs = builder(1).max_payload(most as u64).build().unwrap();
            let fits = procs.submit(Echo(Bytes(vec![1; most - 10])));
            assert_eq!(fits.join().unwrap().len(), most - 10);
            let error = only(procs.submit(Echo(Bytes(vec![1; most + 1]))).join());
            assert!(
                error.is_lost() && error.to_string().contains("did not run"),
                "{error}"
            );
            let error = only(procs.submit(Act::Give(most + 1)).join());
            assert!(
                error.is_lost() && error.to_string().contains("it ran"),
                "{error}"
            );
            assert_well(&procs);
        }
    });
}

/// A task that the children do not know.
#[derive(Serialize, Deserialize)]
struct Stranger;

impl Task for Stranger {
    const NAME: &'static str = "stranger";
    type Output = ();

    fn run(self, _cx: &TaskContext) {}
}

#[test]
fn a_task_that_is_not_registered_is_lost() {
    watched(|| {
        let procs = procs(1);
        let error = only(procs.submit(Stranger).join());
        assert!(
            error.is_lost() && error.to_string().contains("with"),
            "{error}"
        );
        assert_well(&procs);
    });
}

/// Another task of a name that is taken.
#[derive(Serialize, Deserialize)]
struct Twin;

impl Task for Twin {
    const NAME: &'static str = "echo";
    type Output = ();

    fn run(self, _cx: &TaskContext) {}
}

#[test]
#[should_panic(expected = "\"echo\"")]
fn two_tasks_of_one_name_are_a_panic_that_names_it() {
    let _ = Tasks::new().with::<Echo>().with::<Twin>();
}

#[test]
fn a_child_is_replaced_after_so_many_jobs() {
    watched(|| {
        let procs = builder(1).max_jobs(3).build().unwrap();
        let pids: Vec<_> = (0..12)
            .map(|_| procs.submit(Act::Pid).join().unwrap().number())
            .collect();
        for three in pids.chunks(3) {
            assert!(three.iter().all(|pid| *pid == three[0]), "{pids:?}");
        }
        let mut different = pids.clone();
        different.dedup();
        assert_eq!(different.len(), 4, "{pids:?}");
        assert!(
            different[..3]
                .iter()
                .all(|pid| !tasks::is_there(*pid as u32))
        );
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_child_that_was_killed_while_idle_is_replaced_unnoticed() {
    watched(|| {
        let procs = procs(1);
        for _ in 0..5 {
            let pid = procs.child_ids()[0];
            tasks::kill(pid);
            // The pool sees it when its socket is closed, and that is part of its end.
            common::until(|| tasks::has_ended(pid));
            assert_well(&procs);
        }
    });
}

#[test]
fn jobs_of_threads_may_submit_and_wait() {
    watched(|| {
        let procs = Arc::new(procs(2));
        let threads = Pool::new().unwrap();
        let jobs: Vec<_> = (0..20)
            .map(|n| {
                let procs = Arc::clone(&procs);
                threads.spawn(move || procs.submit(Act::Sum(vec![n, n])).join().unwrap())
            })
            .collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), Reply::Number(2 * n as u64));
        }
        let awaited = pollster::block_on(procs.submit(Act::Say("await me".into())));
        assert_eq!(awaited.unwrap().text(), "await me");
    });
}

/// However short arguments and results are to be.
#[test]
fn a_panic_with_a_long_text_arrives() {
    watched(|| {
        let procs = builder(1).max_payload(1000).build().unwrap();
        let pid = procs.child_ids();
        let error = procs.submit(Act::PanicAtLength(5000)).join().unwrap_err();
        assert!(error.is_panic(), "{error}");
        assert!(error.to_string().contains(&"x".repeat(5000)), "{error}");
        assert_eq!(procs.child_ids(), pid);
        let long = procs.submit(Act::Give(2000)).join().unwrap_err();
        assert!(long.is_lost(), "{long}");
    });
}

/// Deeper than the stack of a usual thread has room for: a child writes on its main one.
#[test]
fn a_result_that_is_nested_deeply_is_read() {
    const DEPTH: usize = 8_000;
    watched(|| {
        // Under the test harness that is a usual one.
        let procs = builder(1).env("RUST_MIN_STACK", (64 << 20).to_string());
        let procs = procs.build().unwrap();
        let Reply::Nested(mut nested) = procs.submit(Act::Nest(DEPTH)).join().unwrap() else {
            panic!("it is something else");
        };
        let mut depth = 0;
        while let Some(inner) = nested.0.take() {
            nested = *inner;
            depth += 1;
        }
        assert_eq!(depth, DEPTH);
    });
}

#[test]
fn a_full_queue_gives_the_task_back() {
    watched(|| {
        let procs = builder(1).queue_capacity(1).build().unwrap();
        let busy = procs.submit(Act::LoopForEver);
        common::until(|| procs.metrics().queued == 0);
        let queued = procs.try_submit(Act::Pid).unwrap();
        let full = procs.try_submit(Act::Say("mine".into())).unwrap_err();
        assert!(full.is_full());
        assert_eq!(full.into_inner(), Act::Say("mine".into()));
        assert!(procs.submit(Act::Pid).join().unwrap_err().is_rejected());
        busy.cancel();
        let later = pollster::block_on(procs.submit_async(Act::Pid));
        assert!(busy.join().unwrap_err().is_cancelled());
        queued.join().unwrap();
        later.join().unwrap();
        procs.shutdown_now();
        assert!(procs.try_submit(Act::Pid).unwrap_err().is_closed());
    });
}

#[test]
fn a_deadline_and_a_priority_are_kept() {
    watched(|| {
        let procs = procs(1);
        let busy = procs.submit(Act::LoopForEver);
        let late = procs
            .job()
            .deadline(Duration::from_millis(1))
            .submit(Act::Pid);
        assert!(late.join().unwrap_err().is_expired());
        busy.cancel();
        assert!(busy.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_pool_may_be_shared_and_its_jobs_built_anywhere() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<ProcessPool>();
    is_shared::<windlass::process::ProcessJob>();
    is_shared::<Tasks>();
    is_shared::<windlass::process::StartError>();
    is_shared::<windlass::process::Output>();
}
