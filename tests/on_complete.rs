//! Promise: a pool's handle given to the main loop calls back on the loop's
//! thread, exactly once, however the job ended.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{Occupied, hush, on_each_size, text, until};
use windlass::MainLoop;

/// Every end a job can have.
#[test]
fn the_callback_is_given_value_panic_cancelled_or_closed() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let log = Rc::new(RefCell::new(Vec::new()));
        let note = |what: &'static str| {
            let (log, here) = (Rc::clone(&log), thread::current().id());
            move |_: &MainLoop, result: Result<u32, windlass::JoinError>| {
                assert_eq!(thread::current().id(), here);
                log.borrow_mut().push(match result {
                    Ok(value) => format!("{what}: {value}"),
                    Err(error) => format!("{what}: {error}"),
                });
            }
        };
        main.on_complete(pool.spawn(|| 42), note("value"));
        main.on_complete(pool.spawn(|| panic!("expected")), note("panic"));
        let occupied = Occupied::all(&pool);
        let cancelled = pool.spawn(|| 1);
        let cancel = cancelled.cancel_handle();
        main.on_complete(cancelled, note("cancelled"));
        assert!(cancel.cancel());
        occupied.release();
        drop(pool.shutdown());
        main.on_complete(pool.spawn(|| 1), note("closed"));
        main.run();
        let mut log = log.borrow_mut();
        log.sort();
        assert_eq!(
            *log,
            [
                "cancelled: the job was cancelled before it started",
                "closed: the pool is closed; the job did not run",
                "panic: the job panicked: expected",
                "value: 42",
            ]
        );
    });
}

/// Checklist 32.
#[test]
fn a_callback_registered_after_the_job_ended_runs_in_the_next_turn() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let handle = pool.spawn(|| 5);
        until(|| handle.is_finished());
        let got = Rc::new(Cell::new(0));
        let set = Rc::clone(&got);
        main.on_complete(handle, move |_, result| set.set(result.unwrap()));
        assert_eq!(got.get(), 0, "not at once");
        assert_eq!(main.turn(), 1);
        assert_eq!(got.get(), 5);
        main.run();
    });
}

/// Checklist 31.
#[test]
fn a_callback_that_panics_does_not_stop_the_others() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let called = Rc::new(Cell::new(0));
        for i in 0..10 {
            let called = Rc::clone(&called);
            main.on_complete(pool.spawn(move || i), move |_, result| {
                called.set(called.get() + 1);
                assert!(result.unwrap() % 2 == 0, "expected");
            });
        }
        let mut panics = 0;
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| main.run())) {
            assert_eq!(text(&*payload), Some("expected"));
            panics += 1;
        }
        assert_eq!((called.get(), panics), (10, 5));
    });
}

/// Callbacks may spawn, and be followed by more.
#[test]
fn a_callback_may_spawn_the_next_job() {
    on_each_size(|pool| {
        fn step(main: &MainLoop, pool: &Rc<windlass::Pool>, left: u32, sum: &Rc<Cell<u32>>) {
            let (again, sum) = (Rc::clone(pool), Rc::clone(sum));
            main.on_complete(pool.spawn(move || left), move |main, result| {
                sum.set(sum.get() + result.unwrap());
                if left > 0 {
                    step(main, &again, left - 1, &sum);
                }
            });
        }
        let (main, pool, sum) = (MainLoop::new(), Rc::new(pool), Rc::new(Cell::new(0)));
        step(&main, &pool, 100, &sum);
        main.run();
        assert_eq!(sum.get(), 5050);
        assert_eq!(Rc::strong_count(&pool), 1, "the callbacks are gone");
    });
}

/// The loop turns while the pool works.
#[test]
fn the_loop_ticks_while_jobs_run() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let (go, wait) = mpsc::channel::<()>();
        let ticks = Rc::new(Cell::new(0));
        let count = Rc::clone(&ticks);
        let interval = main.set_interval(Duration::from_micros(200), move |_, _| {
            count.set(count.get() + 1);
            // The job ends because the loop ticked, and not the other way round.
            if count.get() == 5 {
                go.send(()).unwrap();
            }
        });
        let seen = Rc::clone(&ticks);
        main.on_complete(pool.spawn(move || wait.recv()), move |main, result| {
            result.unwrap().unwrap();
            assert!(seen.get() >= 5);
            main.clear(interval);
        });
        main.run();
        assert!(ticks.get() >= 5);
    });
}

/// The pool's end is a future like any other.
#[test]
fn the_end_of_the_pool_calls_back_too() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let order = Rc::new(RefCell::new(Vec::new()));
        let occupied = Occupied::all(&pool);
        let (last, end) = (Rc::clone(&order), Rc::clone(&order));
        main.on_complete(pool.spawn(|| ()), move |_, _| {
            last.borrow_mut().push("last job");
        });
        main.on_complete(pool.shutdown(), move |_, ()| end.borrow_mut().push("end"));
        assert_eq!(main.turn(), 0);
        let release = thread::spawn(move || occupied.release());
        main.run();
        assert_eq!(*order.borrow(), ["last job", "end"]);
        release.join().unwrap();
    });
}

/// Clearing the source drops the handle, which detaches or cancels.
#[test]
fn clearing_the_source_means_what_dropping_the_handle_means() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let occupied = Occupied::all(&pool);
        let (detached, cancelled) = (pool.spawn(|| ()), pool.spawn(|| ()).cancel_on_drop());
        let (goes_on, is_gone) = (detached.cancel_handle(), cancelled.cancel_handle());
        let ids = [
            main.on_complete(detached, |_, _| unreachable!("cleared")),
            main.on_complete(cancelled, |_, _| unreachable!("cleared")),
        ];
        for id in ids {
            main.clear(id);
        }
        assert!(!goes_on.is_finished());
        assert!(is_gone.is_finished() && is_gone.cancel());
        main.run();
        occupied.release();
        until(|| goes_on.is_finished());
        assert!(!goes_on.cancel(), "it ran");
    });
}
