//! Futures whose completion is awaited.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use windlass::MainLoop;

/// A future that is ready once it was told so, from any thread.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(Option<u32>, Option<Waker>)>>);

impl Gate {
    fn open(&self, value: u32) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = Some(value);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn waker(&self) -> Waker {
        self.0.lock().unwrap().1.clone().unwrap()
    }
}

impl Future for Gate {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let mut state = self.0.lock().unwrap();
        match state.0 {
            Some(value) => Poll::Ready(value),
            None => {
                state.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[test]
fn a_callback_registered_after_completion_runs_next_turn_and_not_at_once() {
    let main = MainLoop::new();
    let got = Rc::new(Cell::new(0));
    let set = Rc::clone(&got);
    main.on_complete(ready(42), move |_, n| set.set(n));
    assert_eq!(got.get(), 0);
    assert_eq!(main.turn(), 1);
    assert_eq!(got.get(), 42);
    assert_eq!(main.turn(), 0);
}

#[test]
fn run_waits_for_a_completion_from_another_thread() {
    let main = MainLoop::new();
    let gate = Gate::default();
    let got = Rc::new(Cell::new(0));
    let set = Rc::clone(&got);
    main.on_complete(gate.clone(), move |_, n| set.set(n));
    assert_eq!(main.turn(), 0);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        gate.open(7);
    });
    main.run();
    assert_eq!(got.get(), 7);
    thread.join().unwrap();
}

#[test]
fn completions_run_in_the_order_in_which_they_happened() {
    let main = MainLoop::new();
    let order = Rc::new(RefCell::new(Vec::new()));
    let gates: Vec<Gate> = (0..5).map(|_| Gate::default()).collect();
    for gate in &gates {
        let order = Rc::clone(&order);
        main.on_complete(gate.clone(), move |_, n| order.borrow_mut().push(n));
    }
    for i in [3, 0, 4, 1, 2] {
        gates[i as usize].open(i);
    }
    assert_eq!(main.turn(), 5);
    assert_eq!(*order.borrow(), [3, 0, 4, 1, 2]);
}

#[test]
fn a_spurious_wake_up_polls_once_however_often_it_comes() {
    let main = MainLoop::new();
    let polls = Rc::new(Cell::new(0));
    let count = Rc::clone(&polls);
    let (give, take) = mpsc::channel();
    main.on_complete(
        poll_fn(move |cx| {
            count.set(count.get() + 1);
            give.send(cx.waker().clone()).unwrap();
            Poll::<()>::Pending
        }),
        |_, ()| unreachable!(),
    );
    assert_eq!(polls.get(), 1);
    let waker = take.recv().unwrap();
    for _ in 0..100 {
        waker.wake_by_ref();
    }
    assert_eq!(main.turn(), 0);
    assert_eq!(polls.get(), 2);
    assert_eq!(main.turn(), 0);
    assert_eq!(polls.get(), 2);
}

#[test]
fn a_wake_up_after_the_callback_ran_is_harmless() {
    let main = MainLoop::new();
    let gate = Gate::default();
    main.on_complete(gate.clone(), |_, _| ());
    let waker = gate.waker();
    gate.open(1);
    assert_eq!(main.turn(), 1);
    waker.wake_by_ref();
    assert_eq!(main.turn(), 0);
    waker.wake();
    main.run();
}

#[test]
fn a_waker_outlives_the_loop_harmlessly() {
    let main = MainLoop::new();
    let gate = Gate::default();
    main.on_complete(gate.clone(), |_, _| unreachable!());
    let waker = gate.waker();
    drop(main);
    waker.wake_by_ref();
    let thread = thread::spawn(move || waker.wake());
    thread.join().unwrap();
}

#[test]
fn wakers_fired_while_the_loop_is_dropped_are_harmless() {
    for _ in 0..200 {
        let main = MainLoop::new();
        let gates: Vec<Gate> = (0..4).map(|_| Gate::default()).collect();
        for gate in &gates {
            main.on_complete(gate.clone(), |_, _| ());
        }
        let threads: Vec<_> = gates
            .into_iter()
            .map(|gate| thread::spawn(move || gate.open(1)))
            .collect();
        drop(main);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn the_future_is_dropped_before_its_callback_runs() {
    struct Held(Rc<()>);
    impl Future for Held {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let main = MainLoop::new();
    let rc = Rc::new(());
    let seen = Rc::clone(&rc);
    let held = Held(Rc::clone(&rc));
    assert_eq!(Rc::strong_count(&held.0), 3);
    main.on_complete(held, move |_, ()| assert_eq!(Rc::strong_count(&seen), 2));
    assert_eq!(main.turn(), 1);
}

#[test]
fn callbacks_hold_what_belongs_to_the_thread_and_register_and_clear_more() {
    let main = MainLoop::new();
    let state = Rc::new(RefCell::new(Vec::new()));
    let doomed = main.on_complete(pending::<()>(), |_, ()| unreachable!());
    let log = Rc::clone(&state);
    main.on_complete(ready("a"), move |main, line| {
        log.borrow_mut().push(line);
        main.clear(doomed);
        let inner = Rc::clone(&log);
        main.on_complete(ready("b"), move |main, line| {
            inner.borrow_mut().push(line);
            main.set_timeout(Duration::ZERO, move |_, _| inner.borrow_mut().push("c"));
        });
    });
    main.run();
    assert_eq!(*state.borrow(), ["a", "b", "c"]);
    assert_eq!(Rc::strong_count(&state), 1);
}

#[test]
fn many_completions_from_many_threads_all_arrive() {
    let count = if cfg!(miri) { 20 } else { 2000 };
    let main = MainLoop::new();
    let sum = Rc::new(Cell::new(0));
    let gates: Vec<Gate> = (0..count).map(|_| Gate::default()).collect();
    for gate in &gates {
        let sum = Rc::clone(&sum);
        main.on_complete(gate.clone(), move |_, n| sum.set(sum.get() + n));
    }
    let threads: Vec<_> = (0..4)
        .map(|t| {
            let gates = gates.clone();
            thread::spawn(move || {
                for (i, gate) in gates.iter().enumerate() {
                    if i % 4 == t {
                        gate.open(1);
                    }
                }
            })
        })
        .collect();
    main.run();
    assert_eq!(sum.get(), count);
    for thread in threads {
        thread.join().unwrap();
    }
}
