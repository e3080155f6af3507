//! Promise: a view may be a part of another one, and its jobs then have a place in
//! each of them; views have a priority and say what they do.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::{Occupied, on_each_size, pool, until, watched};
use windlass::{Limit, Priority, blocking};

/// How many are in it, and how many were at once.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    fn visit(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::yield_now();
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[test]
fn no_view_ever_has_more_jobs_than_places() {
    on_each_size(|pool| {
        let outer = pool.limit(3);
        let inner = [outer.view().limit(2), outer.view().limit(1)];
        let [all, left, right] = [(); 3].map(|()| Arc::new(Crowd::default()));
        let mut jobs = Vec::new();
        for n in 0..600 {
            let all = Arc::clone(&all);
            jobs.push(match n % 3 {
                0 => outer.spawn(move || all.visit()),
                1 => {
                    let left = Arc::clone(&left);
                    inner[0].spawn(move || {
                        left.visit();
                        all.visit();
                    })
                }
                _ => {
                    let right = Arc::clone(&right);
                    inner[1].spawn(move || {
                        right.visit();
                        all.visit();
                    })
                }
            });
        }
        for job in jobs {
            job.join().unwrap();
        }
        assert!(all.most() <= 3, "{}", all.most());
        assert!(left.most() <= 2, "{}", left.most());
        assert_eq!(right.most(), 1);
    });
}

#[test]
fn a_serial_view_within_another_keeps_its_order() {
    on_each_size(|pool| {
        let serial = pool.limit(4).view().limit(2).view().serial();
        let log = Arc::new(Mutex::new(Vec::new()));
        for n in 0..500 {
            let log = Arc::clone(&log);
            serial.execute(move || log.lock().unwrap().push(n));
        }
        drop(pool);
        assert!(log.lock().unwrap().iter().copied().eq(0..500));
    });
}

/// A job waits for one of the view within its own, for one beside it, and for one of
/// the view around it, on all of the pool's threads at once.
#[test]
fn jobs_of_nested_views_may_wait_for_each_other() {
    on_each_size(|pool| {
        let outer = pool.limit(2);
        let (left, right) = (outer.view().limit(2), outer.view().limit(2));
        let spawn = |view: &Limit, others: [&Limit; 2]| {
            let others = others.map(Limit::clone);
            view.spawn(move || {
                let jobs = others.map(|view| view.spawn(|| 1));
                jobs.into_iter().map(|job| job.join().unwrap()).sum::<i32>()
            })
        };
        let mut jobs = Vec::new();
        for _ in 0..4 * pool.num_threads() {
            jobs.push(spawn(&outer, [&left, &right]));
            jobs.push(spawn(&left, [&right, &outer]));
            jobs.push(spawn(&right, [&left, &right]));
        }
        for job in jobs {
            assert_eq!(job.join().unwrap(), 2);
        }
        until(|| outer.is_empty() && left.is_empty() && right.is_empty());
        // All places are free again.
        let again: Vec<_> = (0..20).map(|n| left.spawn(move || n)).collect();
        for (n, job) in (0..).zip(again) {
            assert_eq!(job.join().unwrap(), n);
        }
    });
}

/// Both places are of jobs that wait, each in a way of its own, for what the third one
/// of the same view does.
#[test]
fn a_job_that_waits_gives_its_places_back() {
    on_each_size(|pool| {
        let view = pool.limit(2).view().limit(2);
        let (tell, told) = mpsc::channel();
        let (port, other) = windlass::channel::<i32, i32>();
        let by_blocking = view.spawn(move || blocking(|| told.recv().unwrap()));
        let by_receiving = view.spawn(move || other.recv().unwrap());
        let third = view.spawn(move || {
            tell.send(1).unwrap();
            port.post(2).unwrap();
        });
        assert_eq!(by_blocking.join().unwrap(), 1);
        assert_eq!(by_receiving.join().unwrap(), 2);
        third.join().unwrap();
        until(|| view.is_empty());
    });
}

/// The one that waits has the only place of a view which the other one needs too.
#[test]
fn a_wait_that_could_not_end_is_an_error_across_views() {
    on_each_size(|pool| {
        let outer = pool.serial();
        let inner = outer.view().limit(2);
        let of_inner = inner.clone();
        let job = outer.spawn(move || of_inner.spawn(|| 1).join().unwrap_err().is_deadlock());
        assert!(job.join().unwrap());
        let of_outer = outer.clone();
        let job = inner.spawn(move || of_outer.spawn(|| 1).join().unwrap_err().is_deadlock());
        assert!(job.join().unwrap());
        // From outside of them there is no harm in it.
        let (inner, of_pool) = (inner.clone(), pool.spawner());
        let job = of_pool.spawn(move || inner.spawn(|| 1).join().unwrap());
        assert_eq!(job.join().unwrap(), 1);
    });
}

