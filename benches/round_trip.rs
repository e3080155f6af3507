//! How long from handing over one job to having its result?
//!
//! One job at a time, which does next to nothing: joined by a thread, awaited
//! by a small executor, and brought back by a main loop. The pool has just been
//! busy, so this is the hot case; a cold one is the machine's wake-up time.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use criterion::Criterion;
use windlass::{MainLoop, Pool};

fn bench(criterion: &mut Criterion) {
    let pool = Pool::builder().num_threads(1).build().unwrap();
    let mut group = criterion.benchmark_group("round_trip");
    group
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    group.bench_function("join", |bencher| {
        bencher.iter(|| {
            let n = pool.spawn(|| black_box(6) * 7).join().unwrap();
            assert_eq!(n, 42);
        });
    });
    group.bench_function("block_on", |bencher| {
        bencher.iter(|| {
            let n = pollster::block_on(pool.spawn(|| black_box(6) * 7)).unwrap();
            assert_eq!(n, 42);
        });
    });
    group.bench_function("main_loop", |bencher| {
        let main = MainLoop::new();
        let answer = Rc::new(Cell::new(0));
        bencher.iter(|| {
            answer.set(0);
            let slot = Rc::clone(&answer);
            main.on_complete(pool.spawn(|| black_box(6) * 7), move |_main, n| {
                slot.set(n.unwrap());
            });
            main.run();
            assert_eq!(answer.get(), 42);
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
