//! What Node's tests say of a worker's life: its name and number, what ends with
//! it, and what can still be asked when it is over.

mod common;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{Drops, EXPECTED, hush, on_each_size, until, watched};
use windlass::{MainLoop, Parent, Pool, Port, Spawner, Worker, channel, current_worker};

/// Node: test-worker-cleanup-handles. What a worker opened is closed when it
/// ends, before anybody is told.
#[test]
fn what_a_worker_opened_is_closed_before_its_exit_is_reported() {
    on_each_size(|pool| {
        let worker = Worker::builder(&pool).spawn(|parent: Parent<_>| {
            let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            parent.post(server.local_addr().unwrap()).unwrap();
            move |(): ()| drop(server.local_addr())
        });
        let address = worker.recv().unwrap();
        assert!(TcpListener::bind(address).is_err(), "the worker has it");
        let main = MainLoop::new();
        main.on_exit(&worker, move |_, exit| {
            assert!(exit.is_success());
            drop(TcpListener::bind(address).expect("it is free again"));
        });
        worker.close();
        main.run();
    });
}

/// Node: test-worker-dispose.mjs. To let go of a worker is to end it, also one
/// that is in an endless loop, if the loop asks.
#[test]
fn dropping_a_worker_ends_it() {
    on_each_size(|pool| {
        let (started, start) = mpsc::channel();
        let worker = pool.worker(move |(), parent: &Parent<()>| {
            started.send(()).unwrap();
            while !parent.is_closed() {
                thread::yield_now();
            }
        });
        let exited = worker.exited();
        worker.post(()).unwrap();
        start.recv().unwrap();
        drop(worker);
        assert!(exited.wait().is_success());
    });
}

/// Node: test-worker-safe-getters. All of a worker can be asked and called when
/// it is over; what is posted to it comes back.
#[test]
fn a_worker_that_is_gone_can_be_asked_everything() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = Worker::builder(&pool)
            .name("gone")
            .spawn(|_: Parent<()>| |(): ()| current_worker().unwrap().close());
        let id = worker.id();
        assert!(worker.is_alive() && worker.exit().is_none());
        worker.post(()).unwrap();
        let on_exit = main.on_exit(&worker, |_, exit| assert_eq!(exit.code(), 0));
        main.run();

        assert!(worker.post(()).unwrap_err().is_closed());
        assert!(
            pollster::block_on(worker.post_async(()))
                .unwrap_err()
                .is_closed()
        );
        main.unref(on_exit);
        main.re_ref(on_exit);
        main.run();
        assert!(!worker.is_alive());
        assert_eq!((worker.id(), worker.name()), (id, Some("gone")));
        assert_eq!(worker.restarts(), 0);
        assert!(worker.error().is_none());
        assert!(worker.exit().unwrap().is_success());
        assert!(worker.try_recv().unwrap_err().is_closed());
        assert!(worker.recv().unwrap_err().is_closed());
        worker.close();
        assert!(worker.terminate().wait().is_success());
        assert!(worker.exited().wait_timeout(Duration::ZERO).is_ok());
        println!("{worker:?}");
    });
}

