//! What Node's tests say of the messages between a worker and who created it,
//! and of what a worker is given at its start.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::on_each_size;
use windlass::{MainLoop, Parent, Pool, Spawner, Worker, current_worker};

const HELLO: &str = "Hello, world!";

/// Node: test-worker. What a worker posts after other work of its own reaches
/// the main loop.
#[test]
fn a_worker_posts_and_the_loop_gets_it() {
    on_each_size(|pool| {
        let worker = pool.worker(|(), parent: &Parent<&str>| {
            let later = Spawner::current().unwrap().spawn(|| HELLO);
            parent.post(later.join().unwrap()).unwrap();
        });
        let main = MainLoop::new();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let hear = Rc::clone(&heard);
        main.on_message(&worker, move |_, text| hear.borrow_mut().push(text))
            .unwrap();
        worker.post(()).unwrap();
        worker.close();
        main.run();
        assert_eq!(*heard.borrow(), [HELLO]);
    });
}

/// Node: test-worker.mjs. The same for async code, on any executor.
#[test]
fn a_worker_posts_and_async_code_gets_it() {
    on_each_size(|pool| {
        let worker = pool.worker(|(), parent: &Parent<&str>| parent.post(HELLO).unwrap());
        pollster::block_on(async {
            worker.post(()).unwrap();
            assert_eq!(worker.recv_async().await.unwrap(), HELLO);
            worker.close();
            assert!(worker.recv_async().await.unwrap_err().is_closed());
            assert!(worker.exited().await.is_success());
        });
    });
}

/// Node: test-worker-onmessage. The worker's handler is called with each
/// message, and its answer ends the conversation from within the callback.
#[test]
fn a_workers_handler_answers() {
    on_each_size(|pool| {
        let worker = pool.worker(|n: i32, parent: &Parent<i32>| parent.post(n * 2).unwrap());
        let worker = Rc::new(worker);
        let main = MainLoop::new();
        let (heard, ended) = (Rc::new(RefCell::new(Vec::new())), Rc::clone(&worker));
        let hear = Rc::clone(&heard);
        main.on_message(&*worker, move |_, n| {
            hear.borrow_mut().push(n);
            drop(ended.terminate());
        })
        .unwrap();
        worker.post(2).unwrap();
        main.run();
        assert_eq!(*heard.borrow(), [4]);
        assert!(worker.exited().wait().is_terminated());
    });
}

/// What the loop is told of a worker, in order.
#[derive(Debug, PartialEq)]
enum Told {
    Line(usize, String),
    Bulk(Vec<u8>),
    Exit,
}

/// A worker that writes two lines and something bulky, and ends.
fn writer(pool: &Pool, number: usize) -> Worker<(), Told> {
    pool.worker(move |(), parent: &Parent<Told>| {
        for line in 1..=2 {
            let text = format!("{line} worker {number}");
            parent.post(Told::Line(line, text)).unwrap();
        }
        parent.post(Told::Bulk(vec![1; 100])).unwrap();
        current_worker().unwrap().close();
    })
}

/// What the loop is to be told of it.
fn written(number: usize) -> [Told; 4] {
    let line = |line| Told::Line(line, format!("{line} worker {number}"));
    [line(1), line(2), Told::Bulk(vec![1; 100]), Told::Exit]
}

/// Node: test-worker-message-port-drain. Everything a worker wrote is delivered
/// before its exit is.
#[test]
fn everything_a_worker_posted_arrives_before_its_exit() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let logs = [0, 1].map(|number| {
            let worker = writer(&pool, number);
            let log = Rc::new(RefCell::new(Vec::new()));
            let (hear, end) = (Rc::clone(&log), Rc::clone(&log));
            main.on_message(&worker, move |_, told| hear.borrow_mut().push(told))
                .unwrap();
            main.on_exit(&worker, move |_, _| end.borrow_mut().push(Told::Exit));
            worker.post(()).unwrap();
            log
        });
        main.run();
        for (number, log) in logs.iter().enumerate() {
            assert_eq!(*log.borrow(), written(number));
        }
    });
}

