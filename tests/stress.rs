//! Promise: no wake-up is lost. Checklist 58.
//!
//! One job after the other is handed to a pool that is about to fall asleep,
//! falling asleep, or asleep: each follows the end of the one before it after a
//! random gap of 0 to 100 us. One job at a time, as the next one would wake
//! the pool for the one before it and hide the loss.
//!
//! `WINDLASS_STRESS_JOBS` says how many jobs in all; the default is 10^5.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use windlass::Pool;

/// A job that takes longer than this is late: counted and printed, as a shared
/// machine may be the reason.
const LATE: Duration = Duration::from_millis(100);

/// A job that takes longer than this is lost.
const LOST: Duration = Duration::from_secs(60);

/// A cheap sequence that looks random.
struct XorShift(u64);

impl XorShift {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Lets up to 100 us pass, spinning half the time and sleeping the other half.
fn gap(random: &mut XorShift) {
    let length = Duration::from_nanos(random.below(100_000));
    if random.below(2) == 0 {
        let begin = Instant::now();
        while begin.elapsed() < length {
            std::hint::spin_loop();
        }
    } else {
        // Longer than asked for, which is as good.
        thread::sleep(length);
    }
}

/// Counts one job's time; says whether it was late.
fn judge(begin: Instant, job: usize, worst: &mut Duration, late: &mut usize) {
    let took = begin.elapsed();
    *worst = took.max(*worst);
    if took > LATE {
        *late += 1;
        println!("job {job} took {took:?}");
    }
}

/// Hands one job over in one of four ways, and waits for its end.
fn one_job(pool: &Pool, way: u64, done: &Arc<AtomicUsize>) {
    let before = done.load(Ordering::Acquire);
    let count = Arc::clone(done);
    let body = move || {
        count.fetch_add(1, Ordering::Release);
    };
    match way {
        0 => pool.execute(body),
        1 => {
            let joined = pool.spawn(body).join_timeout(LOST);
            assert!(matches!(joined, Ok(Ok(()))), "lost: {joined:?}");
        }
        // Two at once, of which the second is the job's own.
        2 => pool.execute(move || {
            windlass::Spawner::current().unwrap().execute(body);
        }),
        _ => {
            let nested = pool.spawn(move || windlass::Spawner::current().unwrap().spawn(body));
            let joined = nested
                .join_timeout(LOST)
                .map(|nested| nested.unwrap().join_timeout(LOST));
            assert!(matches!(joined, Ok(Ok(Ok(())))), "lost: {joined:?}");
        }
    }
    let begin = Instant::now();
    while done.load(Ordering::Acquire) == before {
        assert!(begin.elapsed() < LOST, "a job was lost (way {way})");
        thread::yield_now();
    }
}

/// Checklist 58.
#[test]
fn no_job_is_left_lying_after_a_random_gap() {
    let total = match std::env::var("WINDLASS_STRESS_JOBS") {
        Ok(text) => text.parse().expect("WINDLASS_STRESS_JOBS is a number"),
        Err(_) => 100_000_usize,
    };
    let cores = thread::available_parallelism().unwrap().get();
    for (round, threads) in [cores, 2 * cores, 4 * cores].into_iter().enumerate() {
        let pool = common::pool(threads);
        let done = Arc::new(AtomicUsize::new(0));
        let mut random = XorShift(0x9E37_79B9_7F4A_7C15 + round as u64);
        let (mut worst, mut late) = (Duration::ZERO, 0);
        let jobs = total / 3;
        for job in 0..jobs {
            gap(&mut random);
            let begin = Instant::now();
            one_job(&pool, random.below(4), &done);
            judge(begin, job, &mut worst, &mut late);
        }
        println!("{threads} threads: {jobs} jobs, {late} over {LATE:?}, the worst {worst:?}");
        assert_eq!(done.load(Ordering::Relaxed), jobs);
        drop(pool);
    }
}

/// Checklist 58: two jobs that wait for each other, so that two threads have to
/// come although one may have been awake already when the second job came in.
#[test]
fn two_jobs_that_need_each_other_both_start() {
    common::watched(|| {
        for threads in [2, 3, 8] {
            let pool = common::pool(threads);
            let mut random = XorShift(0x2545_F491_4F6C_DD1D + threads as u64);
            for _ in 0..3000 {
                let (to_second, from_first) = std::sync::mpsc::channel();
                let (to_first, from_second) = std::sync::mpsc::channel();
                let first = pool.spawn(move || {
                    to_second.send(1).unwrap();
                    from_second.recv_timeout(LOST)
                });
                // Anywhere between the first one's wake-up and its start.
                for _ in 0..random.below(600) {
                    std::hint::spin_loop();
                }
                let second = pool.spawn(move || {
                    to_first.send(2).unwrap();
                    from_first.recv_timeout(LOST)
                });
                assert_eq!(first.join().unwrap(), Ok(2), "the second one never started");
                assert_eq!(second.join().unwrap(), Ok(1), "the first one never started");
                gap(&mut random);
            }
        }
    });
}

/// A call for each thread beside jobs that any of them may take: none sleeps on
/// its own call. (When it could, one of some thousand turns was stuck.)
#[test]
fn every_thread_hears_its_call_beside_other_jobs() {
    common::watched(|| {
        for threads in [3, 8] {
            let pool = Pool::builder().num_threads(threads).build().unwrap();
            for turn in 0..8_000 {
                (0..turn % 7).for_each(|_| pool.execute(|| ()));
                let calls = pool.on_each_thread(|index| index).into_iter();
                assert!(calls.map(|call| call.join().unwrap()).eq(0..threads));
            }
        }
    });
}
