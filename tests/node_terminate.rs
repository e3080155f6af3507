//! What Node's tests say of `terminate`. Node interrupts; here a worker ends
//! after the message in hand, and a long one asks `is_terminating`. So each test
//! that has an endless loop in Node has one that asks here.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{hush, on_each_size, pool_with_panics, watched};
use windlass::{MainLoop, Parent, Pool, Port, Spawner, Worker, channel};

/// A worker that says when it has started, and then goes on until it is told to
/// end; what it does meanwhile is `each`.
fn looping<F>(pool: &Pool, each: F) -> Worker<(), &'static str>
where
    F: Fn() + Send + 'static,
{
    pool.worker(move |(), parent: &Parent<&'static str>| {
        parent.post("up").unwrap();
        while !parent.is_terminating() {
            each();
        }
    })
}

/// Starts it, and waits until it says so.
fn start(worker: &Worker<(), &'static str>) {
    worker.post(()).unwrap();
    assert_eq!(worker.recv().unwrap(), "up");
}

/// Node: test-worker-message-port-transfer-terminate. A port that is sent to a
/// worker just before it is terminated is closed, ten times over.
#[test]
fn a_port_sent_to_a_terminating_worker_is_closed() {
    on_each_size(|pool| {
        for _ in 0..10 {
            let main = MainLoop::new();
            let worker = pool.worker(|_: Port<(), ()>, _: &Parent<()>| ());
            let (port, other) = channel::<(), ()>();
            let done = Rc::new(Cell::new(false));
            let flag = Rc::clone(&done);
            main.on_complete(port.closed(), move |_, ()| flag.set(true));
            main.set_immediate(move |_, _| {
                worker.post(other).unwrap();
                drop(worker.terminate());
            });
            main.run();
            assert!(done.get());
        }
    });
}

/// Node: test-worker-terminate-nested. A worker that has another worker running
/// can be terminated, and the other one ends too.
#[test]
fn a_worker_with_a_worker_can_be_terminated() {
    on_each_size(|pool| {
        let (tell, inner_exited) = mpsc::channel();
        let outer = Worker::builder(&pool).spawn(move |parent: Parent<()>| {
            let spawner = Spawner::current().unwrap();
            let inner = Worker::builder(&spawner).spawn(|_: Parent<()>| |(): ()| ());
            tell.send(inner.exited()).unwrap();
            inner.post(()).unwrap();
            parent.post(()).unwrap();
            move |(): ()| inner.close()
        });
        outer.recv().unwrap();
        assert!(outer.terminate().wait().is_terminated());
        assert!(inner_exited.recv().unwrap().wait().is_success());
    });
}

/// Node: test-worker-terminate-null-handler. To terminate a worker that is gone
/// changes nothing, however often, and is not waited for.
#[test]
fn terminating_a_worker_that_is_gone_does_nothing() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|(), parent: &Parent<&'static str>| parent.post("hello").unwrap());
        let worker = Rc::new(worker);
        let answers = Rc::new(Cell::new(0));
        let (gone, count) = (Rc::clone(&worker), Rc::clone(&answers));
        main.on_exit(&*worker, move |main, _| {
            for _ in 0..2 {
                let count = Rc::clone(&count);
                main.on_complete(gone.terminate(), move |_, exit| {
                    assert!(exit.is_success());
                    count.set(count.get() + 1);
                });
            }
        });
        worker.post(()).unwrap();
        worker.close();
        main.run();
        assert_eq!(answers.get(), 2);
    });
}

