//! What does a worker cost, to have it and to keep it?
//!
//! *Start*: from the wish for a worker to its first answer, the pool or runtime
//! being there. *Memory*: resident memory per worker, for many that have answered
//! once and now wait. It matters to a program that would like one for each
//! connection, document or entity, rather than a few for all.
//!
//! windlass: `pool.worker`. The others: a thread or a task with its channels.
//! Node: `new Worker`.
//!
//! No floor.

use std::time::{Duration, Instant};

use crate::messengers::{Messenger, StdThread, Talk, TokioMpsc, Windlass};
use crate::node;
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::{median, micros};
use crate::system::resident;

pub const START: Question = Question {
    name: "worker_start",
    about: "from the wish for a worker to its first answer",
    figures: &[Figure::lower("worker_start", "us")],
    field: start_field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const MEMORY: Question = Question {
    name: "worker_memory",
    about: "resident memory of a worker that waits",
    figures: &[Figure::lower("worker_memory", "bytes per worker")],
    field: memory_field,
    rounds: Rounds {
        full: 7,
        quick: 7,
        warm_up: false,
    },
    processes: Processes::PerLibrary,
};

fn start_field(settings: &Settings) -> Field {
    let node = node::contender(
        &node::WORKER_THREADS,
        "start",
        &[settings.pick(10, 3)],
        &START,
    );
    Field::of(vec![
        Contender::new(Windlass::NAME, start::<Windlass>),
        Contender::new(StdThread::NAME, start::<StdThread>),
        Contender::new(TokioMpsc::NAME, start::<TokioMpsc>),
    ])
    .and_maybe(node::WORKER_THREADS.library, node)
}

fn memory_field(_: &Settings) -> Field {
    let node = node::contender(&node::WORKER_THREADS, "memory", &[8], &MEMORY);
    if resident().is_none() {
        let why = "this system does not tell a process's memory".to_owned();
        return Field {
            contenders: Vec::new(),
            skipped: vec![("all", why)],
        };
    }
    Field::of(vec![
        Contender::new(Windlass::NAME, |settings| {
            memory::<Windlass>(settings, 20_000)
        }),
        Contender::new(StdThread::NAME, |settings| {
            memory::<StdThread>(settings, 200)
        }),
        Contender::new(TokioMpsc::NAME, |settings| {
            memory::<TokioMpsc>(settings, 20_000)
        }),
    ])
    .and_maybe(node::WORKER_THREADS.library, node)
}

fn start<M: Messenger>(settings: &Settings) -> Round {
    let home = M::home(settings.threads);
    let count = settings.pick(200, 50);
    let times: Vec<_> = (0..count + 10)
        .map(|_| micros(M::block_on(&home, start_one::<M>(&home))))
        .collect();
    Round::of([(START.name, median(&times[10..]))])
}

async fn start_one<M: Messenger>(home: &M::Home) -> Duration {
    let begin = Instant::now();
    let mut worker = M::start(home, |n| Some(n + 1));
    worker.post(41);
    let answer = worker.recv().await;
    let time = begin.elapsed();
    assert_eq!(answer, 42);
    time
}

/// Memory that was given back is used again without growth: so the first round
/// counts, and each keeps its workers.
fn memory<M: Messenger>(settings: &Settings, count: usize) -> Round {
    let home: &'static M::Home = Box::leak(Box::new(M::home(settings.threads)));
    let mut workers = Vec::with_capacity(count);
    let mut more = |count: usize| {
        for _ in 0..count {
            let mut worker = M::start(home, |n| Some(n + 1));
            worker.post(41);
            assert_eq!(M::block_on(home, worker.recv()), 42);
            workers.push(worker);
        }
    };
    more(count / 10);
    let before = resident().expect("the field was not empty");
    more(count - count / 10);
    let growth = resident().expect("as before").saturating_sub(before);
    std::mem::forget(workers);
    Round::of([(MEMORY.name, growth as f64 / (count - count / 10) as f64)])
}
