//! Promise: messages have one receiver at a time, and whoever leaves some leaves
//! them to the next one; a closed port gives what it has.

mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use common::{Drops, EXPECTED, hush, watched};
use windlass::{MainLoop, channel};

/// Messages have one receiver at a time; a second one is told so, and the first
/// is not disturbed.
#[test]
fn a_second_receiver_is_told_that_it_is_one() {
    watched(|| {
        let main = MainLoop::new();
        let (port, other) = channel::<u32, ()>();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let hear = Rc::clone(&heard);
        let listener = main
            .on_message(&other, move |_, n| hear.borrow_mut().push(n))
            .unwrap();
        let error = main.on_message(&other, |_, _| unreachable!()).unwrap_err();
        assert!(error.is_taken() && !error.is_closed() && !error.is_empty());
        assert!(other.recv().unwrap_err().is_taken());
        assert!(other.try_recv().unwrap_err().is_taken());
        assert!(other.recv_timeout(Duration::MAX).unwrap_err().is_taken());
        assert!(
            pollster::block_on(other.recv_async())
                .unwrap_err()
                .is_taken()
        );
        assert!(other.iter().err().unwrap().is_taken());
        assert!(other.stream().err().unwrap().is_taken());
        port.post(1).unwrap();
        main.turn();
        assert_eq!(*heard.borrow(), [1]);
        main.clear(listener);
        port.post(2).unwrap();
        assert_eq!(other.recv().unwrap(), 2);

        // Whoever leaves something undelivered leaves it to the next one.
        (3..6).for_each(|n| port.post(n).unwrap());
        let mut iter = other.iter().unwrap();
        assert_eq!(iter.next(), Some(3));
        assert!(other.try_recv().unwrap_err().is_taken());
        drop(iter);
        assert_eq!(other.try_recv().unwrap(), 4);
        drop(other.stream().unwrap());
        drop(other.recv_async());
        assert_eq!(other.recv().unwrap(), 5);
    });
}

/// A turn delivers what is there, also what another receiver had taken hold of
/// and left.
#[test]
fn a_turn_delivers_all_that_is_there() {
    watched(|| {
        let main = MainLoop::new();
        let (port, other) = channel::<u32, ()>();
        (0..3).for_each(|n| port.post(n).unwrap());
        assert_eq!(other.recv().unwrap(), 0);
        (3..5).for_each(|n| port.post(n).unwrap());
        let heard = Rc::new(RefCell::new(Vec::new()));
        let hear = Rc::clone(&heard);
        main.on_message(&other, move |_, n| hear.borrow_mut().push(n))
            .unwrap();
        main.turn();
        assert_eq!(*heard.borrow(), [1, 2, 3, 4]);
        assert_eq!(main.turn(), 0);
    });
}

/// Of two threads that receive at once, one is told so; the other gets all.
#[test]
fn of_two_threads_that_receive_one_does() {
    watched(|| {
        for _ in 0..200 {
            let (port, other) = channel::<u32, ()>();
            let (both, other) = (Arc::new(Barrier::new(2)), Arc::new(other));
            let receivers = [(); 2].map(|()| {
                let (both, other) = (Arc::clone(&both), Arc::clone(&other));
                thread::spawn(move || {
                    both.wait();
                    match other.recv() {
                        Ok(n) => vec![n],
                        Err(error) => {
                            assert!(error.is_taken());
                            Vec::new()
                        }
                    }
                })
            });
            port.post(0).unwrap();
            port.post(1).unwrap();
            let mut got = receivers.map(|receiver| receiver.join().unwrap()).concat();
            port.close();
            got.extend(other.iter().unwrap());
            got.sort_unstable();
            assert_eq!(got, [0, 1]);
        }
    });
}

#[test]
fn a_closed_port_gives_what_it_has_first() {
    watched(|| {
        for near_closes in [false, true] {
            let (near, far) = channel::<u32, ()>();
            (0..5).for_each(|n| near.post(n).unwrap());
            if near_closes {
                near.close();
            } else {
                far.close();
            }
            assert!(near.is_closed() && far.is_closed());
            assert_eq!(far.recv().unwrap(), 0);
            assert_eq!(far.try_recv().unwrap(), 1);
            assert_eq!(far.recv_timeout(Duration::ZERO).unwrap(), 2);
            assert_eq!(pollster::block_on(far.recv_async()).unwrap(), 3);
            assert_eq!(far.iter().unwrap().collect::<Vec<_>>(), [4]);
            for _ in 0..2 {
                assert!(far.recv().unwrap_err().is_closed());
                assert!(far.try_recv().unwrap_err().is_closed());
                assert!(far.recv_timeout(Duration::MAX).unwrap_err().is_closed());
            }
        }
    });
}

/// A callback that panics leaves its listener where it was.
#[test]
fn a_listeners_panic_loses_no_message() {
    hush();
    watched(|| {
        let main = MainLoop::new();
        let (port, other) = channel::<u32, ()>();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let hear = Rc::clone(&heard);
        main.on_message(&other, move |_, n| {
            hear.borrow_mut().push(n);
            assert_ne!(n % 3, 1, "{EXPECTED}: {n}");
        })
        .unwrap();
        (0..10).for_each(|n| port.post(n).unwrap());
        drop(port);
        let mut panics = 0;
        while catch_unwind(AssertUnwindSafe(|| main.run())).is_err() {
            panics += 1;
        }
        assert_eq!(panics, 3);
        assert_eq!(*heard.borrow(), (0..10).collect::<Vec<_>>());
    });
}

/// Threads that post while the receiver goes: every message is either received,
/// given back, or dropped; none twice.
#[test]
fn a_receiver_may_go_while_others_post() {
    watched(|| {
        for round in 0..200 {
            let drops = Drops::default();
            let (port, other) = channel::<common::Token, ()>();
            let came_back = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            if let Err(error) = port.post(drops.token()) {
                                came_back.fetch_add(1, Ordering::SeqCst);
                                drop(error);
                            }
                        }
                    });
                }
                let drops = &drops;
                scope.spawn(move || {
                    for _ in 0..round % 10 {
                        let _ = other.try_recv().map(drop);
                    }
                    drop(other);
                    drop(drops.token());
                });
            });
            drop(port);
            assert_eq!(drops.count(), 41);
            assert!(came_back.load(Ordering::SeqCst) <= 40);
        }
    });
}
