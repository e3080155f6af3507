//! The host's waker: called when there is something to do, and not more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use windlass::MainLoop;

/// Sets a waker that counts its calls.
fn count_calls(main: &MainLoop) -> impl Fn() -> usize + use<> {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    main.set_waker(move || count.fetch_add(1, Ordering::SeqCst));
    move || calls.load(Ordering::SeqCst)
}

#[test]
fn it_is_not_called_while_nothing_is_ready() {
    let main = MainLoop::new();
    let calls = count_calls(&main);
    main.set_timeout(Duration::from_secs(3600), |_, _| ());
    main.on_complete(std::future::pending::<()>(), |_, ()| ());
    main.turn();
    drop(main.remote().keep_alive());
    assert_eq!(calls(), 0);
}

#[test]
fn it_is_called_once_until_the_next_turn_begins() {
    let main = MainLoop::new();
    let calls = count_calls(&main);
    let remote = main.remote();
    for turn in 1..4 {
        for _ in 0..10 {
            remote.post(|_| ()).unwrap();
        }
        let remote = remote.clone();
        thread::spawn(move || remote.post(|_| ()).unwrap())
            .join()
            .unwrap();
        main.set_immediate(|_, _| ());
        main.on_complete(async {}, |_, ()| ());
        assert_eq!(calls(), turn);
        assert_eq!(main.turn(), 13);
        assert_eq!(calls(), turn, "nothing was left");
    }
}

#[test]
fn it_is_called_at_once_if_something_is_ready_when_it_is_set() {
    let main = MainLoop::new();
    main.set_immediate(|_, _| ());
    assert_eq!(count_calls(&main)(), 1);
    main.turn();
    assert_eq!(count_calls(&main)(), 0);
    main.remote().post(|_| ()).unwrap();
    assert_eq!(count_calls(&main)(), 1);
    assert_eq!(count_calls(&main)(), 1, "a second waker is told too");
    main.turn();
    main.set_timeout(Duration::ZERO, |_, _| ());
    assert_eq!(count_calls(&main)(), 1, "a due timer is ready");
}

#[test]
fn a_waker_set_after_a_signal_that_came_to_nothing_hears_of_the_next_post() {
    let main = MainLoop::new();
    let remote = main.remote();
    // The nested turn takes the post that the outer turn's begin did not see,
    // whose signal is left without an event.
    main.set_immediate(move |main, _| {
        remote.post(|_| ()).unwrap();
        main.turn();
    });
    main.turn();
    let calls = count_calls(&main);
    assert_eq!(calls(), 0);
    main.remote().post(|_| ()).unwrap();
    assert_eq!(calls(), 1);
}

#[test]
fn it_is_called_again_when_a_turn_ends_with_something_left() {
    let main = MainLoop::new();
    let calls = count_calls(&main);
    main.set_immediate(|main, _| {
        main.set_immediate(|_, _| ());
    });
    assert_eq!(calls(), 1);
    assert_eq!(main.turn(), 1);
    assert_eq!(calls(), 2);
    assert_eq!(main.turn(), 1);
    assert_eq!(calls(), 2);
}

#[test]
fn it_is_called_once_for_what_came_during_a_turn_and_is_left_by_it() {
    let main = MainLoop::new();
    let calls = count_calls(&main);
    main.set_immediate(|main, _| {
        main.remote().post(|_| ()).unwrap();
        main.remote().post(|_| ()).unwrap();
        main.set_immediate(|_, _| ());
    });
    assert_eq!(calls(), 1);
    main.turn();
    assert_eq!(calls(), 2);
    assert_eq!(main.turn(), 3);
    assert_eq!(calls(), 2);
}

#[test]
fn a_panicking_waker_harms_neither_the_loop_nor_the_poster() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("a result's drop"));
        }
    }
    let main = MainLoop::new();
    let remote = main.remote();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    main.set_waker(move || -> Loud {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            std::panic::resume_unwind(Box::new("a waker"));
        }
        Loud
    });
    for turn in 1..4 {
        let remote = remote.clone();
        thread::spawn(move || remote.post(|_| ()).unwrap())
            .join()
            .unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), turn);
        assert_eq!(main.turn(), 1);
    }
    let loud = Loud;
    main.set_waker(move || _ = &loud);
    main.clear_waker();
}

#[test]
fn a_cleared_or_replaced_waker_is_not_called_and_is_dropped() {
    let main = MainLoop::new();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    main.set_waker(move || {
        let _ = &held;
        unreachable!()
    });
    let calls = count_calls(&main);
    assert_eq!(Arc::strong_count(&alive), 1);
    main.remote().post(|_| ()).unwrap();
    assert_eq!(calls(), 1);
    main.turn();
    main.clear_waker();
    main.remote().post(|_| ()).unwrap();
    main.turn();
    assert_eq!(calls(), 1);
    main.clear_waker();
}

#[test]
fn the_waker_is_dropped_with_the_loop_although_a_remote_is_left() {
    let main = MainLoop::new();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    main.set_waker(move || _ = &held);
    let remote = main.remote();
    drop(main);
    assert_eq!(Arc::strong_count(&alive), 1);
    assert!(remote.is_closed());
}

#[test]
fn the_waker_may_use_the_loop() {
    thread_local!(static MAIN: MainLoop = MainLoop::new());
    MAIN.with(|main| {
        let remote = main.remote();
        let again = remote.clone();
        let posts = AtomicUsize::new(0);
        main.set_waker(move || {
            if posts.fetch_add(1, Ordering::SeqCst) < 3 {
                again.post(|_| ()).unwrap();
            }
            MAIN.with(|main| {
                main.next_deadline();
                main.set_immediate(|_, _| ());
            });
        });
        remote.post(|_| ()).unwrap();
        for _ in 0..10 {
            main.turn();
        }
        main.clear_waker();
    });
}

#[test]
fn a_host_that_sleeps_until_it_is_called_misses_nothing() {
    let posts = if cfg!(miri) { 50 } else { 20_000 };
    let main = MainLoop::new();
    let host = thread::current();
    let called = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&called);
    main.set_waker(move || {
        flag.store(true, Ordering::SeqCst);
        host.unpark();
    });
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let remote = main.remote();
            thread::spawn(move || {
                for i in 0..posts {
                    remote.post(|_| ()).unwrap();
                    if i % 64 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut ran = 0;
    let watchdog = Instant::now() + Duration::from_secs(120);
    while ran < 3 * posts {
        while !called.swap(false, Ordering::SeqCst) {
            thread::park_timeout(Duration::from_secs(60));
            assert!(
                Instant::now() < watchdog,
                "a wake-up was lost after {ran} posts"
            );
        }
        ran += main.turn();
    }
    assert_eq!(ran, 3 * posts);
    for thread in threads {
        thread.join().unwrap();
    }
}
