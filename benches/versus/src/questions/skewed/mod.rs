//! What if nobody knows which half is the larger one?
//!
//! Four programs as they are found in the wild, written once for all libraries:
//! the search of a tree whose nodes have none or many children, a quicksort, the
//! queens, and a product of matrices, which is the even one among them. It matters
//! to whoever computes.
//!
//! Floor: the same as plain calls, on one thread, of which the compiler makes what
//! it can: the second call is often a loop.
//!
//! `search`, `quicksort`, `queens`, `matmul`

use std::time::Instant;

use crate::libraries::{Chili, Forte, Join, RayonJoin, Serial, Windlass};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings, field};

mod matmul;
mod queens;
mod quicksort;
mod search;

pub const QUESTION: Question = Question {
    name: "skewed",
    about: "an unbalanced tree search, quicksort of 10^7, 12 queens, matmul 512",
    figures: &[
        Figure::lower("skewed_search", "ms"),
        Figure::lower("skewed_quicksort", "ms"),
        Figure::lower("skewed_queens", "ms"),
        Figure::lower("skewed_matmul", "ms"),
    ],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    field!(measure: Windlass, RayonJoin, Chili, Forte, Serial)
}

fn measure<L: Join>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    queens::run(&library, 8);
    Round::of([
        ("skewed_search", search::run(&library, settings.pick(10, 8))),
        (
            "skewed_quicksort",
            quicksort::run(&library, settings.pick(10_000_000, 1_000_000)),
        ),
        (
            "skewed_queens",
            queens::run(&library, settings.pick(12, 10)),
        ),
        (
            "skewed_matmul",
            matmul::run(&library, settings.pick(512, 256)),
        ),
    ])
}

/// Runs the program where it can join; its answer, and how long it took in ms.
fn time<L, P, R>(library: &L, program: P) -> (R, f64)
where
    L: Join,
    P: FnOnce(&mut L::Here<'_>) -> R + Send + 'static,
    R: Send + 'static,
{
    let begin = Instant::now();
    let answer = library.enter(program);
    (answer, begin.elapsed().as_secs_f64() * 1e3)
}

/// A number that looks random, after SplitMix64.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
