//! What if jobs wait?
//!
//! Jobs that compute, and among them some that wait for something that is not there
//! yet, as a job does that asks another service or another pool; timed until all are
//! through. A pool that keeps a thread for each wait has that much less to compute
//! with. What windlass does about it is a substitute thread; tokio has one too,
//! for `block_in_place` on a runtime of several threads. The pools that have nothing
//! of the kind just wait.
//!
//! Floor: the computing alone, divided by the number of threads.

use std::thread;
use std::time::{Duration, Instant};

use crate::libraries::{Execute, Library, Rayon, TokioBlocking, Windlass};
use crate::question::{
    Contender, Field, Figure, Processes, Question, Round, Rounds, Settings, field,
};
use crate::system::{burn, rounds_per_micro};
use crate::tally::Flood;

pub const QUESTION: Question = Question {
    name: "waits",
    about: "2,000 jobs of 50 us (quick: 400), of which one in 100 waits for 5 ms besides",
    figures: &[Figure::lower("waits", "ms until all are through")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const JOB: u64 = 50;
const ONE_IN: u64 = 100;
const WAIT: Duration = Duration::from_millis(5);

fn field(_: &Settings) -> Field {
    rounds_per_micro();
    field!(measure: Windlass, Rayon, TokioBlocking, BlockInPlace).and(Contender::floor(
        |settings| {
            let all = jobs(settings) * JOB;
            Round::of([("waits", all as f64 / settings.threads as f64 / 1000.0)])
        },
    ))
}

fn jobs(settings: &Settings) -> u64 {
    settings.pick(2_000, 400)
}

/// How a job of this library waits.
trait Wait: Execute {
    fn wait() {
        thread::sleep(WAIT);
    }
}

impl Wait for Windlass {
    fn wait() {
        windlass::blocking(|| thread::sleep(WAIT));
    }
}

impl Wait for Rayon {}
impl Wait for TokioBlocking {}

/// tokio's threads for async code, told of the wait.
struct BlockInPlace(tokio::runtime::Runtime);

impl Library for BlockInPlace {
    const NAME: &'static str = "tokio spawn, block_in_place";

    fn start(threads: usize) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self(
            builder
                .worker_threads(threads)
                .enable_all()
                .build()
                .unwrap(),
        )
    }
}

impl Execute for BlockInPlace {
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        drop(self.0.spawn(async move { f() }));
    }
}

impl Wait for BlockInPlace {
    fn wait() {
        tokio::task::block_in_place(|| thread::sleep(WAIT));
    }
}

fn measure<L: Wait>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    through(&library, jobs(settings) / 10);
    let time = through(&library, jobs(settings));
    Round::of([("waits", time.as_secs_f64() * 1000.0)])
}

fn through<L: Wait>(library: &L, jobs: u64) -> Duration {
    let flood = Flood::new(jobs);
    let begin = Instant::now();
    for n in 0..jobs {
        let _ = library.execute(move || {
            if n % ONE_IN == 0 {
                L::wait();
            }
            burn(JOB);
            flood.job(n);
        });
    }
    flood.wait();
    begin.elapsed()
}
