//! Promise: a child that does not keep to the protocol is killed and replaced, its job is
//! told so, and the parent goes on, whatever was said.
#![cfg(all(target_os = "linux", feature = "process", not(windlass_portable)))]

mod common;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use common::forks::alone;
use common::tasks::{self, Act, Awkwardly, Echo, Reply, builder, procs};
use common::watched;
use windlass::JoinError;
use windlass::process::{Bytes, Crash, ProcessPool};

#[test]
fn child() {
    tasks::child();
}

/// What a rogue is to say first, in hexadecimal.
const SAYS: &str = "WINDLASS_TEST_SAYS";

/// What children run that have not even a greeting.
#[test]
fn rogue() {
    let Ok(says) = std::env::var(SAYS) else {
        return;
    };
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut socket = UnixStream::from(stdin);
    let bytes: Vec<u8> = says
        .as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect();
    let _ = socket.write_all(&bytes);
    // Until the parent has had enough.
    let _ = socket.read_to_end(&mut Vec::new());
    std::process::exit(0);
}

fn frame(len: u32, kind: u8, job: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = len.to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend(job.to_le_bytes());
    frame.extend(payload);
    frame
}

/// What a job of a number says.
type Says = fn(u64) -> Vec<u8>;

const VALUE: u8 = 17;
const LARGE_VALUE: u8 = 18;

fn assert_lost(procs: &ProcessPool, job: Act, what: &str) -> JoinError {
    let before = procs.child_ids();
    let error = procs.submit(job).join().unwrap_err();
    assert!(error.is_lost(), "{what}: {error}");
    assert!(!error.is_panic() && !error.is_killed() && !error.is_crashed());
    assert_ne!(procs.child_ids(), before, "{what}");
    for pid in before {
        assert!(!tasks::is_there(pid), "{what}: it is gone and waited for");
    }
    let sum = procs.submit(Act::Sum(vec![1, 2])).join().unwrap();
    assert_eq!(sum, Reply::Number(3), "{what}");
    error
}

/// A length that costs the child nothing.
#[test]
fn memory_that_was_not_written_is_not_read() {
    watched(|| {
        const LEN: u64 = 1 << 30;
        let procs = procs(1);
        let says = frame(8, LARGE_VALUE, 1, &LEN.to_le_bytes());
        let act = Act::Raw(says, Box::new(Act::LoopForEver));
        let error = assert_lost(&procs, Act::Stretch(LEN, Box::new(act)), "holes");
        let told = "of its 1073741824 bytes 0 are there";
        assert!(error.to_string().contains(told), "{error}");
    });
}

#[test]
fn what_is_no_answer_costs_the_child_its_life_and_its_job_the_answer() {
    watched(|| {
        // The job that says it is the first, then the third and so on: one well-behaved
        // one is between them, and numbers are a driver's.
        let mut number = 1;
        let procs = procs(1);
        let good = |number: u64| frame(4, VALUE, number, &[0, 2, b'o', b'k']);
        let cases: [(&str, Says); 12] = [
            ("another job's", |n| {
                frame(4, VALUE, n + 1, &[0, 2, b'o', b'k'])
            }),
            ("no job's", |_| frame(4, VALUE, 0, &[0, 2, b'o', b'k'])),
            ("an unknown kind", |n| frame(0, 99, n, &[])),
            ("a parent's kind", |n| frame(0, 2, n, &[])),
            ("a hello", |n| frame(12, 16, n, &[0; 12])),
            ("oversize", |n| frame(u32::MAX, VALUE, n, &[])),
            ("a bit oversize", |n| frame(256 * 1024 + 65, VALUE, n, &[])),
            ("a result that is none", |n| frame(2, VALUE, n, &[77, 77])),
            ("a result with a rest", |n| {
                frame(6, VALUE, n, &[0, 2, b'o', b'k', 1, 1])
            }),
            ("a text that announces gigabytes", |n| {
                frame(6, VALUE, n, &[0, 0xff, 0xff, 0xff, 0xff, 0x0f])
            }),
            ("memory that is not there", |n| {
                frame(8, LARGE_VALUE, n, &(1_u64 << 20).to_le_bytes())
            }),
            ("memory without a length", |n| {
                frame(3, LARGE_VALUE, n, &[1, 2, 3])
            }),
        ];
        for (what, bytes) in cases {
            let act = Act::Raw(bytes(number), Box::new(Act::LoopForEver));
            let error = assert_lost(&procs, act, what);
            assert!(
                error.to_string().contains("may have run"),
                "{what}: {error}"
            );
            number += 2;
        }
        // An endless stream of garbage.
        for seed in 0..10_u8 {
            let garbage = (0..300_000_u32).map(|n| (n.wrapping_mul(7919) >> 3) as u8 ^ seed);
            let act = Act::Raw(garbage.collect(), Box::new(Act::LoopForEver));
            let error = procs.submit(act).join().unwrap_err();
            assert!(error.is_lost(), "{error}");
            number += 1;
        }
        // A whole answer is an answer. What follows it is seen before the next job, or
        // taken for that one's answer, which it is not.
        let before = procs.child_ids();
        let twice = Act::Raw(good(number), Box::new(Act::Say("again".into())));
        assert_eq!(procs.submit(twice).join().unwrap().text(), "ok");
        common::until(|| {
            match procs.submit(Act::Sum(vec![4])).join() {
                Ok(sum) => assert_eq!(sum, Reply::Number(4)),
                Err(error) => assert!(error.is_lost(), "{error}"),
            }
            procs.child_ids() != before
        });
    });
}

