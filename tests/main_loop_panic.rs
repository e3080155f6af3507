//! A callback's panic leaves the loop whole, and the rest runs next turn.

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use windlass::MainLoop;

/// The message of the panic that comes out of one turn.
fn panic_of_turn(main: &MainLoop) -> &'static str {
    let payload = catch_unwind(AssertUnwindSafe(|| main.turn())).unwrap_err();
    payload.downcast_ref::<&str>().copied().unwrap()
}

/// Panics without a word on stderr, which tests have enough of.
fn quiet(message: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(message))
}

#[test]
fn the_rest_runs_next_turn_whichever_callback_panics() {
    let main = MainLoop::new();
    let ran = Rc::new(Cell::new(0));
    let count = || {
        let ran = Rc::clone(&ran);
        move || ran.set(ran.get() + 1)
    };
    main.set_timeout(Duration::ZERO, |_, _| quiet("timer"));
    let c = count();
    main.set_timeout(Duration::ZERO, move |_, _| c());
    main.on_complete(async {}, |_, ()| quiet("completion"));
    let c = count();
    main.on_complete(async {}, move |_, ()| c());
    main.remote().post(|_| quiet("post")).unwrap();
    main.remote().post(|_| ()).unwrap();
    main.set_immediate(|_, _| quiet("immediate"));
    let c = count();
    main.set_immediate(move |_, _| c());

    assert_eq!(panic_of_turn(&main), "timer");
    assert_eq!(ran.get(), 0);
    assert_eq!(panic_of_turn(&main), "completion");
    assert_eq!(ran.get(), 1);
    assert_eq!(panic_of_turn(&main), "post");
    assert_eq!(ran.get(), 2);
    assert_eq!(panic_of_turn(&main), "immediate");
    assert_eq!(ran.get(), 2);
    assert_eq!(main.turn(), 1);
    assert_eq!(ran.get(), 3);
    main.run();
}

#[test]
fn a_panicking_interval_stays_registered() {
    let main = MainLoop::new();
    let runs = Rc::new(Cell::new(0));
    let count = Rc::clone(&runs);
    let id = main.set_interval(Duration::ZERO, move |main, id| {
        count.set(count.get() + 1);
        match count.get() {
            1 => quiet("once"),
            3 => main.clear(id),
            _ => {}
        }
    });
    assert_eq!(panic_of_turn(&main), "once");
    assert!(main.has_ref(id));
    main.run();
    assert_eq!(runs.get(), 3);
}

#[test]
fn an_interval_that_clears_itself_and_panics_is_gone() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            quiet("drop");
        }
    }
    let main = MainLoop::new();
    let loud = Loud;
    main.set_interval(Duration::ZERO, move |main, id| {
        let _held = &loud;
        main.clear(id);
        quiet("callback");
    });
    assert_eq!(panic_of_turn(&main), "callback");
    main.run();
}

#[test]
fn a_panicking_future_is_gone() {
    let main = MainLoop::new();
    let mut polls = 0;
    let held = Rc::new(());
    let inside = Rc::clone(&held);
    let id = main.on_complete(
        poll_fn(move |cx| {
            let _ = &inside;
            polls += 1;
            if polls == 2 {
                quiet("poll");
            }
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }),
        |_, ()| unreachable!(),
    );
    assert_eq!(panic_of_turn(&main), "poll");
    assert!(!main.has_ref(id));
    assert_eq!(Rc::strong_count(&held), 1);
    main.run();
}

#[test]
fn a_future_that_panics_when_it_is_registered_leaves_nothing_behind() {
    let main = MainLoop::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        main.on_complete(
            poll_fn(|_| -> Poll<()> { quiet("first poll") }),
            |_, ()| unreachable!(),
        )
    }));
    assert!(result.is_err());
    main.run();
}

#[test]
fn the_waker_hears_of_what_a_panic_left() {
    let main = MainLoop::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    main.set_immediate(|_, _| quiet("first"));
    main.set_immediate(|_, _| ());
    main.set_waker(move || count.fetch_add(1, Ordering::SeqCst));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(panic_of_turn(&main), "first");
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(main.turn(), 1);
}

#[test]
fn a_panic_in_a_nested_turn_passes_through_the_outer_one() {
    let main = MainLoop::new();
    main.set_immediate(|main, _| {
        main.set_immediate(|_, _| quiet("inner"));
        main.turn();
    });
    main.set_immediate(|_, _| ());
    main.set_immediate(|_, _| ());
    // The nested turn runs the two, and then panics.
    assert_eq!(panic_of_turn(&main), "inner");
    assert_eq!(main.turn(), 0);
    // A loop that thought it was still in a turn would not tell its host.
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    main.set_waker(move || count.fetch_add(1, Ordering::SeqCst));
    main.set_immediate(|_, _| ());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn payloads_arrive_as_they_were_thrown() {
    let main = MainLoop::new();
    main.set_immediate(|_, _| panic_any(42_u32));
    let payload = catch_unwind(AssertUnwindSafe(|| main.turn())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&42_u32));
}
