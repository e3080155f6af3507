//! Nothing that feeds itself starves the rest.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use windlass::{MainLoop, Remote};

/// Runs the loop until a timer of no duration has fired, and checks how many
/// rounds the self-feeding source got in.
fn timer_fires_after_at_most(rounds: usize, main: &MainLoop, fed: &Rc<Cell<usize>>) {
    let fired = Rc::new(Cell::new(false));
    let seen = Rc::clone(&fired);
    main.set_timeout(Duration::ZERO, move |_, _| seen.set(true));
    let mut turns = 0;
    while !fired.get() {
        main.turn();
        turns += 1;
        assert!(turns < 1000, "the timer is starved");
    }
    assert!(fed.get() <= rounds, "{} rounds before the timer", fed.get());
}

#[test]
fn immediates_that_set_immediates() {
    fn feed(main: &MainLoop, fed: Rc<Cell<usize>>) {
        main.set_immediate(move |main, _| {
            fed.set(fed.get() + 1);
            feed(main, fed);
        });
    }
    let main = MainLoop::new();
    let fed = Rc::new(Cell::new(0));
    feed(&main, Rc::clone(&fed));
    timer_fires_after_at_most(1, &main, &fed);
    assert_eq!(main.turn(), 1);
}

#[test]
fn posts_that_post() {
    fn feed(remote: &Remote) {
        let again = remote.clone();
        remote.post(move |_| feed(&again)).unwrap();
    }
    let main = MainLoop::new();
    feed(&main.remote());
    timer_fires_after_at_most(1, &main, &Rc::default());
    assert_eq!(main.turn(), 1);
}

#[test]
fn completions_that_register_completions() {
    fn feed(main: &MainLoop, fed: Rc<Cell<usize>>) {
        main.on_complete(async {}, move |main, ()| {
            fed.set(fed.get() + 1);
            feed(main, fed);
        });
    }
    let main = MainLoop::new();
    let fed = Rc::new(Cell::new(0));
    feed(&main, Rc::clone(&fed));
    timer_fires_after_at_most(1, &main, &fed);
    assert_eq!(main.turn(), 1);
}

#[test]
fn a_future_that_wakes_itself() {
    let main = MainLoop::new();
    let polls = Rc::new(Cell::new(0));
    let count = Rc::clone(&polls);
    let never = poll_fn(move |cx| {
        count.set(count.get() + 1);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    main.on_complete(never, |_, ()| unreachable!());
    timer_fires_after_at_most(2, &main, &polls);
    let before = polls.get();
    assert_eq!(main.turn(), 0);
    assert_eq!(polls.get(), before + 1, "one poll per turn");
}

#[test]
fn timers_of_no_duration_do_not_starve_immediates() {
    fn feed(main: &MainLoop) {
        main.set_timeout(Duration::ZERO, |main, _| feed(main));
    }
    let main = MainLoop::new();
    feed(&main);
    let ran = Rc::new(Cell::new(false));
    let seen = Rc::clone(&ran);
    main.set_immediate(move |_, _| seen.set(true));
    assert_eq!(main.turn(), 2);
    assert!(ran.get());
}