/// Thousands of jobs in a view of a view, and the pool goes: no recursion.
#[test]
fn a_deep_backlog_is_finished_or_thrown_away_whole() {
    on_each_size(|pool| {
        let inner = pool.limit(2).view().serial();
        let busy = Occupied::all(&pool);
        let jobs: Vec<_> = (0..20_000).map(|n| inner.spawn(move || n)).collect();
        pool.shutdown_now();
        for job in jobs {
            assert!(job.join().unwrap_err().is_cancelled());
        }
        assert!(inner.spawn(|| ()).join().unwrap_err().is_closed());
        busy.release();
    });
}

#[test]
fn a_views_jobs_have_its_priority() {
    watched(|| {
        let pool = pool(1);
        let busy = Occupied::all(&pool);
        let (tell, told) = mpsc::channel();
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            let view = pool.view().priority(priority).serial();
            let tell = tell.clone();
            view.execute(move || tell.send(priority).unwrap());
        }
        busy.release();
        let order: Vec<_> = told.iter().take(3).collect();
        assert_eq!(order, [Priority::High, Priority::Normal, Priority::Low]);
    });
}

#[test]
fn a_view_says_what_it_does() {
    on_each_size(|pool| {
        let view = pool.limit(1);
        let (there, running) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        view.execute(move || {
            there.send(()).unwrap();
            let _ = wait.recv();
        });
        running.recv().unwrap();
        let queued: Vec<_> = (0..5).map(|n| view.spawn(move || n)).collect();
        let metrics = view.metrics();
        assert_eq!(
            (metrics.queued, metrics.running, metrics.finished),
            (5, 1, 0)
        );
        drop(go);
        for job in queued {
            job.join().unwrap();
        }
        until(|| view.is_empty());
        let metrics = view.metrics();
        assert_eq!(
            (metrics.queued, metrics.running, metrics.finished),
            (0, 0, 6)
        );
    });
}

/// What does not fit into a view's queue comes back, or is rejected; what runs does
/// not count, and neither do the jobs of the pool.
#[test]
fn a_view_may_have_a_bound_of_its_own() {
    on_each_size(|pool| {
        let view = pool.view().queue_capacity(2).limit(1);
        let (there, running) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        view.execute(move || {
            there.send(()).unwrap();
            let _ = wait.recv();
        });
        running.recv().unwrap();
        let first = view.try_spawn(|| 1).unwrap();
        let second = view.spawn(|| 2);
        let kept = Arc::new(3);
        let captured = Arc::clone(&kept);
        let full = view.try_spawn(move || *captured).unwrap_err();
        assert!(full.is_full() && !full.is_closed());
        assert_eq!(full.into_inner()(), 3, "the closure came back");
        assert_eq!(Arc::strong_count(&kept), 1);
        assert!(view.spawn(|| ()).join().unwrap_err().is_rejected());
        assert!(view.try_execute(|| ()).is_err());
        assert_eq!(pool.rejected_count(), 0);
        drop(go);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 2));
        until(|| view.is_empty());
        // There is room again, exactly as much as before.
        let busy = Occupied::all(&pool);
        let again: Vec<_> = (0..2).map(|n| view.try_spawn(move || n).unwrap()).collect();
        assert!(view.try_spawn(|| ()).is_err());
        busy.release();
        for (n, job) in (0..).zip(again) {
            assert_eq!(job.join().unwrap(), n);
        }
        pool.shutdown_now();
        assert!(view.try_spawn(|| ()).unwrap_err().is_closed());
    });
}

/// The turns of views within it do not take a view's room.
#[test]
fn a_bound_counts_a_views_own_jobs() {
    on_each_size(|pool| {
        let outer = pool.view().queue_capacity(1).limit(1);
        let inner: Vec<_> = (0..4).map(|_| outer.view().serial()).collect();
        let busy = Occupied::all(&pool);
        let jobs: Vec<_> = inner.iter().map(|view| view.spawn(|| ())).collect();
        let own = outer.try_spawn(|| ()).unwrap();
        assert!(outer.try_spawn(|| ()).is_err());
        busy.release();
        for job in jobs.into_iter().chain([own]) {
            job.join().unwrap();
        }
    });
}

/// Many hands at once: never more wait than may, and all that were let in run.
#[test]
fn a_views_bound_holds_under_many_hands() {
    on_each_size(|pool| {
        let view = pool.view().queue_capacity(3).limit(2);
        let waiting = Arc::new(AtomicUsize::new(0));
        let hands: Vec<_> = (0..3)
            .map(|_| {
                let (view, waiting) = (view.clone(), Arc::clone(&waiting));
                std::thread::spawn(move || {
                    let mut let_in = 0;
                    for _ in 0..2000 {
                        let begun = Arc::clone(&waiting);
                        let job = view.try_execute(move || {
                            begun.fetch_add(1, Ordering::SeqCst);
                        });
                        let_in += usize::from(job.is_ok());
                        assert!(view.metrics().queued <= 3);
                    }
                    let_in
                })
            })
            .collect();
        let let_in: usize = hands.into_iter().map(|hand| hand.join().unwrap()).sum();
        until(|| view.is_empty());
        assert_eq!(waiting.load(Ordering::SeqCst), let_in);
        assert!(let_in > 0);
    });
}
