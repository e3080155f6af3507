//! What does it cost if jobs hand over more jobs?
//!
//! One job hands over 300,000 small ones from inside the pool; timed until all
//! have run. It matters to work that finds out by doing how much there is: a
//! walk through folders, a page and its links.
//!
//! No floor: nothing need leave the thread at all.

use std::time::Instant;

use crate::libraries::{
    AsyncExecutor, Blocking, Forte, Nest, Rayon, RayonFifo, RustyPool, ThreadPool, TokioBlocking,
    TokioSpawn, Windlass,
};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings, field};
use crate::stats::nanos_per;
use crate::tally::Flood;

pub const QUESTION: Question = Question {
    name: "nested_flat",
    about: "one job spawns 300,000 (quick: 50,000), until all have run",
    figures: &[Figure::lower("nested_flat", "ns per job")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    field!(measure: Windlass, Rayon, RayonFifo, TokioBlocking, TokioSpawn, Blocking,
        AsyncExecutor, ThreadPool, RustyPool, Forte)
}

fn measure<L: Nest>(settings: &Settings) -> Round {
    let jobs = settings.pick(300_000, 50_000);
    let library = L::start(settings.threads);
    flat(&library, jobs / 10);
    Round::of([("nested_flat", flat(&library, jobs))])
}

fn flat<L: Nest>(library: &L, jobs: u64) -> f64 {
    let flood = Flood::new(jobs);
    let inside = library.inside();
    let begin = Instant::now();
    library.first(move || {
        for n in 0..jobs {
            L::nested(&inside, move || flood.job(n));
        }
    });
    flood.wait();
    nanos_per(begin.elapsed(), jobs)
}
