//! What if there is hardly anything to divide, and what if there is much?
//!
//! The sum of a binary tree, with a join at each node. 1,023 nodes take 3 us, less
//! than another thread takes to wake up: the best that a join can do is to cost
//! nothing. 16.7 million of them take as long as memory does, which two cores have
//! more of than one. It matters to whoever writes a function for all sizes.
//!
//! The tree is built from below, left children first, so that from the root to the right
//! and up again is memory from its end to its beginning. Some run a join's first closure
//! at once, and some its second; so the large tree is summed in both orders.
//!
//! Floor: the same as plain calls, on one thread, of which the compiler makes what
//! it can: the second call is often a loop.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

use crate::libraries::{Chili, Forte, Join, RayonJoin, Serial, Windlass};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings, field};
use crate::stats::nanos_per;
use crate::system::memory_left;

pub const SMALL: Question = Question {
    name: "tree_sum_small",
    about: "a tree of 1,023 nodes summed 2,000 times (quick: 500) inside the pool",
    figures: &[Figure::lower("tree_sum_small", "ns per node")],
    field: |_| field!(small: Windlass, RayonJoin, Chili, Forte, Serial),
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const LARGE: Question = Question {
    name: "tree_sum_large",
    about: "a tree of 2^24 - 1 nodes (quick: 2^20 - 1) summed once, in either order",
    figures: &[
        Figure::lower("tree_sum_large", "ms"),
        Figure::lower("tree_sum_large_mirrored", "ms"),
    ],
    field: large_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

struct Node {
    value: u64,
    left: Option<Box<Node>>,
    right: Option<Box<Node>>,
}

impl Node {
    fn tree(layers: u32) -> Self {
        let below = || (layers > 1).then(|| Box::new(Self::tree(layers - 1)));
        let (left, right) = (below(), below());
        Self {
            value: 1,
            left,
            right,
        }
    }
}

fn sum<L: Join, const MIRRORED: bool>(here: &mut L::Here<'_>, node: &Node) -> u64 {
    let below = |here: &mut L::Here<'_>, node: &Option<Box<Node>>| {
        node.as_deref()
            .map_or(0, |node| sum::<L, MIRRORED>(here, node))
    };
    let (first, second) = if MIRRORED {
        (&node.right, &node.left)
    } else {
        (&node.left, &node.right)
    };
    let (first, second) = L::join(here, |here| below(here, first), |here| below(here, second));
    node.value + first + second
}

fn small<L: Join>(settings: &Settings) -> Round {
    const NODES: u64 = 1023;
    static TREE: OnceLock<Node> = OnceLock::new();
    let tree = TREE.get_or_init(|| Node::tree(10));
    let times = settings.pick(2_000, 500);
    let library = L::start(settings.threads);
    let sums = move |times: u64| {
        move |here: &mut L::Here<'_>| {
            let begin = Instant::now();
            let total: u64 = (0..times)
                .map(|_| sum::<L, false>(here, black_box(tree)))
                .sum();
            (total, begin.elapsed())
        }
    };
    library.enter(sums(times / 10));
    let (total, time) = library.enter(sums(times));
    assert_eq!(total, times * NODES);
    Round::of([("tree_sum_small", nanos_per(time, times * NODES))])
}

fn layers(settings: &Settings) -> u32 {
    settings.pick(24, 20)
}

fn large_field(settings: &Settings) -> Field {
    // One that takes turns in this process, and one in its own.
    let wanted = 2 * 48 * (1_u64 << layers(settings));
    match memory_left() {
        Some(left) if left < wanted => Field {
            contenders: Vec::new(),
            skipped: vec![("all", format!("it takes {} MB", wanted >> 20))],
        },
        _ => field!(large: Windlass, RayonJoin, Chili, Forte, Serial),
    }
}

fn large<L: Join>(settings: &Settings) -> Round {
    static TREE: OnceLock<Node> = OnceLock::new();
    let layers = layers(settings);
    let tree = TREE.get_or_init(|| Node::tree(layers));
    let library = L::start(settings.threads);
    // One of the halves of the halves, to wake the others.
    let part = tree.left.as_ref().and_then(|half| half.left.as_deref());
    library.enter(move |here| sum::<L, false>(here, part.unwrap()));
    let begin = Instant::now();
    let total = library.enter(|here| sum::<L, false>(here, tree));
    let time = begin.elapsed();
    assert_eq!(total, (1 << layers) - 1);
    let begin = Instant::now();
    let total = library.enter(|here| sum::<L, true>(here, tree));
    let mirrored = begin.elapsed();
    assert_eq!(total, (1 << layers) - 1);
    Round::of([
        ("tree_sum_large", time.as_secs_f64() * 1e3),
        ("tree_sum_large_mirrored", mirrored.as_secs_f64() * 1e3),
    ])
}
