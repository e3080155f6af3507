//! How small may a job be?
//!
//! Jobs of 1 to 100 us, many at once from one outside thread; the work that was
//! done over the work that the same number of bare threads does in that time.
//! It matters to whoever cuts work into pieces: the smaller they may be, the
//! less one has to think.
//!
//! Floor (here an upper bound): 100 %, the bare threads themselves, the best of
//! one measurement per round and library.

use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::libraries::{Execute, executors};
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::micros;
use crate::system::{burn, rounds_per_micro};
use crate::tally::Flood;

pub const QUESTION: Question = Question {
    name: "grain",
    about: "jobs of 1 to 100 us: work done, over that of as many threads with no pool",
    figures: &[
        Figure::higher(GRAINS[0].0, "% of the ideal"),
        Figure::higher(GRAINS[1].0, "% of the ideal"),
        Figure::higher(GRAINS[2].0, "% of the ideal"),
        Figure::higher(GRAINS[3].0, "% of the ideal"),
        Figure::higher(GRAINS[4].0, "% of the ideal"),
    ],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

/// Figures and their jobs' lengths in microseconds.
pub const GRAINS: [(&str, u64); 5] = [
    ("grain_1us", 1),
    ("grain_3us", 3),
    ("grain_10us", 10),
    ("grain_30us", 30),
    ("grain_100us", 100),
];

fn field(_: &Settings) -> Field {
    rounds_per_micro();
    executors!(measure).and(Contender::floor(|_| {
        Round::of(GRAINS.map(|(name, _)| (name, 100.0)))
    }))
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    let busy = settings.pick(200_000, 20_000);
    let ideal = ideal(settings.threads, busy);
    share(&library, settings.threads, 10, busy / 10, ideal);
    let share = |grain| share(&library, settings.threads, grain, busy, ideal);
    Round::of(GRAINS.map(|(name, grain)| (name, share(grain))))
}

/// Keeps each of `threads` threads busy for `busy` microseconds with jobs of
/// `grain`; how much of the [`ideal`] that was, in percent.
pub fn share<L: Execute>(library: &L, threads: usize, grain: u64, busy: u64, ideal: f64) -> f64 {
    let each = busy / grain;
    let jobs = each * threads as u64;
    let flood = Flood::new(jobs);
    let mut kept = Vec::new();
    let begin = Instant::now();
    for n in 0..jobs {
        kept.push(library.execute(move || {
            burn(grain);
            flood.job(n);
        }));
    }
    flood.wait();
    let time = begin.elapsed();
    drop(kept);
    100.0 * ideal * (each * grain) as f64 / micros(time)
}

/// How many microseconds this many threads with no pool take for one microsecond
/// of work each. Two cores of a machine can be one that takes turns, so this is
/// measured, not computed; the least of all measurements in this process is the
/// one that nothing disturbed.
pub fn ideal(threads: usize, busy: u64) -> f64 {
    static BEST: Mutex<f64> = Mutex::new(f64::MAX);
    let each = busy / 10;
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|_| burn(10)));
        }
    });
    let time = micros(begin.elapsed()) / (each * 10) as f64;
    let mut best = BEST.lock().unwrap();
    *best = best.min(time);
    *best
}