/// Node: test-worker-nested-on-process-exit. A worker that ends hears nothing
/// more of the workers it made, and these end too.
#[test]
fn a_worker_that_ends_hears_nothing_of_its_workers() {
    on_each_size(|pool| {
        let (tell, told) = mpsc::channel();
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        let outer = Worker::builder(&pool).spawn(move |_: Parent<()>| {
            let spawner = Spawner::current().unwrap();
            let inner = Worker::builder(&spawner).spawn(|parent: Parent<()>| {
                move |(): ()| {
                    let _ = parent.post(());
                }
            });
            tell.send(inner.exited()).unwrap();
            let count = Arc::clone(&count);
            move |is_first: bool| {
                if is_first {
                    inner.post(()).unwrap();
                    current_worker().unwrap().terminate();
                } else if inner.recv().is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        outer.post(true).unwrap();
        let _ = outer.post(false);
        assert!(outer.exited().wait().is_terminated());
        assert!(told.recv().unwrap().wait().is_success());
        assert_eq!(heard.load(Ordering::SeqCst), 0);
    });
}

/// Node: test-worker-event. Node calls a hook with each new worker; here who
/// creates one has it in hand, and what remains is its number: each has its
/// own, and none is used again.
#[test]
fn every_worker_has_a_number_of_its_own() {
    watched(|| {
        let mut seen = BTreeSet::new();
        for threads in common::SIZES {
            let pool = common::pool(threads);
            for _ in 0..200 {
                let worker = pool.worker(|(), parent: &Parent<_>| {
                    let inside = current_worker().unwrap().id();
                    parent.post((parent.id(), inside)).unwrap();
                });
                worker.post(()).unwrap();
                let id = worker.id();
                assert_eq!(worker.recv().unwrap(), (id, id));
                let number: u64 = id.to_string().parse().expect("a number");
                assert!(seen.insert(number), "{number} again");
                worker.close();
                worker.exited().wait();
            }
        }
        assert!(current_worker().is_none(), "this thread is none");
    });
}

/// Node: test-worker-name. The name, with the number, is what errors call the
/// worker.
#[test]
fn a_workers_name_is_in_its_title() {
    hush();
    on_each_size(|pool| {
        let worker = Worker::builder(&pool)
            .name("Hello Thread")
            .spawn(|_: Parent<()>| |(): ()| panic!("{EXPECTED}: inside"));
        let exited = worker.exited();
        worker.post(()).unwrap();
        let error = exited.wait().error().unwrap().clone();
        assert_eq!(
            (error.id(), error.name()),
            (worker.id(), Some("Hello Thread"))
        );
        let title = format!("worker {} (Hello Thread)", worker.id());
        assert!(error.to_string().starts_with(&title), "{error}");
    });
}

/// Node: test-worker-thread-name. A worker knows its name inside, and a worker
/// with a thread of its own gives it to the thread.
#[test]
fn a_worker_knows_its_name() {
    const NAME: &str = "test-name";
    fn inside() -> (Option<String>, Option<String>) {
        let worker = current_worker().unwrap();
        let thread = thread::current().name().map(str::to_owned);
        (worker.name().map(str::to_owned), thread)
    }
    on_each_size(|pool| {
        let worker = Worker::builder(&pool)
            .name(NAME)
            .spawn(|parent: Parent<_>| move |(): ()| parent.post(inside()).unwrap());
        assert_eq!(worker.name(), Some(NAME));
        worker.post(()).unwrap();
        assert_eq!(worker.recv().unwrap().0.as_deref(), Some(NAME));

        let nameless = pool.worker(|(), parent: &Parent<_>| parent.post(inside().0).unwrap());
        assert_eq!(nameless.name(), None);
        nameless.post(()).unwrap();
        assert_eq!(nameless.recv().unwrap(), None);

        let own = Worker::dedicated()
            .name(NAME)
            .spawn(|parent: Parent<_>| move |(): ()| parent.post(inside()).unwrap())
            .unwrap();
        own.post(()).unwrap();
        let (worker_name, thread_name) = own.recv().unwrap();
        assert_eq!(worker_name.as_deref(), Some(NAME));
        assert_eq!(thread_name.as_deref(), Some(NAME));
    });
}

/// Node: test-worker-cpu-usage. The library counts no processor time; what it
/// promises is that a worker without mail uses none, and that it knows whether
/// it runs.
#[test]
#[cfg(target_os = "linux")]
fn workers_without_mail_use_no_processor_time() {
    watched(|| {
        let pool = Pool::builder()
            .num_threads(2)
            .thread_name(|index| format!("mailless-{index}"))
            .build()
            .unwrap();
        let workers: Vec<_> = (0..100)
            .map(|_| pool.worker(|n: u8, parent: &Parent<u8>| parent.post(n).unwrap()))
            .collect();
        for worker in &workers {
            worker.post(1).unwrap();
            assert_eq!(worker.recv().unwrap(), 1);
        }
        // Until they have settled, and then for a while.
        let mut quiet = 0;
        let mut before = switches("mailless");
        while quiet < 5 {
            thread::sleep(Duration::from_millis(60));
            let now = switches("mailless");
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
        }
        for worker in &workers {
            assert!(worker.is_alive());
            drop(worker.terminate());
        }
        for worker in &workers {
            worker.exited().wait();
            assert!(!worker.is_alive());
        }
        // The count sees work, once the threads have come to it.
        until(|| switches("mailless") != before);
    });
}

/// How often the kernel switched to and from threads of this name.
#[cfg(target_os = "linux")]
fn switches(name: &str) -> u64 {
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc/self/task").unwrap() {
        let status = entry.unwrap().path().join("status");
        // A thread of another test may end while it is looked at.
        let Ok(status) = std::fs::read_to_string(status) else {
            continue;
        };
        let field = |key| status.lines().find_map(|line| line.strip_prefix(key));
        if field("Name:").unwrap().trim().starts_with(name) {
            for key in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
                sum += field(key).unwrap().trim().parse::<u64>().unwrap();
            }
        }
    }
    sum
}

/// What a metrics port is asked for.
#[derive(Clone, Copy)]
enum Ask {
    Handled,
    Work(u64),
    Close,
}

/// Node: test-worker-eventlooputil. The library measures no utilization; what
/// remains is a worker that measures itself and reports over a port that it was
/// handed, and that asking after its exit is safe.
#[test]
fn a_worker_reports_on_itself_over_a_port_it_was_handed() {
    on_each_size(|pool| {
        let worker = Worker::builder(&pool).spawn(|_: Parent<()>| {
            let (mut handled, mut metrics) = (0_u64, None::<Port<u64, ()>>);
            move |(port, ask): (Option<Port<u64, ()>>, Ask)| {
                metrics = port.or(metrics.take());
                let port = metrics.as_ref().expect("it came with the first question");
                match ask {
                    Ask::Handled => port.post(handled).unwrap(),
                    Ask::Work(n) => {
                        handled += (0..n).map(std::hint::black_box).count() as u64;
                        port.post(handled).unwrap();
                    }
                    Ask::Close => port.close(),
                }
            }
        });
        let (theirs, metrics) = channel::<u64, ()>();
        worker.post((Some(theirs), Ask::Handled)).unwrap();
        assert_eq!(metrics.recv().unwrap(), 0);
        let questions = [(Ask::Work(50), 50), (Ask::Handled, 50), (Ask::Work(7), 57)];
        for (ask, _) in questions {
            worker.post((None, ask)).unwrap();
        }
        for (_, answer) in questions {
            assert_eq!(metrics.recv().unwrap(), answer);
        }
        worker.post((None, Ask::Close)).unwrap();
        assert!(metrics.recv().unwrap_err().is_closed());
        assert!(worker.is_alive());
        worker.close();
        assert!(worker.exited().wait().is_success());
        assert!(!worker.is_alive() && worker.exit().unwrap().is_success());
    });
}

/// A worker's state is dropped once, whichever way it ends, before its exit is
/// known.
#[test]
fn a_workers_state_is_dropped_before_its_exit_is_known() {
    hush();
    on_each_size(|pool| {
        for end in 0..4 {
            let drops = Drops::default();
            let state = drops.token();
            let worker = pool.worker(move |panics: bool, _: &Parent<()>| {
                let _held = &state;
                assert!(!panics, "{EXPECTED}: asked for");
            });
            let exited = worker.exited();
            worker.post(false).unwrap();
            match end {
                0 => worker.close(),
                1 => drop(worker.terminate()),
                2 => worker.post(true).unwrap(),
                _ => drop(worker),
            }
            exited.wait();
            assert_eq!(drops.count(), 1);
        }
    });
}
