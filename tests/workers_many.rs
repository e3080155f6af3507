//! Promise: workers are cheap. A hundred thousand of them live on two threads.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Drops, watched};
use windlass::{MainLoop, Parent, Worker};

const MANY: usize = 100_000;

/// Each starts, gets a message, answers, and exits when it is closed.
#[test]
fn a_hundred_thousand_workers_live_on_two_threads() {
    watched(|| {
        let pool = common::pool(2);
        let drops = Drops::default();
        let started = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..MANY)
            .map(|number| {
                let (count, token) = (Arc::clone(&started), drops.token());
                Worker::builder(&pool).spawn(move |parent: Parent<usize>| {
                    count.fetch_add(1, Ordering::Relaxed);
                    let _held = &token;
                    move |n: usize| parent.post(number + n).unwrap()
                })
            })
            .collect();
        for (number, worker) in workers.iter().enumerate() {
            worker.post(number).unwrap();
        }
        for (number, worker) in workers.iter().enumerate() {
            assert_eq!(worker.recv().unwrap(), 2 * number);
        }
        assert_eq!(started.load(Ordering::Relaxed), MANY);
        assert!(workers.iter().all(Worker::is_alive));
        assert_eq!(drops.count(), 0);
        for worker in &workers {
            worker.close();
        }
        for worker in &workers {
            assert!(worker.exited().wait().is_success());
            assert!(worker.try_recv().unwrap_err().is_closed());
        }
        assert_eq!(drops.count(), MANY);
        assert_eq!(pool.num_threads(), 2);
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

/// A ring of a thousand: each passes the token on to the next, many times.
#[test]
fn a_token_goes_round_a_ring_of_workers() {
    const RING: usize = 1000;
    const ROUNDS: usize = 20;
    watched(|| {
        let pool = common::pool(2);
        let (done, finished) = std::sync::mpsc::channel();
        let last = pool.worker(move |hops: usize, _: &Parent<()>| done.send(hops).unwrap());
        let mut next = Arc::new(last);
        for _ in 1..RING {
            let to = next;
            next = Arc::new(pool.worker(move |hops: usize, _: &Parent<()>| {
                to.post(hops + 1).unwrap();
            }));
        }
        for round in 0..ROUNDS {
            next.post(round).unwrap();
        }
        for round in 0..ROUNDS {
            assert_eq!(finished.recv().unwrap(), round + RING - 1);
        }
        // Each holds the next: closing the first closes them one by one.
        drop(next);
        assert_eq!(finished.recv(), Err(std::sync::mpsc::RecvError));
    });
}

/// Ten thousand on one main loop, each listened to.
#[test]
fn a_main_loop_listens_to_ten_thousand_workers() {
    const LISTENED: usize = 10_000;
    watched(|| {
        let pool = common::pool(2);
        let main = MainLoop::new();
        let (heard, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for number in 0..LISTENED {
            let worker = pool.worker(|n: usize, parent: &Parent<usize>| parent.post(n).unwrap());
            let (hear, end) = (Rc::clone(&heard), Rc::clone(&ended));
            let both = Rc::new(Cell::new(false));
            let first = Rc::clone(&both);
            main.on_message(&worker, move |_, n| {
                assert_eq!(n, number);
                first.set(true);
                hear.set(hear.get() + 1);
            })
            .unwrap();
            main.on_exit(&worker, move |_, exit| {
                assert!(exit.is_success() && both.get(), "the message came first");
                end.set(end.get() + 1);
            });
            worker.post(number).unwrap();
        }
        main.run();
        assert_eq!((heard.get(), ended.get()), (LISTENED, LISTENED));
    });
}
