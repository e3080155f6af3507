//! What does it cost to bring results back to the main loop?
//!
//! 100,000 small jobs, each result to a callback of its own on the one thread
//! that may touch the program's state (an `Rc`); timed until all were called. It
//! matters to an interface or a game that is told of each finished piece.
//!
//! windlass: `main.on_complete(pool.spawn(..), callback)`. tokio: `spawn_local`
//! on a `LocalSet`, awaiting `spawn_blocking`, `spawn` or rayon.
//!
//! No floor.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_blocking, spawn_local};
use windlass::MainLoop;

use crate::libraries::{Library, Rayon, Windlass};
use crate::question::{
    Contender, Field, Figure, OURS, Processes, Question, Round, Rounds, Settings,
};
use crate::stats::nanos_per;

pub const QUESTION: Question = Question {
    name: "loop_callbacks",
    about: "100,000 results (quick: 20,000) delivered to callbacks on the main loop's thread",
    figures: &[Figure::lower("loop_callbacks", "ns per result")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    let contender = |name, run: fn(usize, u64) -> Duration| {
        Contender::new(name, move |settings: &Settings| {
            let results = settings.pick(100_000, 20_000);
            let time = run(settings.threads, results);
            Round::of([("loop_callbacks", nanos_per(time, results))])
        })
    };
    Field::of(vec![
        contender(OURS, ours),
        contender("tokio LocalSet + spawn_blocking", tokio_blocking),
        contender("tokio LocalSet + tokio spawn", tokio_spawn),
        contender("tokio LocalSet + rayon", tokio_rayon),
    ])
}

/// What the callbacks write to: state that must not leave the thread.
#[derive(Clone, Default)]
struct Ledger(Rc<Cell<(u64, u64)>>);

impl Ledger {
    fn note(&self, n: u64) {
        let (count, sum) = self.0.get();
        self.0.set((count + 1, sum + n));
    }

    fn check(&self, results: u64) {
        assert_eq!(self.0.get(), (results, results * (results - 1) / 2));
    }
}

fn ours(threads: usize, results: u64) -> Duration {
    let pool = Windlass::start(threads).pool;
    let main = MainLoop::new();
    let run = |results| {
        let ledger = Ledger::default();
        let begin = Instant::now();
        for n in 0..results {
            let ledger = ledger.clone();
            main.on_complete(pool.spawn(move || black_box(n)), move |_, n| {
                ledger.note(n.unwrap());
            });
        }
        main.run();
        let time = begin.elapsed();
        ledger.check(results);
        time
    };
    run(results / 10);
    run(results)
}

/// Delivers by `LocalSet` what `start` hands over for a number.
fn by_local_set<F>(
    set: &LocalSet,
    results: u64,
    mut start: impl FnMut(u64) -> F,
) -> impl Future<Output = Duration>
where
    F: Future<Output = u64> + 'static,
{
    set.run_until(async move {
        let ledger = Ledger::default();
        let begin = Instant::now();
        let mut callbacks: Vec<JoinHandle<()>> = Vec::new();
        for n in 0..results {
            let (ledger, result) = (ledger.clone(), start(n));
            callbacks.push(spawn_local(async move { ledger.note(result.await) }));
        }
        for callback in callbacks {
            callback.await.unwrap();
        }
        let time = begin.elapsed();
        ledger.check(results);
        time
    })
}

fn tokio_blocking(threads: usize, results: u64) -> Duration {
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(threads)
        .build()
        .unwrap();
    let set = LocalSet::new();
    let start = |n| {
        let handle = spawn_blocking(move || black_box(n));
        async { handle.await.unwrap() }
    };
    runtime.block_on(by_local_set(&set, results / 10, start));
    runtime.block_on(by_local_set(&set, results, start))
}

fn tokio_spawn(threads: usize, results: u64) -> Duration {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .build()
        .unwrap();
    let set = LocalSet::new();
    let start = |n| {
        let handle = tokio::spawn(async move { black_box(n) });
        async { handle.await.unwrap() }
    };
    runtime.block_on(by_local_set(&set, results / 10, start));
    runtime.block_on(by_local_set(&set, results, start))
}

fn tokio_rayon(threads: usize, results: u64) -> Duration {
    let pool = Rayon::start(threads).pool;
    let runtime = Builder::new_current_thread().build().unwrap();
    let set = LocalSet::new();
    let start = |n| {
        let (sender, receiver) = oneshot::channel();
        pool.spawn(move || {
            let _ = sender.send(black_box(n));
        });
        async { receiver.await.unwrap() }
    };
    runtime.block_on(by_local_set(&set, results / 10, start));
    runtime.block_on(by_local_set(&set, results, start))
}
