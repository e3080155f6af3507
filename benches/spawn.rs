//! What does it cost to hand over many small jobs?
//!
//! `execute` fire and forget, `spawn` with a handle that is joined: a flood of
//! jobs that do next to nothing, from one thread outside the pool, timed until
//! the last of them is done. Reported per job.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use windlass::Pool;

const JOBS: usize = 10_000;

/// Counts jobs down and wakes the thread that waits for the last.
struct Countdown {
    left: AtomicUsize,
    waiter: Thread,
}

impl Countdown {
    fn new(jobs: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(jobs),
            waiter: thread::current(),
        })
    }

    fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waiter.unpark();
        }
    }

    fn wait(&self) {
        while self.left.load(Ordering::Acquire) != 0 {
            thread::park();
        }
    }
}

fn pool(threads: usize) -> Pool {
    Pool::builder().num_threads(threads).build().unwrap()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("spawn");
    group
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements(JOBS as u64));
    for threads in [1, 2] {
        let pool = pool(threads);
        group.bench_function(BenchmarkId::new("execute_flood", threads), |bencher| {
            bencher.iter(|| {
                let countdown = Countdown::new(JOBS);
                let sum = Arc::new(AtomicUsize::new(0));
                for n in 0..JOBS {
                    let (countdown, sum) = (Arc::clone(&countdown), Arc::clone(&sum));
                    pool.execute(move || {
                        sum.fetch_add(n, Ordering::Relaxed);
                        countdown.done();
                    });
                }
                countdown.wait();
                assert_eq!(sum.load(Ordering::Relaxed), JOBS * (JOBS - 1) / 2);
            });
        });
        group.bench_function(BenchmarkId::new("spawn_join", threads), |bencher| {
            bencher.iter(|| {
                let handles: Vec<_> = (0..JOBS)
                    .map(|n| pool.spawn(move || black_box(n)))
                    .collect();
                let sum: usize = handles
                    .into_iter()
                    .map(|handle| handle.join().unwrap())
                    .sum();
                assert_eq!(sum, JOBS * (JOBS - 1) / 2);
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
