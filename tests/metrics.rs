//! Promise: a pool says what it has done, and the numbers are right once it is idle.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{Occupied, for_each_size, hush, on_each_size, pool, until, watched};
use windlass::{JobTimes, Metrics, Pool, Spawner, blocking};

/// The metrics once nobody is in a job, and so many are over: one that has just been taken
/// may be in none of the numbers.
fn at_rest(pool: &Pool, finished: usize) -> Metrics {
    until(|| {
        let metrics = pool.metrics();
        let over = metrics.finished >= finished as u64;
        over && metrics.queued == 0 && metrics.running == 0
    });
    pool.metrics()
}

#[test]
fn a_new_pool_has_done_nothing() {
    on_each_size(|pool| {
        let metrics = at_rest(&pool, 0);
        assert_eq!(metrics.finished, 0);
        assert_eq!(metrics.threads.len(), pool.num_threads());
        assert_eq!(metrics.run_time.count(), 0);
        assert_eq!(metrics.rejected + metrics.cancelled + metrics.panicked, 0);
    });
}

/// Found by tests/fuzz.rs: one that left after its job was in it for ever.
#[test]
fn a_thread_that_left_is_in_no_job() {
    on_each_size(|pool| {
        let (busy, jobs) = (Occupied::all(&pool), pool.num_threads());
        pool.set_num_threads(1).unwrap();
        busy.release();
        until(|| pool.threads_aboard() == 1);
        assert_eq!(at_rest(&pool, jobs).running, 0);
        // Its time is over too, and that of one that was woken for nothing soon.
        let busy_for = |at: Metrics| {
            at.threads
                .iter()
                .map(|thread| thread.busy)
                .sum::<Duration>()
        };
        until(|| {
            let before = busy_for(pool.metrics());
            thread::sleep(Duration::from_millis(2));
            busy_for(pool.metrics()) == before
        });
    });
}

#[test]
fn every_job_is_counted_by_what_became_of_it() {
    on_each_size(|pool| {
        hush();
        let busy = Occupied::all(&pool);
        let threads = pool.num_threads();
        assert_eq!(pool.metrics().running, threads);
        for _ in 0..10 {
            pool.execute(|| ());
            drop(pool.spawn(|| ()));
            drop(pool.spawn(|| panic!("expected")));
            assert!(pool.spawn(|| ()).cancel());
        }
        let metrics = pool.metrics();
        assert_eq!(metrics.queued, 40);
        assert_eq!(metrics.finished, 0);
        let late = pool.job().deadline(Duration::from_millis(1)).spawn(|| ());
        assert!(late.join().unwrap_err().is_expired());
        let never = pool.job().deadline(Duration::ZERO).spawn(|| ());
        assert!(never.join().unwrap_err().is_expired());
        busy.release();
        let (go, wait) = mpsc::channel::<()>();
        let slow = pool
            .job()
            .timeout(Duration::from_millis(1))
            .spawn(move || wait.recv().is_err());
        assert!(slow.join().unwrap_err().is_timed_out());
        drop(go);
        let metrics = at_rest(&pool, threads + 30 + 1);
        assert_eq!(metrics.panicked, 10);
        assert_eq!(metrics.cancelled, 10);
        assert_eq!(metrics.expired, 2);
        assert_eq!(metrics.timed_out, 1);
        assert_eq!(metrics.rejected, 0);
        // Those that held the threads, those that ran, and the slow one.
        assert_eq!(metrics.finished as usize, threads + 30 + 1);
        let by_thread: u64 = metrics.threads.iter().map(|thread| thread.finished).sum();
        assert_eq!(by_thread, metrics.finished);
    });
}

#[test]
fn a_job_that_its_waiter_runs_counts_too() {
    watched(|| {
        let pool = pool(1);
        let outer = pool.spawn(|| {
            let spawner = Spawner::current().unwrap();
            (0..10).for_each(|_| spawner.spawn(|| ()).join().unwrap());
        });
        outer.join().unwrap();
        assert_eq!(at_rest(&pool, 11).finished, 11);
    });
}

#[test]
fn what_is_refused_is_counted() {
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .on_reject(drop)
            .build()
            .unwrap();
        let busy = Occupied::all(&pool);
        let queued: Vec<_> = (0..7).map(|_| pool.spawn(|| ())).collect();
        pool.execute(|| ());
        pool.shutdown_now();
        pool.execute(|| ());
        drop(pool.spawn(|| ()));
        drop(queued);
        busy.release();
        let metrics = pool.metrics();
        assert_eq!(metrics.cancelled, 8);
        assert_eq!(metrics.rejected, 2);
    });
}

/// Sampled once in 32 for each thread that hands jobs over.
#[test]
fn times_are_taken_of_as_many_jobs_as_was_asked_for() {
    for_each_size(|threads| {
        for (times, expected) in [
            (JobTimes::Off, 0),
            (JobTimes::Sampled, 320 / 32),
            (JobTimes::All, 320),
        ] {
            let pool = Pool::builder()
                .num_threads(threads)
                .job_times(times)
                .build()
                .unwrap();
            let spawner = pool.spawner();
            let producer = thread::spawn(move || {
                for _ in 0..160 {
                    spawner.execute(|| ());
                    drop(spawner.spawn(|| ()));
                }
            });
            producer.join().unwrap();
            let metrics = at_rest(&pool, 320);
            assert_eq!(metrics.run_time.count(), expected, "{times:?}");
            assert_eq!(metrics.wait_time.count(), expected, "{times:?}");
        }
    });
}

