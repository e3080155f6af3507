//! How soon is a sudden batch done, if the pool was asleep?
//!
//! 2,000 small jobs at once after 5 ms of silence; timed until all have run. It
//! matters to a frame or a request that splits its work and waits for it.
//!
//! Floor: one thread that sleeps is woken and takes 2,000 slots out of a ring.

use std::thread;
use std::time::{Duration, Instant};

use crate::floors;
use crate::libraries::{Execute, executors};
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::{median, micros};
use crate::tally::Flood;

pub const QUESTION: Question = Question {
    name: "burst",
    about: "2,000 jobs into a pool that sleeps, until all have run",
    figures: &[Figure::lower("burst", "us per burst")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const JOBS: u64 = 2_000;

fn field(_: &Settings) -> Field {
    executors!(measure).and(Contender::floor(|settings| {
        round(&floors::hand_over_to_a_sleeper(JOBS, bursts(settings)))
    }))
}

fn bursts(settings: &Settings) -> usize {
    settings.pick(25, 7)
}

fn round(times: &[Duration]) -> Round {
    let times: Vec<_> = times.iter().copied().map(micros).collect();
    Round::of([("burst", median(&times))])
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    burst(&library);
    let times = (0..bursts(settings)).map(|_| burst(&library));
    round(&times.collect::<Vec<_>>())
}

fn burst<L: Execute>(library: &L) -> Duration {
    thread::sleep(Duration::from_millis(5));
    let flood = Flood::new(JOBS);
    let mut kept = Vec::with_capacity(JOBS as usize);
    let begin = Instant::now();
    for n in 0..JOBS {
        kept.push(library.execute(move || flood.job(n)));
    }
    flood.wait();
    begin.elapsed()
}
