//! What a program can do wrong with messages and workers, and what comes of it:
//! never a hang, a lost message or a harmed neighbour.

mod common;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{
    Bomb, CountingWaker, Drops, EXPECTED, Occupied, hush, on_each_size, panic_of, text, until,
    watched,
};
use windlass::{MainLoop, Parent, Port, Worker, bounded_channel, channel, current_worker};

#[test]
fn what_is_posted_to_the_dead_comes_back() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let worker = pool.worker(|_: common::Token, _: &Parent<()>| ());
        worker.close();
        assert!(worker.exited().wait().is_success());
        let (port, other) = channel::<common::Token, ()>();
        drop(other);
        let errors = [
            worker.post(drops.token()).unwrap_err(),
            port.post(drops.token()).unwrap_err(),
            pollster::block_on(worker.post_async(drops.token())).unwrap_err(),
            pollster::block_on(port.post_async(drops.token())).unwrap_err(),
        ];
        assert_eq!(drops.count(), 0);
        for error in errors {
            assert!(error.is_closed() && !error.is_full());
            assert!(!error.to_string().is_empty());
            drop(error.into_inner());
        }
        assert_eq!(drops.count(), 4);
    });
}

/// What a worker posts to an owner that is gone comes back too.
#[test]
fn what_is_posted_to_an_owner_that_is_gone_comes_back() {
    on_each_size(|pool| {
        let (tell, told) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let worker = pool.worker(move |(), parent: &Parent<String>| {
            gate.recv().unwrap();
            let error = parent.post("anybody?".into()).unwrap_err();
            tell.send((parent.is_closed(), error.is_closed(), error.into_inner()))
                .unwrap();
        });
        let exited = worker.exited();
        worker.post(()).unwrap();
        drop(worker);
        go.send(()).unwrap();
        let seen = told.recv().unwrap();
        assert_eq!(seen, (true, true, "anybody?".into()));
        assert!(exited.wait().is_success());
    });
}

/// A worker that posts to itself gets it after what it has already.
#[test]
fn a_worker_may_post_to_itself() {
    on_each_size(|pool| {
        let (give, take) = mpsc::channel::<Arc<Worker<u32, u32>>>();
        let mut own = None;
        let worker = Arc::new(pool.worker(move |n: u32, parent: &Parent<u32>| {
            let own = own.get_or_insert_with(|| take.recv().unwrap());
            parent.post(n).unwrap();
            if n < 100 {
                own.post(n + 1).unwrap();
            } else {
                own.close();
            }
        }));
        give.send(Arc::clone(&worker)).unwrap();
        worker.post(0).unwrap();
        let all: Vec<_> = worker.iter().unwrap().collect();
        assert_eq!(all, (0..=100).collect::<Vec<_>>());
        assert!(worker.exited().wait().is_success());
    });
}

#[test]
fn what_does_not_fit_comes_back_and_patience_finds_room() {
    on_each_size(|pool| {
        let occupied = Occupied::all(&pool);
        let worker = Worker::builder(&pool)
            .mailbox(3)
            .spawn(|parent: Parent<u32>| move |n| parent.post(n).unwrap());
        (0..3).for_each(|n| worker.post(n).unwrap());
        let error = worker.post(3).unwrap_err();
        assert!(error.is_full() && !error.is_closed());
        assert!(error.to_string().contains('3'), "{error}");
        assert_eq!(error.into_inner(), 3);

        // The one who waits is woken when there is room, not before.
        let woken = Arc::new(CountingWaker::default());
        let waker = Arc::clone(&woken).into();
        let mut context = std::task::Context::from_waker(&waker);
        let mut patient = std::pin::pin!(worker.post_async(3));
        assert!(patient.as_mut().poll(&mut context).is_pending());
        assert_eq!(woken.count(), 0);
        occupied.release();
        until(|| woken.count() > 0);
        pollster::block_on(patient).unwrap();
        for n in 0..=3 {
            assert_eq!(worker.recv().unwrap(), n);
        }

        // A port has the bound in each direction.
        let (port, other) = bounded_channel::<u32, u32>(1);
        port.post(0).unwrap();
        other.post(0).unwrap();
        assert!(port.post(1).unwrap_err().is_full());
        assert!(other.post(1).unwrap_err().is_full());
        assert_eq!(other.recv().unwrap(), 0);
        port.post(2).unwrap();
        assert!(other.post(1).unwrap_err().is_full());
        // Closed and full is closed.
        port.close();
        assert!(other.post(1).unwrap_err().is_closed());
    });
}

