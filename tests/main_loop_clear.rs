//! What is cleared does not run, and what is dropped may call the loop.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use windlass::{MainLoop, SourceId};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_cleared_source_of_any_kind_neither_runs_nor_keeps_the_loop_alive() {
    let main = MainLoop::new();
    let alive = Rc::new(());
    let held = || Rc::clone(&alive);
    let (a, b, c, d, e) = (held(), held(), held(), held(), held());
    let ids = [
        main.set_timeout(LONG, move |_, _| drop(a)),
        main.set_interval(LONG, move |_, _| drop(Rc::clone(&b))),
        main.set_immediate(move |_, _| drop(c)),
        main.on_complete(pending::<()>(), move |_, ()| drop(d)),
        main.on_complete(async {}, move |_, ()| drop(e)),
    ];
    assert_eq!(Rc::strong_count(&alive), 6);
    for id in ids {
        main.clear(id);
        assert!(!main.has_ref(id));
        main.clear(id);
    }
    assert_eq!(Rc::strong_count(&alive), 1, "dropped at once");
    assert_eq!(main.turn(), 0);
    main.run();
}

#[test]
fn what_an_earlier_callback_of_the_same_turn_cleared_does_not_run() {
    let main = MainLoop::new();
    let doomed = Rc::new(RefCell::new(Vec::new()));
    let list = Rc::clone(&doomed);
    main.set_timeout(Duration::ZERO, move |main, _| {
        for id in list.take() {
            main.clear(id);
        }
    });
    doomed.borrow_mut().extend([
        main.set_timeout(Duration::ZERO, |_, _| unreachable!()),
        main.set_interval(Duration::ZERO, |_, _| unreachable!()),
        main.on_complete(async {}, |_, ()| unreachable!()),
        main.set_immediate(|_, _| unreachable!()),
    ]);
    main.set_immediate(|_, _| ());
    assert_eq!(main.turn(), 2);
    main.run();
}

#[test]
fn a_cleared_immediate_in_the_middle_leaves_its_neighbours() {
    let main = MainLoop::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let ids: Vec<SourceId> = (0..5)
        .map(|i| {
            let order = Rc::clone(&order);
            main.set_immediate(move |_, _| order.borrow_mut().push(i))
        })
        .collect();
    main.clear(ids[0]);
    main.clear(ids[2]);
    main.clear(ids[4]);
    assert!(main.next_deadline().is_some());
    assert_eq!(main.turn(), 2);
    assert_eq!(*order.borrow(), [1, 3]);
    assert_eq!(main.next_deadline(), None);
}

#[test]
fn a_source_of_one_loop_means_nothing_to_another() {
    let (one, two) = (MainLoop::new(), MainLoop::new());
    let id = one.set_immediate(|_, _| ());
    two.set_immediate(|_, _| ());
    two.clear(id);
    two.unref(id);
    assert!(!two.has_ref(id));
    assert!(one.has_ref(id));
    assert_eq!(one.turn(), 1);
    assert_eq!(two.turn(), 1);
}

#[test]
fn names_are_not_used_twice_and_compare_by_age() {
    let main = MainLoop::new();
    let mut last = main.set_immediate(|_, _| ());
    for _ in 0..100 {
        main.clear(last);
        let next = main.set_immediate(|_, _| ());
        assert!(next > last);
        last = next;
    }
}

#[test]
fn clearing_from_within_the_callback_that_runs_does_nothing_more() {
    let main = MainLoop::new();
    main.set_timeout(Duration::ZERO, MainLoop::clear);
    main.set_immediate(MainLoop::clear);
    let id = Rc::new(Cell::new(None));
    let own = Rc::clone(&id);
    id.set(Some(main.on_complete(async {}, move |main, ()| {
        main.clear(own.get().unwrap());
    })));
    assert_eq!(main.turn(), 3);
    main.run();
}

thread_local!(static MAIN: MainLoop = MainLoop::new());

/// A value whose `Drop` uses the loop in every way.
struct Reenters(Rc<Cell<usize>>);

impl Drop for Reenters {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        MAIN.with(|main| {
            let id = main.set_timeout(LONG, |_, _| ());
            main.unref(id);
            main.set_interval(LONG, |_, _| ());
            main.clear(id);
            main.on_complete(pending::<()>(), |_, ()| ());
            main.set_immediate(|_, _| ());
            main.remote().post(|_| ()).unwrap();
            main.set_waker(|| ());
            main.clear_waker();
            main.next_deadline();
            main.turn();
        });
    }
}

#[test]
fn what_a_callback_or_future_holds_may_call_the_loop_when_it_is_dropped() {
    let drops = Rc::new(Cell::new(0));
    let value = || Reenters(Rc::clone(&drops));
    MAIN.with(|main| {
        // Cleared.
        let (a, b, c, d, e) = (value(), value(), value(), value(), value());
        let ids = [
            main.set_timeout(LONG, move |_, _| drop(a)),
            main.set_interval(LONG, move |_, _| _ = &b),
            main.set_immediate(move |_, _| drop(c)),
            main.on_complete(pending::<()>(), move |_, ()| drop(d)),
            main.on_complete(
                async move {
                    let _e = e;
                    pending::<()>().await;
                },
                |_, ()| (),
            ),
        ];
        for id in ids {
            main.clear(id);
        }
        assert_eq!(drops.get(), 5);

        // Run.
        let (a, b, c, d) = (value(), value(), value(), value());
        main.set_timeout(Duration::ZERO, move |_, _| drop(a));
        main.set_interval(Duration::ZERO, move |main, id| {
            let _ = &b;
            main.clear(id);
        });
        main.set_immediate(move |_, _| drop(c));
        main.on_complete(async {}, move |_, ()| drop(d));
        for _ in 0..4 {
            main.turn();
        }
        assert_eq!(drops.get(), 9);
    });
}

#[test]
fn dropping_the_loop_drops_everything_and_stops_at_no_panic() {
    struct Loud(Rc<Cell<usize>>);
    impl Drop for Loud {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            std::panic::resume_unwind(Box::new("drop"));
        }
    }
    let drops = Rc::new(Cell::new(0));
    let value = || Loud(Rc::clone(&drops));
    let main = MainLoop::new();
    let (a, b, c, d) = (value(), value(), value(), value());
    main.set_timeout(LONG, move |_, _| drop(a));
    main.set_interval(LONG, move |_, _| _ = &b);
    main.set_immediate(move |_, _| drop(c));
    main.on_complete(pending::<()>(), move |_, ()| drop(d));
    drop(main);
    assert_eq!(drops.get(), 4);
}