/// Node: test-worker-terminate-ref-public-port. A worker that floods its owner
/// does not keep the loop once it has been terminated.
#[test]
fn a_worker_that_floods_can_be_terminated() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|(), parent: &Parent<u32>| {
            let mut n = 0;
            while !parent.is_terminating() {
                let _ = parent.post(n);
                n += 1;
                // The loop may have to wait for a processor, and memory has an end.
                if n % 10_000 == 0 {
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        let worker = Rc::new(worker);
        let heard = Rc::new(Cell::new(0));
        let (end, hear) = (Rc::clone(&worker), Rc::clone(&heard));
        main.on_message(&*worker, move |_, n| {
            assert_eq!(n, hear.get(), "in order, none lost");
            hear.set(n + 1);
            drop(end.terminate());
        })
        .unwrap();
        let exited = Rc::new(Cell::new(false));
        let flag = Rc::clone(&exited);
        main.on_exit(&*worker, move |_, exit| {
            assert!(exit.is_terminated());
            flag.set(true);
        });
        worker.post(()).unwrap();
        main.run();
        assert!(exited.get() && heard.get() > 0);
    });
}

/// Node: test-worker-terminate-unrefed. What `terminate` gives resolves, also if
/// nothing of the worker keeps the loop.
#[test]
fn terminating_an_unrefd_worker_resolves() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = looping(&pool, thread::yield_now);
        start(&worker);
        for id in [
            main.on_exit(&worker, |_, _| ()),
            main.on_message(&worker, |_, _| ()).unwrap(),
        ] {
            main.unref(id);
        }
        main.run();
        assert!(worker.is_alive());
        let resolved = Rc::new(Cell::new(false));
        let flag = Rc::clone(&resolved);
        main.on_complete(worker.terminate(), move |_, exit| {
            flag.set(exit.is_terminated());
        });
        main.run();
        assert!(resolved.get());
    });
}

/// Node: test-worker-abort-on-uncaught-exception-terminate. To be terminated is
/// no error: no hook and no error callback hears of it.
#[test]
fn termination_is_not_an_error() {
    watched(|| {
        for threads in common::SIZES {
            let (pool, panics) = pool_with_panics(threads);
            let main = MainLoop::new();
            let worker = looping(&pool, thread::yield_now);
            start(&worker);
            main.on_error(&worker, |_, error| unreachable!("{error}"));
            let code = Rc::new(Cell::new(0));
            let seen = Rc::clone(&code);
            main.on_exit(&worker, move |_, exit| seen.set(exit.code()));
            drop(worker.terminate());
            main.run();
            assert_eq!(code.get(), 1);
            assert!(worker.error().is_none());
            drop(pool);
            assert!(panics.try_recv().is_err());
        }
    });
}

/// Node: test-worker-abort-on-uncaught-exception. And a panic ends its worker,
/// not the process, the pool, or the other workers.
#[test]
fn a_panic_ends_only_its_worker() {
    hush();
    on_each_size(|pool| {
        let other = pool.worker(|n: u8, parent: &Parent<u8>| parent.post(n).unwrap());
        for _ in 0..10 {
            let worker = pool.worker(|(), _: &Parent<()>| panic!("{}: once", common::EXPECTED));
            let exited = worker.exited();
            worker.post(()).unwrap();
            let exit = exited.wait();
            assert!(exit.is_failed() && exit.code() == 1);
        }
        other.post(7).unwrap();
        assert_eq!(other.recv().unwrap(), 7);
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

/// Node: test-worker-message-port-terminate-transfer-list. A worker that is
/// terminated while it puts a message together posts it not, if it asks.
#[test]
fn nothing_is_posted_after_the_loop_that_was_told_to_end() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|(), parent: &Parent<&'static str>| {
            parent.post("ready").unwrap();
            let pieces = std::iter::from_fn(|| (!parent.is_terminating()).then_some(0_u8));
            let message = pieces.count();
            if !parent.is_terminating() {
                parent.post("unreachable").unwrap();
            }
            std::hint::black_box(message);
        });
        let worker = Rc::new(worker);
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (hear, end) = (Rc::clone(&heard), Rc::clone(&worker));
        main.on_message(&*worker, move |main, text| {
            hear.borrow_mut().push(text);
            let end = Rc::clone(&end);
            main.set_timeout(Duration::from_millis(5), move |_, _| drop(end.terminate()));
        })
        .unwrap();
        worker.post(()).unwrap();
        main.run();
        assert_eq!(*heard.borrow(), ["ready"]);
    });
}

