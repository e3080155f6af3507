//! What does it cost if work splits itself?
//!
//! A job hands over two, each of these two more, down to 2^18 leaves: two jobs
//! for each leaf, and nobody waits for any but the program for all. It matters
//! to whatever divides: a search, a sort of a large set, a render by tiles.
//!
//! No floor: nothing need leave the thread that splits.

use std::time::Instant;

use crate::libraries::{
    AsyncExecutor, Blocking, Forte, Nest, Rayon, RayonFifo, RustyPool, ThreadPool, TokioBlocking,
    TokioSpawn, Windlass,
};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings, field};
use crate::stats::nanos_per;
use crate::tally::Flood;

pub const QUESTION: Question = Question {
    name: "nested_tree",
    about: "jobs that spawn two jobs each, down to 2^18 leaves (quick: 2^15)",
    figures: &[Figure::lower("nested_tree", "ns per leaf")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    field!(measure: Windlass, Rayon, RayonFifo, TokioBlocking, TokioSpawn, Blocking,
        AsyncExecutor, ThreadPool, RustyPool, Forte)
}

/// What all jobs of a tree share. Leaked, so that a job captures a reference: a
/// shared count of owners would cost more than some libraries' jobs.
struct Tree<L: Nest> {
    inside: L::Inside,
    flood: &'static Flood,
    depth: u32,
}

fn measure<L: Nest>(settings: &Settings) -> Round {
    let depth = settings.pick(18, 15);
    let library = L::start(settings.threads);
    tree(&library, depth - 3);
    Round::of([("nested_tree", tree(&library, depth))])
}

fn tree<L: Nest>(library: &L, depth: u32) -> f64 {
    let leaves = 1 << depth;
    let tree: &'static Tree<L> = Box::leak(Box::new(Tree {
        inside: library.inside(),
        flood: Flood::new(leaves),
        depth,
    }));
    let begin = Instant::now();
    library.first(move || node(tree, 0, 0));
    tree.flood.wait_for_all();
    nanos_per(begin.elapsed(), leaves)
}

/// The node `number` of its level; the leaves' numbers are checked by their sum.
fn node<L: Nest>(tree: &'static Tree<L>, level: u32, number: u64) {
    if level == tree.depth {
        tree.flood.job(number);
        return;
    }
    L::nested(&tree.inside, move || node(tree, level + 1, 2 * number));
    L::nested(&tree.inside, move || node(tree, level + 1, 2 * number + 1));
}
