//! What Node's tests say of a worker that ends itself (`process.exit`), and of
//! one that its limits end. Node stops it in the middle; here the message in
//! hand is finished, and no other is begun.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use common::{Drops, EXPECTED, hush, on_each_size, watched};
use windlass::{BoxError, Parent, Worker, current_worker};

/// A counter that a worker can share.
fn counter() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let counter = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&counter), counter)
}

fn exit() {
    current_worker().expect("in a worker").terminate();
}

/// Node: test-worker-esm-exit. A worker may end itself while it starts; it then
/// handles nothing, and that is no error.
#[test]
fn a_worker_may_end_itself_in_its_start() {
    on_each_size(|pool| {
        for closes in [false, true] {
            let drops = Drops::default();
            let token = drops.token();
            let (handled, count) = counter();
            let worker = Worker::builder(&pool).spawn(move |parent: Parent<&str>| {
                parent.post("from the start").unwrap();
                if closes {
                    current_worker().unwrap().close();
                } else {
                    exit();
                }
                let count = Arc::clone(&count);
                move |(): ()| {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
            let exit = worker.exited().wait();
            assert_eq!((exit.is_success(), exit.is_terminated()), (closes, !closes));
            assert!(exit.error().is_none());
            assert_eq!(worker.recv().unwrap(), "from the start");
            let error = worker.post(()).unwrap_err();
            assert!(error.is_closed());
            assert_eq!(handled.load(Ordering::SeqCst), 0);
            drop(token);
        }
    });
}

/// Node: test-worker-process-exit-async-module. What the start does after it has
/// ended the worker changes nothing about how it ended.
#[test]
fn a_worker_that_ended_itself_cannot_end_otherwise() {
    on_each_size(|pool| {
        let worker = Worker::builder(&pool).spawn(|_: Parent<()>| {
            exit();
            current_worker().unwrap().close();
            exit();
            |(): ()| ()
        });
        let exit = worker.exited().wait();
        assert!(exit.is_terminated() && exit.code() == 1);
    });
}

/// Node: test-worker-http2-generic-streams-terminate. Of two calls that are due,
/// the first of which ends the worker, the second is not made.
#[test]
fn after_a_worker_ended_itself_no_message_is_handled() {
    on_each_size(|pool| {
        let (handled, count) = counter();
        let drops = Drops::default();
        let (go, gate) = mpsc::channel::<()>();
        let worker = pool.worker(move |_: common::Token, _: &Parent<()>| {
            gate.recv().unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            exit();
        });
        for _ in 0..100 {
            worker.post(drops.token()).unwrap();
        }
        go.send(()).unwrap();
        assert!(worker.exited().wait().is_terminated());
        assert_eq!(handled.load(Ordering::SeqCst), 1);
        assert_eq!(drops.count(), 100, "the rest was dropped, before the exit");
    });
}

/// Node: test-worker-terminate-http2-respond-with-file. A worker that ends
/// itself at the first piece of something sends no end of it.
#[test]
fn a_worker_may_end_itself_in_the_middle_of_a_stream() {
    #[derive(Debug, PartialEq)]
    enum Piece {
        Data(usize),
        End,
    }
    on_each_size(|pool| {
        let worker = pool.worker(|piece: Piece, parent: &Parent<Piece>| {
            let is_first = piece == Piece::Data(0);
            parent.post(piece).unwrap();
            if is_first {
                exit();
            }
        });
        for piece in (0..64).map(Piece::Data).chain([Piece::End]) {
            // The later ones may come too late.
            let _ = worker.post(piece);
        }
        let pieces: Vec<_> = worker.iter().unwrap().collect();
        assert_eq!(pieces, [Piece::Data(0)]);
    });
}

/// Node: test-worker-voluntarily-exit-followed-by-addition. In Node nothing
/// comes after it; here the rest of the handler, and no other message.
#[test]
fn the_handler_goes_on_after_it_ended_the_worker() {
    on_each_size(|pool| {
        let (sum, data) = counter();
        let worker = pool.worker(move |n: usize, parent: &Parent<()>| {
            exit();
            assert!(parent.is_terminating());
            assert!(current_worker().unwrap().is_terminating());
            data.fetch_add(n, Ordering::SeqCst);
        });
        worker.post(1).unwrap();
        let _ = worker.post(10);
        assert!(worker.exited().wait().is_terminated());
        assert_eq!(sum.load(Ordering::SeqCst), 1);
    });
}

/// Node: test-worker-voluntarily-exit-followed-by-throw. So a panic after it can
/// happen, and is the worker's error like any other.
#[test]
fn a_panic_after_a_worker_ended_itself_is_not_lost() {
    hush();
    on_each_size(|pool| {
        let worker = pool.worker(|(), _: &Parent<()>| {
            exit();
            panic!("{EXPECTED}: thrown after the exit");
        });
        let exited = worker.exited();
        worker.post(()).unwrap();
        let exit = exited.wait();
        assert!(exit.is_failed() && exit.code() == 1);
        let error = exit.error().unwrap().to_string();
        assert!(error.contains("thrown after the exit"), "{error}");
    });
}

/// Node: test-worker-resource-limits. There is no limit on a worker's memory but
/// the one it sets itself: one that says it has too much ends with that error,
/// what it had is freed, and its mailbox is limited by its builder.
#[test]
fn a_worker_that_reaches_its_limit_ends_with_an_error() {
    const LIMIT: usize = 16;
    on_each_size(|pool| {
        let drops = Drops::default();
        let worker = Worker::builder(&pool)
            .mailbox(LIMIT)
            .try_spawn(|_: Parent<()>| {
                let mut hoard = Vec::new();
                Ok(move |token: common::Token| -> Result<(), BoxError> {
                    if hoard.len() == LIMIT {
                        return Err("terminated: the memory limit is reached".into());
                    }
                    hoard.push(token);
                    Ok(())
                })
            });
        let exited = worker.exited();
        let mut posted = 0;
        loop {
            let token = drops.token();
            match pollster::block_on(worker.post_async(token)) {
                Ok(()) => posted += 1,
                Err(error) => {
                    assert!(error.is_closed());
                    break;
                }
            }
        }
        assert!(posted > LIMIT);
        let exit = exited.wait();
        assert!(exit.is_failed() && exit.code() == 1);
        let error = exit.error().unwrap();
        assert!(!error.is_panic());
        let source = std::error::Error::source(error).unwrap();
        assert_eq!(
            source.to_string(),
            "terminated: the memory limit is reached"
        );
        assert_eq!(drops.count(), posted + 1);
    });
}

/// Node: test-worker-nearheaplimit-deadlock. A limit that nothing fits into is an
/// error at once, not a deadlock.
#[test]
fn an_impossible_limit_is_an_error_and_not_a_hang() {
    watched(|| {
        // No address space has room for such a stack.
        let error = Worker::dedicated()
            .stack_size(1 << 46)
            .spawn(|_: Parent<()>| |(): ()| ())
            .unwrap_err();
        assert!(!error.to_string().is_empty());

        let pool = common::pool(1);
        let payload = common::panic_of(|| {
            hush();
            Worker::builder(&pool)
                .mailbox(0)
                .spawn(|_: Parent<()>| |(): ()| ())
        });
        let text = common::text(&*payload).unwrap();
        assert!(text.contains('0'), "{text}");
        // And neither did any harm.
        let worker = pool.worker(|n: u8, parent: &Parent<u8>| parent.post(n).unwrap());
        worker.post(3).unwrap();
        assert_eq!(worker.recv().unwrap(), 3);
    });
}
