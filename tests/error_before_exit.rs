//! Of one worker, on one loop, the error comes before the exit, whatever happens
//! between two looks.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{EXPECTED, hush, on_each_size, watched};
use windlass::{BoxError, MainLoop, Parent, Pool, SourceId, Worker};

type Told = Rc<RefCell<Vec<&'static str>>>;

fn failing(pool: &Pool) -> Worker<(), ()> {
    pool.worker(|(), _: &Parent<()>| panic!("{EXPECTED}: at once"))
}

/// Makes the worker fail; it is over, and everybody has been told so, when this
/// returns.
fn fail(worker: &Worker<(), ()>) {
    worker.post(()).unwrap();
    assert!(worker.recv().is_err());
}

fn tell_error(main: &MainLoop, worker: &Worker<(), ()>, told: &Told) -> SourceId {
    let told = Rc::clone(told);
    main.on_error(worker, move |_, _| told.borrow_mut().push("error"))
}

fn tell_exit(main: &MainLoop, worker: &Worker<(), ()>, told: &Told) -> SourceId {
    let told = Rc::clone(told);
    main.on_exit(worker, move |_, exit| {
        assert!(exit.is_failed());
        told.borrow_mut().push("exit");
    })
}

/// The worker fails in the middle of a turn: the one who waits for the error has
/// looked, the one who waits for the exit has not.
#[test]
fn an_end_between_two_looks_is_an_error_and_then_an_exit() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let told = Told::default();
        let worker = Arc::new(failing(&pool));
        tell_error(&main, &worker, &told);
        let fails = Arc::clone(&worker);
        main.remote().post(move |_| fail(&fails)).unwrap();
        tell_exit(&main, &worker, &told);
        main.run();
        assert_eq!(*told.borrow(), ["error", "exit"]);
    });
}

/// Whoever asks for the exit first.
#[test]
fn the_order_is_not_that_in_which_they_asked() {
    hush();
    on_each_size(|pool| {
        for ends_before in [false, true] {
            let main = MainLoop::new();
            let told = Told::default();
            let worker = failing(&pool);
            if ends_before {
                fail(&worker);
            }
            tell_exit(&main, &worker, &told);
            tell_error(&main, &worker, &told);
            tell_exit(&main, &worker, &told);
            tell_error(&main, &worker, &told);
            if !ends_before {
                fail(&worker);
            }
            main.run();
            assert_eq!(*told.borrow(), ["error", "error", "exit", "exit"]);
        }
    });
}

/// A worker that fails while the loop looks: it is let go when the turn begins,
/// and many who wait for the error make the looks of that turn take long.
#[test]
fn no_exit_is_told_before_the_last_error() {
    const ROUNDS: usize = 2000;
    const LISTENERS: usize = 32;
    watched(|| {
        let pool = common::pool(1);
        let mut early = 0;
        for round in 0..ROUNDS {
            let main = MainLoop::new();
            let told = Told::default();
            let turn_began = Arc::new(AtomicBool::new(false));
            let let_go = Arc::clone(&turn_began);
            let worker = pool.try_worker(move |(), _: &Parent<()>| -> Result<(), BoxError> {
                while !let_go.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                // A while that is different each time.
                for n in 0..round % 100 {
                    std::hint::black_box(n);
                }
                Err("in the middle".into())
            });
            worker.post(()).unwrap();
            let begin = move |_: &MainLoop| turn_began.store(true, Ordering::Release);
            main.remote().post(begin).unwrap();
            for _ in 0..LISTENERS {
                tell_error(&main, &worker, &told);
            }
            tell_exit(&main, &worker, &told);
            main.run();
            let told = told.borrow();
            assert_eq!(told.len(), LISTENERS + 1);
            early += usize::from(told.last() != Some(&"exit"));
        }
        assert_eq!(early, 0, "so many of {ROUNDS} exits came early");
    });
}

/// Who is told nothing any more holds nobody up, be it cleared before the end or
/// while an exit waits for it.
#[test]
fn a_cleared_listener_lets_the_exit_go() {
    hush();
    on_each_size(|pool| {
        for ends_before in [false, true] {
            let main = MainLoop::new();
            let told = Told::default();
            let worker = failing(&pool);
            if ends_before {
                fail(&worker);
            }
            tell_exit(&main, &worker, &told);
            let error = Rc::new(RefCell::new(None));
            let cleared = Rc::clone(&error);
            main.on_complete(std::future::ready(()), move |main, ()| {
                main.clear(cleared.take().unwrap());
            });
            error.replace(Some(tell_error(&main, &worker, &told)));
            if !ends_before {
                fail(&worker);
            }
            main.run();
            assert_eq!(*told.borrow(), ["exit"]);
        }
    });
}

/// Nor does one whose callback panics.
#[test]
fn a_listener_that_panics_lets_the_exit_go() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let told = Told::default();
        let worker = failing(&pool);
        tell_exit(&main, &worker, &told);
        main.on_error(&worker, |_, _| panic!("{EXPECTED}: in the callback"));
        fail(&worker);
        let run = std::panic::AssertUnwindSafe(|| main.run());
        assert!(std::panic::catch_unwind(run).is_err());
        main.run();
        assert_eq!(*told.borrow(), ["exit"]);
    });
}

/// Two loops on one thread: the one that runs does not wait for the one that does
/// not, and who awaits the exit waits for neither.
#[test]
fn each_loop_has_its_own_order() {
    hush();
    on_each_size(|pool| {
        let worker = failing(&pool);
        let mains = [MainLoop::new(), MainLoop::new()];
        let told = [(); 2].map(|()| Told::default());
        let dropped = MainLoop::new();
        tell_error(&dropped, &worker, &Told::default());
        for (main, told) in mains.iter().zip(&told) {
            tell_exit(main, &worker, told);
            tell_error(main, &worker, told);
        }
        let exited = worker.exited();
        fail(&worker);
        assert!(exited.wait().is_failed());
        drop(dropped);
        for (main, told) in mains.iter().zip(&told) {
            main.run();
            assert_eq!(*told.borrow(), ["error", "exit"]);
        }
    });
}
