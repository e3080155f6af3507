//! Promise: whatever the queues are made to do - grow, be robbed, be thrown away
//! full - each job in them is run or dropped, once.

mod common;

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use common::{Drops, Occupied, for_each_size, on_each_size};
use windlass::{JoinHandle, Pool, Spawner};

/// Far more than any queue has room for to begin with.
const MANY: usize = 20_000;

/// A list that says of each job how often it ran.
fn tally(jobs: usize) -> Arc<Vec<AtomicU8>> {
    Arc::new((0..jobs).map(|_| AtomicU8::new(0)).collect())
}

/// A job ran.
fn mark(job: &AtomicU8) {
    job.fetch_add(1, Ordering::SeqCst);
}

/// Whether each job ran once.
fn all_once(tally: &[AtomicU8]) -> bool {
    tally.iter().all(|ran| ran.load(Ordering::SeqCst) == 1)
}

/// 63: a thread's own queue grows while the others take from it.
#[test]
fn a_queue_that_grows_under_thieves_loses_nothing() {
    on_each_size(|pool| {
        let ran = tally(MANY);
        let marks = Arc::clone(&ran);
        let parent = pool.spawn(move || {
            let spawner = Spawner::current().unwrap();
            let mut awaited = Vec::new();
            for i in 0..MANY {
                let marks = Arc::clone(&marks);
                let mark = move || mark(&marks[i]);
                match i % 3 {
                    0 => awaited.push(spawner.spawn(mark)),
                    // Taken out at its end at once, so that it shrinks as well.
                    1 if i % 100 == 1 => spawner.spawn(mark).join().unwrap(),
                    _ => spawner.execute(mark),
                }
            }
            // Newest first and oldest first: from either end of the queue.
            let old = awaited.split_off(awaited.len() / 2);
            for job in awaited.into_iter().chain(old.into_iter().rev()) {
                job.join().unwrap();
            }
        });
        parent.join().unwrap();
        drop(pool);
        assert!(all_once(&ran));
    });
}

/// 63: what comes from outside is taken in batches, by all threads at once.
#[test]
fn a_backlog_taken_in_batches_loses_nothing() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let ran = tally(MANY);
        std::thread::scope(|scope| {
            for part in 0..4 {
                let (pool, ran) = (&pool, &ran);
                scope.spawn(move || {
                    for i in (part..MANY).step_by(4) {
                        let marks = Arc::clone(ran);
                        pool.execute(move || mark(&marks[i]));
                    }
                });
            }
        });
        occupied.release();
        drop(pool);
        assert!(all_once(&ran));
    });
}

/// 63: jobs that are thrown away are dropped, each once, in whichever queue they
/// lie: the injector, a thread's batch from it, a thread's own.
#[test]
fn full_queues_that_are_thrown_away_drop_each_job_once() {
    for_each_size(|threads| {
        let (pool, rejected) = common::pool_that_counts_rejects(threads);
        let ran = Arc::new(AtomicUsize::new(0));
        let drops = Drops::default();
        let load = Load(Arc::clone(&ran), drops.clone());
        let occupied = Occupied::all(&pool);
        let (gates, busy) = stuck_full(&pool, &load);
        // Behind those, so that a batch which begins with one has some of these.
        // Another thread may run them before it takes its own gate.
        let early = load.hand_over(&pool.spawner(), OUTSIDE);
        occupied.release();
        let nested = busy.iter().flat_map(|(_, full)| full.recv().unwrap());
        let nested: Vec<_> = nested.collect();
        let before = ran.load(Ordering::SeqCst);
        let late = load.hand_over(&pool.spawner(), OUTSIDE);
        let all = threads * NESTED + 2 * OUTSIDE;
        assert!(before <= 2 * OUTSIDE);
        assert!(
            threads > 1 || before == 0,
            "it was stuck from the first one"
        );

        pool.shutdown_now();
        assert_eq!(drops.count(), 2 * all);
        let mut finished = 0;
        for job in early {
            match job.join() {
                Ok(()) => finished += 1,
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        for job in nested.into_iter().chain(late) {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        let executed = before - finished;
        assert_eq!(rejected.load(Ordering::SeqCst), all - executed);
        drop(gates);
        for (job, _) in busy {
            assert!(job.join().unwrap());
        }
        drop(pool);
        assert_eq!(drops.count(), 2 * all, "none twice");
        assert_eq!(ran.load(Ordering::SeqCst), before, "none after that");
    });
}

/// Jobs of each kind that lie in one thread's own queue.
const NESTED: usize = 1000;

/// Jobs of each kind that come from outside at once.
const OUTSIDE: usize = 2500;

/// What makes jobs: where they count themselves, and what they capture.
#[derive(Clone)]
struct Load(Arc<AtomicUsize>, Drops);

impl Load {
    /// So many jobs with a handle, which are given back, and as many without.
    fn hand_over(&self, spawner: &Spawner, jobs: usize) -> Vec<JoinHandle<()>> {
        let job = || {
            let (ran, captured) = (Arc::clone(&self.0), self.1.token());
            move || {
                let _captured = captured;
                ran.fetch_add(1, Ordering::SeqCst);
            }
        };
        (0..jobs)
            .map(|_| {
                spawner.execute(job());
                spawner.spawn(job())
            })
            .collect()
    }
}

/// A job that is stuck until its gate goes, and where it sends what it has handed
/// over before.
type Stuck = (JoinHandle<bool>, mpsc::Receiver<Vec<JoinHandle<()>>>);

/// One job for each thread, which fills that thread's queue once all of them are
/// there, so that nobody is left to run what is in it.
fn stuck_full(pool: &Pool, load: &Load) -> (Vec<mpsc::Sender<()>>, Vec<Stuck>) {
    let all_there = Arc::new(Barrier::new(pool.num_threads()));
    (0..pool.num_threads())
        .map(|_| {
            let (gate, wait) = mpsc::channel::<()>();
            let (tell, full) = mpsc::channel();
            let (all_there, load) = (Arc::clone(&all_there), load.clone());
            let job = pool.spawn(move || {
                all_there.wait();
                let spawner = Spawner::current().unwrap();
                tell.send(load.hand_over(&spawner, NESTED)).unwrap();
                wait.recv().is_err()
            });
            (gate, (job, full))
        })
        .unzip()
}

/// 58: on each size, one job at a time into a pool that is about to fall asleep;
/// `stress.rs` does it for as long as it is told to.
#[test]
fn no_job_is_lost_on_a_pool_that_falls_asleep() {
    on_each_size(|pool| {
        let ran = Arc::new(AtomicUsize::new(0));
        for round in 0..3000_usize {
            // Around the time a thread looks for more before it sleeps.
            for _ in 0..round * 7919 % 4000 {
                std::hint::spin_loop();
            }
            let count = Arc::clone(&ran);
            let mark = move || {
                count.fetch_add(1, Ordering::SeqCst);
            };
            match round % 3 {
                0 => pool.execute(mark),
                1 => drop(pool.spawn(mark)),
                _ => pool.execute(move || Spawner::current().unwrap().execute(mark)),
            }
            // The next one would wake the pool for this one and hide the loss.
            common::until(|| ran.load(Ordering::SeqCst) == round + 1);
        }
        pool.shutdown_timeout(Duration::MAX).unwrap();
    });
}
