//! What if the machine is busy with something else?
//!
//! One burner process per core computes all the time; beside them a flood, hot
//! round trips, and a lone job of 200 us every 5 ms. It matters wherever a
//! program is not alone: a laptop that compiles, a container with neighbours.
//! Spinning does harm here, and whoever gave up his core waits for a time slice.
//!
//! Floor, for the round trip: `unpark` and `park` there and back, no silence
//! between; for the lone job: its own 200 us.

use std::thread;
use std::time::{Duration, Instant};

use super::round_trip::{p50_p99, round_trips};
use super::spawn_flood::flood;
use crate::floors;
use crate::libraries::{
    AffinityPool, AsyncExecutor, Blocking, Execute, Rayon, RustyPool, Spawn, ThreadPool,
    TokioBlocking, TokioSpawn, Windlass,
};
use crate::question::{
    Contender, Field, Figure, Processes, Question, Round, Rounds, Settings, field,
};
use crate::system::{Burners, burn, cores, rounds_per_micro};

pub const QUESTION: Question = Question {
    name: "oversubscribed",
    about: "with a burner on every core: a flood, hot round trips, a lone job of 200 us each 5 ms",
    figures: &[
        Figure::lower("oversubscribed_flood", "ns per job"),
        Figure::lower("oversubscribed_round_trip_p50", "us"),
        Figure::lower("oversubscribed_round_trip_p99", "us"),
        Figure::lower("oversubscribed_lone_p50", "us"),
        Figure::lower("oversubscribed_lone_p99", "us"),
    ],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const LONE_JOB: u64 = 200;
const LONE_PERIOD: Duration = Duration::from_millis(5);

fn field(_: &Settings) -> Field {
    // Measured before there are burners.
    rounds_per_micro();
    field!(measure: Windlass, Rayon, TokioBlocking, TokioSpawn, AffinityPool, Blocking,
        AsyncExecutor, ThreadPool, RustyPool)
    .and(Contender::floor(|settings| {
        let _burners = Burners::start(cores());
        let (p50, p99) = p50_p99(&floors::sleeping_round_trips(
            trips(settings),
            Duration::ZERO,
        ));
        Round::of([
            ("oversubscribed_round_trip_p50", p50),
            ("oversubscribed_round_trip_p99", p99),
            ("oversubscribed_lone_p50", LONE_JOB as f64),
            ("oversubscribed_lone_p99", LONE_JOB as f64),
        ])
    }))
}

fn trips(settings: &Settings) -> usize {
    settings.pick(5_000, 500)
}

fn measure<L: Execute + Spawn>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    let _burners = Burners::start(cores());
    let jobs = settings.pick(200_000, 50_000);
    flood(&library, jobs / 10);
    let flood = flood(&library, jobs);
    let (trip_p50, trip_p99) = p50_p99(&round_trips(&library, trips(settings), Duration::ZERO));
    let (lone_p50, lone_p99) = p50_p99(&lone_jobs(&library, settings.pick(200, 30)));
    Round::of([
        ("oversubscribed_flood", flood),
        ("oversubscribed_round_trip_p50", trip_p50),
        ("oversubscribed_round_trip_p99", trip_p99),
        ("oversubscribed_lone_p50", lone_p50),
        ("oversubscribed_lone_p99", lone_p99),
    ])
}

fn lone_jobs<L: Spawn>(library: &L, count: usize) -> Vec<Duration> {
    library.block_on(async {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            thread::sleep(LONE_PERIOD);
            let begin = Instant::now();
            library.spawn(|| burn(LONE_JOB)).await;
            times.push(begin.elapsed());
        }
        times
    })
}
