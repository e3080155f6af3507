//! What Node's tests say of messages, workers and the main loop: what keeps it
//! alive, what does not, and what a callback may do.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use common::{Drops, EXPECTED, hush, on_each_size, panic_of, text, watched};
use windlass::{MainLoop, Parent, channel, current_worker};

/// Counts.
fn counter() -> (Rc<Cell<usize>>, impl Fn() -> usize) {
    let count = Rc::new(Cell::new(0));
    let add = Rc::clone(&count);
    (count, move || {
        add.set(add.get() + 1);
        add.get()
    })
}

/// Node: test-worker-message-port-infinite-message-loop. A port whose handler
/// feeds it again starves neither the timer set before nor the one set in it.
#[test]
fn a_port_that_feeds_itself_does_not_starve_the_timers() {
    watched(|| {
        let main = MainLoop::new();
        let (port1, port2) = channel::<(), u8>();
        let port1 = Rc::new(port1);
        let (count, add) = counter();
        let (fired, fire) = counter();
        let fire = Rc::new(fire);
        let inner = Rc::clone(&fire);
        port2.post(0).unwrap();
        let closed = Rc::clone(&port1);
        main.on_message(&*port1, move |main, _| {
            let (closed, inner) = (Rc::clone(&closed), Rc::clone(&inner));
            if add() == 1 {
                main.set_timeout(Duration::ZERO, move |_, _| {
                    inner();
                    closed.close();
                });
            }
            // Comes back once the port is closed.
            let _ = port2.post(0);
        })
        .unwrap();
        main.set_timeout(Duration::ZERO, move |_, _| {
            fire();
        });
        main.run();
        assert_eq!(fired.get(), 2);
        assert!((1..10_000).contains(&count.get()), "{}", count.get());
    });
}

/// Node: test-worker-hasref. What a worker keeps alive can be let go and taken
/// back, and is gone after its exit.
#[test]
fn a_workers_hold_on_the_loop_can_be_asked_for_and_changed() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|(), _: &Parent<()>| ());
        let (count, add) = counter();
        let exit = main.on_exit(&worker, move |_, exit| {
            assert_eq!(exit.code(), 0);
            add();
        });
        assert!(main.has_ref(exit));
        main.unref(exit);
        assert!(!main.has_ref(exit));
        main.re_ref(exit);
        assert!(main.has_ref(exit));
        worker.close();
        main.run();
        assert_eq!(count.get(), 1);
        assert!(!main.has_ref(exit));
    });
}

/// Node: test-worker-messageport-hasref. The same of its messages, apart from
/// its exit.
#[test]
fn a_ports_hold_on_the_loop_can_be_asked_for_and_changed() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|(), _: &Parent<()>| ());
        let exit = main.on_exit(&worker, |_, _| ());
        let messages = main.on_message(&worker, |_, ()| unreachable!()).unwrap();
        let (near, far) = channel::<(), ()>();
        let port = main.on_message(&near, |_, ()| unreachable!()).unwrap();
        let refs = || [exit, messages, port].map(|id| main.has_ref(id));
        assert_eq!(refs(), [true; 3]);
        main.unref(exit);
        assert_eq!(refs(), [false, true, true]);
        main.unref(messages);
        main.unref(port);
        assert_eq!(refs(), [false; 3]);
        main.run();
        for id in [exit, messages, port] {
            main.re_ref(id);
        }
        assert_eq!(refs(), [true; 3]);
        worker.close();
        drop(far);
        main.run();
        assert_eq!(refs(), [false; 3]);
    });
}

/// Node: test-worker-ref. `run` returns although an unref'd worker lives, and
/// the worker is brought back after that.
#[test]
fn an_unrefd_worker_can_be_taken_up_again() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|text: &'static str, parent: &Parent<&'static str>| {
            parent.post(text).unwrap();
            current_worker().unwrap().close();
        });
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (hear, end) = (Rc::clone(&seen), Rc::clone(&seen));
        let messages = main
            .on_message(&worker, move |_, text| hear.borrow_mut().push(text))
            .unwrap();
        let exit = main.on_exit(&worker, move |_, _| end.borrow_mut().push("exit"));
        main.unref(messages);
        main.unref(exit);
        main.run();
        assert!(worker.is_alive() && seen.borrow().is_empty());
        main.re_ref(exit);
        worker.post("hello").unwrap();
        main.run();
        assert_eq!(*seen.borrow(), ["hello", "exit"]);
    });
}