/// Node: test-worker-nexttick-terminate. The loop may be in a later message than
/// the one that was answered.
#[test]
fn a_worker_can_be_terminated_in_a_later_message() {
    on_each_size(|pool| {
        let worker = pool.worker(|spins: bool, parent: &Parent<()>| {
            if !spins {
                return parent.post(()).unwrap();
            }
            while !parent.is_terminating() {
                thread::yield_now();
            }
        });
        worker.post(false).unwrap();
        worker.post(true).unwrap();
        worker.recv().unwrap();
        assert!(worker.terminate().wait().is_terminated());
    });
}

/// Node: test-worker-terminate-microtask-loop. A worker that keeps its own
/// mailbox filled can be terminated, without asking: each message is short.
#[test]
fn a_worker_that_feeds_itself_can_be_terminated() {
    on_each_size(|pool| {
        let (give, take) = mpsc::channel::<Arc<Worker<(), ()>>>();
        let mut own = None;
        let worker = Arc::new(pool.worker(move |(), parent: &Parent<()>| {
            let own = own.get_or_insert_with(|| take.recv().unwrap());
            let _ = own.post(());
            let _ = parent.post(());
        }));
        give.send(Arc::clone(&worker)).unwrap();
        worker.post(()).unwrap();
        for _ in 0..10 {
            worker.recv().unwrap();
        }
        let exit = worker.terminate().wait();
        assert!(exit.is_terminated() && exit.code() == 1);
    });
}

/// Node: test-worker-terminate-timers. Terminating from a timer's callback, of
/// every kind.
#[test]
fn a_worker_can_be_terminated_by_a_timer() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let ended = Rc::new(Cell::new(0));
        // One after another: on a pool of one thread they would wait for each
        // other.
        for kind in 0..3 {
            let worker = Rc::new(looping(&pool, thread::yield_now));
            start(&worker);
            let count = Rc::clone(&ended);
            main.on_exit(&*worker, move |_, exit| {
                assert!(exit.is_terminated());
                count.set(count.get() + 1);
            });
            let end = Rc::clone(&worker);
            match kind {
                0 => main.set_timeout(Duration::from_millis(1), move |_, _| drop(end.terminate())),
                1 => main.set_immediate(move |_, _| drop(end.terminate())),
                _ => main.set_interval(Duration::from_millis(1), move |main, id| {
                    drop(end.terminate());
                    main.clear(id);
                }),
            };
            main.run();
        }
        assert_eq!(ended.get(), 3);
    });
}

/// Node: test-worker-vm-context-terminate. Or while it runs job after job.
#[test]
fn a_worker_can_be_terminated_between_its_jobs() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = looping(&pool, || {
            Spawner::current().unwrap().spawn(|| ()).join().unwrap();
        });
        start(&worker);
        let worker = Rc::new(worker);
        main.on_error(&*worker, |_, error| unreachable!("{error}"));
        let end = Rc::clone(&worker);
        main.set_timeout(Duration::from_millis(5), move |_, _| drop(end.terminate()));
        let code = Rc::new(Cell::new(0));
        let seen = Rc::clone(&code);
        main.on_exit(&*worker, move |_, exit| seen.set(exit.code()));
        main.run();
        assert_eq!(code.get(), 1);
    });
}

/// Terminating twice, and closing after it, are as terminating once; all who
/// wait are told the same.
#[test]
fn a_worker_may_be_terminated_again_and_again() {
    on_each_size(|pool| {
        let worker = looping(&pool, thread::yield_now);
        start(&worker);
        for _ in 0..10 {
            let _ = worker.post(());
        }
        let told = [worker.terminate(), worker.terminate(), worker.exited()];
        worker.close();
        assert!(worker.post(()).unwrap_err().is_closed());
        for exited in told {
            assert!(exited.wait().is_terminated());
        }
        assert!(worker.recv().unwrap_err().is_closed());
    });
}
