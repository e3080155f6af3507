//! What Node's tests say of a worker that fails, and of what its exit says.

mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{EXPECTED, hush, on_each_size, pool_with_panics, watched};
use windlass::{
    BoxError, Exit, MainLoop, Parent, Pool, Restart, Spawner, Worker, channel, current_worker,
};

/// What the main loop is told of a worker, in order.
#[derive(Debug, PartialEq)]
enum Told {
    Message(&'static str),
    Error(String),
    Exit(i32),
}

/// Listens to all of a worker.
fn listen<In>(main: &MainLoop, worker: &Worker<In, &'static str>) -> Rc<RefCell<Vec<Told>>>
where
    In: Send + 'static,
{
    let told = Rc::new(RefCell::new(Vec::new()));
    let tell = Rc::clone(&told);
    main.on_message(worker, move |_, text| {
        tell.borrow_mut().push(Told::Message(text));
    })
    .unwrap();
    let tell = Rc::clone(&told);
    main.on_error(worker, move |_, error| {
        tell.borrow_mut().push(Told::Error(error.to_string()));
    });
    let tell = Rc::clone(&told);
    main.on_exit(worker, move |_, exit| {
        tell.borrow_mut().push(Told::Exit(exit.code()));
    });
    told
}

/// Node: test-worker-uncaught-exception. The error is told once, with its text,
/// then the exit with code 1; nothing that was to come later happens.
#[test]
fn a_panic_is_an_error_told_once_and_then_the_exit() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let later = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&later);
        let worker = Worker::builder(&pool).spawn(move |parent: Parent<&'static str>| {
            assert!(parent.is_closed(), "{EXPECTED}: foo");
            let count = Arc::clone(&count);
            move |()| {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let told = listen(&main, &worker);
        let _ = worker.post(());
        main.run();
        let text = format!("worker {} panicked: {EXPECTED}: foo", worker.id());
        assert_eq!(*told.borrow(), [Told::Error(text), Told::Exit(1)]);
        assert_eq!(later.load(Ordering::SeqCst), 0);
        assert!(worker.error().unwrap().is_panic() && !worker.is_alive());
    });
}

/// Node: test-worker-uncaught-exception-async. The same for an error that comes
/// later; what was posted before it is delivered before it.
#[test]
fn a_later_panic_comes_after_the_messages_before_it() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|n: u32, parent: &Parent<&'static str>| {
            assert!(n < 2, "{EXPECTED}: foo");
            parent.post("fine").unwrap();
        });
        let told = listen(&main, &worker);
        (0..5).for_each(|n| {
            let _ = worker.post(n);
        });
        main.run();
        let text = format!("worker {} panicked: {EXPECTED}: foo", worker.id());
        let fine = || Told::Message("fine");
        assert_eq!(
            *told.borrow(),
            [fine(), fine(), Told::Error(text), Told::Exit(1)]
        );
    });
}

/// Node: test-worker-nested-uncaught. An error that nobody in a worker looks at
/// is that worker's error.
#[test]
fn a_nested_workers_error_is_its_makers() {
    hush();
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.worker(|(), _: &Parent<&'static str>| {
            let spawner = Spawner::current().unwrap();
            let inner = Worker::builder(&spawner)
                .spawn(|_: Parent<()>| |(): ()| panic!("{EXPECTED}: uncaught"));
            inner.post(()).unwrap();
        });
        let told = listen(&main, &worker);
        worker.post(()).unwrap();
        main.run();
        let told = told.borrow();
        let [Told::Error(text), Told::Exit(1)] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(text.contains("uncaught"), "{text}");
    });
}

/// The chain goes on upwards, to the pool's hook at its top; who looks at an
/// error ends the chain.
#[test]
fn an_error_nobody_looks_at_goes_up_to_the_hook() {
    watched(|| {
        for threads in common::SIZES {
            for looks in [false, true] {
                let (pool, panics) = pool_with_panics(threads);
                let (exited, exit_of_inner) = mpsc::channel();
                let outer = pool.worker(move |(), _: &Parent<()>| {
                    let spawner = Spawner::current().unwrap();
                    let inner = Worker::builder(&spawner)
                        .spawn(|_: Parent<()>| |(): ()| panic!("{EXPECTED}: deep down"));
                    if looks {
                        exited.send(inner.exited()).unwrap();
                    }
                    inner.post(()).unwrap();
                });
                outer.post(()).unwrap();
                if looks {
                    let exit = exit_of_inner.recv().unwrap().wait();
                    assert!(exit.is_failed());
                    outer.close();
                    assert!(outer.exited().wait().is_success());
                    drop(pool);
                    assert!(panics.try_recv().is_err());
                } else {
                    let payload = panics.recv().unwrap();
                    let text = common::text(&*payload).unwrap_or_default();
                    assert!(text.contains("deep down"), "{text}");
                }
            }
        }
    });
}

