//! Promise: the end of a pool leaves no worker's fate open. Mail that was there
//! is handled, whoever waits is told, what comes too late comes back.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use common::{Drops, Occupied, for_each_size, on_each_size, pool, until, watched};
use windlass::{MainLoop, Parent, Port, Spawner, Worker, channel};

/// What is posted to a worker whose pool is gone comes back.
#[test]
fn a_worker_of_a_pool_that_is_gone_takes_no_mail() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let worker = pool.worker(|_: common::Token, _: &Parent<()>| ());
        worker.post(drops.token()).unwrap();
        drop(pool);
        let error = worker.post(drops.token()).unwrap_err();
        assert!(error.is_closed());
        assert_eq!(drops.count(), 1);
        drop(error);
        assert_eq!(drops.count(), 2);
        let exit = worker.exited().wait();
        assert!(exit.is_pool_closed() && !exit.is_success() && !exit.is_failed());
        assert!(exit.error().is_none());
        assert!(!worker.is_alive());
        assert!(worker.recv().unwrap_err().is_closed());
        // Too late to be otherwise.
        worker.close();
        assert!(worker.terminate().wait().is_pool_closed());
    });
}

/// Dropping the pool handles the mail there is, in order, and delivers the
/// answers.
#[test]
fn dropping_the_pool_handles_the_mail_there_is() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let workers: Vec<_> = (0..20)
            .map(|_| pool.worker(|n: u32, parent: &Parent<u32>| parent.post(n).unwrap()))
            .collect();
        for worker in &workers {
            (0..200).for_each(|n| worker.post(n).unwrap());
        }
        let dropped = thread::spawn(move || drop(pool));
        occupied.release();
        dropped.join().unwrap();
        for worker in &workers {
            let all: Vec<_> = worker.iter().unwrap().collect();
            assert_eq!(all, (0..200).collect::<Vec<_>>());
            assert!(worker.exited().wait().is_pool_closed());
        }
    });
}

/// A worker that was closed, with mail, when its pool went away has ended well.
#[test]
fn a_closed_worker_with_mail_ends_well_although_its_pool_goes() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let worker = pool.worker(move |(), _: &Parent<()>| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        (0..100).for_each(|_| worker.post(()).unwrap());
        worker.close();
        let dropped = thread::spawn(move || drop(pool));
        occupied.release();
        dropped.join().unwrap();
        assert!(worker.exited().wait().is_success());
        assert_eq!(handled.load(Ordering::SeqCst), 100);
    });
}

/// Whoever waits for a worker's message when the pool goes away is told.
#[test]
fn whoever_waits_for_a_worker_of_the_pool_is_told() {
    for_each_size(|threads| {
        for round in 0..20 {
            let pool = pool(threads);
            let worker = Arc::new(pool.worker(|(), parent: &Parent<()>| parent.post(()).unwrap()));
            worker.post(()).unwrap();
            let waiting = Arc::clone(&worker);
            let (there, begun) = mpsc::channel();
            let waits = thread::spawn(move || {
                waiting.recv().unwrap();
                there.send(()).unwrap();
                if round % 2 == 0 {
                    waiting.recv().unwrap_err()
                } else {
                    pollster::block_on(waiting.recv_async()).unwrap_err()
                }
            });
            begun.recv().unwrap();
            drop(pool);
            assert!(waits.join().unwrap().is_closed());
        }
    });
}

/// So is a main loop that waits, and then it returns.
#[test]
fn a_main_loop_that_waits_for_a_worker_of_the_pool_is_told() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|n: u32, parent: &Parent<u32>| parent.post(n).unwrap());
        let told = Rc::new(RefCell::new(Vec::new()));
        let (hear, end) = (Rc::clone(&told), Rc::clone(&told));
        main.on_message(&worker, move |_, n| hear.borrow_mut().push(n.to_string()))
            .unwrap();
        main.on_exit(&worker, move |_, exit| {
            assert!(exit.is_pool_closed());
            end.borrow_mut().push("exit".into());
        });
        worker.post(1).unwrap();
        main.set_immediate(move |_, _| drop(pool));
        main.run();
        assert_eq!(*told.borrow(), ["1", "exit"]);
    });
}

