//! What do workers, messages and shared buffers cost?
//!
//! The pool has two threads throughout. One line before the first group says
//! what memory a worker takes.

#[path = "messages/large.rs"]
mod large;
#[path = "messages/memory.rs"]
mod memory;
#[path = "messages/round_trip.rs"]
mod round_trip;
#[path = "messages/start.rs"]
mod start;
#[path = "messages/throughput.rs"]
mod throughput;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use windlass::{Parent, Pool, Worker};

const THREADS: usize = 2;

fn pool() -> Pool {
    Pool::builder().num_threads(THREADS).build().unwrap()
}

/// A worker that posts back what it gets.
fn echo<T: Send + 'static>(pool: &Pool) -> Worker<T, T> {
    pool.worker(|message: T, parent: &Parent<T>| {
        // Refused once the owner is gone, and then nobody misses it.
        let _ = parent.post(message);
    })
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    group
}

fn main() {
    // `cargo bench` says so; a test run or a list of benches wants no figures.
    if std::env::args().any(|argument| argument == "--bench") {
        memory::report();
    }
    let mut criterion = Criterion::default().configure_from_args();
    round_trip::message_round_trip(&mut criterion);
    throughput::post(&mut criterion);
    throughput::flood(&mut criterion);
    throughput::fan_out(&mut criterion);
    start::start(&mut criterion);
    large::hand_over(&mut criterion);
    large::split(&mut criterion);
    criterion.final_summary();
}
