//! Joins and scopes inside jobs: trees of them, in which leaves compute, wait, spawn and
//! panic.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use windlass::{blocking, join};

use crate::body::spin;
use crate::ledger::tally::{Fault, did, found};
use crate::random::Random;
use crate::scene::Scene;

/// What a leaf panics with.
struct Split;

/// A tree of joins, each of whose leaves has to run once, whatever the others do.
pub(crate) fn split(random: &mut Random, scene: &Arc<Scene>) {
    let (seed, depth) = (random.fork(), 1 + random.below(7));
    let expected = leaves(&mut seed.clone(), depth);
    let begun = AtomicU32::new(0);
    let result = catch_unwind(AssertUnwindSafe(|| {
        tree(&mut seed.clone(), depth, &begun, scene);
    }));
    did(
        "joins inside jobs",
        u64::from(expected.count.saturating_sub(1)),
    );
    let begun = begun.into_inner();
    if begun != expected.count {
        let text = format!("{begun} leaves of a tree of {}", expected.count);
        found(Fault::Lost, || text);
    }
    if result.is_err_and(|payload| payload.is::<Split>()) != expected.panics {
        found(Fault::Wrong, || {
            "a join that loses a panic, or finds one".to_owned()
        });
    }
}

struct Expected {
    count: u32,
    panics: bool,
}

/// The tree as it is drawn.
fn leaves(random: &mut Random, depth: u64) -> Expected {
    if is_leaf(random, depth) {
        let panics = matches!(random.below(40), 0);
        return Expected { count: 1, panics };
    }
    random.percent(20);
    let (mut left, mut right) = (random.fork(), random.fork());
    let (left, right) = (leaves(&mut left, depth - 1), leaves(&mut right, depth - 1));
    Expected {
        count: left.count + right.count,
        panics: left.panics || right.panics,
    }
}

fn is_leaf(random: &mut Random, depth: u64) -> bool {
    depth == 0 || random.percent(10)
}

fn tree(random: &mut Random, depth: u64, begun: &AtomicU32, scene: &Arc<Scene>) {
    if is_leaf(random, depth) {
        begun.fetch_add(1, Relaxed);
        match random.below(40) {
            0 => resume_unwind(Box::new(Split)),
            1 => blocking(|| std::thread::sleep(Duration::from_micros(50))),
            2 => drop(scene.spawner.spawn(|| 7).join()),
            3..10 => spin(Duration::from_micros(10)),
            _ => {}
        }
        return;
    }
    let is_scope = random.percent(20);
    let (mut left, mut right) = (random.fork(), random.fork());
    let left = || tree(&mut left, depth - 1, begun, scene);
    let right = || tree(&mut right, depth - 1, begun, scene);
    if is_scope {
        scene.spawner.scope(|s| {
            s.spawn(left);
            s.spawn(right);
        });
    } else {
        join(left, right);
    }
}
