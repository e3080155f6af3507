//! Promise: the number of threads changes while the pool works; no job is lost or
//! run twice, nobody hangs, and then there are as many threads as were asked for.

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{Drops, Occupied, for_each_size, on_each_size, until, watched};
use windlass::{Pool, ResizeError, SharedArray, blocking};

/// Sizes in no particular order.
const STEPS: [usize; 12] = [4, 1, 8, 2, 3, 1, 16, 5, 1, 2, 9, 1];

/// The pool has as many threads as it says, all of them run at once, and each of its
/// seats is taken.
fn expect_threads(pool: &Pool, count: usize) {
    assert_eq!(pool.num_threads(), count);
    Occupied::all(pool).release();
    let handles = pool.on_each_thread(|index| index);
    let results = handles.into_iter().map(|handle| handle.join().unwrap());
    assert!(results.eq(0..count), "of {count}");
}

/// Numbers that go up and down as if by chance, from 1 to `most`.
fn sizes(seed: usize, most: usize) -> impl Iterator<Item = usize> {
    let next = |&state: &usize| {
        let state = state as u64;
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040) as usize,
        )
    };
    std::iter::successors(Some(seed + 1), next).map(move |state| 1 + (state >> 33) % most)
}

/// One entry for each job: how often it ran.
#[derive(Clone)]
struct Ledger(Arc<Vec<AtomicUsize>>);

impl Ledger {
    fn new(jobs: usize) -> Self {
        Self(Arc::new((0..jobs).map(|_| AtomicUsize::new(0)).collect()))
    }

    fn enter(&self, job: usize) {
        self.0[job].fetch_add(1, Ordering::SeqCst);
    }

    fn sum(&self) -> usize {
        self.0
            .iter()
            .map(|entry| entry.load(Ordering::SeqCst))
            .sum()
    }

    fn expect_each_once(&self) {
        let wrong = self
            .0
            .iter()
            .filter(|entry| entry.load(Ordering::SeqCst) != 1);
        assert_eq!(wrong.count(), 0);
    }
}

/// Hands a job over that hands another one over, and waits for every third one.
fn load(pool: &Pool, ledger: &Ledger, job: usize) {
    let (entry, inner) = (ledger.clone(), ledger.clone());
    let spawner = pool.spawner();
    pool.execute(move || {
        entry.enter(2 * job);
        let nested = spawner.spawn(move || inner.enter(2 * job + 1));
        if job.is_multiple_of(3) {
            nested.join().unwrap();
        }
    });
}

/// Checklist 64.
#[test]
fn up_and_down_under_load_every_job_runs_once() {
    const JOBS: usize = 3000;
    on_each_size(|pool| {
        let ledger = Ledger::new(2 * JOBS);
        let mut size = STEPS.into_iter().cycle();
        for job in 0..JOBS {
            load(&pool, &ledger, job);
            if job % 50 == 0 {
                pool.set_num_threads(size.next().unwrap()).unwrap();
            }
        }
        let last = pool.num_threads();
        expect_threads(&pool, last);
        until(|| ledger.sum() == 2 * JOBS);
        drop(pool);
        ledger.expect_each_once();
    });
}

/// Checklist 64: several threads that know nothing of each other.
#[test]
fn many_threads_change_it_at_once() {
    const JOBS: usize = 4000;
    on_each_size(|pool| {
        let ledger = Ledger::new(2 * JOBS);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for seed in 0..3 {
                let (pool, over) = (&pool, &over);
                scope.spawn(move || {
                    for size in sizes(seed, 12) {
                        pool.set_num_threads(size).unwrap();
                        assert!((1..=12).contains(&pool.num_threads()));
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                    }
                });
            }
            (0..JOBS).for_each(|job| load(&pool, &ledger, job));
            until(|| ledger.sum() == 2 * JOBS);
            over.store(true, Ordering::SeqCst);
        });
        for size in [12, 1, 5] {
            pool.set_num_threads(size).unwrap();
            expect_threads(&pool, size);
        }
        drop(pool);
        ledger.expect_each_once();
    });
}

/// A seat that somebody is about to leave is not lost to the pool.
#[test]
fn down_and_up_again_at_once_has_the_same_seats() {
    on_each_size(|pool| {
        for (round, size) in sizes(1, 9).take(200).enumerate() {
            let occupied = (round % 3 == 0).then(|| Occupied::all(&pool));
            pool.set_num_threads(1).unwrap();
            pool.set_num_threads(size).unwrap();
            if let Some(occupied) = occupied {
                occupied.release();
            }
            expect_threads(&pool, size);
        }
    });
}

#[test]
fn a_job_may_change_the_number_of_threads() {
    on_each_size(|pool| {
        let pool = Arc::new(pool);
        for size in STEPS {
            let inner = Arc::clone(&pool);
            let job = pool.spawn(move || {
                inner.set_num_threads(size).unwrap();
                inner.num_threads()
            });
            assert_eq!(job.join().unwrap(), size);
            expect_threads(&pool, size);
        }
    });
}

