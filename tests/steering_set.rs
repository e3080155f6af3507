//! Promise: a set of jobs gives every result once, in the order in which the jobs
//! end, to a thread, a future or a job; and it cancels its jobs with it.

mod common;

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{Drops, Occupied, hush, on_each_size, watched};
use futures_core::Stream;
use windlass::{JobSet, Pool, Spawner, is_cancelled};

#[test]
fn every_result_comes_once() {
    on_each_size(|pool| {
        let mut set = JobSet::new(&pool);
        for round in 0..20_usize {
            (0..50).for_each(|n| set.spawn(move || round * 50 + n));
            // Some are left for later rounds.
            for _ in 0..30 {
                assert!(set.join_next().unwrap().unwrap() < 1000);
            }
        }
        assert_eq!(set.len(), 20 * 20);
        let mut left: Vec<_> = std::iter::from_fn(|| set.join_next())
            .map(Result::unwrap)
            .collect();
        left.sort_unstable();
        left.dedup();
        assert_eq!(left.len(), 400);
        assert!(set.is_empty() && set.join_next().is_none() && set.try_join_next().is_none());
    });
}

#[test]
fn results_come_in_the_order_in_which_the_jobs_end() {
    watched(|| {
        let pool = common::pool(3);
        let mut set = JobSet::new(&pool);
        let gates: Vec<_> = (0..3)
            .map(|n| {
                let (open, gate) = mpsc::channel::<()>();
                set.spawn(move || {
                    let _ = gate.recv();
                    n
                });
                open
            })
            .collect();
        let mut gates: Vec<_> = gates.into_iter().map(Some).collect();
        for n in [1, 2, 0] {
            assert!(set.try_join_next().is_none());
            gates[n] = None;
            assert_eq!(set.join_next().unwrap().unwrap(), n);
        }
    });
}

#[test]
fn join_all_gives_them_as_they_were_spawned() {
    hush();
    on_each_size(|pool| {
        let mut set = JobSet::new(&pool);
        for n in 0..100 {
            set.spawn(move || {
                assert!(n != 7, "{}: seven", common::EXPECTED);
                n
            });
        }
        let results = set.join_all();
        for (n, result) in results.into_iter().enumerate() {
            match result {
                Ok(value) => assert_eq!(value, n),
                Err(error) => assert!(n == 7 && error.is_panic()),
            }
        }
    });
}

/// The first failure ends it: the rest is cancelled, and those that run are told.
#[test]
fn a_failure_cancels_the_rest() {
    hush();
    on_each_size(|pool| {
        let drops = Drops::default();
        let mut set = JobSet::new(&pool);
        set.spawn(|| panic!("{}: at once", common::EXPECTED));
        for _ in 0..100 {
            let captured = drops.token();
            set.spawn(move || {
                while !is_cancelled() {
                    std::thread::yield_now();
                }
                drop(captured);
            });
        }
        assert!(set.try_join_all().unwrap_err().is_panic());
        common::until(|| drops.count() == 100);
    });
}

#[test]
fn a_set_that_is_dropped_or_told_to_cancels_its_jobs() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let drops = Drops::default();
        let fill = |set: &mut JobSet<()>| {
            for _ in 0..50 {
                let captured = drops.token();
                set.spawn(move || drop(captured));
            }
        };
        let mut set = JobSet::new(&pool);
        fill(&mut set);
        drop(set);
        assert_eq!(drops.count(), 50);

        let mut set = JobSet::new(&pool);
        fill(&mut set);
        set.cancel_all();
        assert_eq!(drops.count(), 100);
        // 53: one that comes too late is refused.
        fill(&mut set);
        assert_eq!(drops.count(), 150);
        let results = set.join_all();
        assert!(results.len() == 100 && results.into_iter().all(|r| r.unwrap_err().is_cancelled()));
        drop(busy);
    });
}

/// 54: sets within sets within jobs, deeper than there are threads.
#[test]
fn a_job_may_wait_for_a_set_of_its_own_pool_at_any_depth() {
    fn leaves(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let mut set = JobSet::new(&Spawner::current().unwrap());
        (0..3).for_each(|_| set.spawn(move || leaves(depth - 1)));
        std::iter::from_fn(|| set.join_next())
            .map(Result::unwrap)
            .sum()
    }

    on_each_size(|pool| {
        assert_eq!(pool.spawn(|| leaves(6)).join().unwrap(), 729);
    });
}

#[test]
fn async_code_awaits_it_and_loses_nothing_by_giving_up() {
    on_each_size(|pool| {
        pollster::block_on(async {
            let mut set = JobSet::new(&pool);
            (0..100_u64).for_each(|n| set.spawn(move || n));
            let mut sum = 0;
            loop {
                let mut context = Context::from_waker(Waker::noop());
                // Polled once, and dropped if there is nothing.
                let given_up = Pin::new(&mut set.join_next_async()).poll(&mut context);
                match given_up {
                    Poll::Ready(Some(n)) => sum += n.unwrap(),
                    Poll::Ready(None) => break,
                    Poll::Pending => match set.join_next_async().await {
                        Some(n) => sum += n.unwrap(),
                        None => break,
                    },
                }
            }
            assert_eq!(sum, 4950);
        });
    });
}

#[test]
fn it_is_a_stream() {
    on_each_size(|pool| {
        let mut set = JobSet::new(&pool);
        (0..10_u64).for_each(|n| set.spawn(move || n));
        assert_eq!(set.size_hint(), (10, Some(10)));
        let mut sum = 0;
        pollster::block_on(std::future::poll_fn(|cx| {
            while let Poll::Ready(next) = Pin::new(&mut set).poll_next(cx) {
                match next {
                    Some(n) => sum += n.unwrap(),
                    None => return Poll::Ready(()),
                }
            }
            Poll::Pending
        }));
        assert_eq!(sum, 45);
    });
}

/// Jobs of a pool that is gone are results too.
#[test]
fn a_set_outlives_its_pool() {
    watched(|| {
        let pool = Pool::new().unwrap();
        let mut set = JobSet::new(&pool);
        set.spawn(|| 1);
        drop(pool);
        set.spawn(|| 2);
        let results = set.join_all();
        assert_eq!(*results[0].as_ref().unwrap(), 1);
        assert!(results[1].as_ref().unwrap_err().is_closed());
    });
}

/// A set's jobs may be told more about than a closure.
#[test]
fn members_have_limits_of_their_own() {
    on_each_size(|pool| {
        let busy = Occupied::all(&pool);
        let mut set = JobSet::new(&pool);
        let soon = pool.job().deadline(Duration::from_millis(2));
        set.spawn_job(soon, || ());
        assert!(set.join_next().unwrap().unwrap_err().is_expired());
        drop(busy);
    });
}

/// Also a job that has ended before the set has it waits for the tickets of those that
/// ended earlier.
#[test]
fn results_keep_the_order_of_the_ends_when_jobs_end_at_once() {
    watched(|| {
        let pool = common::pool(1);
        for _ in 0..3000 {
            let mut set = JobSet::new(&pool);
            for n in 0..20 {
                set.spawn(move || n);
            }
            let order: Vec<_> = std::iter::from_fn(|| set.join_next())
                .map(Result::unwrap)
                .collect();
            assert!(order.iter().copied().eq(0..20), "{order:?}");
        }
    });
}
