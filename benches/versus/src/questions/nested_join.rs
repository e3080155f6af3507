//! What does it cost if work splits itself and waits for its halves?
//!
//! The tree of `nested_tree`, by fork and join: each node has one half done by
//! whoever comes, walks the other, and adds up. That is what `rayon::join`,
//! chili and forte are made for, and a closure there may borrow; windlass has no
//! `join` of two closures, and uses a job and its handle. Whoever only needs this
//! should take one of those.

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
    join(&library, depth - 3);
    Round::of([("nested_join", join(&library, depth))])
}

fn join<L: Join>(library: &L, depth: u32) -> f64 {
    let begin = Instant::now();
    let leaves = library.leaves(depth);
    let time = begin.elapsed();
    assert_eq!(leaves, 1 << depth);
    nanos_per(time, leaves)
}
