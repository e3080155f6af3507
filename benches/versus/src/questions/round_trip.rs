//! How long from handing over one job to having its result?
//!
//! One job at a time, which does next to nothing, and whoever handed it over
//! waits for it. *Hot*: the next one at once, as in a parser that asks for one
//! thing after another. *Idle*: after a millisecond of silence, as in a program
//! that waits for its user; here everything sleeps, and the time is the
//! machine's to wake it up.
//!
//! Floors: *hot*, a flag to a thread that spins and back; *idle*, `unpark` and
//! `park` there and back.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crate::floors;
use crate::libraries::{RayonInstall, Spawn, spawners};
use crate::question::{
    Contender, Field, Figure, Processes, Question, Round, Rounds, Settings, field,
};
use crate::stats::{micros, percentile, sorted};

pub const HOT: Question = Question {
    name: "round_trip_hot",
    about: "spawn one job, wait for its result, and again",
    figures: &[
        Figure::lower("round_trip_hot_p50", "us"),
        Figure::lower("round_trip_hot_p99", "us"),
    ],
    field: hot_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const IDLE: Question = Question {
    name: "round_trip_idle",
    about: "the same with 1 ms of silence before each",
    figures: &[
        Figure::lower("round_trip_idle_p50", "us"),
        Figure::lower("round_trip_idle_p99", "us"),
    ],
    field: idle_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const SILENCE: Duration = Duration::from_millis(1);

fn hot_field(_: &Settings) -> Field {
    let mut field = spawners!(hot);
    field
        .contenders
        .extend(field!(hot: RayonInstall).contenders);
    field.and(Contender::floor(|settings| {
        hot_round(&floors::spinning_round_trips(hot_trips(settings)))
    }))
}

fn idle_field(_: &Settings) -> Field {
    let mut field = spawners!(idle);
    field
        .contenders
        .extend(field!(idle: RayonInstall).contenders);
    field.and(Contender::floor(|settings| {
        idle_round(&floors::sleeping_round_trips(idle_trips(settings), SILENCE))
    }))
}

fn hot_trips(settings: &Settings) -> usize {
    settings.pick(20_000, 2_000)
}

fn idle_trips(settings: &Settings) -> usize {
    settings.pick(1_000, 100)
}

fn hot_round(trips: &[Duration]) -> Round {
    let (p50, p99) = p50_p99(trips);
    Round::of([("round_trip_hot_p50", p50), ("round_trip_hot_p99", p99)])
}

fn idle_round(trips: &[Duration]) -> Round {
    let (p50, p99) = p50_p99(trips);
    Round::of([("round_trip_idle_p50", p50), ("round_trip_idle_p99", p99)])
}

fn hot<L: Spawn>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    round_trips(&library, hot_trips(settings) / 10, Duration::ZERO);
    hot_round(&round_trips(&library, hot_trips(settings), Duration::ZERO))
}

fn idle<L: Spawn>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    round_trips(&library, 10, SILENCE);
    idle_round(&round_trips(&library, idle_trips(settings), SILENCE))
}

/// In microseconds.
pub fn p50_p99(trips: &[Duration]) -> (f64, f64) {
    let trips: Vec<_> = trips.iter().copied().map(micros).collect();
    let trips = sorted(&trips);
    (percentile(&trips, 0.5), percentile(&trips, 0.99))
}

pub fn round_trips<L: Spawn>(library: &L, count: usize, silence: Duration) -> Vec<Duration> {
    library.block_on(async {
        let mut trips = Vec::with_capacity(count);
        for n in 0..count {
            if !silence.is_zero() {
                thread::sleep(silence);
            }
            let begin = Instant::now();
            let answer = library.spawn(move || black_box(n) + 1).await;
            trips.push(begin.elapsed());
            assert_eq!(answer, n + 1);
        }
        trips
    })
}