/// The same if the worker has ended before anybody listens, and in whichever
/// order the callbacks are attached.
#[test]
fn the_exit_comes_last_however_late_one_listens() {
    on_each_size(|pool| {
        for exit_first in [false, true] {
            let main = MainLoop::new();
            let worker = writer(&pool, 0);
            worker.post(()).unwrap();
            assert!(worker.exited().wait().is_success());
            let log = Rc::new(RefCell::new(Vec::new()));
            for attaches_exit in [exit_first, !exit_first] {
                let log = Rc::clone(&log);
                if attaches_exit {
                    main.on_exit(&worker, move |_, _| log.borrow_mut().push(Told::Exit));
                } else {
                    main.on_message(&worker, move |_, told| log.borrow_mut().push(told))
                        .unwrap();
                }
            }
            main.run();
            assert_eq!(*log.borrow(), written(0), "on_exit first: {exit_first}");
        }
    });
}

/// And if it left more than one turn delivers.
#[test]
fn the_exit_comes_last_however_much_there_is() {
    const MANY: usize = 5000;
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|n: usize, parent: &Parent<usize>| parent.post(n).unwrap());
        (0..MANY).for_each(|n| worker.post(n).unwrap());
        worker.close();
        assert!(worker.exited().wait().is_success());
        let heard = Rc::new(RefCell::new(Vec::new()));
        let (hear, all) = (Rc::clone(&heard), Rc::clone(&heard));
        main.on_message(&worker, move |_, n| hear.borrow_mut().push(n))
            .unwrap();
        main.on_exit(&worker, move |_, _| assert_eq!(all.borrow().len(), MANY));
        main.run();
        assert!(heard.borrow().iter().copied().eq(0..MANY));
    });
}

/// Node: test-worker-crypto-sign-transfer-result. A buffer that a worker made
/// is handed over, not copied.
#[test]
fn a_workers_buffer_is_handed_over_as_it_is() {
    on_each_size(|pool| {
        let worker = pool.worker(|text: &str, parent: &Parent<(usize, Vec<u8>)>| {
            let signature: Vec<u8> = text.bytes().rev().collect();
            let place = signature.as_ptr().addr();
            parent.post((place, signature)).unwrap();
        });
        worker.post("hello").unwrap();
        let (place, signature) = worker.recv().unwrap();
        assert_eq!(signature, b"olleh");
        assert_eq!(signature.as_ptr().addr(), place);
        worker.close();
        assert!(worker.exited().wait().is_success());
    });
}

const DATA: &str = "Hello from main thread";

/// Node: test-worker-cjs-workerdata. What the start closure captured is there
/// in the worker's module scope.
#[test]
fn the_start_of_a_worker_has_what_it_captured() {
    on_each_size(|pool| {
        let data = String::from(DATA);
        let worker = Worker::builder(&pool).spawn(move |parent: Parent<String>| {
            parent.post(data.clone()).unwrap();
            |(): ()| ()
        });
        assert_eq!(worker.recv().unwrap(), DATA);
        worker.close();
        assert!(worker.exited().wait().is_success());
    });
}

/// Node: test-worker-mjs-workerdata. The same for a worker with a thread of its
/// own, and from its handler.
#[test]
fn a_worker_on_its_own_thread_has_what_it_captured() {
    common::watched(|| {
        let data = String::from(DATA);
        let worker = Worker::dedicated()
            .spawn(move |parent: Parent<String>| {
                let data = data.clone();
                move |()| parent.post(data.clone()).unwrap()
            })
            .unwrap();
        worker.post(()).unwrap();
        assert_eq!(worker.recv().unwrap(), DATA);
        worker.close();
        assert!(worker.exited().wait().is_success());
    });
}
