//! Promise: what a job returns reaches its handle whole, exactly once, and
//! after everything the job captured is gone.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{Drops, Occupied, on_each_size, panic_of, text, until};
use windlass::JoinHandle;

/// Checklist 27.
#[test]
fn what_a_job_wrote_is_visible_once_the_handle_says_finished() {
    on_each_size(|pool| {
        let written = Arc::new(AtomicUsize::new(0));
        for round in 1..=400 {
            let there = Arc::clone(&written);
            // Relaxed on both sides: the handle is what orders them.
            let mut handle = pool.spawn(move || {
                there.store(round, Ordering::Relaxed);
                vec![round; 10]
            });
            while !handle.is_finished() {
                std::hint::spin_loop();
            }
            assert_eq!(written.load(Ordering::Relaxed), round);
            assert_eq!(handle.try_join().unwrap().unwrap(), vec![round; 10]);
        }
    });
}

/// All ways of asking give the same.
#[test]
fn every_way_of_asking_gives_the_result() {
    on_each_size(|pool| {
        let spawn = || pool.spawn(|| String::from("result"));
        assert_eq!(spawn().join().unwrap(), "result");
        assert_eq!(
            spawn().join_timeout(Duration::MAX).unwrap().unwrap(),
            "result"
        );
        assert_eq!(pollster::block_on(spawn()).unwrap(), "result");
        let mut handle = spawn();
        let polled = loop {
            if let Some(result) = handle.try_join() {
                break result;
            }
            thread::yield_now();
        };
        assert_eq!(polled.unwrap(), "result");
    });
}

/// Checklist 33.
#[test]
fn a_result_can_be_taken_once() {
    on_each_size(|pool| {
        let spent = || {
            let mut handle = pool.spawn(|| 1);
            until(|| handle.is_finished());
            assert_eq!(handle.try_join().unwrap().unwrap(), 1);
            handle
        };
        let mut handle = spent();
        assert!(handle.is_finished());
        assert!(handle.try_join().is_none() && handle.try_join().is_none());
        assert!(!handle.cancel());
        assert!(!handle.cancel_handle().cancel());
        assert!(handle.cancel_handle().is_finished());

        let join = panic_of(|| spent().join());
        assert!(text(&*join).unwrap().contains("JoinHandle::join: "));
        let join = panic_of(|| spent().join_timeout(Duration::ZERO));
        assert!(text(&*join).unwrap().contains("JoinHandle::join_timeout: "));
        let poll = panic_of(|| pollster::block_on(spent()));
        assert!(
            text(&*poll).unwrap().contains("polled after"),
            "{:?}",
            text(&*poll)
        );
    });
}

/// Checklist 34.
#[test]
fn a_result_nobody_wants_is_dropped_once_and_where_it_is_documented() {
    on_each_size(|pool| {
        let here = thread::current().id();

        // The handle is dropped before the job starts.
        let before = Drops::default();
        let occupied = Occupied::all(&pool);
        let tokens = before.clone();
        drop(pool.spawn(move || tokens.token()));
        occupied.release();
        until(|| before.count() == 1);
        assert_ne!(before.threads(), [here]);

        // While it runs.
        let during = Drops::default();
        let (tokens, (go, wait)) = (during.clone(), mpsc::channel::<()>());
        let (there, running) = mpsc::channel();
        let handle = pool.spawn(move || {
            there.send(()).unwrap();
            wait.recv().unwrap();
            tokens.token()
        });
        running.recv().unwrap();
        drop(handle);
        go.send(()).unwrap();
        until(|| during.count() == 1);
        assert_ne!(during.threads(), [here]);

        // After it ended.
        let after = Drops::default();
        let tokens = after.clone();
        let handle = pool.spawn(move || tokens.token());
        until(|| handle.is_finished());
        assert_eq!(after.count(), 0);
        drop(handle);
        assert_eq!(after.threads(), [here]);

        // And not again with the pool.
        drop(pool);
        assert_eq!((before.count(), during.count(), after.count()), (1, 1, 1));
    });
}

/// Checklist 34.
#[test]
fn a_handle_dropped_at_any_moment_drops_its_result_exactly_once() {
    on_each_size(|pool| {
        const JOBS: usize = 2000;
        let drops = Drops::default();
        for round in 0..JOBS {
            let tokens = drops.clone();
            let handle = pool.spawn(move || tokens.token());
            for _ in 0..round % 200 {
                std::hint::spin_loop();
            }
            drop(handle);
        }
        drop(pool);
        assert_eq!(drops.count(), JOBS);
    });
}