/// Node: test-worker-ref-onexit. An unref'd worker's exit is not waited for,
/// and not reported if nothing else keeps the loop.
#[test]
fn an_unrefd_workers_exit_is_not_waited_for() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let token = drops.token();
        let main = MainLoop::new();
        let worker = pool.worker(|(), _: &Parent<()>| ());
        let exit = main.on_exit(&worker, move |_, _| {
            let _held = &token;
            unreachable!("nothing kept the loop")
        });
        main.unref(exit);
        main.run();
        assert!(worker.is_alive());
        drop(main);
        assert_eq!(drops.count(), 1, "the callback went with the loop");
    });
}

/// Node: test-worker-unref-from-message-during-exit. A worker that is gone when
/// its message is delivered can be unref'd in the callback.
#[test]
fn a_message_of_a_worker_that_is_gone_may_unref_it() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|(), parent: &Parent<()>| {
            parent.post(()).unwrap();
            current_worker().unwrap().close();
        });
        worker.post(()).unwrap();
        worker.exited().wait();
        let exit = main.on_exit(&worker, |_, _| ());
        let (count, add) = counter();
        let messages = Rc::new(Cell::new(None));
        let own = Rc::clone(&messages);
        let id = main
            .on_message(&worker, move |main, ()| {
                main.unref(exit);
                main.unref(own.get().unwrap());
                add();
            })
            .unwrap();
        messages.set(Some(id));
        main.run();
        assert_eq!(count.get(), 1);
    });
}

/// Node: test-worker-parent-port-ref. A worker to which nobody can post any
/// more ends by itself, and well.
#[test]
fn a_worker_that_nobody_can_post_to_ends() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let (started, start) = mpsc::channel();
        let worker = windlass::Worker::builder(&pool).spawn(move |_: Parent<()>| {
            started.send(()).unwrap();
            |(): ()| ()
        });
        let (count, add) = counter();
        main.on_exit(&worker, move |_, exit| {
            assert_eq!(exit.code(), 0);
            add();
        });
        start.recv().unwrap();
        drop(worker);
        main.run();
        assert_eq!(count.get(), 1);
    });
}

/// Node: test-worker-onmessage-not-a-function. Taking the listener away lets
/// the loop end, and leaves the messages where they are.
#[test]
fn without_its_listener_a_port_does_not_keep_the_loop() {
    watched(|| {
        let main = MainLoop::new();
        let (port1, port2) = channel::<u8, ()>();
        let listener = main
            .on_message(&port2, |_, n| unreachable!("{n} after clear"))
            .unwrap();
        assert!(main.has_ref(listener));
        port1.post(2).unwrap();
        main.clear(listener);
        main.run();
        assert!(!main.has_ref(listener));
        assert_eq!(port2.try_recv().unwrap(), 2);
        assert!(!port1.is_closed());
    });
}

/// Node: test-worker-exit-event-error. A panic in the exit callback comes out
/// of `run`, and leaves the loop and the other callbacks as they were.
#[test]
fn a_panic_in_an_exit_callback_comes_out_of_the_loop() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let (count, add) = counter();
        let add = Rc::new(add);
        let workers: Vec<_> = (0..3)
            .map(|_| pool.worker(|(), _: &Parent<()>| ()))
            .collect();
        for worker in &workers {
            worker.close();
            worker.exited().wait();
            let add = Rc::clone(&add);
            main.on_exit(worker, move |_, exit| {
                assert!(exit.is_success());
                assert_ne!(add(), 2, "{EXPECTED}: foo");
            });
        }
        let payload = panic_of(|| main.run());
        assert!(text(&*payload).unwrap().contains("foo"));
        main.run();
        assert_eq!(count.get(), 3);
    });
}

/// Node: test-worker-console-listeners. As many workers with listeners as one
/// likes: each is told once, and nothing of them is left in the loop.
#[test]
fn listeners_leave_nothing_behind() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let drops = Drops::default();
        let (count, add) = counter();
        let add = Rc::new(add);
        const WORKERS: usize = 100;
        for _ in 0..WORKERS {
            let worker = pool.worker(|(), parent: &Parent<()>| parent.post(()).unwrap());
            let tokens = [drops.token(), drops.token(), drops.token()];
            let [message, exit, error] = tokens;
            let adds = [Rc::clone(&add), Rc::clone(&add)];
            let [heard, ended] = adds;
            main.on_message(&worker, move |_, ()| {
                let _held = &message;
                heard();
            })
            .unwrap();
            main.on_exit(&worker, move |_, _| {
                let _held = &exit;
                ended();
            });
            main.on_error(&worker, move |_, error_| {
                let _held = &error;
                unreachable!("{error_}")
            });
            worker.post(()).unwrap();
        }
        main.run();
        assert_eq!(count.get(), 2 * WORKERS);
        assert_eq!(
            drops.count(),
            3 * WORKERS,
            "callbacks that are over are gone"
        );
        assert_eq!(main.turn(), 0);
    });
}
