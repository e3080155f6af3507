//! What does a job cost in memory?
//!
//! The growth of the heap (what the allocator takes, its own headers and rounding
//! included, where it tells) with 100,000 jobs of 16 bytes' captures queued behind
//! blocked threads, per job; and how many allocations one hand-over takes once
//! everything has been used before: `execute`, `spawn` with its result taken,
//! `post` to a worker. It matters to who lets work pile up, and to allocators
//! that are slow, or shared by threads that free what others took.
//!
//! One process for each library, whose allocator counts. No floor.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::counting::{self, heap};
use crate::libraries::{
    AffinityPool, AsyncExecutor, Blocking, Execute, Rayon, RustyPool, Spawn, ThreadPool,
    TokioBlocking, TokioSpawn, Windlass,
};
use crate::messengers::{
    CrossbeamThread, FlumeThread, KanalThread, Messenger, StdThread, Talk, TokioMpsc,
};
use crate::question::{
    Contender, Field, Figure, Processes, Question, Round, Rounds, Settings, field,
};
use crate::tally::{Flood, add, total};

pub const QUESTION: Question = Question {
    name: "memory",
    about: "bytes per queued job, allocations per hand-over in the steady state",
    figures: &[
        Figure::lower("memory_queued", "bytes per job"),
        Figure::lower("memory_allocs_execute", "allocations per 1000"),
        Figure::lower("memory_allocs_spawn", "allocations per 1000"),
        Figure::lower("memory_allocs_post", "allocations per 1000"),
    ],
    field,
    rounds: Rounds {
        full: 7,
        quick: 7,
        warm_up: false,
    },
    processes: Processes::PerLibrary,
};

const QUEUED: u64 = 100_000;
const OPERATIONS: u64 = 20_000;
/// Handed over together, and waited for.
const BATCH: u64 = 64;

fn field(_: &Settings) -> Field {
    let mut field = field!(jobs: Rayon, TokioBlocking, TokioSpawn, AffinityPool, Blocking,
        AsyncExecutor, ThreadPool, RustyPool);
    field.contenders.insert(
        0,
        Contender::new(crate::question::OURS, |settings| {
            let mut round = jobs::<Windlass>(settings);
            round.figures.extend(posts::<Windlass>(settings).figures);
            round
        }),
    );
    field
        .and(Contender::new(
            CrossbeamThread::NAME,
            posts::<CrossbeamThread>,
        ))
        .and(Contender::new(StdThread::NAME, posts::<StdThread>))
        .and(Contender::new(FlumeThread::NAME, posts::<FlumeThread>))
        .and(Contender::new(KanalThread::NAME, posts::<KanalThread>))
        .and(Contender::new(TokioMpsc::NAME, posts::<TokioMpsc>))
}

fn jobs<L: Execute + Spawn>(settings: &Settings) -> Round {
    counting::on();
    let library = L::start(settings.threads);
    Round::of([
        ("memory_queued", queued(&library, settings.threads)),
        ("memory_allocs_execute", steady(|| execute(&library))),
        ("memory_allocs_spawn", steady(|| spawn(&library))),
    ])
}

fn queued<L: Execute>(library: &L, threads: usize) -> f64 {
    let (started, end) = (
        Arc::new(Barrier::new(threads + 1)),
        Arc::new(Barrier::new(threads + 1)),
    );
    let blocked: Vec<_> = (0..threads)
        .map(|_| {
            let (started, end) = (Arc::clone(&started), Arc::clone(&end));
            library.execute(move || {
                started.wait();
                end.wait();
            })
        })
        .collect();
    started.wait();
    let flood = Flood::new(QUEUED);
    // The program's own list of what must be kept counts too: it is what the
    // library asks of it. Its spare room does not.
    let mut kept = Vec::with_capacity(QUEUED as usize);
    let per_entry = size_of_val(kept.as_slice()) as f64;
    let before = heap();
    for n in 0..QUEUED {
        kept.push(library.execute(move || flood.job(n)));
    }
    let growth = heap().growth - before.growth;
    end.wait();
    flood.wait();
    let kept_bytes = size_of_val(kept.as_slice()) as f64 + per_entry;
    drop(blocked);
    (growth as f64 + kept_bytes) / QUEUED as f64
}

/// Allocations per 1000 operations in the second of two equal runs.
fn steady(mut run: impl FnMut()) -> f64 {
    run();
    let before = heap().allocations;
    run();
    (heap().allocations - before) as f64 * 1000.0 / OPERATIONS as f64
}

fn execute<L: Execute>(library: &L) {
    let mut kept = Vec::with_capacity(BATCH as usize);
    let mut left = OPERATIONS;
    while left > 0 {
        let batch = left.min(BATCH);
        let before = total().jobs;
        for n in 0..batch {
            let capture = [n, n];
            kept.push(library.execute(move || add(black_box(capture)[0])));
        }
        while total().jobs - before < batch {
            thread::yield_now();
        }
        kept.clear();
        left -= batch;
    }
}

fn spawn<L: Spawn>(library: &L) {
    library.block_on(async {
        let mut handles = Vec::with_capacity(BATCH as usize);
        let mut left = OPERATIONS;
        while left > 0 {
            let batch = left.min(BATCH);
            for n in 0..batch {
                handles.push(library.spawn(move || black_box(n)));
            }
            let mut sum = 0;
            for handle in handles.drain(..) {
                sum += handle.await;
            }
            assert_eq!(sum, batch * (batch - 1) / 2);
            left -= batch;
        }
    });
}

fn posts<M: Messenger>(settings: &Settings) -> Round {
    counting::on();
    let home = M::home(settings.threads);
    // Each batch's last message is answered, with the batch's size.
    let mut count = 0;
    let mut messenger = M::start(&home, move |n| {
        count += 1;
        (n + 1 == BATCH).then(|| std::mem::take(&mut count))
    });
    let mut run = || {
        M::block_on(&home, async {
            for _ in 0..OPERATIONS / BATCH {
                for n in 0..BATCH {
                    messenger.post(n);
                }
                assert_eq!(messenger.recv().await, BATCH);
            }
        });
    };
    Round::of([("memory_allocs_post", steady(&mut run))])
}