/// Also if the owner ends in the very moment in which its worker fails: the
/// error is then told by one or the other, never by nobody.
#[test]
fn an_error_is_told_although_the_owner_ends_meanwhile() {
    const ROUNDS: u32 = 4000;
    watched(|| {
        for threads in [2, 8] {
            let (pool, panics) = pool_with_panics(threads);
            let mut told = 0;
            for round in 0..ROUNDS {
                let outer = pool.worker(move |(), _: &Parent<()>| {
                    let fails = Arc::new(AtomicBool::new(false));
                    let flag = Arc::clone(&fails);
                    let spawner = Spawner::current().unwrap();
                    let inner = spawner.worker(move |(), _: &Parent<()>| {
                        flag.store(true, Ordering::SeqCst);
                        panic!("{EXPECTED}: meanwhile");
                    });
                    inner.post(()).unwrap();
                    // A while that is different each time.
                    while !fails.load(Ordering::SeqCst) {
                        std::hint::spin_loop();
                    }
                    for n in 0..round {
                        std::hint::black_box(n);
                    }
                });
                let exited = outer.exited();
                outer.post(()).unwrap();
                outer.close();
                told += u32::from(exited.wait().is_failed());
            }
            drop(pool);
            let hooked = panics.iter().count();
            assert_eq!(
                told as usize + hooked,
                ROUNDS as usize,
                "{told} and {hooked}"
            );
        }
    });
}

/// And if several workers of one owner fail at once.
#[test]
fn every_error_of_several_is_told() {
    watched(|| {
        for threads in common::SIZES {
            let (pool, panics) = pool_with_panics(threads);
            for _ in 0..200 {
                let outer = pool.worker(|(), _: &Parent<()>| {
                    let spawner = Spawner::current().unwrap();
                    for _ in 0..3 {
                        let inner =
                            spawner.worker(|(), _: &Parent<()>| panic!("{EXPECTED}: all three"));
                        inner.post(()).unwrap();
                    }
                });
                let exited = outer.exited();
                outer.post(()).unwrap();
                assert!(exited.wait().is_failed());
            }
            drop(pool);
            assert_eq!(panics.iter().count(), 2 * 200);
        }
    });
}

/// Node: test-worker-beforeexit-throw-exit. If what a worker does at its end
/// fails, the rest of its end happens all the same.
#[test]
fn a_panic_at_a_workers_end_does_not_stop_its_end() {
    /// Panics at its end.
    struct BeforeExit(Arc<AtomicUsize>);
    impl Drop for BeforeExit {
        fn drop(&mut self) {
            self.0.store(200, Ordering::SeqCst);
            panic!("{EXPECTED}: banana");
        }
    }
    /// Is at its end after that.
    struct AtExit(Arc<AtomicUsize>);
    impl Drop for AtExit {
        fn drop(&mut self) {
            self.0.store(100, Ordering::SeqCst);
        }
    }
    hush();
    on_each_size(|pool| {
        let flags = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let state = (
            BeforeExit(Arc::clone(&flags[1])),
            AtExit(Arc::clone(&flags[0])),
        );
        let worker = pool.worker(move |(), _: &Parent<()>| {
            let _held = &state;
        });
        let exited = worker.exited();
        worker.post(()).unwrap();
        worker.close();
        let exit = exited.wait();
        assert_eq!(flags.map(|flag| flag.load(Ordering::SeqCst)), [100, 200]);
        assert_eq!(exit.code(), 1);
        assert!(exit.error().unwrap().to_string().contains("banana"));
        assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    });
}

/// How a worker ends in [`a_worker_ends_with_the_right_code`].
#[derive(Clone, Copy, Debug)]
enum How {
    OwnerCloses,
    OwnerTerminates,
    ClosesItself,
    TerminatesItself,
    ClosesThenTerminates,
    Panics,
    Fails,
    PanicsAfterClosing,
    CatchesItsPanic,
    IsRestarted,
    IsRestartedTooOften,
}