/// Checklist 38.
#[test]
fn captures_are_gone_when_the_handle_resolves() {
    common::hush();
    on_each_size(|pool| {
        let shared = Arc::new(());
        for _ in 0..300 {
            let captured = Arc::clone(&shared);
            pool.spawn(move || assert_eq!(Arc::strong_count(&captured), 2))
                .join()
                .unwrap();
            assert_eq!(Arc::strong_count(&shared), 1);

            let captured = Arc::clone(&shared);
            let panicked = pool.spawn(move || {
                let _captured = captured;
                panic!("{}", common::EXPECTED);
            });
            assert!(panicked.join().unwrap_err().is_panic());
            assert_eq!(Arc::strong_count(&shared), 1);
        }
        let occupied = Occupied::all(&pool);
        let captured = Arc::clone(&shared);
        let cancelled = pool.spawn(move || drop(captured));
        assert!(cancelled.cancel());
        assert_eq!(Arc::strong_count(&shared), 1);
        occupied.release();
        let captured = Arc::clone(&shared);
        drop(pool.shutdown());
        let refused = pool.spawn(move || drop(captured));
        assert!(refused.is_finished());
        assert_eq!(Arc::strong_count(&shared), 1);
    });
}

/// What a waker saw of the job's captures when it was woken.
struct Looker {
    captured: Arc<()>,
    seen: Mutex<Vec<usize>>,
}

impl Wake for Looker {
    fn wake(self: Arc<Self>) {
        let count = Arc::strong_count(&self.captured);
        self.seen.lock().unwrap().push(count);
    }
}

/// Checklist 38.
#[test]
fn captures_are_gone_when_the_waker_is_called() {
    on_each_size(|pool| {
        let shared = Arc::new(());
        for _ in 0..100 {
            let looker = Arc::new(Looker {
                captured: Arc::clone(&shared),
                seen: Mutex::default(),
            });
            let captured = Arc::clone(&shared);
            let (go, wait) = mpsc::channel::<()>();
            let mut handle = pool.spawn(move || {
                let _captured = captured;
                wait.recv().unwrap();
            });
            let waker = Waker::from(Arc::clone(&looker));
            assert!(poll(&mut handle, &waker).is_pending());
            go.send(()).unwrap();
            until(|| !looker.seen.lock().unwrap().is_empty());
            // Its own, and the one outside.
            assert_eq!(*looker.seen.lock().unwrap(), [2]);
            assert!(poll(&mut handle, &waker).is_ready());
        }
    });
}

fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, windlass::JoinError>> {
    std::pin::Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// Whatever their size and alignment, closures and results arrive whole.
#[test]
fn closures_and_results_of_any_size_arrive_whole() {
    #[derive(Clone, Copy, PartialEq, Debug)]
    #[repr(align(256))]
    struct Wide([u8; 256]);

    on_each_size(|pool| {
        macro_rules! round_trip {
            ($value:expr) => {{
                let value = $value;
                let address = move || {
                    let here = value;
                    assert_eq!((&raw const here).addr() % align_of_val(&here), 0);
                    here
                };
                assert_eq!(pool.spawn(address).join().unwrap(), value);
                let (send, receive) = mpsc::channel();
                pool.execute(move || send.send(address()).unwrap());
                assert_eq!(receive.recv().unwrap(), value);
            }};
        }
        round_trip!(());
        round_trip!(7_u8);
        round_trip!([1_u64; 6]);
        round_trip!([2_u64; 7]);
        round_trip!([3_u64; 8]);
        round_trip!([4_u64; 12]);
        round_trip!([5_u64; 13]);
        round_trip!([6_u8; 5000]);
        round_trip!(u128::MAX);
        round_trip!(Wide([9; 256]));
        // A small closure with a large result, and the other way round.
        assert_eq!(pool.spawn(|| [8_u16; 3000]).join().unwrap(), [8; 3000]);
        let large = [1_u32; 1000];
        assert_eq!(
            pool.spawn(move || large.iter().sum::<u32>())
                .join()
                .unwrap(),
            1000
        );
        assert!(pool.spawn(|| vec![Some(Box::new(1)), None]).join().unwrap()[1].is_none());
    });
}

/// A fire-and-forget job is dropped with what it captured, once.
#[test]
fn an_executed_closure_is_dropped_exactly_once_whatever_its_size() {
    on_each_size(|pool| {
        let drops = Drops::default();
        for _ in 0..200 {
            let small = drops.token();
            pool.execute(move || drop(small));
            let (large, ballast) = (drops.token(), [0_u64; 20]);
            pool.execute(move || {
                let _ballast = ballast;
                let _large = large;
            });
        }
        drop(pool);
        assert_eq!(drops.count(), 400);
    });
}