/// Jobs wait, and others run in their place, before and after each change.
#[test]
fn it_changes_while_jobs_wait() {
    on_each_size(|pool| {
        for size in STEPS {
            let gate = SharedArray::<i32>::new(1);
            let there = Arc::new(AtomicUsize::new(0));
            let waiting: Vec<_> = (0..5)
                .map(|_| {
                    let (gate, there) = (gate.clone(), Arc::clone(&there));
                    pool.spawn(move || {
                        there.fetch_add(1, Ordering::SeqCst);
                        while gate.load(0) == 0 {
                            gate.wait(0, 0);
                        }
                    })
                })
                .collect();
            until(|| there.load(Ordering::SeqCst) == 5);
            pool.set_num_threads(size).unwrap();
            Occupied::all(&pool).release();
            gate.store(0, 1);
            gate.notify(0, usize::MAX);
            waiting.into_iter().for_each(|job| job.join().unwrap());
            expect_threads(&pool, size);
        }
    });
}

/// Those that are too many leave after the job that they are stuck in, and no more
/// than the new number run a job after that.
#[test]
fn down_while_all_threads_are_stuck() {
    on_each_size(|pool| {
        let most = pool.num_threads();
        let gauge = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        for size in (1..=most).rev() {
            let occupied = Occupied::all(&pool);
            pool.set_num_threads(size).unwrap();
            assert_eq!(pool.num_threads(), size);
            // Behind what the threads are stuck in.
            let jobs: Vec<_> = (0..100)
                .map(|_| {
                    let gauge = Arc::clone(&gauge);
                    pool.spawn(move || {
                        let inside = gauge.0.fetch_add(1, Ordering::SeqCst) + 1;
                        gauge.1.fetch_max(inside, Ordering::SeqCst);
                        thread::yield_now();
                        gauge.0.fetch_sub(1, Ordering::SeqCst);
                    })
                })
                .collect();
            occupied.release();
            jobs.into_iter().for_each(|job| job.join().unwrap());
            until(|| pool.threads_aboard() == size);
            assert!(gauge.1.swap(0, Ordering::SeqCst) <= size);
        }
    });
}

/// The threads of the process whose name begins so.
#[cfg(target_os = "linux")]
fn threads_called(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| {
        // It may be gone by now.
        std::fs::read_to_string(task.unwrap().path().join("comm")).ok()
    });
    names.filter(|this| this.starts_with(name)).count()
}

#[test]
#[cfg(target_os = "linux")]
fn idle_threads_that_are_too_many_are_gone() {
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .thread_name(|index| format!("idle-{index}"))
            .build()
            .unwrap();
        for size in STEPS {
            pool.set_num_threads(size).unwrap();
            // (A thread that was just started has no name yet.)
            until(|| pool.threads_aboard() == size && threads_called("idle-") == size);
            expect_threads(&pool, size);
        }
    });
}

/// What was called to a thread that leaves is refused; nothing is forgotten.
#[test]
fn a_call_to_each_thread_resolves_while_the_number_changes() {
    on_each_size(|pool| {
        let over = AtomicBool::new(false);
        let ran = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                for size in sizes(7, 8) {
                    pool.set_num_threads(size).unwrap();
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
            for _ in 0..300 {
                let mut handles = Vec::new();
                // Several, so that a thread finds more than one.
                for _ in 0..3 {
                    let ran = Arc::clone(&ran);
                    handles.extend(pool.on_each_thread(move |index| {
                        ran.fetch_add(1, Ordering::SeqCst);
                        index
                    }));
                }
                for handle in handles {
                    match handle.join() {
                        Ok(index) => assert!(index < 8),
                        Err(error) => assert!(error.is_closed(), "{error}"),
                    }
                }
            }
            over.store(true, Ordering::SeqCst);
        });
        // Seat 0 is never left.
        assert!(ran.load(Ordering::SeqCst) >= 900);
    });
}

#[test]
fn a_threads_state_goes_with_it() {
    for_each_size(|threads| {
        let pool = common::pool(threads);
        let drops = Drops::default();
        let tokens = drops.clone();
        let state = pool.thread_state(move || (tokens.token(), Cell::new(0)));
        let mut gone = 0;
        for size in STEPS {
            pool.set_num_threads(size).unwrap();
            let state = state.clone();
            let handles = pool.on_each_thread(move |_| {
                state
                    .with(|(_, asked)| asked.replace(asked.get() + 1))
                    .is_some()
            });
            assert!(handles.into_iter().all(|handle| handle.join().unwrap()));
            pool.set_num_threads(1).unwrap();
            gone += size - 1;
            until(|| drops.count() == gone);
        }
        drop(state);
        until(|| drops.count() == gone + 1);
    });
}

