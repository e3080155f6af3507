//! The slot and the cell, on one thread: every way a job can end, and that
//! each closure, result and payload is dropped exactly once.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::slot::{Slot, Verdict};
use super::{Completion, HandleEnd, Reason, new_cell};

/// A token whose other half counts how many are left.
fn token() -> (Arc<()>, Arc<()>) {
    let token = Arc::new(());
    (Arc::clone(&token), token)
}

fn left(witness: &Arc<()>) -> usize {
    Arc::strong_count(witness) - 1
}

fn poll<T>(end: &mut HandleEnd<T>) -> Poll<Completion<T>> {
    end.poll(Context::from_waker(Waker::noop()).waker())
}

#[test]
fn a_detached_closure_of_any_size_and_alignment_runs_once_or_is_dropped_once() {
    #[repr(align(64))]
    struct Aligned(u8);

    fn check(make: impl Fn(Arc<()>) -> Slot) {
        let (captured, witness) = token();
        assert!(make(captured).run().is_ok());
        assert_eq!(left(&witness), 0, "run");

        let (captured, witness) = token();
        drop(make(captured));
        assert_eq!(left(&witness), 0, "dropped");

        let (captured, witness) = token();
        let Verdict::Untold(slot) = make(captured).refuse(Reason::Closed) else {
            panic!("nobody can be told of a detached job");
        };
        assert_eq!(left(&witness), 1, "refused, it comes back whole");
        assert!(slot.run().is_ok());
        assert_eq!(left(&witness), 0);
    }

    check(|token| Slot::detached(move || drop(token)));
    check(|token| {
        let small = [7u8; 40];
        Slot::detached(move || {
            assert_eq!(small, [7; 40]);
            drop(token);
        })
    });
    check(|token| {
        let large = [7u8; 400];
        Slot::detached(move || {
            assert_eq!(large, [7; 400]);
            drop(token);
        })
    });
    check(|token| {
        let aligned = Aligned(7);
        Slot::detached(move || {
            assert_eq!((&raw const aligned).addr() % 64, 0);
            assert_eq!(aligned.0, 7);
            drop(token);
        })
    });
}

#[test]
fn results_of_any_size_and_alignment_come_back_whole() {
    #[derive(Debug, PartialEq, Clone)]
    #[repr(align(128))]
    struct Aligned([u64; 16]);

    fn check<T: Send + PartialEq + std::fmt::Debug + Clone + 'static>(value: &T) {
        let result = value.clone();
        let (job, mut end) = new_cell(move || result);
        assert!(poll(&mut end).is_pending());
        assert!(job.run().is_ok());
        match poll(&mut end) {
            Poll::Ready(Completion::Value(got)) => assert_eq!(&got, value),
            _ => panic!("no value"),
        }
        assert!(end.is_spent());
    }

    check(&());
    check(&7u8);
    check(&String::from("a string"));
    check(&[7u64; 12]);
    check(&[7u64; 600]);
    check(&Aligned([7; 16]));
}

#[test]
fn a_panic_is_the_outcome_if_there_is_a_handle_and_an_orphan_if_there_is_none() {
    let (job, mut end) = new_cell(|| -> u8 { std::panic::panic_any(7u8) });
    assert!(job.run().is_ok());
    match end.try_take() {
        Some(Completion::Panic(payload)) => assert_eq!(*payload.downcast::<u8>().unwrap(), 7),
        _ => panic!("no panic"),
    }

    let (job, end) = new_cell(|| -> u8 { std::panic::panic_any(7u8) });
    drop(end);
    let orphan = job.run().unwrap_err();
    assert_eq!(*orphan.downcast::<u8>().unwrap(), 7);
}

#[test]
fn an_outcome_goes_with_the_handle_that_did_not_take_it() {
    let (result, witness) = token();
    let (job, end) = new_cell(move || result);
    assert!(job.run().is_ok());
    assert_eq!(left(&witness), 1);
    drop(end);
    assert_eq!(left(&witness), 0);
}

#[test]
fn a_cancelled_job_is_a_tombstone_in_its_queue() {
    let (captured, witness) = token();
    let (job, mut end) = new_cell(move || drop(captured));
    let cancel = end.cancel_end().unwrap();
    assert!(!cancel.is_resolved());
    assert!(cancel.cancel());
    assert_eq!(left(&witness), 0, "captures go at once");
    assert!(end.cancel(), "and again is still true");
    assert!(matches!(
        end.try_take(),
        Some(Completion::Refused(Reason::Cancelled))
    ));
    assert!(job.run().is_ok());
    assert!(cancel.clone().is_resolved());
}

#[test]
fn a_claimed_job_is_run_once() {
    let (job, mut end) = new_cell(|| 7);
    assert!(end.run_unstarted());
    assert!(!end.run_unstarted());
    assert!(!end.cancel());
    assert!(job.run().is_ok());
    assert!(matches!(end.try_take(), Some(Completion::Value(7))));
    assert!(end.cancel_end().is_none());
    assert!(!end.cancel());
}

#[test]
fn a_dropped_queue_end_says_closed() {
    let (captured, witness) = token();
    let (job, mut end) = new_cell(move || drop(captured));
    drop(Slot::with_handle(job));
    assert_eq!(left(&witness), 0);
    assert!(matches!(
        end.try_take(),
        Some(Completion::Refused(Reason::Closed))
    ));
}

#[test]
fn a_panicking_capture_reaches_the_handle_of_a_cancelled_job() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }
    let bomb = Bomb;
    let (job, mut end) = new_cell(move || {
        let _bomb = &bomb;
    });
    assert!(end.cancel());
    assert!(matches!(end.try_take(), Some(Completion::Panic(_))));
    drop(job);
}
