//! Promise: a job that waits takes no thread away from the pool: another one runs
//! in its place, so that what it waits for can be another job, of this pool or of
//! any other.

mod common;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::gate::Gate;
use common::{EXPECTED, Occupied, for_each_size, hush, on_each_size, text, watched};
use windlass::{
    JobSet, JoinHandle, Parent, Pool, SharedArray, SharedBuffer, Spawner, WaitOutcome, Worker,
    blocking, channel,
};

/// Checklist 57: each job of `a` waits for one of `b`, which waits for one of `a`.
#[test]
fn two_pools_whose_jobs_all_wait_for_each_other_come_to_an_end() {
    for_each_size(|threads| {
        for jobs in [threads, 10 * threads] {
            let (a, b) = (common::pool(threads), common::pool(threads));
            let (to_a, to_b) = (a.spawner(), b.spawner());
            let jobs: Vec<_> = (0..jobs)
                .map(|n| {
                    let (to_a, to_b) = (to_a.clone(), to_b.clone());
                    a.spawn(move || {
                        let middle = to_b.spawn(move || to_a.spawn(move || n).join().unwrap());
                        middle.join().unwrap()
                    })
                })
                .collect();
            for (n, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.join().unwrap(), n);
            }
        }
    });
}

/// Waits for the next pool of the ring, as deep as it goes.
fn round_the_ring(ring: Arc<Vec<Spawner>>, depth: usize) -> JoinHandle<usize> {
    let next = ring[depth % ring.len()].clone();
    next.spawn(move || match depth {
        0 => 0,
        _ => round_the_ring(ring, depth - 1).join().unwrap() + 1,
    })
}

/// Checklist 57: to any depth.
#[test]
fn three_pools_in_a_ring_wait_for_each_other_twenty_deep() {
    for_each_size(|threads| {
        let pools: Vec<_> = (0..3).map(|_| common::pool(threads)).collect();
        let ring = Arc::new(pools.iter().map(Pool::spawner).collect::<Vec<_>>());
        let jobs: Vec<_> = (0..2 * threads)
            .map(|_| round_the_ring(Arc::clone(&ring), 20))
            .collect();
        for job in jobs {
            assert_eq!(job.join().unwrap(), 20);
        }
    });
}

