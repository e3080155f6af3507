//! What Node's tests say of terminating a worker in the middle of something:
//! work it has handed out, calls it is stuck in, files, channels of its own.

mod common;

use std::cell::Cell;
use std::fs::File;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{Drops, on_each_size};
use windlass::{MainLoop, Parent, Pool, Spawner, Worker, channel};

/// Node: test-worker-dns-terminate-during-query. Work that a worker has handed
/// to others goes on to its end when the worker is terminated, and its result is
/// dropped.
#[test]
fn terminating_a_worker_leaves_its_jobs_alone() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let (release, query) = mpsc::channel::<()>();
        let (begun, begin) = mpsc::channel();
        let given = Cell::new(Some((drops.token(), query)));
        let worker = Worker::dedicated()
            .spawn({
                let spawner = pool.spawner();
                move |parent: Parent<()>| {
                    let (spawner, begun) = (spawner.clone(), begun.clone());
                    let mut given = given.take();
                    let mut pending = Vec::new();
                    move |()| {
                        let (answer, query) = given.take().expect("asked once");
                        let begun = begun.clone();
                        pending.push(spawner.spawn(move || {
                            begun.send(()).unwrap();
                            let _ = query.recv();
                            answer
                        }));
                        let _ = parent.post(());
                    }
                }
            })
            .unwrap();
        worker.post(()).unwrap();
        begin.recv().unwrap();
        assert!(worker.terminate().wait().is_terminated());
        assert_eq!(drops.count(), 0, "it still runs");
        release.send(()).unwrap();
        drop(pool);
        assert_eq!(drops.count(), 1);
    });
}

/// Node: test-worker-dns-terminate. A worker that is stuck in a call ends when
/// the call returns, and not before.
#[test]
fn a_worker_that_is_stuck_ends_when_it_comes_back() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let (answer, lookup) = mpsc::channel::<()>();
        let worker = pool.worker(move |(), parent: &Parent<&'static str>| {
            parent.post("up").unwrap();
            let _ = lookup.recv();
            assert!(parent.is_terminating());
        });
        worker.post(()).unwrap();
        assert_eq!(worker.recv().unwrap(), "up");
        let _ = worker.post(());
        let terminated = worker.terminate();
        let ended = Rc::new(Cell::new(false));
        let flag = Rc::clone(&ended);
        main.on_complete(terminated, move |_, exit| flag.set(exit.is_terminated()));
        main.turn();
        assert!(!ended.get() && worker.exit().is_none());
        // The second message is not handled: it would find the channel open.
        answer.send(()).unwrap();
        main.run();
        assert!(ended.get());
    });
}

/// Node: test-worker-fs-stat-watcher. What a worker keeps running is stopped by
/// the drop of its state.
#[test]
fn what_a_terminated_worker_kept_running_is_stopped() {
    /// A thread that watches until it is dropped.
    struct Watcher(Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>);
    impl Drop for Watcher {
        fn drop(&mut self) {
            let (stop, thread) = self.0.take().unwrap();
            drop(stop);
            thread.join().unwrap();
        }
    }
    on_each_size(|pool| {
        let watching = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&watching);
        let worker = Worker::builder(&pool).spawn(move |parent: Parent<&'static str>| {
            let (stop, stopped) = mpsc::channel::<()>();
            let flag = Arc::clone(&flag);
            let thread = thread::spawn(move || {
                flag.store(true, Ordering::SeqCst);
                while stopped.recv_timeout(Duration::from_millis(1))
                    == Err(mpsc::RecvTimeoutError::Timeout)
                {}
                flag.store(false, Ordering::SeqCst);
            });
            let watcher = Watcher(Some((stop, thread)));
            parent.post("running").unwrap();
            move |(): ()| {
                let _held = &watcher;
            }
        });
        assert_eq!(worker.recv().unwrap(), "running");
        common::until(|| watching.load(Ordering::SeqCst));
        assert!(worker.terminate().wait().is_terminated());
        assert!(!watching.load(Ordering::SeqCst));
    });
}

/// Six chains of workers at once, each of which is followed by the next when it
/// was terminated, five times; how many there were.
fn spin_six_times_five(pool: &Pool, each: impl Fn() + Clone + Send + 'static) -> usize {
    fn spin(
        main: &MainLoop,
        spawner: &Spawner,
        left: usize,
        count: &Rc<Cell<usize>>,
        each: impl Fn() + Clone + Send + 'static,
    ) {
        let work = each.clone();
        let worker = Worker::builder(spawner).spawn(move |parent: Parent<()>| {
            let work = work.clone();
            move |(): ()| {
                parent.post(()).unwrap();
                while !parent.is_terminating() {
                    work();
                }
            }
        });
        let worker = Rc::new(worker);
        worker.post(()).unwrap();
        let end = Rc::clone(&worker);
        main.on_message(&*worker, move |_, ()| drop(end.terminate()))
            .unwrap();
        let (spawner, count) = (spawner.clone(), Rc::clone(count));
        main.on_exit(&*worker, move |main, exit| {
            assert!(exit.is_terminated());
            count.set(count.get() + 1);
            if left > 0 {
                spin(main, &spawner, left - 1, &count, each.clone());
            }
        });
    }
    let (main, count) = (MainLoop::new(), Rc::new(Cell::new(0)));
    for _ in 0..6 {
        spin(&main, &pool.spawner(), 5, &count, each.clone());
    }
    main.run();
    count.get()
}

/// Node: test-worker-http2-stream-terminate. Workers are terminated in the
/// middle of sending and receiving on channels of their own.
#[test]
fn workers_can_be_terminated_amid_their_own_messages() {
    on_each_size(|pool| {
        let ended = spin_six_times_five(&pool, || {
            let (client, server) = channel::<u8, u8>();
            for request in 0..3 {
                client.post(request).unwrap();
                server.post(server.recv().unwrap()).unwrap();
            }
            assert_eq!(client.recv().unwrap(), 0);
        });
        assert_eq!(ended, 6 * 6);
    });
}

/// Node: test-worker-fshandles-error-on-termination. And while they open files
/// that are not there.
#[test]
fn workers_can_be_terminated_amid_failing_calls() {
    on_each_size(|pool| {
        let ended = spin_six_times_five(&pool, || {
            let error = File::open("this file does not exist").unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        });
        assert_eq!(ended, 6 * 6);
    });
}

/// Node: test-worker-fshandles-open-close-on-termination. And while they open
/// and close files that are; none stays open.
#[test]
fn workers_can_be_terminated_amid_opening_and_closing() {
    on_each_size(|pool| {
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        let this = std::env::current_exe().unwrap();
        let ended = spin_six_times_five(&pool, move || {
            let file = File::open(&this).unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            drop(file);
            count.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(ended, 6 * 6);
        drop(pool);
        assert_eq!(open.load(Ordering::SeqCst), 0);
    });
}
