//! What do jobs cost that jobs spawn?
//!
//! One job that spawns many and joins them in the order of their spawning, and
//! a binary tree in which every job but the leaves spawns one half and walks
//! the other. Reported per spawned job; the work in each is next to nothing.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use windlass::{Pool, Spawner};

const MANY: u64 = 10_000;

/// The tree has `2^DEPTH` leaves, and spawns one job for each but the last.
const DEPTH: u32 = 12;

fn fan_out(jobs: u64) -> u64 {
    let spawner = Spawner::current().expect("runs on a pool thread");
    let handles: Vec<_> = (0..jobs).map(|n| spawner.spawn(move || n)).collect();
    handles
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .sum()
}

/// How many leaves there are below.
fn leaves(spawner: &Spawner, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let below = spawner.clone();
    let left = spawner.spawn(move || leaves(&below, depth - 1));
    let right = leaves(spawner, depth - 1);
    left.join().unwrap() + right
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nested");
    group
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    for threads in [1, 2] {
        let pool = Pool::builder().num_threads(threads).build().unwrap();
        group.throughput(Throughput::Elements(MANY));
        group.bench_function(BenchmarkId::new("fan_out", threads), |bencher| {
            bencher.iter(|| {
                let sum = pool.spawn(|| fan_out(MANY)).join().unwrap();
                assert_eq!(sum, MANY * (MANY - 1) / 2);
            });
        });
        group.throughput(Throughput::Elements((1 << DEPTH) - 1));
        group.bench_function(BenchmarkId::new("binary_tree", threads), |bencher| {
            bencher.iter(|| {
                let spawner = pool.spawner();
                let count = pool.spawn(move || leaves(&spawner, DEPTH)).join().unwrap();
                assert_eq!(count, 1 << DEPTH);
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
