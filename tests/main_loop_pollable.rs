//! The descriptor: readable while there is something to do.
#![cfg(unix)]

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use windlass::{MainLoop, Pollable};

const LONG: Duration = Duration::from_secs(3600);
/// Long enough for anything to have happened on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Whether the descriptor is readable within `timeout`.
#[allow(unsafe_code)]
fn is_readable(pollable: &Pollable, timeout: Duration) -> bool {
    let mut fd = libc::pollfd {
        fd: pollable.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let end = Instant::now() + timeout;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // SAFETY: the pointer is to one pollfd that is ours for the call.
        let n = unsafe { libc::poll(&mut fd, 1, left.as_millis() as libc::c_int) };
        if n >= 0 {
            return n == 1;
        }
        assert_eq!(
            io::Error::last_os_error().kind(),
            io::ErrorKind::Interrupted
        );
    }
}

fn becomes_readable(pollable: &Pollable) -> bool {
    is_readable(pollable, WATCHDOG)
}

/// A short wait, so that what should not come has a chance to.
fn stays_quiet(pollable: &Pollable) -> bool {
    !is_readable(pollable, Duration::from_millis(5))
}

#[test]
fn it_is_quiet_while_nothing_is_ready() -> io::Result<()> {
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    assert!(stays_quiet(&pollable));
    main.turn();
    assert!(stays_quiet(&pollable));
    main.set_timeout(LONG, |_, _| ());
    main.set_timeout(Duration::MAX, |_, _| ());
    main.on_complete(std::future::pending::<()>(), |_, ()| ());
    assert!(stays_quiet(&pollable));
    main.turn();
    assert!(stays_quiet(&pollable));
    Ok(())
}

#[test]
fn a_post_makes_it_readable_until_it_has_run() -> io::Result<()> {
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    for _ in 0..3 {
        let remote = main.remote();
        thread::spawn(move || remote.post(|_| ()).unwrap())
            .join()
            .unwrap();
        assert!(becomes_readable(&pollable));
        assert!(becomes_readable(&pollable), "level-triggered");
        assert_eq!(main.turn(), 1);
        assert!(stays_quiet(&pollable));
    }
    Ok(())
}

#[test]
fn a_completion_makes_it_readable() -> io::Result<()> {
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    let gate = Arc::new(Mutex::new((false, None::<Waker>)));
    let inside = Arc::clone(&gate);
    main.on_complete(
        std::future::poll_fn(move |cx| {
            let mut gate = inside.lock().unwrap();
            gate.1 = Some(cx.waker().clone());
            if gate.0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }),
        |_, ()| (),
    );
    assert!(stays_quiet(&pollable));
    let thread = thread::spawn(move || {
        let mut gate = gate.lock().unwrap();
        gate.0 = true;
        let waker = gate.1.take();
        drop(gate);
        waker.unwrap().wake();
    });
    assert!(becomes_readable(&pollable));
    thread.join().unwrap();
    assert_eq!(main.turn(), 1);
    assert!(stays_quiet(&pollable));
    Ok(())
}

#[test]
fn an_immediate_and_what_a_turn_leaves_make_it_readable() -> io::Result<()> {
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    main.set_immediate(|main, _| {
        main.set_immediate(|_, _| ());
    });
    assert!(becomes_readable(&pollable));
    assert_eq!(main.turn(), 1);
    assert!(becomes_readable(&pollable));
    assert_eq!(main.turn(), 1);
    assert!(stays_quiet(&pollable));
    Ok(())
}

