//! Promise: random programs of scopes, joins and spawned jobs, some of which panic, give
//! what the sequential program gives.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{SIZES, hush, watched};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use windlass::{Pool, Scope, Spawner, join};

/// A piece of a program. Each leaf counts as one, wherever it runs.
#[derive(Clone, Debug)]
enum Piece {
    Leaf,
    /// Panics with its number, which is found by its place in the program.
    Panic,
    Join(Box<(Piece, Piece)>),
    /// A scope of its own.
    Scope(Vec<(Fate, Piece)>),
    /// Jobs of the scope around it, whose handles are dropped.
    Spawn(Vec<Piece>),
    /// A map over leaves.
    Map(u8),
    /// A job with a handle, of no scope.
    Job(Box<Piece>),
}

/// What becomes of the handle of a scope's job.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// Joined at once.
    Join,
    /// Joined after all the others were spawned.
    JoinLate,
    Drop,
    /// Joined by another job of the scope.
    JoinThere,
    /// Not a job: run in the scope's closure.
    Here,
}

fn pieces() -> impl Strategy<Value = Piece> {
    let leaf = prop_oneof![
        8 => Just(Piece::Leaf),
        1 => Just(Piece::Panic),
        1 => (0..20_u8).prop_map(Piece::Map),
    ];
    let fate = prop_oneof![
        Just(Fate::Join),
        Just(Fate::JoinLate),
        Just(Fate::Drop),
        Just(Fate::JoinThere),
        Just(Fate::Here),
    ];
    leaf.prop_recursive(5, 60, 6, move |piece| {
        let scope = prop::collection::vec((fate.clone(), piece.clone()), 0..6);
        prop_oneof![
            3 => scope.prop_map(Piece::Scope),
            1 => prop::collection::vec(piece.clone(), 1..4).prop_map(Piece::Spawn),
            1 => (piece.clone(), piece.clone()).prop_map(|both| Piece::Join(Box::new(both))),
            1 => piece.prop_map(|piece| Piece::Job(Box::new(piece))),
        ]
    })
}

/// What a piece does: how many leaves are run, and whether it panics. A piece that
/// panics is run to its end all the same, but for what follows in a scope's own closure.
fn model(piece: &Piece) -> (usize, bool) {
    match piece {
        Piece::Leaf => (1, false),
        Piece::Panic => (0, true),
        Piece::Map(count) => (usize::from(*count), false),
        // Its panic is its handle's.
        Piece::Job(piece) => (model(piece).0, false),
        Piece::Join(both) => {
            let (a, b) = (model(&both.0), model(&both.1));
            (a.0 + b.0, a.1 || b.1)
        }
        // That of the scope around it, which the caller adds.
        Piece::Spawn(pieces) => (pieces.iter().map(|it| model(it).0).sum(), false),
        Piece::Scope(jobs) => {
            let (mut leaves, mut panics) = (0, false);
            for (fate, piece) in jobs {
                let (more, panic) = model(piece);
                leaves += more;
                panics |= spawned_panics(piece);
                match fate {
                    Fate::Here if panic => return (leaves, true),
                    Fate::Drop | Fate::Here => panics |= panic,
                    Fate::Join | Fate::JoinLate | Fate::JoinThere => {}
                }
            }
            (leaves, panics)
        }
    }
}

/// Whether something panics that the piece spawns into the scope around it.
fn spawned_panics(piece: &Piece) -> bool {
    match piece {
        Piece::Spawn(pieces) => pieces.iter().any(|it| model(it).1 || spawned_panics(it)),
        Piece::Join(both) => spawned_panics(&both.0) || spawned_panics(&both.1),
        _ => false,
    }
}

/// What all pieces share.
#[derive(Clone, Copy)]
struct Run<'a> {
    pool: &'a Spawner,
    leaves: &'a AtomicUsize,
}

fn run<'scope>(run: Run<'scope>, s: &'scope Scope<'scope, '_>, piece: &'scope Piece) {
    match piece {
        Piece::Leaf => {
            run.leaves.fetch_add(1, Ordering::Relaxed);
        }
        Piece::Panic => panic!("expected"),
        Piece::Map(count) => {
            let count = usize::from(*count);
            let order = s.map(0..count, |n| {
                run.leaves.fetch_add(1, Ordering::Relaxed);
                n
            });
            assert!(order.eq(0..count));
        }
        Piece::Job(piece) => {
            let piece = Piece::clone(piece);
            let pool = run.pool.clone();
            let job = run.pool.spawn(move || {
                let leaves = AtomicUsize::new(0);
                let result = catch_unwind(AssertUnwindSafe(|| in_a_scope(&pool, &leaves, &piece)));
                (leaves.into_inner(), result.is_err())
            });
            let (leaves, _) = job.join().unwrap();
            run.leaves.fetch_add(leaves, Ordering::Relaxed);
        }
        Piece::Join(both) => {
            join(|| self::run(run, s, &both.0), || self::run(run, s, &both.1));
        }
        Piece::Spawn(pieces) => {
            for piece in pieces {
                s.spawn(move || self::run(run, s, piece));
            }
        }
        Piece::Scope(jobs) => run.pool.scope(|s| {
            let mut late = Vec::new();
            for (fate, piece) in jobs {
                if *fate == Fate::Here {
                    self::run(run, s, piece);
                    continue;
                }
                let handle = s.spawn(move || self::run(run, s, piece));
                match fate {
                    Fate::Join => drop(handle.join()),
                    Fate::JoinLate => late.push(handle),
                    Fate::JoinThere => drop(s.spawn(move || drop(handle.join()))),
                    Fate::Drop | Fate::Here => drop(handle),
                }
            }
            for handle in late {
                let _ = handle.join();
            }
        }),
    }
}

/// Runs a piece that is in no scope.
fn in_a_scope(pool: &Spawner, leaves: &AtomicUsize, piece: &Piece) {
    pool.scope(|s| run(Run { pool, leaves }, s, piece));
}

#[test]
fn random_programs_give_what_the_sequential_one_gives() {
    hush();
    let cases = std::env::var("PROPTEST_CASES").map_or(300, |cases| cases.parse().unwrap());
    watched(move || {
        let pools = Arc::new(SIZES.map(common::pool));
        let config = Config {
            failure_persistence: None,
            ..Config::with_cases(cases)
        };
        let result = TestRunner::new(config).run(&pieces(), |piece| {
            let (leaves, panics) = model(&piece);
            let panics = panics || spawned_panics(&piece);
            for pool in &*pools {
                for inside in [false, true] {
                    check(pool, inside, &piece, leaves, panics);
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            resume_unwind(Box::new(format!("{error}")));
        }
    });
}

fn check(pool: &Pool, inside: bool, piece: &Piece, leaves: usize, panics: bool) {
    let (spawner, piece) = (pool.spawner(), piece.clone());
    let program = move || {
        let count = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| in_a_scope(&spawner, &count, &piece)));
        let text = result.map_err(|payload| common::text(&*payload).map(str::to_owned));
        (count.into_inner(), text)
    };
    let (count, result) = if inside {
        pool.spawn(program).join().unwrap()
    } else {
        program()
    };
    assert_eq!(count, leaves, "every leaf runs once");
    let expected = if panics {
        Err(Some("expected".to_owned()))
    } else {
        Ok(())
    };
    assert_eq!(result, expected);
}