/// Makes a worker end in that way; how it ended.
fn end(pool: &Pool, how: How) -> Exit {
    let mut builder = Worker::builder(pool);
    if matches!(how, How::IsRestarted | How::IsRestartedTooOften) {
        builder = builder.restart(Restart::up_to(2, Duration::from_secs(3600)));
    }
    let worker = builder.try_spawn(move |_: Parent<()>| {
        Ok(move |panics: bool| -> Result<(), BoxError> {
            let this = current_worker().unwrap();
            match how {
                How::ClosesItself | How::PanicsAfterClosing => this.close(),
                How::TerminatesItself => this.terminate(),
                How::ClosesThenTerminates => {
                    this.close();
                    this.terminate();
                }
                How::Fails => return Err("expected: ok".into()),
                How::CatchesItsPanic => {
                    let caught = catch_unwind(|| panic!("{EXPECTED}: caught"));
                    assert!(caught.is_err());
                }
                _ => {}
            }
            assert!(!panics, "{EXPECTED}: ok");
            Ok(())
        })
    });
    let exited = worker.exited();
    let panics = match how {
        How::Panics | How::PanicsAfterClosing | How::IsRestarted => 1,
        How::IsRestartedTooOften => 3,
        _ => 0,
    };
    for _ in 0..panics {
        let _ = worker.post(true);
    }
    let _ = worker.post(false);
    if matches!(how, How::OwnerTerminates) {
        assert!(worker.terminate().wait().is_terminated());
    } else {
        worker.close();
    }
    exited.wait()
}

/// Node: test-worker-exit-code. The ways to end, and what each is called.
#[test]
fn a_worker_ends_with_the_right_code() {
    hush();
    on_each_size(|pool| {
        let success = [
            How::OwnerCloses,
            How::ClosesItself,
            How::CatchesItsPanic,
            How::IsRestarted,
        ];
        for how in success {
            let exit = end(&pool, how);
            assert!(exit.is_success(), "{how:?}: {exit:?}");
            assert_eq!((exit.code(), exit.error().is_none()), (0, true), "{how:?}");
        }
        let terminated = [
            How::OwnerTerminates,
            How::TerminatesItself,
            How::ClosesThenTerminates,
        ];
        for how in terminated {
            let exit = end(&pool, how);
            assert!(exit.is_terminated(), "{how:?}: {exit:?}");
            assert_eq!((exit.code(), exit.error().is_none()), (1, true), "{how:?}");
        }
        let failed = [
            How::Panics,
            How::Fails,
            How::PanicsAfterClosing,
            How::IsRestartedTooOften,
        ];
        for how in failed {
            let exit = end(&pool, how);
            assert!(exit.is_failed(), "{how:?}: {exit:?}");
            assert_eq!(exit.code(), 1, "{how:?}");
            let error = exit.error().unwrap();
            assert_eq!(error.is_panic(), !matches!(how, How::Fails), "{how:?}");
            assert!(error.to_string().contains("ok"), "{error}");
        }
    });
}

/// Node: test-worker-exit-from-uncaught-exception. A worker may end itself from
/// where it deals with its own panic.
#[test]
fn a_worker_may_end_itself_over_its_own_panic() {
    hush();
    on_each_size(|pool| {
        let (to_worker, from_test) = channel::<(), ()>();
        to_worker.post(()).unwrap();
        let worker = pool.worker(move |(), _: &Parent<()>| {
            let uncaught = catch_unwind(AssertUnwindSafe(|| {
                from_test.recv().unwrap();
                panic!("{EXPECTED}: uncaught");
            }));
            if uncaught.is_err() {
                current_worker().unwrap().terminate();
            }
        });
        worker.post(()).unwrap();
        let _ = worker.post(());
        let exit = worker.exited().wait();
        assert!(exit.is_terminated() && exit.error().is_none());
        // The second message was not handled: it would have waited for ever.
        assert!(to_worker.is_closed());
    });
}

/// As `test-worker-nested-uncaught`, for grandchildren whose makers have ended
/// and are freed by then: the nearest one left is told.
#[test]
fn an_error_passes_over_makers_that_are_gone() {
    fn fail(depth: u32, _: &Parent<&'static str>) -> Result<(), BoxError> {
        if depth == 3 {
            return Err("leak".into());
        }
        // Dropped at once: it handles its mail, and ends.
        let inner = Spawner::current().unwrap().try_worker(fail);
        inner.post(depth + 1)?;
        Ok(())
    }
    on_each_size(|pool| {
        let main = MainLoop::new();
        let worker = pool.try_worker(fail);
        let told = listen(&main, &worker);
        worker.post(1).unwrap();
        main.run();
        let told = told.borrow();
        let [Told::Error(text), Told::Exit(1)] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(text.contains("leak"), "{text}");
    });
}
