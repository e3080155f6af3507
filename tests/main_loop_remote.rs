//! Closures posted by other threads.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use windlass::{MainLoop, PostError, Remote};

#[test]
fn posts_from_many_threads_all_run_in_the_order_of_their_thread() {
    const THREADS: usize = 4;
    let posts = if cfg!(miri) { 50 } else { 20_000 };
    thread_local!(static NEXT: RefCell<[usize; THREADS]> = const { RefCell::new([0; THREADS]) });

    let main = MainLoop::new();
    let threads: Vec<_> = (0..THREADS)
        .map(|t| {
            let remote = main.remote();
            let guard = remote.keep_alive();
            thread::spawn(move || {
                for i in 0..posts {
                    remote
                        .post(move |_| {
                            NEXT.with_borrow_mut(|next| {
                                assert_eq!(next[t], i);
                                next[t] += 1;
                            });
                        })
                        .unwrap();
                    if i % 1000 == t {
                        // Lets the loop go to sleep now and then.
                        thread::sleep(Duration::from_micros(200));
                    }
                }
                drop(guard);
            })
        })
        .collect();
    main.run();
    assert_eq!(NEXT.take(), [posts; THREADS]);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn ping_pong_with_a_sleeping_loop_loses_no_wake_up() {
    let rounds = if cfg!(miri) { 20 } else { 5_000 };
    let main = MainLoop::new();
    let remote = main.remote();
    let guard = remote.keep_alive();
    let thread = thread::spawn(move || {
        for i in 0..rounds {
            let (give, take) = std::sync::mpsc::channel();
            remote.post(move |_| give.send(i).unwrap()).unwrap();
            assert_eq!(take.recv_timeout(Duration::from_secs(60)), Ok(i));
        }
        drop(guard);
    });
    main.run();
    thread.join().unwrap();
}

#[test]
fn a_post_may_come_from_the_loop_itself() {
    let main = MainLoop::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    main.remote()
        .post(move |main| {
            main.remote()
                .post(move |_| _ = count.fetch_add(1, Ordering::SeqCst))
                .unwrap();
        })
        .unwrap();
    main.run();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn a_post_to_a_loop_that_is_gone_gives_the_closure_back() {
    let main = MainLoop::new();
    let remote = main.remote();
    assert!(!remote.is_closed());
    drop(main);
    assert!(remote.is_closed());
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let error: PostError<_> = remote
        .post(move |_| _ = count.fetch_add(1, Ordering::SeqCst))
        .unwrap_err();
    assert_eq!(error.to_string(), "nobody is left to receive the message");
    error.into_inner()(&MainLoop::new());
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

/// Notes the thread it is dropped on.
struct Dropped(Arc<Mutex<Vec<ThreadId>>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

#[test]
fn what_was_accepted_and_has_not_run_is_dropped_on_the_loops_thread() {
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let main = MainLoop::new();
    let remote = main.remote();
    let value = Dropped(Arc::clone(&dropped));
    thread::spawn(move || remote.post(move |_| drop(value)).unwrap())
        .join()
        .unwrap();
    drop(main);
    assert_eq!(*dropped.lock().unwrap(), [thread::current().id()]);
}

#[test]
fn posts_that_race_with_the_loops_end_are_run_dropped_or_given_back() {
    for _ in 0..if cfg!(miri) { 5 } else { 300 } {
        let main = MainLoop::new();
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let remote = main.remote();
                let dropped = Arc::clone(&dropped);
                thread::spawn(move || {
                    let mut posts = 0;
                    let mut refused = 0;
                    while refused < 3 && posts < 200_000 {
                        posts += 1;
                        let value = Dropped(Arc::clone(&dropped));
                        if remote.post(move |_| drop(value)).is_err() {
                            refused += 1;
                        }
                    }
                    posts
                })
            })
            .collect();
        main.turn();
        drop(main);
        let posts: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(dropped.lock().unwrap().len(), posts);
    }
}

#[test]
fn a_closure_that_posts_and_panics_when_dropped_does_not_hold_up_the_end() {
    struct Again(Remote, Arc<AtomicUsize>);
    impl Drop for Again {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
            let again = Again(self.0.clone(), Arc::clone(&self.1));
            if let Err(error) = self.0.post(move |_| drop(again)) {
                // Its own Drop would come here again, without an end.
                std::mem::forget(error);
            }
            resume_unwind(Box::new("drop"));
        }
    }
    let main = MainLoop::new();
    let remote = main.remote();
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let value = Again(remote.clone(), Arc::clone(&drops));
        remote.post(move |_| drop(value)).unwrap();
    }
    drop(main);
    assert_eq!(drops.load(Ordering::SeqCst), 3);
}
