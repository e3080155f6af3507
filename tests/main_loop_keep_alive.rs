//! What keeps `run` from returning, and what does not.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use windlass::MainLoop;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn run_returns_at_once_when_nothing_keeps_it() {
    let main = MainLoop::new();
    let _remote = main.remote();
    main.set_waker(|| ());
    main.run();
}

#[test]
fn timers_immediates_completions_and_posts_keep_it() {
    let main = MainLoop::new();
    let ran = Rc::new(Cell::new(0));
    let count = || {
        let ran = Rc::clone(&ran);
        move || ran.set(ran.get() + 1)
    };
    let (a, b, c) = (count(), count(), count());
    main.set_timeout(Duration::from_millis(2), move |_, _| a());
    main.set_immediate(move |_, _| b());
    main.on_complete(async {}, move |_, ()| c());
    main.remote()
        .post(|main| {
            main.remote().post(|_| ()).unwrap();
        })
        .unwrap();
    main.run();
    assert_eq!(ran.get(), 3);
    assert_eq!(main.turn(), 0, "nothing is left");
}

#[test]
fn an_unrefd_source_of_any_kind_does_not_keep_it() {
    let main = MainLoop::new();
    let ids = [
        main.set_timeout(LONG, |_, _| unreachable!()),
        main.set_interval(LONG, |_, _| unreachable!()),
        main.set_timeout(Duration::MAX, |_, _| unreachable!()),
        main.on_complete(pending::<()>(), |_, ()| unreachable!()),
    ];
    for id in ids {
        assert!(main.has_ref(id));
        main.unref(id);
        main.unref(id);
        assert!(!main.has_ref(id));
    }
    main.run();
}

#[test]
fn an_unrefd_source_fires_while_something_else_keeps_the_loop() {
    let main = MainLoop::new();
    let ran = Rc::new(Cell::new(0));
    let count = Rc::clone(&ran);
    let id = main.set_interval(Duration::ZERO, move |_, _| count.set(count.get() + 1));
    main.unref(id);
    main.set_timeout(Duration::from_millis(2), |_, _| ());
    main.run();
    assert!(ran.get() >= 1);
}

#[test]
fn an_unrefd_timer_that_is_always_due_does_not_keep_it() {
    let main = MainLoop::new();
    let id = main.set_interval(Duration::ZERO, |_, _| ());
    main.unref(id);
    main.run();
}

#[test]
fn re_ref_undoes_unref() {
    let main = MainLoop::new();
    let ran = Rc::new(Cell::new(false));
    let seen = Rc::clone(&ran);
    let id = main.set_timeout(Duration::from_millis(1), move |_, _| seen.set(true));
    main.unref(id);
    main.re_ref(id);
    main.re_ref(id);
    assert!(main.has_ref(id));
    main.run();
    assert!(ran.get());
    assert!(!main.has_ref(id), "a finished source has no ref");
    main.re_ref(id);
    main.run();
}

#[test]
fn a_source_unrefd_by_a_callback_lets_run_return() {
    let main = MainLoop::new();
    let mut left = 3;
    main.set_interval(Duration::ZERO, move |main, id| {
        left -= 1;
        if left == 0 {
            main.unref(id);
        }
    });
    main.run();
}

#[test]
fn a_guard_keeps_it_until_dropped_on_whichever_thread() {
    let main = MainLoop::new();
    let guard = main.remote().keep_alive();
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dropped);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        seen.store(true, Ordering::SeqCst);
        drop(guard);
    });
    main.run();
    assert!(dropped.load(Ordering::SeqCst));
    thread.join().unwrap();
}

#[test]
fn what_is_posted_under_a_guard_runs_before_run_returns() {
    for _ in 0..200 {
        let main = MainLoop::new();
        let remote = main.remote();
        let guard = remote.keep_alive();
        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let thread = thread::spawn(move || {
            remote
                .post(move |_| seen.store(true, Ordering::SeqCst))
                .unwrap();
            drop(guard);
        });
        main.run();
        assert!(ran.load(Ordering::SeqCst));
        thread.join().unwrap();
    }
}

#[test]
fn a_guard_outlives_the_loop_harmlessly() {
    let main = MainLoop::new();
    let remote = main.remote();
    let guard = remote.keep_alive();
    drop(main);
    drop(guard);
    drop(remote.keep_alive());
}

#[test]
fn run_may_be_called_again() {
    let main = MainLoop::new();
    let ran = Rc::new(Cell::new(0));
    for turn in 1..4 {
        let count = Rc::clone(&ran);
        main.set_immediate(move |_, _| count.set(count.get() + 1));
        main.run();
        assert_eq!(ran.get(), turn);
    }
}
