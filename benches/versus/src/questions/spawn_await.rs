//! What does it cost to hand over many small jobs and have their results?
//!
//! All are handed over, then each result is taken in turn. It matters to a
//! program that splits a batch into jobs.
//!
//! Floor: the ring of `spawn_flood`, and a second one for the way back.

use std::hint::black_box;
use std::time::Instant;

use crate::floors::{Ring, on_two_cores};
use crate::libraries::{Spawn, spawners};
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::nanos_per;

pub const QUESTION: Question = Question {
    name: "spawn_await",
    about: "200,000 jobs (quick: 50,000) with a handle each, then every result",
    figures: &[Figure::lower("spawn_await", "ns per job")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    spawners!(measure).and(Contender::floor(|settings| {
        Round::of([("spawn_await", there_and_back(jobs(settings)))])
    }))
}

fn jobs(settings: &Settings) -> u64 {
    settings.pick(200_000, 50_000)
}

fn measure<L: Spawn>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    spawn_all(&library, jobs(settings) / 10);
    Round::of([("spawn_await", spawn_all(&library, jobs(settings)))])
}

fn spawn_all<L: Spawn>(library: &L, jobs: u64) -> f64 {
    library.block_on(async {
        let mut handles = Vec::with_capacity(jobs as usize);
        let begin = Instant::now();
        for n in 0..jobs {
            handles.push(library.spawn(move || black_box(n)));
        }
        let mut sum = 0;
        for handle in handles {
            sum += handle.await;
        }
        let time = begin.elapsed();
        assert_eq!(sum, jobs * (jobs - 1) / 2);
        nanos_per(time, jobs)
    })
}

/// Half a ring's slots at a time, so that neither end waits for the other to
/// make room.
fn there_and_back(jobs: u64) -> f64 {
    const BATCH: u64 = 512;
    let (there, back) = (Ring::new(), Ring::new());
    let batches = jobs / BATCH;
    let (time, ()) = on_two_cores(
        || {
            there.fill(BATCH);
            let begin = Instant::now();
            for _ in 0..batches {
                there.fill(BATCH);
                black_box(back.drain(BATCH));
            }
            let time = begin.elapsed();
            back.drain(BATCH);
            time
        },
        || {
            for _ in 0..=batches {
                there.drain(BATCH);
                back.fill(BATCH);
            }
        },
    );
    nanos_per(time, batches * BATCH)
}
