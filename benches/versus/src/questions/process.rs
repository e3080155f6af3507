//! What does it cost to have something done in another process?
//!
//! *Echo*: 64 bytes there and back, and the next ones at once. *Flood*: a thousand of
//! these, all handed over before the first answer is taken. *Argument*: 16 MiB there, and
//! back how many they were. *Start*: from the wish for a process to its first answer. It
//! matters to whoever runs what may crash, hang or leak, and would like to know what the
//! walls cost.
//!
//! windlass: a `ProcessPool` with one child; a `ProcessWorker`. procspawn: a `Pool` with
//! one process; for large arguments also with `IpcSharedMemory`, which the child maps and,
//! asked for its length, never looks into; for the start also `spawn`, whose `join` waits
//! for the end of the process as well. Node: `child_process.fork` with `serialization:
//! 'advanced'`, and `Buffer`s.
//!
//! Floor: two processes with a socket between them and no library, each of which sleeps
//! until it has what it waits for. Who looks again and again instead, or goes through
//! shared memory, can be below it.

use std::time::{Duration, Instant};

use super::round_trip::p50_p99;
use crate::node;
use crate::processes::{
    Child, Procspawn, ProcspawnShared, Socket, WindlassPool, WindlassWorker, first_answer, message,
};
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::{median, micros};

pub const ECHO: Question = Question {
    name: "process_echo",
    about: "64 bytes to another process and back, and again",
    figures: &[
        Figure::lower("process_echo_p50", "us"),
        Figure::lower("process_echo_p99", "us"),
    ],
    field: echo_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const FLOOD: Question = Question {
    name: "process_flood",
    about: "1,000 times 64 bytes to one process and back, all queued at once",
    figures: &[Figure::lower("process_flood", "us per job")],
    field: flood_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const ARGUMENT: Question = Question {
    name: "process_argument",
    about: "16 MiB to another process, their length back",
    figures: &[Figure::lower("process_argument", "ms")],
    field: argument_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const START: Question = Question {
    name: "process_start",
    about: "from the wish for a process to its first answer",
    figures: &[Figure::lower("process_start", "ms")],
    field: start_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const FLOOD_JOBS: usize = 1000;

const LARGE: usize = 16 << 20;

/// These libraries, measured by one function, and the floor.
macro_rules! children {
    ($measure:ident: $($child:ident),+) => {
        Field::of(vec![$(Contender::new($child::NAME, $measure::<$child>)),+])
            .and(Contender::floor($measure::<Socket>))
    };
}

fn with_node(field: Field, task: &str, arguments: &[u64], question: &'static Question) -> Field {
    let node = node::contender(&node::CHILD_PROCESS, task, arguments, question);
    field.and_maybe(node::CHILD_PROCESS.library, node)
}

fn echo_field(settings: &Settings) -> Field {
    let field = children!(echo: WindlassPool, WindlassWorker, Procspawn);
    with_node(field, "echo", &[echo_trips(settings) as u64], &ECHO)
}

fn flood_field(settings: &Settings) -> Field {
    let field = children!(flood: WindlassPool, WindlassWorker, Procspawn);
    let arguments = [floods(settings) as u64, FLOOD_JOBS as u64];
    with_node(field, "flood", &arguments, &FLOOD)
}

fn argument_field(settings: &Settings) -> Field {
    let field = children!(argument: WindlassPool, WindlassWorker, Procspawn, ProcspawnShared);
    let arguments = [arguments(settings) as u64, LARGE as u64];
    with_node(field, "argument", &arguments, &ARGUMENT)
}

fn start_field(settings: &Settings) -> Field {
    let mut field = children!(start: WindlassPool, WindlassWorker, Procspawn);
    let spawn = Contender::new("procspawn spawn", |settings| {
        starts(settings, || timed(first_answer))
    });
    field.contenders.push(spawn);
    with_node(field, "start", &[settings.pick(5, 3)], &START)
}

fn echo_trips(settings: &Settings) -> usize {
    settings.pick(10_000, 1_000)
}

fn floods(settings: &Settings) -> usize {
    settings.pick(10, 3)
}

fn arguments(settings: &Settings) -> usize {
    settings.pick(20, 3)
}

fn echo<C: Child>(settings: &Settings) -> Round {
    let mut child = C::start();
    let count = echo_trips(settings);
    let warm_up = count / 10;
    let mut trips = Vec::with_capacity(count);
    for n in 0..warm_up + count {
        let message = message(n);
        let begin = Instant::now();
        let answer = child.echo(message);
        let time = begin.elapsed();
        check(n, &answer);
        if n >= warm_up {
            trips.push(time);
        }
    }
    let (p50, p99) = p50_p99(&trips);
    Round::of([("process_echo_p50", p50), ("process_echo_p99", p99)])
}

fn flood<C: Child>(settings: &Settings) -> Round {
    let mut child = C::start();
    child.flood(FLOOD_JOBS);
    let times: Vec<_> = (0..floods(settings))
        .map(|_| {
            let begin = Instant::now();
            child.flood(FLOOD_JOBS);
            micros(begin.elapsed()) / FLOOD_JOBS as f64
        })
        .collect();
    Round::of([(FLOOD.name, median(&times))])
}

fn argument<C: Child>(settings: &Settings) -> Round {
    let mut child = C::start();
    let bytes = vec![7; LARGE];
    let warm_up = 2;
    let times: Vec<_> = (0..warm_up + arguments(settings))
        .map(|_| {
            let bytes = bytes.clone();
            let begin = Instant::now();
            let length = child.length(bytes);
            let time = begin.elapsed();
            assert_eq!(length, LARGE);
            millis(time)
        })
        .collect();
    Round::of([(ARGUMENT.name, median(&times[warm_up..]))])
}

fn start<C: Child>(settings: &Settings) -> Round {
    starts(settings, || {
        // It ends after the time was taken.
        let mut child = None;
        timed(|message| child.insert(C::start()).echo(message))
    })
}

fn starts(settings: &Settings, mut start: impl FnMut() -> Duration) -> Round {
    start();
    let times = (0..settings.pick(30, 10)).map(|_| millis(start()));
    Round::of([(START.name, median(&times.collect::<Vec<_>>()))])
}

fn timed(answer: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Duration {
    let message = message(41);
    let begin = Instant::now();
    let answer = answer(message);
    let time = begin.elapsed();
    check(41, &answer);
    time
}

fn check(n: usize, answer: &[u8]) {
    assert_eq!(answer, message(n));
}

fn millis(time: Duration) -> f64 {
    micros(time) / 1000.0
}
