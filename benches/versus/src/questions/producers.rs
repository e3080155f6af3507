//! What if several threads hand over at once?
//!
//! Four outside threads flood the pool with a quarter of the jobs each, and one
//! thread with all of them; timed until all have run. It matters to a server
//! whose threads share one pool: the queue must not be where they meet.
//!
//! No floor.

use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Instant;

use super::spawn_flood::flood;
use crate::libraries::{Execute, executors};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::nanos_per;
use crate::tally::Flood;

pub const QUESTION: Question = Question {
    name: "producers",
    about: "400,000 jobs (quick: 80,000) from 4 outside threads at once, and from one",
    figures: &[
        Figure::lower("producers_4", "ns per job"),
        Figure::lower("producers_1", "ns per job"),
    ],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const PRODUCERS: u64 = 4;

fn field(_: &Settings) -> Field {
    executors!(measure)
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let jobs = settings.pick(400_000, 80_000);
    let library = L::start(settings.threads);
    flood(&library, jobs / 10);
    Round::of([
        ("producers_1", flood(&library, jobs)),
        ("producers_4", together(&library, jobs)),
    ])
}

fn together<L: Execute>(library: &L, jobs: u64) -> f64 {
    let flood = Flood::new(jobs);
    let start = Barrier::new(PRODUCERS as usize + 1);
    let end = Barrier::new(PRODUCERS as usize + 1);
    // Of the first producer to run; this thread may wake up much later.
    let begin = Mutex::new(None);
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (start, end, begin) = (&start, &end, &begin);
            scope.spawn(move || {
                let mut kept = Vec::new();
                start.wait();
                begin.lock().unwrap().get_or_insert_with(Instant::now);
                for n in 0..jobs / PRODUCERS {
                    let n = n * PRODUCERS + producer;
                    kept.push(library.execute(move || flood.job(n)));
                }
                // What must be kept is kept until all have run.
                end.wait();
            });
        }
        start.wait();
        flood.wait();
        let time = begin.lock().unwrap().expect("somebody began").elapsed();
        end.wait();
        nanos_per(time, jobs)
    })
}
