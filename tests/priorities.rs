//! Promise: a job of high priority comes before a normal one, and that before a low
//! one; and none of them starves.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::{Occupied, on_each_size, pool, until, watched};
use windlass::{Pool, Priority, Spawner};

const ALL: [Priority; 3] = [Priority::Low, Priority::Normal, Priority::High];

type Log = Arc<Mutex<Vec<(Priority, usize)>>>;

/// Hands over a job that enters itself in the log.
fn log_one(spawner: &Spawner, log: &Log, priority: Priority, n: usize) {
    let log = Arc::clone(log);
    let job = spawner.job().priority(priority);
    drop(job.spawn(move || log.lock().unwrap().push((priority, n))));
}

/// What a pool of one thread does with `fill`'s jobs, all of which wait when it
/// begins.
fn order_of(fill: impl FnOnce(&Pool, &Log)) -> Vec<(Priority, usize)> {
    let pool = pool(1);
    let log = Log::default();
    let busy = Occupied::all(&pool);
    fill(&pool, &log);
    busy.release();
    drop(pool);
    let log = log.lock().unwrap();
    log.clone()
}

/// Few enough that nobody's share comes up.
#[test]
fn the_higher_ones_come_first_and_equals_as_they_came() {
    watched(|| {
        let order = order_of(|pool, log| {
            for priority in ALL {
                for n in 0..3 {
                    log_one(&pool.spawner(), log, priority, n);
                }
            }
        });
        let high: Vec<_> = order[..3].to_vec();
        assert_eq!(high, [0, 1, 2].map(|n| (Priority::High, n)), "{order:?}");
        for priority in ALL {
            let numbers = order.iter().filter(|(p, _)| *p == priority);
            assert!(numbers.map(|(_, n)| *n).eq(0..3), "{order:?}");
        }
        assert_eq!(order.last(), Some(&(Priority::Low, 2)), "{order:?}");
    });
}

#[test]
fn nested_jobs_have_priorities_too() {
    watched(|| {
        let order = order_of(|pool, log| {
            let log = Arc::clone(log);
            pool.execute(move || {
                let spawner = Spawner::current().unwrap();
                for priority in ALL {
                    log_one(&spawner, &log, priority, 0);
                }
            });
        });
        let order: Vec<_> = order.into_iter().map(|(priority, _)| priority).collect();
        assert_eq!(order, [Priority::High, Priority::Normal, Priority::Low]);
    });
}

/// Checklist 60: the bound that is documented, for one thread and a backlog of
/// high jobs that outlasts it.
#[test]
fn the_share_of_the_lower_ones_is_what_is_promised() {
    watched(|| {
        const HIGH: usize = 1000;
        const OTHERS: usize = 10;
        let order = order_of(|pool, log| {
            let spawner = pool.spawner();
            for n in 0..HIGH {
                log_one(&spawner, log, Priority::High, n);
            }
            for n in 0..OTHERS {
                log_one(&spawner, log, Priority::Low, n);
                log_one(&spawner, log, Priority::Normal, n);
            }
        });
        assert_eq!(order.len(), HIGH + 2 * OTHERS);
        for (place, (priority, ahead)) in order.iter().enumerate() {
            let bound = match priority {
                Priority::High => continue,
                Priority::Normal => 9 * (ahead + 1),
                Priority::Low => 61 * (ahead + 1),
            };
            assert!(
                place < bound,
                "{priority:?} with {ahead} ahead came {place}th"
            );
        }
        // And the high ones have the rest: the last low one waited for its share.
        let last_low = order.iter().rposition(|(p, _)| *p == Priority::Low);
        assert!(last_low > Some(61 * (OTHERS - 2)), "{last_low:?}");
    });
}

/// Jobs of one priority that hand themselves over again until told to stop.
fn feed(spawner: &Spawner, priority: Priority, stop: &Arc<AtomicBool>, alive: &Arc<AtomicUsize>) {
    let (again, stop) = (spawner.clone(), Arc::clone(stop));
    let alive = Arc::clone(alive);
    let job = spawner.job().priority(priority);
    drop(job.spawn(move || {
        if stop.load(Ordering::SeqCst) {
            alive.fetch_sub(1, Ordering::SeqCst);
        } else {
            feed(&again, priority, &stop, &alive);
        }
    }));
}

/// Checklist 60.
#[test]
fn nobody_starves_under_a_flood_of_any_priority() {
    on_each_size(|pool| {
        for flood in ALL {
            let stop = Arc::new(AtomicBool::new(false));
            let alive = Arc::new(AtomicUsize::new(100));
            for _ in 0..100 {
                feed(&pool.spawner(), flood, &stop, &alive);
            }
            for priority in ALL {
                let outside = pool.job().priority(priority).spawn(|| 1);
                assert_eq!(outside.join().unwrap(), 1, "{priority:?} under {flood:?}");
                let (tell, told) = mpsc::channel();
                let nested = pool.job().priority(priority).spawn(move || {
                    let spawner = Spawner::current().unwrap();
                    let job = spawner.job().priority(priority);
                    drop(job.spawn(move || tell.send(()).unwrap()));
                });
                nested.join().unwrap();
                told.recv().unwrap();
            }
            // What each thread is told is heard too.
            for called in pool.on_each_thread(|index| index) {
                called.join().unwrap();
            }
            stop.store(true, Ordering::SeqCst);
            until(|| alive.load(Ordering::SeqCst) == 0);
        }
    });
}

/// A lane alone wakes the pool, and nothing is left in it.
#[test]
fn an_idle_pool_comes_to_a_job_of_any_priority() {
    on_each_size(|pool| {
        for _ in 0..200 {
            for priority in ALL {
                assert_eq!(pool.job().priority(priority).spawn(|| 7).join().unwrap(), 7);
            }
        }
    });
}

#[test]
fn every_job_of_every_priority_runs_once() {
    on_each_size(|pool| {
        let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..3000).map(|_| 0.into()).collect());
        let producers: Vec<_> = (0..3)
            .map(|producer| {
                let (spawner, runs) = (pool.spawner(), Arc::clone(&runs));
                std::thread::spawn(move || {
                    for n in 0..1000 {
                        let runs = Arc::clone(&runs);
                        let job = spawner.job().priority(ALL[n % 3]);
                        drop(job.spawn(move || {
                            runs[producer * 1000 + n].fetch_add(1, Ordering::SeqCst)
                        }));
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().unwrap();
        }
        drop(pool);
        assert!(runs.iter().all(|runs| runs.load(Ordering::SeqCst) == 1));
    });
}

#[test]
fn what_waits_in_a_lane_is_finished_or_thrown_away_with_the_rest() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let jobs = ALL.map(|priority| pool.job().priority(priority).spawn(|| ()));
        pool.shutdown_now();
        for job in jobs {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        for priority in ALL {
            let late = pool.job().priority(priority).spawn(|| ());
            assert!(late.join().unwrap_err().is_closed());
        }
        busy.release();
    });
}

/// A cancelled job leaves its lane without taking anybody's share.
#[test]
fn cancelled_jobs_in_a_lane_are_passed_over() {
    watched(|| {
        let order = order_of(|pool, log| {
            for _ in 0..200 {
                assert!(pool.job().priority(Priority::High).spawn(|| ()).cancel());
            }
            log_one(&pool.spawner(), log, Priority::Low, 0);
            log_one(&pool.spawner(), log, Priority::High, 0);
        });
        assert_eq!(order, [(Priority::High, 0), (Priority::Low, 0)]);
    });
}