/// Who waits for room is told when there will be none, and may give up.
#[test]
fn waiting_for_room_ends_with_the_channel() {
    watched(|| {
        let drops = Drops::default();
        let (port, other) = bounded_channel::<common::Token, ()>(1);
        port.post(drops.token()).unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| pollster::block_on(port.post_async(drops.token())));
            let given_up = port.post_async(drops.token());
            drop(given_up);
            assert_eq!(drops.count(), 1, "given up unposted");
            thread::sleep(Duration::from_millis(5));
            other.close();
            let error = waits.join().unwrap().unwrap_err();
            assert!(error.is_closed());
            assert_eq!(drops.count(), 1, "it comes back");
            drop(error);
        });
        assert_eq!(drops.count(), 2);
        drop(other.recv().unwrap());
        assert!(other.recv().err().unwrap().is_closed());
    });
}

#[test]
fn a_capacity_of_zero_is_a_panic_that_says_so() {
    hush();
    watched(|| {
        for payload in [
            panic_of(|| bounded_channel::<(), ()>(0)),
            panic_of(|| {
                Worker::builder(&common::pool(1))
                    .mailbox(0)
                    .spawn(|_: Parent<()>| |(): ()| ())
            }),
        ] {
            let text = text(&*payload).unwrap();
            assert!(text.contains('0') && text.contains("capacity"), "{text}");
        }
    });
}

/// Who kept the way to a worker's owner gets his message back after the
/// worker's end, also if the owner is there.
#[test]
fn a_parent_that_outlives_its_worker_is_closed() {
    on_each_size(|pool| {
        let (tell, told) = mpsc::channel();
        let worker = pool.worker(move |(), parent: &Parent<u8>| {
            tell.send(parent.clone()).unwrap();
        });
        worker.post(()).unwrap();
        let parent = told.recv().unwrap();
        assert!(!parent.is_closed());
        parent.post(1).unwrap();
        worker.close();
        worker.exited().wait();
        assert!(parent.is_closed());
        assert_eq!(parent.post(2).unwrap_err().into_inner(), 2);
        assert_eq!(worker.recv().unwrap(), 1);
        assert!(worker.recv().unwrap_err().is_closed());
    });
}

/// A panicking handler costs its worker, its mail and nothing else.
#[test]
fn a_handlers_panic_costs_the_worker_and_its_mail() {
    hush();
    on_each_size(|pool| {
        let drops = Drops::default();
        let occupied = Occupied::all(&pool);
        let worker = pool.worker(|_: common::Token, _: &Parent<()>| panic!("{EXPECTED}: first"));
        let exited = worker.exited();
        for _ in 0..10 {
            worker.post(drops.token()).unwrap();
        }
        occupied.release();
        let exit = exited.wait();
        assert!(exit.is_failed());
        assert_eq!(drops.count(), 10);
        assert_eq!(pool.panic_count(), 0, "somebody looked at it");
    });
}

