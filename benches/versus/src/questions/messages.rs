//! What does it cost to talk to a worker?
//!
//! A worker answers each number with the next one. *Hot*: ask, wait, again;
//! *idle*: after a millisecond of silence; *flood*: many messages, and one answer
//! when all have come. It matters to a program that keeps state on another
//! thread: a database, a simulation, a language server.
//!
//! windlass: `pool.worker`, `post`, `recv`. The others: a thread or a task with a
//! channel for each direction. Node: `worker_threads` and Piscina, in a process
//! of their own.
//!
//! Floors as for jobs: a flag between threads that spin; `unpark` and `park`.

use std::thread;
use std::time::{Duration, Instant};

use super::round_trip::p50_p99;
use crate::floors;
use crate::messengers::{Messenger, Talk, messengers};
use crate::node;
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::nanos_per;

pub const ROUND_TRIP_HOT: Question = Question {
    name: "message_round_trip_hot",
    about: "post a message, wait for the answer, and again",
    figures: &[
        Figure::lower("message_round_trip_hot_p50", "us"),
        Figure::lower("message_round_trip_hot_p99", "us"),
    ],
    field: hot_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const ROUND_TRIP_IDLE: Question = Question {
    name: "message_round_trip_idle",
    about: "the same with 1 ms of silence before each",
    figures: &[
        Figure::lower("message_round_trip_idle_p50", "us"),
        Figure::lower("message_round_trip_idle_p99", "us"),
    ],
    field: idle_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const FLOOD: Question = Question {
    name: "message_flood",
    about: "500,000 messages (quick: 100,000) to one worker, until all are handled",
    figures: &[Figure::lower("message_flood", "ns per message")],
    field: flood_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const SILENCE: Duration = Duration::from_millis(1);

fn hot_field(settings: &Settings) -> Field {
    let trips = hot_trips(settings);
    let arguments = [trips as u64 / 10, 0];
    with_node(messengers!(hot), "round_trip", arguments, &ROUND_TRIP_HOT).and(Contender::floor(
        move |_| trips_round(&ROUND_TRIP_HOT, &floors::spinning_round_trips(trips)),
    ))
}

fn idle_field(settings: &Settings) -> Field {
    let trips = idle_trips(settings);
    let arguments = [trips as u64, SILENCE.as_millis() as u64];
    with_node(messengers!(idle), "round_trip", arguments, &ROUND_TRIP_IDLE).and(Contender::floor(
        move |_| {
            trips_round(
                &ROUND_TRIP_IDLE,
                &floors::sleeping_round_trips(trips, SILENCE),
            )
        },
    ))
}

fn flood_field(settings: &Settings) -> Field {
    let arguments = [flood_messages(settings) / 10, 0];
    with_node(messengers!(flood), "flood", arguments, &FLOOD).and(Contender::floor(|settings| {
        let messages = flood_messages(settings);
        Round::of([(FLOOD.name, nanos_per(floors::hand_over(messages), messages))])
    }))
}

/// Node's take fewer, as they take longer; their figures are for each all the
/// same.
fn with_node(field: Field, task: &str, arguments: [u64; 2], question: &'static Question) -> Field {
    let mut field = field;
    for script in node::SCRIPTS {
        field = field.and_maybe(
            script.library,
            node::contender(script, task, &arguments, question),
        );
    }
    field
}

fn hot_trips(settings: &Settings) -> usize {
    settings.pick(20_000, 2_000)
}

fn idle_trips(settings: &Settings) -> usize {
    settings.pick(1_000, 100)
}

fn flood_messages(settings: &Settings) -> u64 {
    settings.pick(500_000, 100_000)
}

fn trips_round(question: &Question, trips: &[Duration]) -> Round {
    let (p50, p99) = p50_p99(trips);
    Round::of([
        (question.figures[0].name, p50),
        (question.figures[1].name, p99),
    ])
}

fn hot<M: Messenger>(settings: &Settings) -> Round {
    let trips = hot_trips(settings);
    trips_round(
        &ROUND_TRIP_HOT,
        &round_trips::<M>(settings, trips, Duration::ZERO),
    )
}

fn idle<M: Messenger>(settings: &Settings) -> Round {
    trips_round(
        &ROUND_TRIP_IDLE,
        &round_trips::<M>(settings, idle_trips(settings), SILENCE),
    )
}

fn round_trips<M: Messenger>(
    settings: &Settings,
    count: usize,
    silence: Duration,
) -> Vec<Duration> {
    let home = M::home(settings.threads);
    let mut messenger = M::start(&home, |n| Some(n + 1));
    M::block_on(&home, async {
        let mut trips = Vec::with_capacity(count);
        let warm_up = count / 10;
        for n in 0..(warm_up + count) as u64 {
            if !silence.is_zero() {
                thread::sleep(silence);
            }
            let begin = Instant::now();
            messenger.post(n);
            let answer = messenger.recv().await;
            let time = begin.elapsed();
            assert_eq!(answer, n + 1);
            if n >= warm_up as u64 {
                trips.push(time);
            }
        }
        trips
    })
}

fn flood<M: Messenger>(settings: &Settings) -> Round {
    let messages = flood_messages(settings);
    let home = M::home(settings.threads);
    let mut sum = 0;
    // Zero asks for the sum of what came before it.
    let mut messenger = M::start(&home, move |n: u64| {
        sum += n;
        (n == 0).then(|| std::mem::take(&mut sum))
    });
    M::block_on(&home, async {
        let mut time = Duration::ZERO;
        for messages in [messages / 10, messages] {
            let begin = Instant::now();
            for n in 1..=messages {
                messenger.post(n);
            }
            messenger.post(0);
            let sum = messenger.recv().await;
            time = begin.elapsed();
            assert_eq!(sum, messages * (messages + 1) / 2);
        }
        Round::of([(FLOOD.name, nanos_per(time, messages))])
    })
}
