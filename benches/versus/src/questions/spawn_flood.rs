//! What does it cost to hand over many small jobs?
//!
//! From one outside thread, fire and forget, a closure that captures 16 bytes
//! and does next to nothing; timed until all have run. It matters to a loop that
//! hands over much: what it spends here it cannot spend on its own work.
//!
//! Floor: one thread hands the same number of 64-byte slots to one other through
//! a ring in memory.

use std::time::Instant;

use crate::floors;
use crate::libraries::{Execute, RayonFifo, executors};
use crate::question::{
    Contender, Field, Figure, Processes, Question, Round, Rounds, Settings, field,
};
use crate::stats::nanos_per;
use crate::tally::Flood;

pub const QUESTION: Question = Question {
    name: "spawn_flood",
    about: "1,000,000 jobs (quick: 100,000) from one outside thread, until all have run",
    figures: &[Figure::lower("spawn_flood", "ns per job")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    let mut field = executors!(measure);
    field
        .contenders
        .extend(field!(measure: RayonFifo).contenders);
    field.and(Contender::floor(|settings| {
        let jobs = jobs(settings);
        Round::of([("spawn_flood", nanos_per(floors::hand_over(jobs), jobs))])
    }))
}

fn jobs(settings: &Settings) -> u64 {
    settings.pick(1_000_000, 100_000)
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    flood(&library, jobs(settings) / 10);
    Round::of([("spawn_flood", flood(&library, jobs(settings)))])
}

/// Nanoseconds for each of `jobs` jobs.
pub fn flood<L: Execute>(library: &L, jobs: u64) -> f64 {
    let flood = Flood::new(jobs);
    let mut kept = Vec::new();
    let begin = Instant::now();
    for n in 0..jobs {
        kept.push(library.execute(move || flood.job(n)));
    }
    flood.wait();
    let time = begin.elapsed();
    drop(kept);
    nanos_per(time, jobs)
}
