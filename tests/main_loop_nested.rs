//! Turns within callbacks.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use windlass::MainLoop;

#[test]
fn a_nested_turn_runs_what_is_ready_and_the_outer_one_what_is_left_of_its_share() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let main = MainLoop::new();
    let log = Rc::clone(&order);
    main.set_immediate(move |main, _| {
        for i in 0..3 {
            let log = Rc::clone(&log);
            main.set_immediate(move |main, _| {
                log.borrow_mut().push(i);
                main.set_immediate(|_, _| ());
            });
        }
        // The rest of the outer share (one) and the three above.
        assert_eq!(main.turn(), 4);
    });
    let log = Rc::clone(&order);
    main.set_immediate(move |_, _| log.borrow_mut().push(100));
    assert_eq!(main.turn(), 1, "the outer turn ran one itself");
    assert_eq!(*order.borrow(), [100, 0, 1, 2]);
    assert_eq!(main.turn(), 3, "what the nested turn's callbacks set");
}

#[test]
fn the_outer_turn_runs_no_post_that_came_after_it_began() {
    let main = MainLoop::new();
    let remote = main.remote();
    let inner = remote.clone();
    remote
        .post(move |main| {
            inner.post(|_| ()).unwrap();
            // Takes the second of the outer share, and the one just posted.
            assert_eq!(main.turn(), 2);
            inner.post(|_| ()).unwrap();
            inner.post(|_| ()).unwrap();
        })
        .unwrap();
    remote.post(|_| ()).unwrap();
    assert_eq!(main.turn(), 1);
    assert_eq!(main.turn(), 2);
}

#[test]
fn a_running_interval_is_not_entered_again() {
    let main = MainLoop::new();
    let depth = Rc::new(Cell::new(0));
    let runs = Rc::new(Cell::new(0));
    let (inside, count) = (Rc::clone(&depth), Rc::clone(&runs));
    let id = main.set_interval(Duration::ZERO, move |main, _| {
        assert_eq!(inside.replace(1), 0);
        assert_eq!(main.turn(), 0);
        assert_eq!(main.turn(), 0);
        inside.set(0);
        count.set(count.get() + 1);
    });
    assert_eq!(main.turn(), 1);
    assert_eq!(main.turn(), 1);
    assert_eq!(runs.get(), 2);
    main.clear(id);
}

#[test]
fn an_interval_cleared_by_a_nested_turn_is_dropped_when_it_ends() {
    let main = MainLoop::new();
    let alive = Rc::new(());
    let held = Rc::clone(&alive);
    main.set_interval(Duration::ZERO, move |main, id| {
        main.set_immediate(move |main, _| main.clear(id));
        assert_eq!(main.turn(), 1);
        assert_eq!(Rc::strong_count(&held), 2, "still there while it runs");
    });
    assert_eq!(main.turn(), 1);
    assert_eq!(Rc::strong_count(&alive), 1);
    main.run();
}

#[test]
fn a_wake_up_taken_by_a_turn_within_the_poll_is_not_lost() {
    thread_local!(static MAIN: MainLoop = MainLoop::new());
    let done = Rc::new(Cell::new(false));
    let seen = Rc::clone(&done);
    let mut polls = 0;
    let future = poll_fn(move |cx| {
        polls += 1;
        if polls <= 3 {
            cx.waker().wake_by_ref();
            // Takes the wake-up out of the inbox while the future is out.
            MAIN.with(|main| assert_eq!(main.turn(), 0));
            return Poll::Pending;
        }
        Poll::Ready(())
    });
    MAIN.with(|main| {
        main.on_complete(future, move |_, ()| seen.set(true));
        main.run();
    });
    assert!(done.get());
}

#[test]
fn run_within_a_callback_returns_when_nothing_else_is_left() {
    let main = MainLoop::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&order);
    main.set_immediate(move |main, _| {
        let inner = Rc::clone(&log);
        main.set_timeout(Duration::from_millis(1), move |_, _| {
            inner.borrow_mut().push("timer");
        });
        main.run();
        log.borrow_mut().push("outer");
    });
    main.run();
    assert_eq!(*order.borrow(), ["timer", "outer"]);
}