/// Nor does a port that such a worker holds keep anybody waiting.
#[test]
fn a_port_held_by_a_worker_of_the_pool_is_closed_with_it() {
    on_each_size(|pool| {
        let (port, theirs) = channel::<(), ()>();
        let (mailed, in_the_mail) = channel::<(), ()>();
        let worker = pool.worker(move |_: Port<(), ()>, _: &Parent<()>| {
            let _held = &theirs;
        });
        let occupied = Occupied::all(&pool);
        worker.post(in_the_mail).unwrap();
        pool.shutdown_now();
        occupied.release();
        drop(pool);
        assert!(port.recv().unwrap_err().is_closed());
        assert!(mailed.recv().unwrap_err().is_closed());
        drop(worker);
    });
}

/// `shutdown_now` throws the mail away that was not begun; none of it is lost
/// from sight, and the worker's state is dropped.
#[test]
fn shutdown_now_drops_the_mail() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let handled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&handled);
        let state = drops.token();
        let worker = pool.worker(move |_: common::Token, _: &Parent<()>| {
            let _held = &state;
            count.fetch_add(1, Ordering::SeqCst);
        });
        let occupied = Occupied::all(&pool);
        for _ in 0..100 {
            worker.post(drops.token()).unwrap();
        }
        pool.shutdown_now();
        assert!(worker.post(drops.token()).is_err());
        occupied.release();
        drop(pool);
        assert!(worker.exited().wait().is_pool_closed());
        assert_eq!(handled.load(Ordering::SeqCst), 0);
        assert_eq!(drops.count(), 102);
    });
}

/// A worker of a closed pool is dead from its birth: it says so at once, its
/// mail comes back, its captures are dropped.
#[test]
fn a_worker_on_a_closed_pool_is_dead_from_birth() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let spawner = pool.spawner();
        drop(pool);
        let (state, start) = (drops.token(), drops.token());
        let simple = spawner.worker(move |(), _: &Parent<()>| {
            let _held = &state;
        });
        let built = Worker::builder(&spawner).spawn(move |_: Parent<()>| {
            let _held = &start;
            |(): ()| ()
        });
        for worker in [simple, built] {
            let exit = worker.exit().expect("it is over");
            assert!(exit.is_pool_closed() && !worker.is_alive());
            assert!(worker.post(()).unwrap_err().is_closed());
            assert!(worker.recv().unwrap_err().is_closed());
            assert!(worker.exited().wait().is_pool_closed());
            let main = MainLoop::new();
            let told = Rc::new(RefCell::new(0));
            let tell = Rc::clone(&told);
            main.on_exit(&worker, move |_, _| *tell.borrow_mut() += 1);
            main.on_message(&worker, |_, ()| unreachable!()).unwrap();
            main.run();
            assert_eq!(*told.borrow(), 1);
        }
        assert_eq!(drops.count(), 2);
    });
}

/// A worker with a thread of its own does not need the pool.
#[test]
fn a_worker_on_its_own_thread_outlives_the_pool() {
    on_each_size(|pool| {
        let spawner = pool.spawner();
        let worker = Worker::dedicated()
            .spawn(move |parent: Parent<bool>| {
                let spawner = spawner.clone();
                move |()| parent.post(spawner.is_closed()).unwrap()
            })
            .unwrap();
        worker.post(()).unwrap();
        assert!(!worker.recv().unwrap());
        drop(pool);
        worker.post(()).unwrap();
        assert!(worker.recv().unwrap());
        worker.close();
        assert!(worker.exited().wait().is_success());
    });
}

/// A worker that makes a worker while its pool ends gets one that is dead, or
/// one that ends with the pool; either way nobody waits for ever.
#[test]
fn workers_made_while_the_pool_ends_end_with_it() {
    watched(|| {
        for round in 0..60 {
            let pool = pool(common::SIZES[round % 3]);
            let (tell, told) = mpsc::channel();
            let worker = pool.worker(move |n: usize, _: &Parent<()>| {
                let spawner = Spawner::current().unwrap();
                let inner = Worker::builder(&spawner).spawn(|_: Parent<()>| |(): ()| ());
                let _ = inner.post(());
                tell.send((n, inner.exited())).unwrap();
                std::mem::forget(inner);
            });
            (0..50).for_each(|n| worker.post(n).unwrap());
            drop(pool);
            drop(worker);
            let mut ended = 0;
            for (number, (n, exited)) in told.iter().enumerate() {
                assert_eq!(number, n);
                assert!(exited.wait().is_pool_closed());
                ended += 1;
            }
            assert_eq!(ended, 50, "all mail was handled");
        }
    });
}

