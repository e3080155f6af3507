//! What if there is little to divide, and each part is long?
//!
//! Two leaves of 50 ms, while the pool's other threads are busy with something
//! else for the first 10: the second one must still be there for them when they
//! come, though whoever joined is deep in the first. And 8 leaves of 12 ms, as a
//! tree, and each joined to all those before it, or after it. It matters to whoever
//! splits a long computation in two, which is what most people try first.
//!
//! The best that these leaves allow is 100 %, and two that are done one after the
//! other 167 or 200. chili and forte have no way to keep their other thread busy
//! from outside, and do not take part in the first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use crate::libraries::{Chili, Execute, Forte, Join, RayonJoin, Windlass};
use crate::question::field;
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::{median, micros};
use crate::system::{burn, rounds_per_micro};
use crate::tally;

pub const QUESTION: Question = Question {
    name: "coarse",
    about: "2 leaves of 50 ms and a late thread, 8 of 12 ms (quick: a fifth): time over the ideal",
    figures: &[
        Figure::lower("coarse_late", UNIT),
        Figure::lower("coarse_tree", UNIT),
        Figure::lower("coarse_left", UNIT),
        Figure::lower("coarse_right", UNIT),
    ],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const UNIT: &str = "% of the ideal's time";

const LEAVES: u64 = 8;

fn field(_: &Settings) -> Field {
    rounds_per_micro();
    let mut field = field!(all: Windlass, RayonJoin);
    field
        .contenders
        .extend(field!(nested: Chili, Forte).contenders);
    field.and(Contender::floor(|_| {
        Round::of(
            ["coarse_late", "coarse_tree", "coarse_left", "coarse_right"].map(|name| (name, 100.0)),
        )
    }))
}

fn all<L: Join + Execute>(settings: &Settings) -> Round {
    let mut round = nested::<L>(settings);
    let library = L::start(settings.threads);
    round
        .figures
        .push(("coarse_late", late(&library, settings)));
    round
}

fn nested<L: Join>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    let leaf = settings.pick(12_000, 2_400);
    // All threads have been there.
    library.enter(move |here| tree::<L>(here, leaf / 20, LEAVES));
    let best = LEAVES.div_ceil(settings.threads as u64) * leaf;
    let best = best as f64 * pace(settings.threads);
    let share = |program: fn(&mut L::Here<'_>, u64, u64)| {
        let before = tally::total();
        let time = library.enter(move |here| {
            let begin = Instant::now();
            program(here, leaf, LEAVES);
            begin.elapsed()
        });
        assert_eq!(tally::total().jobs - before.jobs, LEAVES);
        100.0 * micros(time) / best
    };
    Round::of([
        ("coarse_tree", share(tree::<L>)),
        ("coarse_left", share(left::<L>)),
        ("coarse_right", share(right::<L>)),
    ])
}

fn late<L: Join + Execute>(library: &L, settings: &Settings) -> f64 {
    let (leaf, busy) = settings.pick((50_000, 10_000), (10_000, 2_000));
    let others = settings.threads - 1;
    let best = if others == 0 { 2 * leaf } else { leaf + busy };
    let begun = Arc::new(AtomicUsize::new(0));
    let mut kept = Vec::new();
    for _ in 0..others {
        let begun = Arc::clone(&begun);
        kept.push(library.execute(move || {
            begun.fetch_add(1, Ordering::Relaxed);
            burn(busy);
        }));
    }
    // Each has a thread, and the one that is left is whose this will be.
    while begun.load(Ordering::Relaxed) < others {
        thread::yield_now();
    }
    let before = tally::total();
    let begin = Instant::now();
    library.enter(move |here| tree::<L>(here, leaf, 2));
    let time = begin.elapsed();
    assert_eq!(tally::total().jobs - before.jobs, 2);
    drop(kept);
    100.0 * micros(time) / (best as f64 * pace(settings.threads))
}

fn one(micros: u64) {
    burn(micros);
    tally::add(1);
}

/// How many microseconds a microsecond of work takes while all threads work: the
/// median of many short pieces, most of which nothing interrupts, so that a process
/// of one round knows it too.
fn pace(threads: usize) -> f64 {
    static PACE: OnceLock<f64> = OnceLock::new();
    *PACE.get_or_init(|| {
        let piece = |_| {
            let begin = Instant::now();
            burn(100);
            micros(begin.elapsed()) / 100.0
        };
        let pieces = || (0..100).map(piece).collect::<Vec<_>>();
        let times = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(pieces)).collect();
            let times = threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap());
            times.collect::<Vec<_>>()
        });
        median(&times)
    })
}

/// In halves.
fn tree<L: Join>(here: &mut L::Here<'_>, leaf: u64, leaves: u64) {
    if leaves == 1 {
        return one(leaf);
    }
    let half = |here: &mut L::Here<'_>| tree::<L>(here, leaf, leaves / 2);
    L::join(here, half, half);
}

/// All but the last, and the last.
fn left<L: Join>(here: &mut L::Here<'_>, leaf: u64, leaves: u64) {
    if leaves == 1 {
        return one(leaf);
    }
    L::join(
        here,
        |here| left::<L>(here, leaf, leaves - 1),
        |_| one(leaf),
    );
}

/// The first, and all but the first.
fn right<L: Join>(here: &mut L::Here<'_>, leaf: u64, leaves: u64) {
    if leaves == 1 {
        return one(leaf);
    }
    L::join(
        here,
        |_| one(leaf),
        |here| right::<L>(here, leaf, leaves - 1),
    );
}
