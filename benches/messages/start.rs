//! A worker's birth and end, beside a thread's.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use windlass::{Pool, Worker};

/// Workers that are started before the pool is given time to end them.
const BATCH: u64 = 1000;

/// Is a worker cheap enough to start one per request?
///
/// `close_and_drop` is what a worker takes from the thread that starts it: it
/// ends on the pool, later. `until_exit` waits for that end, and is what compares
/// with `thread/until_exit`, a thread that is spawned and joined; who waits for
/// an end sleeps at once, so that most of it is the time to wake up again.
/// `first_message` is from before the start until the answer to one message is
/// here; the end of both is off the clock. The pool has just been busy.
///
/// For scale: a `Worker` of Node's answers its first message after 25 ms and
/// takes 7.5 MB of resident memory (node 20.20.2, 2 virtual CPUs; measured apart
/// from this bench, and not run by it).
pub(crate) fn start(criterion: &mut Criterion) {
    let pool = crate::pool();
    let mut group = crate::group(criterion, "start");
    group.bench_function(BenchmarkId::new("worker", "close_and_drop"), |bencher| {
        bencher.iter_custom(|iterations| close_and_drop(&pool, iterations));
    });
    group.bench_function(BenchmarkId::new("worker", "until_exit"), |bencher| {
        bencher.iter(|| until_exit(&pool));
    });
    group.bench_function(BenchmarkId::new("thread", "until_exit"), |bencher| {
        bencher.iter(|| thread::spawn(|| ()).join().unwrap());
    });
    group.bench_function(BenchmarkId::new("worker", "first_message"), |bencher| {
        bencher.iter_custom(|n| (0..n).map(|_| worker_answers(&pool)).sum());
    });
    group.bench_function(BenchmarkId::new("thread", "first_message"), |bencher| {
        bencher.iter_custom(|n| (0..n).map(|_| thread_answers()).sum());
    });
    group.finish();
}

/// Starts, closes and drops workers; the time of that alone.
fn close_and_drop(pool: &Pool, iterations: u64) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = iterations;
    while left != 0 {
        let batch = left.min(BATCH);
        let start = Instant::now();
        for _ in 0..batch {
            let worker: Worker<u64, u64> = crate::echo(pool);
            worker.close();
            drop(worker);
        }
        spent += start.elapsed();
        // Turns are given in order, more or less: once this one has ended, the
        // others have, and the backlog is no longer than a batch.
        until_exit(pool);
        left -= batch;
    }
    spent
}

fn until_exit(pool: &Pool) {
    let worker: Worker<u64, u64> = crate::echo(pool);
    let exited = worker.exited();
    worker.close();
    drop(worker);
    assert!(exited.wait().is_success());
}

/// The time from before a worker's start until its first answer.
fn worker_answers(pool: &Pool) -> Duration {
    let start = Instant::now();
    let worker = crate::echo(pool);
    worker.post(black_box(42)).unwrap();
    assert_eq!(worker.recv().unwrap(), 42);
    start.elapsed()
}

/// The same for a thread with two channels.
fn thread_answers() -> Duration {
    let start = Instant::now();
    let (mail, inbox) = crossbeam_channel::unbounded();
    let (answer, answers) = crossbeam_channel::unbounded();
    let thread = thread::spawn(move || {
        for n in inbox {
            answer.send(n).unwrap();
        }
    });
    mail.send(black_box(42)).unwrap();
    assert_eq!(answers.recv().unwrap(), 42);
    let spent = start.elapsed();
    drop(mail);
    thread.join().unwrap();
    spent
}