#[test]
fn a_due_timer_makes_it_readable_wherever_it_was_set() -> io::Result<()> {
    let main = MainLoop::new();
    main.set_timeout(Duration::from_millis(1), |_, _| ());
    let pollable = main.pollable()?;
    assert!(
        becomes_readable(&pollable),
        "set before the descriptor was made"
    );
    assert_eq!(main.turn_for(WATCHDOG), 1);
    assert!(stays_quiet(&pollable));

    main.set_timeout(LONG, |_, _| ());
    main.set_timeout(Duration::from_millis(1), |_, _| ());
    assert!(
        becomes_readable(&pollable),
        "set outside a turn, earlier than the one before"
    );
    assert_eq!(main.turn_for(WATCHDOG), 1);
    assert!(stays_quiet(&pollable));

    main.set_immediate(|main, _| {
        main.set_timeout(Duration::from_millis(1), |_, _| ());
    });
    assert_eq!(main.turn(), 1);
    assert!(becomes_readable(&pollable), "set by a callback");
    assert_eq!(main.turn_for(WATCHDOG), 1);
    assert!(stays_quiet(&pollable));
    Ok(())
}

#[test]
fn a_cleared_timer_does_not_make_it_readable() -> io::Result<()> {
    let due = Duration::from_millis(300);
    loop {
        let main = MainLoop::new();
        let pollable = main.pollable()?;
        let begin = Instant::now();
        let id = main.set_timeout(due, |_, _| ());
        main.clear(id);
        // On a busy machine it may have been due by then.
        if begin.elapsed() < due {
            assert!(!is_readable(&pollable, due + Duration::from_millis(50)));
            return Ok(());
        }
    }
}

#[test]
fn an_interval_makes_it_readable_again_and_again() -> io::Result<()> {
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    main.set_interval(Duration::from_millis(1), |_, _| ());
    let mut ran = 0;
    while ran < 5 {
        assert!(becomes_readable(&pollable));
        ran += main.turn();
    }
    Ok(())
}

#[test]
fn it_is_readable_if_something_was_ready_when_it_was_made() -> io::Result<()> {
    let main = MainLoop::new();
    main.remote().post(|_| ()).unwrap();
    let pollable = main.pollable()?;
    assert!(becomes_readable(&pollable));
    assert_eq!(main.turn(), 1);
    assert!(stays_quiet(&pollable));
    Ok(())
}

#[test]
fn all_handles_are_one_descriptor_and_outlive_the_loop() -> io::Result<()> {
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    assert_eq!(pollable.as_raw_fd(), main.pollable()?.as_raw_fd());
    assert_eq!(pollable.as_raw_fd(), pollable.clone().as_raw_fd());
    main.set_timeout(LONG, |_, _| ());
    let remote = main.remote();
    drop(main);
    assert!(remote.post(|_| ()).is_err());
    assert!(stays_quiet(&pollable));
    Ok(())
}

#[test]
fn a_loop_that_only_polls_misses_nothing() -> io::Result<()> {
    let posts = 10_000;
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    main.set_interval(Duration::from_millis(1), |_, _| ());
    let ran = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let remote = main.remote();
            let ran = Arc::clone(&ran);
            thread::spawn(move || {
                for i in 0..posts {
                    let ran = Arc::clone(&ran);
                    remote
                        .post(move |_| _ = ran.fetch_add(1, Ordering::Relaxed))
                        .unwrap();
                    if i % 16 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    while ran.load(Ordering::Relaxed) < 3 * posts {
        assert!(becomes_readable(&pollable));
        main.turn();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    Ok(())
}

#[test]
fn one_round_at_a_time_through_the_descriptor_loses_nothing() -> io::Result<()> {
    let main = MainLoop::new();
    let pollable = main.pollable()?;
    let remote = main.remote();
    let (give, take) = std::sync::mpsc::channel();
    let rounds = 3_000;
    let thread = thread::spawn(move || {
        for i in 0..rounds {
            let give = give.clone();
            remote.post(move |_| give.send(i).unwrap()).unwrap();
            // The next post races with the end of the turn that ran this one.
            assert_eq!(take.recv_timeout(WATCHDOG), Ok(i));
        }
    });
    let mut ran = 0;
    while ran < rounds {
        assert!(becomes_readable(&pollable), "round {ran} was lost");
        ran += main.turn();
    }
    thread.join().unwrap();
    Ok(())
}
