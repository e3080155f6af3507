//! What does it cost if work splits itself and waits for its halves?
//!
//! The tree of `nested_tree`, by fork and join: each node has one half done by
//! whoever comes, walks the other, and adds up. Beside that question's figures it
//! tells what waiting costs, or saves, as a half that nobody came for is a call.

use std::time::Instant;

use crate::libraries::{Chili, Forte, Join, RayonJoin, Windlass};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings, field};
use crate::stats::nanos_per;

pub const QUESTION: Question = Question {
    name: "nested_join",
    about: "a tree of 2^18 leaves (quick: 2^15) by fork and join",
    figures: &[Figure::lower("nested_join", "ns per leaf")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    field!(measure: Windlass, RayonJoin, Chili, Forte)
}

fn measure<L: Join>(settings: &Settings) -> Round {
    let depth = settings.pick(18, 15);
    let library = L::start(settings.threads);
    walk_whole(&library, depth - 3);
    Round::of([("nested_join", walk_whole(&library, depth))])
}

fn walk_whole<L: Join>(library: &L, depth: u32) -> f64 {
    let begin = Instant::now();
    let leaves = library.enter(move |here| walk::<L>(here, depth));
    let time = begin.elapsed();
    assert_eq!(leaves, 1 << depth);
    nanos_per(time, leaves)
}

fn walk<L: Join>(here: &mut L::Here<'_>, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let half = |here: &mut L::Here<'_>| walk::<L>(here, depth - 1);
    let (left, right) = L::join(here, half, half);
    left + right
}
