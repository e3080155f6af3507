//! Many messages: what one costs its poster, and until it is handled.

use std::hint::black_box;
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use windlass::{Parent, channel};

/// Posts between two looks at the clock, and so the most that are queued.
const BATCH: u64 = 1000;

/// The message that keeps its worker busy.
const HOLD: u64 = u64::MAX;

/// What does a post take from the thread that must stay free?
///
/// Nobody receives while the clock runs, and nobody has to be woken: the worker
/// is busy, the port's other end does not look. So this is the queue and the
/// memory of a message, without contention. What was posted is received between
/// two batches: from the port on this thread, whose memory is at hand again for
/// the next one; by the worker on a pool thread, from where the memory has to
/// come back. A program is more like the latter.
pub(crate) fn post(criterion: &mut Criterion) {
    let mut group = crate::group(criterion, "post");

    let pool = crate::pool();
    // Dropped before the pool, which else would wait for a worker held for ever.
    let (release, held) = crossbeam_channel::unbounded::<()>();
    let mut handled = 0_u64;
    let worker = pool.worker(move |n: u64, parent: &Parent<u64>| {
        if n == HOLD {
            let _ = parent.post(handled);
            let _ = held.recv();
        } else {
            handled += 1;
        }
    });
    let mut posted = 0;
    group.bench_function("worker", |bencher| {
        bencher.iter_custom(|iterations| {
            in_batches(iterations, |batch| {
                worker.post(HOLD).unwrap();
                // It is busy now, and has handled all that came before.
                assert_eq!(worker.recv().unwrap(), posted);
                let start = Instant::now();
                for n in 0..batch {
                    worker.post(black_box(n)).unwrap();
                }
                let spent = start.elapsed();
                release.send(()).unwrap();
                posted += batch;
                spent
            })
        });
    });

    let (port, other) = channel::<u64, ()>();
    group.bench_function("port", |bencher| {
        bencher.iter_custom(|iterations| {
            in_batches(iterations, |batch| {
                let start = Instant::now();
                for n in 0..batch {
                    port.post(black_box(n)).unwrap();
                }
                let spent = start.elapsed();
                for n in 0..batch {
                    assert_eq!(other.try_recv().unwrap(), n);
                }
                spent
            })
        });
    });
    group.finish();
}

/// Splits `iterations` into batches of [`BATCH`] at most, and sums their times.
fn in_batches(iterations: u64, mut run: impl FnMut(u64) -> Duration) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = iterations;
    while left != 0 {
        let batch = left.min(BATCH);
        spent += run(batch);
        left -= batch;
    }
    spent
}

const FLOOD: u64 = 100_000;

/// Adds up one flood's numbers.
#[derive(Default)]
struct Sum(u64);

impl Sum {
    /// The sum, when `n` is the flood's last number.
    fn add(&mut self, n: u64) -> Option<u64> {
        self.0 += n;
        (n == FLOOD - 1).then(|| mem::take(&mut self.0))
    }
}

/// How many messages per second does a worker take from one poster, and is that
/// more or less than a thread with a channel?
///
/// One way, from one thread to one worker, until the last is handled; the same
/// into an unbounded crossbeam channel that a thread of its own empties.
pub(crate) fn flood(criterion: &mut Criterion) {
    const EXPECTED: u64 = FLOOD * (FLOOD - 1) / 2;

    let mut group = crate::group(criterion, "flood");
    group.throughput(Throughput::Elements(FLOOD));

    let pool = crate::pool();
    let mut sum = Sum::default();
    let worker = pool.worker(move |n: u64, parent: &Parent<u64>| {
        if let Some(sum) = sum.add(n) {
            let _ = parent.post(sum);
        }
    });
    group.bench_function("worker", |bencher| {
        bencher.iter(|| {
            for n in 0..FLOOD {
                worker.post(n).unwrap();
            }
            assert_eq!(worker.recv().unwrap(), EXPECTED);
        });
    });

    let (mail, inbox) = crossbeam_channel::unbounded::<u64>();
    let (answer, answers) = crossbeam_channel::unbounded::<u64>();
    let thread = thread::spawn(move || {
        let mut sum = Sum::default();
        for n in inbox {
            if let Some(sum) = sum.add(n) {
                answer.send(sum).unwrap();
            }
        }
    });
    group.bench_function("crossbeam_thread", |bencher| {
        bencher.iter(|| {
            for n in 0..FLOOD {
                mail.send(n).unwrap();
            }
            assert_eq!(answers.recv().unwrap(), EXPECTED);
        });
    });
    drop(mail);
    thread.join().unwrap();
    group.finish();
}

const WORKERS: u64 = 1000;

/// What does it cost to have many workers instead of one?
///
/// One message to each of a thousand workers that sleep, until all of them have
/// answered; per worker. Each one is given a turn of its own for its message, as
/// a worker per client, game object or document would be.
pub(crate) fn fan_out(criterion: &mut Criterion) {
    let pool = crate::pool();
    let workers: Vec<_> = (0..WORKERS).map(|_| crate::echo(&pool)).collect();
    let mut group = crate::group(criterion, "fan_out");
    group.throughput(Throughput::Elements(WORKERS));
    group.bench_function("worker", |bencher| {
        bencher.iter(|| {
            for (n, worker) in (0..).zip(&workers) {
                worker.post(n).unwrap();
            }
            for (n, worker) in (0_u64..).zip(&workers) {
                assert_eq!(worker.recv().unwrap(), n);
            }
        });
    });
    group.finish();
}
