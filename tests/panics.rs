//! Promise: a panic is a value. It reaches its own handle and nothing else, or
//! `on_panic` if nobody waits, and no thread is lost to it.
//!
//! Checklist 46: with `panic = "abort"` there is nothing to catch, and any panic
//! in a job ends the process, as it does elsewhere; the crate's documentation
//! says so (tests/reliability_limits.rs). A test harness needs unwinding, so there
//! is no test of that.

mod common;

use std::panic::{panic_any, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use common::{
    Bomb, EXPECTED, Occupied, for_each_size, hush, is_child_of, panic_of, run_child, text,
    thread_ids, until, watched,
};
use windlass::{JoinError, Pool, Spawner};

/// The text of the panic that the error stands for.
fn message(error: JoinError) -> String {
    assert!(error.is_panic() && !error.is_cancelled() && !error.is_closed());
    text(&*error.into_panic()).unwrap().to_owned()
}

/// Checklist 43.
#[test]
fn a_panic_reaches_its_own_handle_and_nothing_else() {
    for_each_size(|threads| {
        let (pool, panics) = common::pool_with_panics(threads);
        let ids = thread_ids(&pool);
        let jobs: Vec<_> = (0..300)
            .map(|i| {
                pool.spawn(move || {
                    assert!(i % 3 != 0, "{EXPECTED} {i}");
                    i
                })
            })
            .collect();
        for (i, job) in jobs.into_iter().enumerate() {
            match job.join() {
                Ok(value) => assert_eq!(value, i),
                Err(error) => assert_eq!(message(error), format!("{EXPECTED} {i}")),
            }
        }
        assert_eq!(pool.panic_count(), 0);
        assert!(panics.try_recv().is_err());
        assert_eq!(thread_ids(&pool), ids);
    });
}

/// Checklist 43.
#[test]
fn a_payload_comes_through_as_it_is() {
    for_each_size(|threads| {
        let (pool, _panics) = common::pool_with_panics(threads);
        let error = pool
            .spawn(|| -> () { panic_any(77_u64) })
            .join()
            .unwrap_err();
        assert_eq!(error.to_string(), "the job panicked");
        assert_eq!(*error.into_panic().downcast::<u64>().unwrap(), 77);

        let error = pool.spawn(|| -> () { resume_unwind(Box::new("expected")) });
        let error = error.join().unwrap_err();
        assert_eq!(error.to_string(), "the job panicked: expected");
        assert_eq!(text(&*error.try_into_panic().unwrap()), Some("expected"));

        // An error that is no panic gives itself back, or says so.
        drop(pool.shutdown());
        let closed = pool.spawn(|| ()).join().unwrap_err();
        let closed = closed.try_into_panic().unwrap_err();
        let complaint = panic_of(|| closed.into_panic());
        assert!(text(&*complaint).unwrap().contains("closed"));
    });
}

/// Checklist 44.
#[test]
fn a_panic_of_a_detached_job_reaches_the_hook_and_the_counter() {
    for_each_size(|threads| {
        let (pool, panics) = common::pool_with_panics(threads);
        let ids = thread_ids(&pool);
        for i in 0..100 {
            pool.execute(move || panic!("{EXPECTED} {i}"));
        }
        let mut messages: Vec<_> = panics
            .iter()
            .take(100)
            .map(|payload| text(&*payload).unwrap().to_owned())
            .collect();
        messages.sort();
        let mut expected: Vec<_> = (0..100).map(|i| format!("{EXPECTED} {i}")).collect();
        expected.sort();
        assert_eq!(messages, expected);
        assert_eq!(pool.panic_count(), 100);
        assert_eq!(thread_ids(&pool), ids);

        // A handle that was dropped before sees nothing, and so the hook does.
        let occupied = Occupied::all(&pool);
        drop(pool.spawn(|| panic!("{EXPECTED}: nobody waits")));
        occupied.release();
        assert_eq!(
            text(&*panics.recv().unwrap()),
            Some("expected: nobody waits")
        );
        assert_eq!(pool.panic_count(), 101);
    });
}

/// Checklist 44: without a hook, one line on stderr and no abort.
#[test]
fn a_panic_that_nobody_sees_is_one_line_on_stderr() {
    const ME: &str = "a_panic_that_nobody_sees_is_one_line_on_stderr";
    if is_child_of(ME) {
        std::panic::set_hook(Box::new(|_| {}));
        let pool = common::pool(1);
        pool.execute(|| panic!("adrift"));
        pool.execute(|| panic_any(Bomb));
        assert_eq!(pool.spawn(|| 2).join().unwrap(), 2);
        assert_eq!(pool.panic_count(), 2);
        return;
    }
    watched(|| {
        let output = run_child(common::child(ME, &[]));
        let lines: Vec<_> = output
            .lines()
            .filter(|line| line.starts_with("windlass:"))
            .collect();
        assert_eq!(lines.len(), 2, "{output}");
        assert!(lines[0].contains("adrift"), "{output}");
    });
}

/// Checklist 35.
#[test]
fn a_result_whose_drop_panics_harms_no_thread() {
    for_each_size(|threads| {
        let (pool, panics) = common::pool_with_panics(threads);
        let ids = thread_ids(&pool);

        // Nobody wants it: the pool drops it, and the hook hears of it.
        let occupied = Occupied::all(&pool);
        drop(pool.spawn(|| Bomb));
        occupied.release();
        assert_eq!(text(&*panics.recv().unwrap()), Some("expected: a Drop"));
        assert_eq!(pool.panic_count(), 1);

        // It was there already: whoever drops the handle drops it.
        let handle = pool.spawn(|| Bomb);
        until(|| handle.is_finished());
        assert_eq!(text(&*panic_of(|| drop(handle))), Some("expected: a Drop"));
        assert_eq!(pool.panic_count(), 1);
        assert_eq!(thread_ids(&pool), ids);
    });
}

/// Checklist 36.
#[test]
fn a_capture_whose_drop_panics_is_a_panic_of_its_job() {
    for_each_size(|threads| {
        let (pool, panics) = common::pool_with_panics(threads);
        let ids = thread_ids(&pool);

        let bomb = Bomb;
        let ran = pool.spawn(move || {
            let _bomb = bomb;
            "a result"
        });
        assert_eq!(message(ran.join().unwrap_err()), "expected: a Drop");

        let bomb = Bomb;
        pool.execute(move || drop(bomb));
        assert_eq!(text(&*panics.recv().unwrap()), Some("expected: a Drop"));
        let (bomb, ballast) = (Bomb, [0_u64; 30]);
        pool.execute(move || {
            let _boxed = (&ballast, bomb);
        });
        assert_eq!(text(&*panics.recv().unwrap()), Some("expected: a Drop"));
        assert_eq!(pool.panic_count(), 2);

        // Cancelled, it is the canceller's drop, and still the handle's panic.
        let occupied = Occupied::all(&pool);
        let bomb = Bomb;
        let cancelled = pool.spawn(move || drop(bomb));
        assert!(cancelled.cancel());
        assert_eq!(message(cancelled.join().unwrap_err()), "expected: a Drop");
        // The same if nobody holds the handle.
        let bomb = Bomb;
        let cancelled = pool.spawn(move || drop(bomb));
        let cancel = cancelled.cancel_handle();
        drop(cancelled);
        assert!(cancel.cancel());
        occupied.release();
        assert_eq!(thread_ids(&pool), ids);
        // What the cancellers' drops did is not the pool's.
        assert!(panics.try_recv().is_err());
    });
}

/// Checklist 36 and 48: cancelling stays idempotent.
#[test]
fn a_job_cancelled_with_a_panicking_capture_stays_cancelled() {
    for_each_size(|threads| {
        let (pool, _panics) = common::pool_with_panics(threads);
        let occupied = Occupied::all(&pool);
        let bomb = Bomb;
        let cancelled = pool.spawn(move || drop(bomb));
        assert!(cancelled.cancel());
        assert!(
            cancelled.cancel(),
            "it never will run, because of an earlier call"
        );
        assert!(cancelled.cancel_handle().cancel());
        assert_eq!(message(cancelled.join().unwrap_err()), "expected: a Drop");
        occupied.release();
    });
}

/// Checklist 36.
#[test]
fn captures_whose_drops_panic_do_not_hold_up_a_shutdown() {
    for_each_size(|threads| {
        for way in 0..2 {
            let (pool, panics) = common::pool_with_panics(threads);
            let occupied = Occupied::all(&pool);
            let handles: Vec<_> = (0..10)
                .map(|_| {
                    let (one, two) = (Bomb, Bomb);
                    pool.execute(move || drop(one));
                    pool.spawn(move || drop(two))
                })
                .collect();
            if way == 0 {
                // The default `on_reject` drops the closures, under protection.
                pool.shutdown_now();
                assert_eq!(pool.rejected_count(), 10);
            }
            occupied.release();
            drop(pool);
            for handle in handles {
                assert_eq!(message(handle.join().unwrap_err()), "expected: a Drop");
            }
            assert_eq!(panics.try_iter().count(), if way == 0 { 0 } else { 10 });
        }
    });
}

/// A payload that panics when it is dropped, and whose payload does so again.
struct Nested(u32);

impl Drop for Nested {
    fn drop(&mut self) {
        if self.0 > 0 {
            resume_unwind(Box::new(Nested(self.0 - 1)));
        }
    }
}

/// Checklist 37.
#[test]
fn a_payload_whose_own_drop_panics_harms_no_thread() {
    for_each_size(|threads| {
        hush();
        // This hook drops what it is given, as a careless one would.
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let pool = Pool::builder()
            .num_threads(threads)
            .max_substitutes(0)
            .on_panic(move |payload| {
                count.fetch_add(1, Ordering::SeqCst);
                drop(payload);
            })
            .build()
            .unwrap();
        let ids = thread_ids(&pool);
        for depth in 0..5 {
            pool.execute(move || resume_unwind(Box::new(Nested(depth))));
            let occupied = Occupied::all(&pool);
            drop(pool.spawn(move || resume_unwind(Box::new(Nested(depth)))));
            occupied.release();
        }
        pool.execute(|| resume_unwind(Box::new(Bomb)));
        until(|| seen.load(Ordering::SeqCst) == 11);
        assert_eq!(pool.panic_count(), 11);

        // With a handle it is the error's, to be dropped where that is.
        let job = pool.spawn(|| resume_unwind(Box::new(Bomb)));
        let error = job.join().unwrap_err();
        assert_eq!(text(&*panic_of(|| drop(error))), Some("expected: a Drop"));

        // And if the error is dropped in a job, it is that job's panic.
        let job = pool.spawn(|| {
            let inner = Spawner::current()
                .unwrap()
                .spawn(|| resume_unwind(Box::new(Bomb)));
            drop(inner.join());
        });
        assert_eq!(message(job.join().unwrap_err()), "expected: a Drop");
        assert_eq!(thread_ids(&pool), ids);
    });
}

/// Checklist 24.
#[test]
fn hooks_that_panic_harm_nobody() {
    for_each_size(|threads| {
        hush();
        let calls = Arc::new(AtomicUsize::new(0));
        let hook = |calls: &Arc<AtomicUsize>| {
            let calls = Arc::clone(calls);
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
                panic!("{EXPECTED}: a hook");
            }
        };
        let (start, stop, panicked, reject) =
            (hook(&calls), hook(&calls), hook(&calls), hook(&calls));
        let pool = Pool::builder()
            .num_threads(threads)
            .on_thread_start(move |_| start())
            .on_thread_stop(move |_| stop())
            .on_panic(move |_| panicked())
            .on_reject(move |_| reject())
            .build()
            .unwrap();
        let ids = thread_ids(&pool);
        assert_eq!(calls.load(Ordering::SeqCst), threads);
        for _ in 0..20 {
            pool.execute(|| panic!("{EXPECTED}"));
        }
        until(|| calls.load(Ordering::SeqCst) == threads + 20);
        assert_eq!(thread_ids(&pool), ids);
        let spawner = pool.spawner();
        drop(pool);
        assert_eq!(calls.load(Ordering::SeqCst), 2 * threads + 20);
        spawner.execute(|| ());
        assert_eq!(calls.load(Ordering::SeqCst), 2 * threads + 21);
    });
}