/// Twice as many jobs as threads wait, each for a job that is handed over later.
/// `wait` is given the number of its job, and says how the wait is done and how it
/// is ended.
fn while_all_wait<E: FnOnce() + Send + 'static>(
    pool: &Pool,
    pair: impl Fn() -> (Box<dyn FnOnce() + Send>, E),
) {
    let (mut waiting, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..2 * pool.num_threads() {
        let (wait, end) = pair();
        waiting.push(pool.spawn(wait));
        ends.push(end);
    }
    let ending: Vec<_> = ends.into_iter().map(|end| pool.spawn(end)).collect();
    for job in waiting.into_iter().chain(ending) {
        job.join().unwrap();
    }
}

#[test]
fn who_waits_for_a_handle_lets_later_jobs_run() {
    on_each_size(|pool| {
        let other = common::pool(1);
        let stuck = |other: &Pool| {
            let (go, wait) = mpsc::channel::<()>();
            (other.spawn(move || wait.recv().is_err()), go)
        };
        // One after the other in a pool of one: their ends come in order too.
        while_all_wait(&pool, || {
            let (handle, go) = stuck(&other);
            (
                Box::new(move || assert!(handle.join().unwrap())),
                move || drop(go),
            )
        });
        while_all_wait(&pool, || {
            let (handle, go) = stuck(&other);
            let wait = move || {
                let joined = handle.join_timeout(Duration::from_secs(3600));
                assert!(joined.unwrap().unwrap());
            };
            (Box::new(wait), move || drop(go))
        });
        // The set is of the other pool, and so is the view.
        while_all_wait(&pool, || {
            let (go, wait) = mpsc::channel::<()>();
            let mut set = JobSet::new(&other);
            set.spawn(move || wait.recv().is_err());
            let wait = move || assert!(set.join_next().unwrap().unwrap());
            (Box::new(wait), move || drop(go))
        });
        let view = other.serial();
        while_all_wait(&pool, || {
            let (go, wait) = mpsc::channel::<()>();
            let handle = view.spawn(move || wait.recv().is_err());
            let wait = move || assert!(handle.join().unwrap());
            (Box::new(wait), move || drop(go))
        });
    });
}

#[test]
fn who_waits_for_a_message_lets_later_jobs_run() {
    on_each_size(|pool| {
        while_all_wait(&pool, || {
            let (here, there) = channel::<(), usize>();
            let wait = move || assert_eq!(here.recv().unwrap(), 7);
            (Box::new(wait), move || there.post(7).unwrap())
        });
        while_all_wait(&pool, || {
            let (here, there) = channel::<(), usize>();
            let wait = move || {
                let patience = Duration::from_secs(3600);
                assert_eq!(here.recv_timeout(patience).unwrap(), 7);
            };
            (Box::new(wait), move || there.post(7).unwrap())
        });
        // The worker is of the same pool: it needs a thread too.
        while_all_wait(&pool, || {
            let worker = pool.worker(|n: usize, parent: &Parent<usize>| {
                parent.post(n + 1).unwrap();
            });
            let worker = Arc::new(worker);
            let answers = Arc::clone(&worker);
            let wait = move || assert_eq!(answers.recv().unwrap(), 7);
            (Box::new(wait), move || worker.post(6).unwrap())
        });
        while_all_wait(&pool, || {
            let worker = pool.worker(|(), _: &Parent<()>| {});
            let exited = worker.exited();
            let wait = move || assert!(exited.wait().is_success());
            (Box::new(wait), move || worker.close())
        });
    });
}

#[test]
fn who_waits_for_shared_memory_lets_later_jobs_run() {
    on_each_size(|pool| {
        while_all_wait(&pool, || {
            let (parts, whole) = SharedBuffer::from(vec![1, 2, 3]).split(2).unwrap();
            let wait = move || assert_eq!(whole.wait().into_vec(), [1, 2, 3]);
            (Box::new(wait), move || drop(parts))
        });
        while_all_wait(&pool, || {
            let array = SharedArray::<i32>::new(1);
            let waits = array.clone();
            let wait = move || {
                while waits.load(0) == 0 {
                    let outcome = waits.wait(0, 0);
                    assert_ne!(outcome, WaitOutcome::TimedOut);
                }
            };
            (Box::new(wait), move || {
                array.store(0, 1);
                array.notify(0, 1);
            })
        });
    });
}

#[test]
fn who_waits_for_something_else_lets_later_jobs_run_if_it_says_so() {
    on_each_size(|pool| {
        while_all_wait(&pool, || {
            let (tell, told) = mpsc::channel();
            let wait = move || assert_eq!(blocking(|| told.recv()), Ok(7));
            (Box::new(wait), move || tell.send(7).unwrap())
        });
    });
}

/// Three times as many as there are threads, each of which waits for the next.
#[test]
fn a_chain_of_jobs_each_of_which_waits_for_the_next_one_ends() {
    on_each_size(|pool| {
        for _ in 0..20 {
            let length = 3 * pool.num_threads();
            let (mut tell, first) = mpsc::channel();
            let mut links = Vec::new();
            for n in 1..=length {
                let (next, from_next) = mpsc::channel();
                let tell = std::mem::replace(&mut tell, next);
                links.push(pool.spawn(move || {
                    let is_last = n == length;
                    let sum = if is_last {
                        0
                    } else {
                        blocking(|| from_next.recv().unwrap())
                    };
                    tell.send(sum + 1).unwrap();
                }));
            }
            assert_eq!(first.recv(), Ok(length));
            links.into_iter().for_each(|link| link.join().unwrap());
        }
    });
}

/// As many run as are to run, however many wait: not just one of them.
#[test]
fn all_threads_that_wait_have_a_substitute_each() {
    on_each_size(|pool| {
        let threads = pool.num_threads();
        let gate = Gate::default();
        let absent = gate.besieged_by(&pool, threads);
        // As many as the pool has threads, and invisible: all have to run at once.
        Occupied::all(&pool).release();
        gate.open();
        absent.into_iter().for_each(|job| job.join().unwrap());
    });
}

/// Some threads sleep when the others begin to wait: each of those is the
/// substitute of one, not of all.
#[test]
fn one_sleeper_is_not_the_substitute_of_two() {
    on_each_size(|pool| {
        let threads = pool.num_threads();
        for count in [1, threads, threads.div_ceil(2), 2 * threads, threads + 1] {
            let gate = Gate::default();
            let jobs = gate.besieged_by(&pool, count);
            Occupied::all(&pool).release();
            gate.open();
            jobs.into_iter().for_each(|job| job.join().unwrap());
        }
    });
}

/// With no substitutes a wait is what it says: a thread less, until it is over.
#[test]
fn without_substitutes_a_wait_costs_a_thread() {
    for_each_size(|threads| {
        for most in [0, 1] {
            let pool = Pool::builder().num_threads(threads).max_substitutes(most);
            let pool = pool.build().unwrap();
            let all = threads + most;
            let gate = Gate::default();
            let mut jobs = gate.besieged_by(&pool, all);
            assert_eq!(pool.threads_aboard(), all);
            let one_more = pool.spawn(|| ());
            let one_more = one_more.join_timeout(Duration::from_millis(20));
            // From outside, and so it is over in the end.
            jobs.push(one_more.expect_err("nobody is there to run it"));
            gate.open();
            jobs.into_iter().for_each(|job| job.join().unwrap());
            // The substitute may have left by now.
            assert!(pool.threads_aboard() <= all);
        }
    });
}

#[test]
fn a_panic_while_it_waits_is_the_jobs_own() {
    hush();
    on_each_size(|pool| {
        for _ in 0..20 {
            let jobs: Vec<_> = (0..2 * pool.num_threads())
                .map(|n| pool.spawn(move || blocking(|| panic!("{EXPECTED}: {n}"))))
                .collect();
            for (n, job) in jobs.into_iter().enumerate() {
                let payload = job.join().unwrap_err().into_panic();
                assert_eq!(text(&*payload).unwrap(), format!("{EXPECTED}: {n}"));
            }
        }
        // Nobody is counted as absent any more.
        Occupied::all(&pool).release();
    });
}

#[test]
fn a_wait_in_a_wait_is_one() {
    on_each_size(|pool| {
        let most = pool.num_threads();
        while_all_wait(&pool, || {
            let (tell, told) = mpsc::channel();
            let (here, there) = channel::<(), ()>();
            let wait = move || {
                let (one, other) = blocking(|| {
                    let one = blocking(|| blocking(|| told.recv()));
                    (one, here.recv())
                });
                assert!(one == Ok(7) && other.is_ok());
            };
            (Box::new(wait), move || {
                tell.send(7).unwrap();
                there.post(()).unwrap();
            })
        });
        // 2n waited at most, and each was counted once.
        assert!(pool.threads_aboard() <= 3 * most);
    });
}

#[test]
fn outside_a_pool_it_just_runs() {
    assert_eq!(blocking(|| 6 * 7), 42);
    assert_eq!(blocking(|| blocking(|| 6 * 7)), 42);
    let elsewhere = thread::spawn(|| blocking(|| thread::current().id()));
    let id = elsewhere.thread().id();
    assert_eq!(elsewhere.join().unwrap(), id);
}

/// A worker's handler waits for another worker of the same pool.
#[test]
fn workers_that_wait_for_each_other_let_each_other_run() {
    on_each_size(|pool| {
        let spawner = pool.spawner();
        let asks: Vec<Worker<usize, usize>> = (0..2 * pool.num_threads())
            .map(|_| {
                let inner = spawner.worker(|n: usize, parent: &Parent<usize>| {
                    parent.post(n * n).unwrap();
                });
                spawner.worker(move |n: usize, parent: &Parent<usize>| {
                    inner.post(n).unwrap();
                    parent.post(inner.recv().unwrap() + 1).unwrap();
                })
            })
            .collect();
        for round in 0..20 {
            asks.iter().for_each(|worker| worker.post(round).unwrap());
            for worker in &asks {
                assert_eq!(worker.recv().unwrap(), round * round + 1);
            }
        }
    });
}

/// A main loop inside a job, which waits for that pool's only thread.
#[test]
fn a_main_loop_in_a_job_lets_others_run() {
    watched(|| {
        let pool = common::pool(1);
        let spawner = pool.spawner();
        let sum = pool.spawn(move || {
            let main = windlass::MainLoop::new();
            let sum = std::rc::Rc::new(std::cell::Cell::new(0));
            for n in 0..20 {
                let sum = std::rc::Rc::clone(&sum);
                main.on_complete(spawner.spawn(move || n), move |_, result| {
                    sum.set(sum.get() + result.unwrap());
                });
            }
            main.run();
            sum.get()
        });
        assert_eq!(sum.join().unwrap(), 190);
    });
}
