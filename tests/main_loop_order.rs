//! What a turn runs, and in which order.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use windlass::MainLoop;

type Log = Rc<RefCell<Vec<&'static str>>>;

fn log() -> (Log, impl Fn(&'static str) + Clone + 'static) {
    let log = Log::default();
    let write = Rc::clone(&log);
    (log, move |line| write.borrow_mut().push(line))
}

#[test]
fn timers_come_before_the_inbox_and_the_inbox_before_immediates() {
    let (log, write) = log();
    let main = MainLoop::new();
    let w = write.clone();
    main.set_immediate(move |_, _| w("immediate"));
    let w = write.clone();
    main.on_complete(async {}, move |_, ()| w("completion"));
    let w = write.clone();
    main.set_timeout(Duration::ZERO, move |_, _| w("timer"));
    assert_eq!(main.turn(), 3);
    assert_eq!(*log.borrow(), ["timer", "completion", "immediate"]);
}

#[test]
fn due_timers_run_by_deadline_whatever_the_order_of_their_creation() {
    let (log, write) = log();
    let main = MainLoop::new();
    for (after, line) in [(300, "third"), (100, "first"), (200, "second")] {
        let w = write.clone();
        main.set_timeout(Duration::from_millis(after), move |_, _| w(line));
    }
    sleep(Duration::from_millis(320));
    assert_eq!(main.turn(), 3);
    assert_eq!(*log.borrow(), ["first", "second", "third"]);
}

#[test]
fn timers_of_the_same_duration_run_in_the_order_of_their_creation() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let main = MainLoop::new();
    for i in 0..100 {
        let order = Rc::clone(&order);
        main.set_timeout(Duration::from_millis(1), move |_, _| {
            order.borrow_mut().push(i);
        });
    }
    main.run();
    assert_eq!(*order.borrow(), (0..100).collect::<Vec<_>>());
}

#[test]
fn completions_and_posts_run_in_the_order_of_their_arrival() {
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let main = MainLoop::new();
    let remote = main.remote();
    for i in 0..10 {
        let push = std::sync::Arc::clone(&order);
        if i % 2 == 0 {
            remote.post(move |_| push.lock().unwrap().push(i)).unwrap();
        } else {
            main.on_complete(async {}, move |_, ()| push.lock().unwrap().push(i));
        }
    }
    assert_eq!(main.turn(), 10);
    assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
}

#[test]
fn immediates_run_in_the_order_in_which_they_were_set() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let main = MainLoop::new();
    for i in 0..10 {
        let order = Rc::clone(&order);
        main.set_immediate(move |_, _| order.borrow_mut().push(i));
    }
    assert_eq!(main.turn(), 10);
    assert_eq!(*order.borrow(), (0..10).collect::<Vec<_>>());
}

#[test]
fn what_a_callback_adds_waits_for_the_next_turn() {
    let (log, write) = log();
    let main = MainLoop::new();
    main.set_timeout(Duration::ZERO, move |main, _| {
        write("outer");
        let w = write.clone();
        main.set_timeout(Duration::ZERO, move |_, _| w("timer"));
        let w = write.clone();
        main.on_complete(async {}, move |_, ()| w("completion"));
        let w = write.clone();
        main.set_immediate(move |_, _| w("immediate"));
        main.remote().post(|_| ()).unwrap();
    });
    assert_eq!(main.turn(), 1);
    assert_eq!(*log.borrow(), ["outer"]);
    assert_eq!(main.turn(), 4);
    assert_eq!(*log.borrow(), ["outer", "timer", "completion", "immediate"]);
    assert_eq!(main.turn(), 0);
}
