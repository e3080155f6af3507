//! A question and its answer.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};

/// How long nothing happens before a round trip that finds everybody asleep.
const SILENCE: Duration = Duration::from_millis(1);

/// How long does a thread that asks a worker wait for the answer, and is a
/// worker slower to ask than a job?
///
/// `hot`: one question after the other, so that the pool and the asking thread
/// are still looking for work when it comes. `after_1_ms`: the asking thread has
/// slept and the pool has gone to sleep meanwhile, as in a program with little
/// to do; that is mostly the machine's time to wake a thread.
pub(crate) fn message_round_trip(criterion: &mut Criterion) {
    let pool = crate::pool();
    let worker = crate::echo(&pool);
    let by_worker = |n: u64| {
        worker.post(n).unwrap();
        worker.recv().unwrap()
    };
    let by_job = |n: u64| pool.spawn(move || n).join().unwrap();

    let mut group = crate::group(criterion, "message_round_trip");
    group.bench_function(BenchmarkId::new("worker", "hot"), |bencher| {
        bencher.iter(|| assert_eq!(by_worker(black_box(42)), 42));
    });
    group.bench_function(BenchmarkId::new("spawn_join", "hot"), |bencher| {
        bencher.iter(|| assert_eq!(by_job(black_box(42)), 42));
    });
    group.bench_function(BenchmarkId::new("worker", "after_1_ms"), |bencher| {
        bencher.iter_custom(|iterations| after_silences(iterations, by_worker));
    });
    group.bench_function(BenchmarkId::new("spawn_join", "after_1_ms"), |bencher| {
        bencher.iter_custom(|iterations| after_silences(iterations, by_job));
    });
    group.finish();
}

/// The time of that many round trips, without the silence before each.
fn after_silences(iterations: u64, round_trip: impl Fn(u64) -> u64) -> Duration {
    (0..iterations)
        .map(|n| {
            thread::sleep(SILENCE);
            let start = Instant::now();
            assert_eq!(round_trip(black_box(n)), n);
            start.elapsed()
        })
        .sum()
}
