//! Timers: when they fire, and what a host is told about it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use windlass::MainLoop;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_timer_does_not_fire_before_its_time() {
    let main = MainLoop::new();
    let start = Instant::now();
    let after = Duration::from_millis(10);
    main.set_timeout(after, move |_, _| assert!(start.elapsed() >= after));
    main.run();
}

#[test]
fn a_timer_without_a_time_never_fires_but_keeps_the_loop_alive() {
    let main = MainLoop::new();
    let a = main.set_timeout(Duration::MAX, |_, _| unreachable!());
    let b = main.set_interval(Duration::MAX, |_, _| unreachable!());
    assert_eq!(main.next_deadline(), None);
    assert_eq!(main.turn(), 0);
    assert_eq!(main.turn_for(Duration::from_millis(1)), 0);
    assert!(main.has_ref(a) && main.has_ref(b));
    main.set_timeout(Duration::from_millis(1), move |main, _| {
        main.clear(a);
        main.clear(b);
    });
    main.run();
}

#[test]
fn an_interval_of_no_duration_fires_once_per_turn() {
    let main = MainLoop::new();
    let runs = Rc::new(Cell::new(0));
    let count = Rc::clone(&runs);
    main.set_interval(Duration::ZERO, move |_, _| count.set(count.get() + 1));
    for turn in 1..=100 {
        assert_eq!(main.turn(), 1);
        assert_eq!(runs.get(), turn);
    }
}

#[test]
fn missed_periods_are_one_call_and_the_beat_goes_on_in_step() {
    let main = MainLoop::new();
    let period = Duration::from_millis(4);
    let runs = Rc::new(Cell::new(0));
    let count = Rc::clone(&runs);
    main.set_interval(period, move |_, _| count.set(count.get() + 1));
    let first = main.next_deadline().unwrap();
    sleep(period * 4);
    assert_eq!(main.turn(), 1);
    assert_eq!(runs.get(), 1);
    let next = main.next_deadline().unwrap();
    let beats = (next - first).as_nanos();
    assert_eq!(beats % period.as_nanos(), 0, "in step");
    assert!(
        beats >= 3 * period.as_nanos(),
        "the missed ones are skipped"
    );
}

#[test]
fn an_interval_may_clear_itself() {
    let main = MainLoop::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&order);
    let mut n = 0;
    main.set_interval(Duration::from_millis(1), move |main, id| {
        n += 1;
        log.borrow_mut().push(n);
        if n == 3 {
            main.clear(id);
        }
    });
    main.run();
    assert_eq!(*order.borrow(), [1, 2, 3]);
    assert_eq!(Rc::strong_count(&order), 1, "the callback is gone");
}

#[test]
fn the_next_deadline_is_the_earliest_timers() {
    let main = MainLoop::new();
    assert_eq!(main.next_deadline(), None);
    main.set_timeout(2 * LONG, |_, _| ());
    let far = main.next_deadline().unwrap();
    let near_id = main.set_timeout(LONG, |_, _| ());
    let near = main.next_deadline().unwrap();
    assert!(Instant::now() < near && near < far);
    main.clear(near_id);
    assert_eq!(main.next_deadline(), Some(far));
}

#[test]
fn the_next_deadline_has_passed_if_something_is_ready() {
    let main = MainLoop::new();
    main.set_timeout(LONG, |_, _| ());
    let has_passed = || main.next_deadline().is_some_and(|at| at <= Instant::now());

    assert!(!has_passed());
    let immediate = main.set_immediate(|_, _| ());
    assert!(has_passed());
    main.clear(immediate);
    assert!(!has_passed());
    main.remote().post(|_| ()).unwrap();
    assert!(has_passed());
    main.turn();
    assert!(!has_passed());
    main.on_complete(async {}, |_, ()| ());
    assert!(has_passed());
    main.turn();
    main.set_timeout(Duration::ZERO, |_, _| ());
    assert!(has_passed());
    main.turn();
    assert!(!has_passed());
}

#[test]
fn turn_for_ends_early_when_something_is_ready() {
    let main = MainLoop::new();
    main.set_immediate(|_, _| ());
    assert_eq!(main.turn_for(LONG), 1);
    main.set_timeout(Duration::from_millis(2), |_, _| ());
    assert_eq!(main.turn_for(Duration::MAX), 1);
    let remote = main.remote();
    let thread = std::thread::spawn(move || {
        sleep(Duration::from_millis(5));
        remote.post(|_| ()).unwrap();
    });
    assert_eq!(main.turn_for(LONG), 1);
    thread.join().unwrap();
}

#[test]
fn turn_for_gives_up_when_its_time_is_over() {
    let main = MainLoop::new();
    assert_eq!(main.turn_for(Duration::ZERO), 0);
    main.set_timeout(LONG, |_, _| ());
    let start = Instant::now();
    assert_eq!(main.turn_for(Duration::from_millis(3)), 0);
    assert!(start.elapsed() >= Duration::from_millis(3));
}
