//! What does a pool cost that has nothing to do, or next to nothing?
//!
//! Processor time, in a process of its own: of all threads but the main one per
//! second of silence, and of all threads per lone job each millisecond, beyond
//! what the loop itself takes that hands it over. It matters to batteries, and to every machine that holds a
//! hundred services of which most wait.
//!
//! Floor: the same with no pool; the job is run by the loop.

use std::thread;
use std::time::{Duration, Instant};

use crate::libraries::{Execute, executors};
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::micros;
use crate::system::{cpu_time, own_cpu_time};
use crate::tally::{self, Flood};

pub const QUESTION: Question = Question {
    name: "idle",
    about: "processor time with nothing to do, and for one small job each millisecond",
    figures: &[
        Figure::lower("idle_cpu", "us per s"),
        Figure::lower("idle_job_cpu", "us per job"),
    ],
    field,
    rounds: Rounds {
        full: 7,
        quick: 7,
        warm_up: true,
    },
    processes: Processes::PerLibrary,
};

const PERIOD: Duration = Duration::from_millis(1);

fn field(_: &Settings) -> Field {
    if cpu_time().is_none() {
        let why = "this system does not tell a process's time".to_owned();
        return Field {
            contenders: Vec::new(),
            skipped: vec![("all", why)],
        };
    }
    executors!(measure).and(Contender::floor(|settings| {
        let length = length(settings);
        Round::of([("idle_cpu", silence(length)), ("idle_job_cpu", 0.0)])
    }))
}

fn length(settings: &Settings) -> Duration {
    settings.pick(Duration::from_secs(1), Duration::from_millis(90))
}

/// How much processor time it took, in microseconds.
fn cpu_of(run: impl FnOnce()) -> f64 {
    let before = cpu_time().expect("the field was not empty");
    run();
    micros(cpu_time().expect("as before") - before)
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let length = length(settings);
    let alone = cpu_of(|| lone_jobs(length, |_| tally::add(0)));
    let library = L::start(settings.threads);
    super::spawn_flood::flood(&library, 1000);
    // Spinning for more work is over by then.
    thread::sleep(Duration::from_millis(50));
    let idle = silence(length);
    let jobs = length.as_millis() as u64;
    let flood = Flood::new(jobs);
    let mut kept = Vec::with_capacity(jobs as usize);
    let busy = cpu_of(|| {
        lone_jobs(length, |n| kept.push(library.execute(move || flood.job(n))));
        flood.wait();
    });
    Round::of([
        ("idle_cpu", idle),
        ("idle_job_cpu", (busy - alone) / jobs as f64),
    ])
}

/// Microseconds of the other threads per second in which this one sleeps: to fall
/// asleep and wake up takes it more than a pool that sleeps.
fn silence(length: Duration) -> f64 {
    let mine = || micros(own_cpu_time().expect("the field was not empty"));
    let before = mine();
    let all = cpu_of(|| thread::sleep(length));
    (all - (mine() - before)).max(0.0) / length.as_secs_f64()
}

/// One call each millisecond.
fn lone_jobs(length: Duration, mut job: impl FnMut(u64)) {
    let mut due = Instant::now();
    for n in 0..length.as_millis() as u64 {
        due += PERIOD;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        job(n);
    }
}