/// One thread at a time has an index, and each that starts stops.
#[test]
fn hooks_come_in_pairs() {
    for_each_size(|threads| {
        let aboard = Arc::new(Mutex::new(BTreeMap::<usize, usize>::new()));
        let count = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let (start, stop) = (Arc::clone(&aboard), Arc::clone(&aboard));
        let (started, stopped) = (Arc::clone(&count), Arc::clone(&count));
        let pool = Pool::builder()
            .num_threads(threads)
            .on_thread_start(move |index| {
                started.0.fetch_add(1, Ordering::SeqCst);
                *start.lock().unwrap().entry(index).or_default() += 1;
            })
            .on_thread_stop(move |index| {
                // Long enough for the next one to come.
                thread::yield_now();
                stopped.1.fetch_add(1, Ordering::SeqCst);
                *stop.lock().unwrap().get_mut(&index).unwrap() -= 1;
            })
            .build()
            .unwrap();
        let never_two = || {
            let aboard = aboard.lock().unwrap();
            assert!(aboard.values().all(|&threads| threads <= 1), "{aboard:?}");
            let most = aboard.keys().next_back().copied().unwrap_or_default();
            assert!(most < 8, "seats are used again: {aboard:?}");
        };
        for size in sizes(3, 8).take(200) {
            pool.set_num_threads(size).unwrap();
            never_two();
        }
        drop(pool);
        never_two();
        assert!(aboard.lock().unwrap().values().all(|&threads| threads == 0));
        assert_eq!(
            count.0.load(Ordering::SeqCst),
            count.1.load(Ordering::SeqCst)
        );
    });
}

#[test]
fn an_impossible_number_is_an_error_that_names_it() {
    on_each_size(|pool| {
        let before = pool.num_threads();
        for bad in [0, 4096, usize::MAX] {
            let error = pool.set_num_threads(bad).unwrap_err();
            assert!(error.to_string().contains(&format!("({bad})")), "{error}");
            assert!(matches!(error, ResizeError::NumThreads { value } if value == bad));
        }
        expect_threads(&pool, before);
        pool.shutdown_timeout(Duration::MAX).unwrap();
        let error = pool.set_num_threads(2).unwrap_err();
        assert!(matches!(error, ResizeError::Closed), "{error}");
        assert_eq!(pool.num_threads(), before);
    });
}

/// In a process whose address space is limited, so that not all the stacks fit.
#[test]
#[cfg(target_os = "linux")]
fn what_the_system_refuses_changes_nothing() {
    const ME: &str = "what_the_system_refuses_changes_nothing";
    if !common::is_child_of(ME) {
        watched(|| {
            let script = "ulimit -v 4194304 && exec \"$0\" \"$@\"";
            common::run_child(common::child(ME, &["sh", "-c", script]));
        });
        return;
    }
    for_each_size(|threads| {
        let stopped = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&stopped);
        let pool = Pool::builder()
            .num_threads(threads)
            .stack_size(128 << 20)
            .on_thread_stop(move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            })
            .build()
            .unwrap();
        for round in 0..3 {
            let occupied = (round == 1).then(|| Occupied::all(&pool));
            let error = pool.set_num_threads(256).unwrap_err();
            let ResizeError::Threads { requested, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!(*requested, 256);
            assert_eq!(pool.num_threads(), threads);
            drop(occupied);
            until(|| pool.threads_aboard() == threads);
            expect_threads(&pool, threads);
            assert!(stopped.load(Ordering::SeqCst) > 0);
        }
        // What does fit, can be had.
        pool.set_num_threads(threads + 2).unwrap();
        expect_threads(&pool, threads + 2);
    });
}

/// Whoever comes first, it ends, and all that was accepted is done.
#[test]
fn a_change_that_meets_the_end() {
    for_each_size(|threads| {
        for round in 0..150 {
            let pool = common::pool(threads);
            let start = Barrier::new(2);
            let jobs: Vec<_> = (0..round % 4).map(|n| pool.spawn(move || n)).collect();
            thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    for size in sizes(round, 6).take(4) {
                        match pool.set_num_threads(size) {
                            Ok(()) => {}
                            Err(ResizeError::Closed) => break,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
                start.wait();
                if round % 2 == 0 {
                    thread::yield_now();
                }
                match round % 3 {
                    0 => pool.shutdown_timeout(Duration::MAX).unwrap(),
                    1 => pollster::block_on(pool.shutdown()),
                    _ => pool.shutdown_now(),
                }
            });
            for (n, job) in jobs.into_iter().enumerate() {
                match job.join() {
                    Ok(value) => assert_eq!(value, n),
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            }
        }
    });
}

/// The threads that were woken to leave find the pool closed.
#[test]
fn a_drop_right_after_a_change() {
    for_each_size(|threads| {
        for size in sizes(5, 8).take(400) {
            let pool = common::pool(threads);
            pool.set_num_threads(size).unwrap();
            pool.set_num_threads(1).unwrap();
            drop(pool);
        }
    });
}

/// The number does not count those who wait.
#[test]
fn a_wait_does_not_stop_a_thread_from_leaving() {
    watched(|| {
        let pool = common::pool(4);
        let (go, wait) = mpsc::channel::<()>();
        let waiting = pool.spawn(move || blocking(|| wait.recv().is_err()));
        pool.set_num_threads(1).unwrap();
        until(|| pool.threads_aboard() <= 2);
        Occupied::all(&pool).release();
        drop(go);
        assert!(waiting.join().unwrap());
        pool.set_num_threads(1).unwrap();
        until(|| pool.threads_aboard() == 1);
        expect_threads(&pool, 1);
    });
}
