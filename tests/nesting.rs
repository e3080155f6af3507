//! Promise: joining inside jobs of the same pool is safe at any depth, however
//! few threads there are.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{for_each_size, on_each_size, watched};
use windlass::{JoinHandle, Pool, Spawner};

fn spawner() -> Spawner {
    Spawner::current().expect("this runs in a job")
}

/// The slow way, every call a job of its own.
fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let left = spawner().spawn(move || fib(n - 1));
    let right = fib(n - 2);
    left.join().unwrap() + right
}

/// Checklist 54.
#[test]
fn recursion_deeper_than_the_pool_is_wide_ends() {
    on_each_size(|pool| {
        let jobs: Vec<_> = (0..8).map(|_| pool.spawn(|| fib(15))).collect();
        for job in jobs {
            assert_eq!(job.join().unwrap(), 610);
        }
    });
}

/// Each job waits for the one below it.
fn chain(depth: usize) -> usize {
    if depth == 0 {
        return 0;
    }
    1 + spawner().spawn(move || chain(depth - 1)).join().unwrap()
}

/// Checklist 54 and 56.
#[test]
fn a_chain_of_two_thousand_waiting_jobs_ends() {
    for_each_size(|threads| {
        // Room for a debug build's frames; what one level takes is bounded.
        let pool = Pool::builder()
            .num_threads(threads)
            .stack_size(16 << 20)
            .build()
            .unwrap();
        assert_eq!(pool.spawn(|| chain(2000)).join().unwrap(), 2000);
    });
}

/// Checklist 54: the jobs are spawned outside, and wait for each other inside.
#[test]
fn jobs_may_wait_for_jobs_from_outside_that_nobody_has_started() {
    on_each_size(|pool| {
        let occupied = common::Occupied::all(&pool);
        let mut last: JoinHandle<usize> = pool.spawn(|| 0);
        for _ in 0..300 {
            let below = last;
            last = pool.spawn(move || below.join().unwrap() + 1);
        }
        occupied.release();
        assert_eq!(last.join().unwrap(), 300);
    });
}

/// Checklist 54: the same, queued the other way round.
#[test]
fn jobs_may_wait_for_jobs_that_were_spawned_after_them() {
    on_each_size(|pool| {
        let occupied = common::Occupied::all(&pool);
        let mut jobs = Vec::new();
        let mut gives = Vec::new();
        for _ in 0..100 {
            let (give, take) = std::sync::mpsc::channel::<Option<JoinHandle<usize>>>();
            gives.push(give);
            jobs.push(pool.spawn(move || match take.recv().unwrap() {
                Some(next) => next.join().unwrap() + 1,
                None => 0,
            }));
        }
        // Everyone is given its successor, the last one nothing.
        let mut jobs = jobs.into_iter();
        let first = jobs.next().unwrap();
        for give in gives {
            give.send(jobs.next()).unwrap();
        }
        occupied.release();
        assert_eq!(first.join().unwrap(), 99);
    });
}

/// Checklist 54: wide and deep at once, with handles taken in both orders.
#[test]
fn wide_trees_end_in_whatever_order_they_are_joined() {
    fn tree(depth: u32, forwards: bool) -> usize {
        if depth == 0 {
            return 1;
        }
        let mut children: Vec<_> = (0..6)
            .map(|_| spawner().spawn(move || tree(depth - 1, !forwards)))
            .collect();
        if !forwards {
            children.reverse();
        }
        children
            .into_iter()
            .map(|child| child.join().unwrap())
            .sum()
    }
    on_each_size(|pool| {
        assert_eq!(pool.spawn(|| tree(4, true)).join().unwrap(), 6_usize.pow(4));
    });
}

/// Fire-and-forget jobs nest without anybody waiting.
#[test]
fn executed_jobs_execute_jobs() {
    fn spread(depth: u32, ran: &Arc<AtomicUsize>) {
        ran.fetch_add(1, Ordering::Relaxed);
        if depth > 0 {
            for _ in 0..3 {
                let ran = Arc::clone(ran);
                spawner().execute(move || spread(depth - 1, &ran));
            }
        }
    }
    on_each_size(|pool| {
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        pool.execute(move || spread(7, &count));
        drop(pool);
        assert_eq!(ran.load(Ordering::Relaxed), (3_usize.pow(8) - 1) / 2);
    });
}

/// A handle may be joined anywhere: outside, in the spawning job, in another.
#[test]
fn a_handle_may_travel_and_be_joined_in_another_job() {
    on_each_size(|pool| {
        for _ in 0..200 {
            let first = pool.spawn(|| spawner().spawn(|| 20));
            let second = pool.spawn(move || first.join().unwrap().join().unwrap() + 1);
            let third = pool.spawn(move || join_or_take(second) + 1);
            assert_eq!(third.join().unwrap(), 22);
        }
    });
}

/// Joins without waiting if it can.
fn join_or_take(mut handle: JoinHandle<i32>) -> i32 {
    match handle.try_join() {
        Some(result) => result.unwrap(),
        None => handle.join().unwrap(),
    }
}

/// Checklist 57, in one direction at a time: jobs of one pool wait for jobs of
/// another, which wait for jobs of a third.
#[test]
fn jobs_may_wait_for_the_jobs_of_another_pool() {
    watched(|| {
        let (a, b, c) = (common::pool(1), common::pool(2), common::pool(1));
        let (b_spawner, c_spawner) = (b.spawner(), c.spawner());
        let jobs: Vec<_> = (0..100)
            .map(|i| {
                let (b, c) = (b_spawner.clone(), c_spawner.clone());
                a.spawn(move || {
                    let inner = b.spawn(move || c.spawn(move || i).join().unwrap() + 1);
                    inner.join().unwrap() + 1
                })
            })
            .collect();
        for (i, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().unwrap(), i + 2);
        }
    });
}
