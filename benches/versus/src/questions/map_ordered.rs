//! What does it cost to pour a long stream of small items through a pool?
//!
//! Items of 1 us, made one by one where the results are taken, which is in their
//! order; no more than [`BUFFER`] are on the way, so that memory is bounded. It
//! matters to who works through what does not fit into memory: a large file, an
//! archive, a query.
//!
//! Floor: as many bare threads, which share the items and give nothing to anybody.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::grain::ideal;
use crate::libraries::Windlass;
use crate::maps::{
    BUFFER, Buffered, FarAhead, Maps, Pariter, PariterBuffer, RayonBridge, RayonChunks, Serial,
    Unordered,
};
use crate::question::{
    Contender, Field, Figure, Processes, Question, Round, Rounds, Settings, field,
};
use crate::stats::nanos_per;
use crate::system::rounds_per_micro;

pub const QUESTION: Question = Question {
    name: "map_ordered",
    about: "10^6 items (quick: 50,000) of 1 us, made one by one, results in order, 256 on the way",
    figures: &[Figure::lower("map_ordered", "ns per item")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    rounds_per_micro();
    field!(measure: Windlass, FarAhead, Unordered, Pariter, PariterBuffer, Buffered, RayonChunks,
        RayonBridge, Serial)
    .and(Contender::floor(|settings| {
        let micros = ideal(settings.threads, settings.pick(200_000, 20_000));
        Round::of([("map_ordered", micros * 1000.0 / settings.threads as f64)])
    }))
}

fn measure<L: Maps>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    let items = settings.pick(1_000_000, 50_000);
    map_all(&library, items / 10);
    Round::of([("map_ordered", map_all(&library, items))])
}

fn map_all<L: Maps>(library: &L, items: u64) -> f64 {
    let gauge: &'static Gauge = Box::leak(Box::default());
    let work = Work::new(rounds_per_micro());
    let (mut expected, mut sum) = (0..items, 0_u64);
    let begin = Instant::now();
    library.map(
        (0..items).inspect(|_| gauge.pull()),
        move |n| work.on(n),
        |result| {
            gauge.give();
            sum = sum.wrapping_add(result);
            let next = expected.next().map(|n| work.result(n));
            assert!(!L::IN_ORDER || next == Some(result), "out of order");
        },
    );
    let time = begin.elapsed();
    assert_eq!(gauge.given.load(Ordering::Relaxed), items, "each item once");
    assert!(
        gauge.peak.load(Ordering::Relaxed) <= BUFFER as u64,
        "more on the way than may be"
    );
    assert_eq!(
        sum,
        (0..items).fold(0, |sum: u64, n| sum.wrapping_add(work.result(n)))
    );
    nanos_per(time, items)
}

/// How many items are on the way: pulled, and not given out. Each counter is written by
/// one thread at a time.
#[derive(Default)]
struct Gauge {
    pulled: AtomicU64,
    given: AtomicU64,
    /// The most there were.
    peak: AtomicU64,
}

impl Gauge {
    fn pull(&self) {
        let pulled = self.pulled.load(Ordering::Relaxed) + 1;
        self.pulled.store(pulled, Ordering::Relaxed);
        let on_the_way = pulled - self.given.load(Ordering::Relaxed);
        if on_the_way > self.peak.load(Ordering::Relaxed) {
            self.peak.store(on_the_way, Ordering::Relaxed);
        }
    }

    fn give(&self) {
        let given = self.given.load(Ordering::Relaxed) + 1;
        self.given.store(given, Ordering::Relaxed);
    }
}

/// What is done with an item: rounds of `x * FACTOR + 1`, which are the same as one
/// multiplication and one addition, if one knows of what.
#[derive(Clone, Copy)]
struct Work {
    rounds: u64,
    factor: u64,
    addend: u64,
}

const FACTOR: u64 = 0x5851_f42d_4c95_7f2d;

impl Work {
    fn new(rounds: u64) -> Self {
        let (mut factor, mut addend) = (1_u64, 0_u64);
        for _ in 0..rounds {
            factor = factor.wrapping_mul(FACTOR);
            addend = addend.wrapping_mul(FACTOR).wrapping_add(1);
        }
        Self {
            rounds,
            factor,
            addend,
        }
    }

    fn on(self, n: u64) -> u64 {
        let mut x = black_box(n);
        for _ in 0..self.rounds {
            x = x.wrapping_mul(FACTOR).wrapping_add(1);
        }
        x
    }

    fn result(self, n: u64) -> u64 {
        n.wrapping_mul(self.factor).wrapping_add(self.addend)
    }
}