/// A pool may be dropped by a worker of its own.
#[test]
fn a_worker_may_drop_its_own_pool() {
    on_each_size(|pool| {
        let (give, take) = mpsc::channel();
        let worker = pool.worker(move |(), parent: &Parent<&str>| {
            let pool: windlass::Pool = take.recv().unwrap();
            drop(pool);
            parent.post("dropped").unwrap();
        });
        worker.post(()).unwrap();
        let exited = worker.exited();
        give.send(pool).unwrap();
        assert_eq!(worker.recv().unwrap(), "dropped");
        assert!(exited.wait().is_pool_closed());
        until(|| !worker.is_alive());
    });
}

/// Threads that post while the pool ends: each message is handled, dropped, or
/// given back, once; every worker has an exit, and nobody waits for ever.
#[test]
fn what_is_posted_while_the_pool_ends_is_accounted_for() {
    const EACH: usize = 200;
    watched(|| {
        for round in 0..60 {
            let drops = Drops::default();
            let pool = pool(common::SIZES[round % 3]);
            let handled = Arc::new(AtomicUsize::new(0));
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    let count = Arc::clone(&handled);
                    pool.worker(move |_: common::Token, _: &Parent<()>| {
                        count.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            let came_back = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for n in 0..EACH {
                            if workers[n % 4].post(drops.token()).is_err() {
                                came_back.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    });
                }
                scope.spawn(|| match round % 2 {
                    0 => drop(pool),
                    _ => pool.shutdown_now(),
                });
            });
            for worker in &workers {
                assert!(worker.exited().wait().is_pool_closed());
            }
            assert_eq!(drops.count(), 2 * EACH);
            let counted = handled.load(Ordering::SeqCst) + came_back.load(Ordering::SeqCst);
            assert!(counted <= 2 * EACH);
        }
    });
}

/// A worker that never runs out of mail keeps `Drop` waiting, as a job that
/// spawns itself does; `shutdown_now` ends it.
#[test]
fn shutdown_now_ends_a_worker_that_feeds_itself() {
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
        for _ in 0..200 {
            worker.recv().unwrap();
        }
        pool.shutdown_now();
        assert!(worker.exited().wait().is_pool_closed());
        drop(pool);
    });
}

/// A worker that holds the next one, and so on: `left` more.
fn chain(spawner: &Spawner, left: usize, end: &mpsc::Sender<()>) -> Worker<(), ()> {
    let end = end.clone();
    Worker::builder(spawner).spawn(move |_: Parent<()>| {
        let spawner = Spawner::current().unwrap();
        let next = (left > 0).then(|| chain(&spawner, left - 1, &end));
        if next.is_none() {
            end.send(()).unwrap();
        }
        move |()| {
            let _held = &next;
        }
    })
}

/// However long a chain of workers is in which each holds the next, it ends
/// within the stack of one thread: with its owner, and with its pool.
///
/// In a process of its own, as an overflow ends it.
#[test]
fn a_long_chain_of_workers_ends_without_deep_recursion() {
    const ME: &str = "a_long_chain_of_workers_ends_without_deep_recursion";
    const LONG: usize = 20_000;
    if !common::is_child_of(ME) {
        watched(|| drop(common::run_child(common::child(ME, &[]))));
        return;
    }
    for pool_first in [false, true] {
        let pool = pool(2);
        let (tell, told) = mpsc::channel();
        let first = chain(&pool.spawner(), LONG, &tell);
        drop(tell);
        told.recv().unwrap();
        if pool_first {
            drop(pool);
            assert!(first.exited().wait().is_pool_closed());
        } else {
            drop(first);
            // Every worker holds a sender: all of them are gone.
            assert_eq!(told.recv(), Err(mpsc::RecvError));
            drop(pool);
        }
    }
}