/// Checklist 43: a job that its waiter runs is a job like any other.
#[test]
fn a_panic_in_a_job_run_by_its_waiter_stays_that_jobs() {
    for_each_size(|threads| {
        let (pool, panics) = common::pool_with_panics(threads);
        // A substitute may run in place of one that waited; the pool's own live on.
        let own_threads = |pool: &Pool| {
            let ids = pool.on_each_thread(|_| std::thread::current().id());
            let ids = ids.into_iter().map(|id| id.join().unwrap());
            ids.collect::<Vec<_>>()
        };
        let ids = own_threads(&pool);
        let outer = pool.spawn(|| {
            let spawner = Spawner::current().unwrap();
            let children: Vec<_> = (0..50)
                .map(|i| spawner.spawn(move || panic!("{EXPECTED} {i}")))
                .collect();
            let errors = children
                .into_iter()
                .map(|child: windlass::JoinHandle<()>| child.join());
            errors
                .map(|error| message(error.unwrap_err()))
                .collect::<Vec<_>>()
        });
        let expected: Vec<_> = (0..50).map(|i| format!("{EXPECTED} {i}")).collect();
        assert_eq!(outer.join().unwrap(), expected);
        assert_eq!(pool.panic_count(), 0);
        assert!(panics.try_recv().is_err());
        assert_eq!(own_threads(&pool), ids);
    });
}

/// A rejected job that is run panics where it is run.
#[test]
fn a_rejected_job_that_is_run_panics_where_it_is_run() {
    watched(|| {
        hush();
        let (give, refused) = mpsc::channel();
        let pool = Pool::builder()
            .num_threads(1)
            .on_reject(move |job| give.send(job).unwrap())
            .build()
            .unwrap();
        drop(pool.shutdown());
        pool.execute(|| panic!("{EXPECTED}: here"));
        let job = refused.recv().unwrap();
        assert_eq!(text(&*panic_of(|| job.run())), Some("expected: here"));
        assert_eq!(pool.panic_count(), 0);
    });
}
