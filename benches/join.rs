//! What dividing a job costs: a tree of joins, and a map over a slice.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use windlass::{Pool, join};

fn fib(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = join(|| fib(n - 1), || fib(n - 2));
    a + b
}

fn joins(criterion: &mut Criterion) {
    let pool = Pool::new().unwrap();
    // 28,656 of them.
    criterion.bench_function("join/fib_22", |bencher| {
        bencher.iter(|| pool.join(|| fib(black_box(21)), || fib(black_box(20))));
    });
    let items: Vec<u64> = (0..100_000).collect();
    criterion.bench_function("join/par_map_100000", |bencher| {
        bencher.iter(|| pool.par_map(&items, |n| n.wrapping_mul(*n)));
    });
    criterion.bench_function("join/scope_100", |bencher| {
        bencher.iter(|| {
            pool.scope(|s| {
                for chunk in items.chunks(1000) {
                    s.spawn(|| black_box(chunk.iter().sum::<u64>()));
                }
            });
        });
    });
}

criterion_group!(benches, joins);
criterion_main!(benches);