#[test]
fn an_answer_that_is_cut_short_is_no_answer() {
    watched(|| {
        let procs = procs(1);
        let whole = frame(4, VALUE, 1, &[0, 2, b'o', b'k']);
        for len in 0..whole.len() {
            let cut = whole[..len].to_vec();
            let act = Act::Raw(cut.clone(), Box::new(Act::Exit(5)));
            let error = procs.submit(act).join().unwrap_err();
            assert_eq!(error.crash().and_then(Crash::code), Some(5), "{error}");
            // And a child that stays there with it is ended by the clock.
            let act = Act::Raw(cut, Box::new(Act::LoopForEver));
            let limit = Duration::from_millis(5);
            let error = procs.job().timeout(limit).submit(act).join().unwrap_err();
            assert!(error.is_timed_out(), "{error}");
        }
    });
}

#[test]
fn a_child_that_closes_its_connection_is_killed() {
    watched(|| {
        let procs = procs(1);
        let error = assert_lost(&procs, Act::CloseSockets, "closed");
        assert!(
            error.to_string().contains("closed its connection"),
            "{error}"
        );
    });
}

#[test]
fn a_greeting_that_is_none_ends_the_start() {
    alone("a_greeting_that_is_none_ends_the_start", || {
        let hello = |version: u32, hash: u64| {
            let payload = [&version.to_le_bytes()[..], &hash.to_le_bytes()].concat();
            frame(12, 16, 0, &payload)
        };
        let cases = [
            ("nothing", vec![], "never said hello"),
            ("garbage", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "began with"),
            ("no hello", frame(0, VALUE, 0, &[]), "not with a hello"),
            (
                "a short hello",
                frame(3, 16, 0, &[1, 0, 0]),
                "its hello is none",
            ),
            ("another version", hello(77, 0), "version 77"),
            ("other tasks", hello(1, 12345), "another build"),
        ];
        for (what, says, told) in cases {
            let says: String = says.iter().map(|byte| format!("{byte:02x}")).collect();
            let pool = builder(1)
                .test_child("rogue")
                .env(SAYS, says)
                .max_start_failures(1);
            // Only who says nothing is ended by the clock.
            let pool = match what {
                "nothing" => pool.start_timeout(Duration::from_millis(300)),
                _ => pool,
            };
            let error = pool.build().unwrap_err().to_string();
            assert!(error.contains(told), "{what}: {error}");
        }
        assert!(
            tasks::children_here().is_empty(),
            "they are gone and waited for"
        );
    });
}

#[test]
fn a_pool_whose_children_know_other_tasks_is_refused() {
    watched(|| {
        let fewer = windlass::process::Tasks::new()
            .with::<Echo>()
            .with::<Awkwardly>();
        let pool = ProcessPool::builder(fewer)
            .num_children(1)
            .start_timeout(tasks::START)
            .test_child("child");
        let error = pool.build().unwrap_err().to_string();
        assert!(error.contains("other tasks"), "{error}");
        // The same ones are taken.
        let procs = procs(1);
        let echo = procs.submit(Echo(Bytes(vec![1, 2]))).join().unwrap();
        assert_eq!(*echo, [1, 2]);
    });
}