/// Lower bounds only: how much longer anything takes is the machine's affair.
#[test]
fn a_jobs_times_are_at_least_what_they_must_be() {
    for_each_size(|threads| {
        const WAIT: Duration = Duration::from_millis(20);
        const RUN: Duration = Duration::from_millis(10);
        let pool = Pool::builder()
            .num_threads(threads)
            .job_times(JobTimes::All)
            .build()
            .unwrap();
        let busy = Occupied::all(&pool);
        let before = at_least(&pool, 0);
        let job = pool.spawn(|| thread::sleep(RUN));
        thread::sleep(WAIT);
        busy.release();
        job.join().unwrap();
        let metrics = at_rest(&pool, threads + 1).since(&before);
        assert!(metrics.wait_time.max() >= WAIT, "{metrics:?}");
        let runs: Vec<_> = metrics.run_time.buckets().collect();
        assert!(runs.iter().any(|&(time, _)| time >= RUN), "{runs:?}");
        let busy: Duration = metrics.threads.iter().map(|thread| thread.busy).sum();
        assert!(busy >= RUN, "{busy:?}");
    });
}

fn at_least(pool: &Pool, finished: u64) -> Metrics {
    until(|| pool.metrics().finished >= finished);
    pool.metrics()
}

/// A closure that leaves no room for a time is not timed, and is none the worse.
#[test]
fn large_and_odd_jobs_are_run_whole_whether_timed_or_not() {
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .job_times(JobTimes::All)
            .build()
            .unwrap();
        let (tell, told) = mpsc::channel();
        macro_rules! of_size {
            ($($size:literal),*) => {$(
                let (captured, tell_one) = ([$size as u8; $size], tell.clone());
                pool.execute(move || tell_one.send(captured.to_vec()).unwrap());
                assert_eq!(told.recv().unwrap(), [$size as u8; $size]);
            )*};
        }
        of_size!(
            0, 1, 8, 16, 23, 24, 25, 31, 32, 33, 40, 41, 47, 48, 49, 64, 200
        );
        let aligned = Aligned([7; 32]);
        let answer = pool.spawn(move || {
            let whole = aligned;
            whole.0.iter().map(|&byte| u32::from(byte)).sum::<u32>()
        });
        assert_eq!(answer.join().unwrap(), 7 * 32);
        assert!(pool.spawn(|| ()).join().is_ok());
        assert!(at_rest(&pool, 19).run_time.count() > 5);
    });
}

#[repr(align(32))]
struct Aligned([u8; 32]);

/// The time for which a job waits is not time at work, but is of its run time.
#[test]
fn a_wait_inside_a_job_is_not_busy_time() {
    watched(|| {
        const WAIT: Duration = Duration::from_secs(1);
        let pool = Pool::builder()
            .num_threads(1)
            .job_times(JobTimes::All)
            .build()
            .unwrap();
        pool.spawn(|| blocking(|| thread::sleep(WAIT)))
            .join()
            .unwrap();
        until(|| pool.metrics().run_time.count() == 1);
        let metrics = at_rest(&pool, 1);
        assert!(metrics.run_time.max() >= WAIT);
        assert!(metrics.threads[0].busy < metrics.run_time.max());
        assert!(metrics.substitutes == 1, "{metrics:?}");
    });
}

#[test]
fn differences_belong_to_whoever_reads_them() {
    on_each_size(|pool| {
        let first = at_rest(&pool, 0);
        (0..50).for_each(|_| pool.spawn(|| ()).join().unwrap());
        let second = at_least(&pool, 50);
        (0..20).for_each(|_| pool.spawn(|| ()).join().unwrap());
        let third = at_least(&pool, 70);
        assert_eq!(second.since(&first).finished, 50);
        assert_eq!(third.since(&second).finished, 20);
        assert_eq!(third.since(&first).finished, 70);
        // Two readings the wrong way round are nothing, not nonsense.
        assert_eq!(first.since(&third).finished, 0);
    });
}

/// A value whose drop says that it has begun, and waits.
struct SlowToGo(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Drop for SlowToGo {
    fn drop(&mut self) {
        let _ = self.0.send(());
        let _ = self.1.recv();
    }
}

/// Found by tests/fuzz.rs: what a thread comes to and does not run was taken off the
/// count for as long as its captures were being dropped.
#[test]
fn what_has_expired_takes_nothing_off_the_count() {
    on_each_size(|pool| {
        let before = {
            Occupied::all(&pool).release();
            at_rest(&pool, pool.num_threads()).finished
        };
        let busy = Occupied::all(&pool);
        let (begun, begins) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let slow = SlowToGo(begun, wait);
        let late = pool.job().deadline(Duration::from_millis(1));
        let late = late.spawn(move || drop(slow));
        assert!(late.join().unwrap_err().is_expired());
        busy.release();
        begins.recv().unwrap();
        let all = before + pool.num_threads() as u64;
        until(|| pool.metrics().finished == all);
        drop(go);
        assert_eq!(at_rest(&pool, all as usize).finished, all);
    });
}

/// Readers and writers at once: what only grows never shrinks.
#[test]
fn the_counters_only_grow() {
    on_each_size(|pool| {
        let spawner = pool.spawner();
        let producer = thread::spawn(move || {
            for _ in 0..5000 {
                spawner.execute(|| ());
            }
        });
        let mut last = pool.metrics();
        while last.finished < 5000 {
            let now = pool.metrics();
            assert!(now.finished >= last.finished);
            assert!(now.parks >= last.parks && now.wake_ups >= last.wake_ups);
            last = now;
        }
        producer.join().unwrap();
    });
}
