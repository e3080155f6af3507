//! Promise: a view of a pool runs no more of its jobs at once than it has places,
//! starts them in order, leaves the rest of the pool alone, and cannot lock itself
//! up.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use common::{Drops, Occupied, for_each_size, hush, on_each_size, until, watched};
use windlass::{Limit, Pool, is_cancelled};

/// Counts who is inside, and how many were at most.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

impl Gauge {
    fn visit(&self, stay: impl FnOnce()) {
        let inside = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(inside, Ordering::SeqCst);
        stay();
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

#[test]
fn no_more_run_at_once_than_there_are_places() {
    on_each_size(|pool| {
        for places in [1, 2, 3, 20] {
            let (view, gauge) = (pool.limit(places), Gauge::default());
            let jobs: Vec<_> = (0..500)
                .map(|n| {
                    let gauge = gauge.clone();
                    view.spawn(move || {
                        gauge.visit(std::thread::yield_now);
                        n
                    })
                })
                .collect();
            for (n, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.join().unwrap(), n);
            }
            assert!(
                gauge.most() <= places.min(pool.num_threads()),
                "{}",
                gauge.most()
            );
            until(|| view.is_empty());
        }
    });
}

/// All places are used, if there is enough to do and there are threads.
#[test]
fn as_many_run_as_there_are_places() {
    watched(|| {
        let pool = common::pool(4);
        let view = pool.limit(3);
        let (gauge, all) = (Gauge::default(), Arc::new(std::sync::Barrier::new(3)));
        let jobs: Vec<_> = (0..9)
            .map(|_| {
                let (gauge, all) = (gauge.clone(), Arc::clone(&all));
                view.spawn(move || {
                    gauge.visit(|| {
                        all.wait();
                    });
                })
            })
            .collect();
        jobs.into_iter().for_each(|job| job.join().unwrap());
        assert_eq!(gauge.most(), 3);
    });
}

/// One place: one after the other, in order, from whatever threads they come.
#[test]
fn a_serial_view_keeps_the_order() {
    on_each_size(|pool| {
        let view = pool.serial();
        let seen = Arc::new(Mutex::new(vec![0; 4]));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (view, seen) = (view.clone(), &seen);
                scope.spawn(move || {
                    for n in 0..500 {
                        let seen = Arc::clone(seen);
                        view.execute(move || {
                            // A lock that somebody else has would be two at once.
                            let mut seen = seen.try_lock().unwrap();
                            assert_eq!(seen[thread], n);
                            seen[thread] += 1;
                        });
                    }
                });
            }
        });
        view.spawn(|| ()).join().unwrap();
        assert_eq!(*seen.lock().unwrap(), [500; 4]);
    });
}

/// A view that is stuck has its places, and not the pool.
#[test]
fn the_rest_of_the_pool_stays_free() {
    watched(|| {
        let pool = common::pool(2);
        let view = pool.limit(1);
        let (go, wait) = mpsc::channel::<()>();
        let stuck: Vec<_> = std::iter::once(view.spawn(move || wait.recv().is_err()))
            .chain((0..100).map(|_| view.spawn(|| true)))
            .collect();
        for n in 0..1000 {
            assert_eq!(pool.spawn(move || n).join().unwrap(), n);
        }
        assert_eq!(view.len(), 101);
        drop(go);
        assert!(stuck.into_iter().all(|job| job.join().unwrap()));
    });
}

/// 54: a job that waits for jobs of a view, at any depth, on any number of threads.
#[test]
fn a_job_may_wait_for_a_view() {
    on_each_size(|pool| {
        let (outer, inner) = (pool.limit(2), pool.serial());
        let jobs: Vec<_> = (0..50_u64)
            .map(|n| {
                let inner = inner.clone();
                outer.spawn(move || {
                    let parts: Vec<_> = (0..4).map(|_| inner.spawn(move || n)).collect();
                    parts
                        .into_iter()
                        .map(|part| part.join().unwrap())
                        .sum::<u64>()
                })
            })
            .collect();
        let sum: u64 = jobs.into_iter().map(|job| job.join().unwrap()).sum();
        assert_eq!(sum, 4 * 49 * 25);
    });
}

/// A job that waits for one of its own view gives its place back.
#[test]
fn a_job_may_wait_for_its_own_view() {
    fn depth(view: &Limit, left: u32) -> u32 {
        if left == 0 {
            return 0;
        }
        let next = view.clone();
        1 + view.spawn(move || depth(&next, left - 1)).join().unwrap()
    }

    on_each_size(|pool| {
        let (view, gauge) = (pool.limit(2), Gauge::default());
        let inside = view.clone();
        assert_eq!(view.spawn(move || depth(&inside, 50)).join().unwrap(), 50);
        // And has it again afterwards: there are as many places as before.
        let jobs: Vec<_> = (0..200)
            .map(|_| {
                let gauge = gauge.clone();
                view.spawn(move || gauge.visit(std::thread::yield_now))
            })
            .collect();
        jobs.into_iter().for_each(|job| job.join().unwrap());
        assert!(gauge.most() <= 2);
    });
}