/// A message that panics in its `Drop`, wherever that happens.
#[test]
fn a_messages_drop_may_panic() {
    hush();
    on_each_size(|pool| {
        // In the handler: it is the handler's panic.
        let worker = pool.worker(|bomb: Bomb, _: &Parent<()>| drop(bomb));
        let exited = worker.exited();
        worker.post(Bomb).unwrap();
        assert!(exited.wait().error().unwrap().is_panic());

        // Undelivered, in a mailbox: nobody's, and the rest is dropped all the
        // same.
        let drops = Drops::default();
        let (go, gate) = mpsc::channel::<()>();
        let worker = pool.worker(move |_: (Option<Bomb>, common::Token), _: &Parent<()>| {
            gate.recv().unwrap();
        });
        worker.post((None, drops.token())).unwrap();
        for _ in 0..5 {
            worker.post((Some(Bomb), drops.token())).unwrap();
        }
        let exited = worker.terminate();
        // If it had not begun with the first one, it never does.
        let _ = go.send(());
        assert!(exited.wait().is_terminated());
        assert_eq!(drops.count(), 6);

        // Undelivered, in a port, whichever end goes last.
        for near_first in [false, true] {
            let (near, far) = channel::<(Bomb, common::Token), ()>();
            for _ in 0..5 {
                near.post((Bomb, drops.token())).unwrap();
            }
            if near_first {
                drop(near);
                drop(far);
            } else {
                drop(far);
                drop(near);
            }
        }
        assert_eq!(drops.count(), 16);

        // Undelivered, in a main loop's listener.
        let main = MainLoop::new();
        let (near, far) = channel::<(Bomb, common::Token), ()>();
        main.on_message(&far, |_, _| unreachable!()).unwrap();
        near.post((Bomb, drops.token())).unwrap();
        drop(main);
        drop((near, far));
        assert_eq!(drops.count(), 17);

        // From a worker, never received.
        let worker = pool.worker(|(), parent: &Parent<Bomb>| {
            let _ = parent.post(Bomb).map_err(std::mem::forget);
        });
        worker.post(()).unwrap();
        worker.close();
        assert!(worker.exited().wait().is_success());
        drop(worker);
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

/// A worker whose state panics when it is dropped has ended with that error,
/// unless it ended with another one.
#[test]
fn a_workers_state_may_panic_in_its_drop() {
    hush();
    on_each_size(|pool| {
        for panics_before in [false, true] {
            let bomb = Bomb;
            let worker = pool.worker(move |(), _: &Parent<()>| {
                let _held = &bomb;
                assert!(!panics_before, "{EXPECTED}: the handler");
            });
            let exited = worker.exited();
            worker.post(()).unwrap();
            worker.close();
            let exit = exited.wait();
            let error = exit.error().unwrap().to_string();
            assert_eq!(error.contains("the handler"), panics_before, "{error}");
        }
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

/// What a worker that has ended itself posts still arrives, until its handler
/// returns.
#[test]
fn a_worker_may_end_itself_while_it_posts() {
    on_each_size(|pool| {
        let worker = pool.worker(|n: u32, parent: &Parent<u32>| {
            for i in 0..n {
                if i == n / 2 {
                    current_worker().unwrap().terminate();
                }
                parent.post(i).unwrap();
            }
        });
        worker.post(100).unwrap();
        let _ = worker.post(100);
        let all: Vec<_> = worker.iter().unwrap().collect();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert!(worker.exited().wait().is_terminated());
    });
}

/// A message that may carry a port of its own channel.
enum Nested {
    Port(Port<Nested, Nested>),
    Text(&'static str),
}

/// A port that was sent over its own channel, to itself, is out of reach: the
/// other end hears nothing of it, and ends the channel itself.
#[test]
fn a_port_sent_to_itself_is_not_a_hang() {
    watched(|| {
        let (near, far) = channel::<Nested, Nested>();
        near.post(Nested::Text("before")).unwrap();
        near.post(Nested::Port(far)).unwrap();
        near.post(Nested::Text("after")).unwrap();
        let error = near.recv_timeout(Duration::from_millis(1)).err().unwrap();
        assert!(error.is_timeout() || error.is_closed());
        near.close();
        assert!(near.recv().err().unwrap().is_closed());
        assert!(near.post(Nested::Text("too late")).is_err());
    });
}

/// A port that was sent to its own other end: who holds both ends there talks to
/// himself, and drops them in peace.
#[test]
fn a_port_sent_to_its_other_end_can_be_held_with_it() {
    watched(|| {
        let (near, far) = channel::<Nested, Nested>();
        let (carrier, end) = channel::<Nested, Nested>();
        carrier.post(Nested::Port(near)).unwrap();
        let Nested::Port(near) = end.recv().unwrap() else {
            unreachable!("it was a port");
        };
        near.post(Nested::Text("to myself")).unwrap();
        let Ok(Nested::Text(text)) = far.recv() else {
            unreachable!("it was a text");
        };
        assert_eq!(text, "to myself");
        // Each end of one channel in the queue of the other channel.
        carrier.post(Nested::Port(near)).unwrap();
        far.post(Nested::Port(end)).unwrap_or_else(drop);
        assert!(far.recv_timeout(Duration::from_millis(1)).is_err());
        carrier.close();
        far.close();
        assert!(far.recv().err().unwrap().is_closed());
        assert!(carrier.recv().err().unwrap().is_closed());
    });
}
