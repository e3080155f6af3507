//! Counts the nodes of a tree that is not there until it is walked: how many
//! children a node has is hashed from its path, 4 in the mean and 0 most often, as
//! in the geometric trees of the Unbalanced Tree Search benchmark.

use super::mix;
use crate::libraries::Join;

/// 93 in 100 nodes are below the first of its four children.
const ROOT: u64 = 28;

/// Nodes by how deep the tree may be.
const NODES: [(u32, u64); 2] = [(10, 3_625_343), (8, 226_780)];

pub(super) fn run<L: Join>(library: &L, depth: u32) -> f64 {
    let (nodes, time) = super::time(library, move |here| count::<L>(here, ROOT, depth));
    assert!(NODES.contains(&(depth, nodes)), "{nodes}");
    time
}

fn count<L: Join>(here: &mut L::Here<'_>, path: u64, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    match children(path) {
        0 => 1,
        children => 1 + among::<L>(here, path, depth, 0, children),
    }
}

/// The nodes below the children from `first` on, up to `end`.
fn among<L: Join>(here: &mut L::Here<'_>, path: u64, depth: u32, first: u64, end: u64) -> u64 {
    if end - first == 1 {
        return count::<L>(here, mix(path ^ mix(first)), depth - 1);
    }
    let middle = first.midpoint(end);
    let (left, right) = L::join(
        here,
        |here| among::<L>(here, path, depth, first, middle),
        |here| among::<L>(here, path, depth, middle, end),
    );
    left + right
}

/// As many as there are throws before one of those that come once in five.
fn children(path: u64) -> u64 {
    let throws = (1..).map(|n| mix(path.wrapping_add(n)) >> 32);
    throws
        .take_while(|throw| *throw > u64::from(u32::MAX) / 5)
        .count() as u64
}