/// In a serial view that would never end, and so is an error; the job comes all
/// the same.
#[test]
fn waiting_for_ones_own_serial_view_is_an_error_at_once() {
    on_each_size(|pool| {
        let view = pool.serial();
        let (inside, (tell, told)) = (view.clone(), mpsc::channel());
        let outer = view.spawn(move || {
            let tell = tell.clone();
            let error = inside
                .spawn(move || tell.send(()).unwrap())
                .join()
                .unwrap_err();
            (error.is_deadlock(), error.to_string())
        });
        let (is_deadlock, text) = outer.join().unwrap();
        assert!(is_deadlock && text.contains("serial"), "{text}");
        assert_eq!(told.recv_timeout(Duration::from_secs(120)), Ok(()));
        // One that has ended already is no trouble.
        let (inside, done) = (view.clone(), Arc::new(Mutex::new(None)));
        let place = Arc::clone(&done);
        let ended = view.spawn(|| 1);
        *place.lock().unwrap() = Some(ended);
        let last = inside.spawn(move || done.lock().unwrap().take().unwrap().join());
        assert_eq!(last.join().unwrap().unwrap(), 1);
    });
}

/// 50: a cancelled job of a view never starts, and is no hindrance to the others.
#[test]
fn queued_jobs_of_a_view_can_be_cancelled() {
    on_each_size(|pool| {
        let (view, busy) = (pool.serial(), Occupied::all(&pool));
        let drops = Drops::default();
        let jobs: Vec<_> = (0..100)
            .map(|n| {
                let captured = drops.token();
                let job = view.spawn(move || {
                    drop(captured);
                    n
                });
                assert_eq!(n % 2 == 0 && job.cancel(), job.is_finished());
                job
            })
            .collect();
        assert_eq!(drops.count(), 50);
        drop(busy);
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().ok(), (n % 2 == 1).then_some(n));
        }
    });
}

#[test]
fn a_panic_in_a_view_is_that_jobs_and_no_place_is_lost() {
    hush();
    on_each_size(|pool| {
        let view = pool.limit(2);
        let jobs: Vec<_> = (0..100)
            .map(|n| view.spawn(move || assert!(n % 2 == 0, "{}: odd", common::EXPECTED)))
            .collect();
        for (n, job) in jobs.into_iter().enumerate() {
            assert_eq!(job.join().is_ok(), n % 2 == 0);
        }
        until(|| view.is_empty());
    });
}

/// The end of a pool: what a view accepted is finished, or thrown away; what comes
/// later is refused.
#[test]
fn the_end_of_a_pool_is_the_end_of_its_views() {
    for_each_size(|threads| {
        let pool = common::pool(threads);
        let (view, drops) = (pool.limit(2), Drops::default());
        for _ in 0..500 {
            let captured = drops.token();
            view.execute(move || drop(captured));
        }
        drop(pool);
        assert_eq!((drops.count(), view.len()), (500, 0));
        assert!(view.spawn(|| ()).join().unwrap_err().is_closed());

        let (pool, rejects) = common::pool_that_counts_rejects(threads);
        let view = pool.serial();
        let busy = Occupied::all(&pool);
        let jobs: Vec<_> = (0..100).map(|_| view.spawn(|| ())).collect();
        (0..100).for_each(|_| view.execute(|| ()));
        pool.shutdown_now();
        drop(busy);
        drop(pool);
        for job in jobs {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        assert_eq!((rejects.load(Ordering::SeqCst), view.len()), (100, 0));
    });
}

/// Latest wins: what waits is replaced, what runs is asked to stop.
#[test]
fn only_the_newest_job_is_worth_the_while() {
    on_each_size(|pool| {
        let latest = pool.latest();
        let (begin, begun) = mpsc::channel();
        let first = latest.spawn(move || {
            begin.send(()).unwrap();
            while !is_cancelled() {
                std::thread::yield_now();
            }
            "told to stop"
        });
        begun.recv().unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..100)
            .map(|n| {
                let ran = Arc::clone(&ran);
                latest.spawn(move || {
                    ran.fetch_add(1, Ordering::SeqCst);
                    n
                })
            })
            .collect();
        assert_eq!(first.join().unwrap(), "told to stop");
        let mut results: Vec<_> = jobs.into_iter().map(|job| job.join().ok()).collect();
        assert_eq!(results.pop().unwrap(), Some(99), "the newest always runs");
        assert_eq!(
            ran.load(Ordering::SeqCst),
            1 + results.iter().flatten().count()
        );
        let cancelled = latest.spawn(|| while !is_cancelled() {});
        latest.cancel();
        let _ = cancelled.join();
    });
}

#[test]
fn a_view_without_a_place_is_a_mistake_that_is_named() {
    let pool = Pool::new().unwrap();
    let panic = common::panic_of(|| pool.limit(0));
    assert!(common::text(&*panic).unwrap().contains("limit(0)"));
}

/// 54: a turn that comes while every thread of the pool waits is taken over by one
/// that waits for it.
#[test]
fn a_view_goes_on_while_all_threads_wait() {
    watched(|| {
        let pool = common::pool(2);
        let serial = pool.serial();
        let (go, wait) = mpsc::channel::<()>();
        let first = serial.spawn(move || wait.recv().is_err());
        let inside = serial.clone();
        let second = pool.spawn(move || inside.spawn(|| 2).join().unwrap());
        until(|| serial.len() == 2);
        // It is behind the second's wait, and waits for that; the view's next turn
        // comes after it.
        let third = pool.spawn(move || second.join().unwrap());
        drop(go);
        assert_eq!(third.join().unwrap(), 2);
        assert!(first.join().unwrap());
    });
}
