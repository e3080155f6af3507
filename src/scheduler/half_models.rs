//! Joins under loom: the halves and the shelf by themselves, and in a pool.

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;

use loom::thread;

use super::halves::join;
use super::models::{expect, model, spawn};
use super::shelf::Shelf;
use crate::job::Half;
use crate::sync::mutant::{self, Mutant};
use crate::sync::{Arc, AtomicU32, Ordering, Parker};

/// An owner shows a half, and takes it back or waits for it; a thief takes it if it
/// comes in time. Whoever has it, it runs once, its result arrives, and nobody touches
/// it after that.
fn a_half_on_a_shelf() {
    loom::model(|| {
        let runs = Arc::new(AtomicU32::new(0));
        let shelf = Arc::new(Shelf::new());
        // Not on a stack: a mistake is to be seen, and not to do harm.
        let half: &'static _ = Box::leak(Box::new(Half::new({
            let runs = Arc::clone(&runs);
            move || runs.fetch_add(1, Ordering::Relaxed) + 7
        })));
        let thief = {
            let shelf = Arc::clone(&shelf);
            thread::spawn(move || {
                if let Some(half) = shelf.take() {
                    // SAFETY: it was taken from the shelf.
                    unsafe { half.run(None) };
                }
            })
        };
        shelf.put(0, half.as_ptr());
        let result = if shelf.take_back(0, half.as_ptr()) {
            // SAFETY: it was taken back.
            let closure = unsafe { half.take_closure() };
            closure()
        } else {
            let parker = Arc::new(Parker::new(thread::current()));
            // SAFETY: the half is there, and this is its owner.
            if unsafe { half.as_ptr().wake_when_done(Arc::clone(&parker)) } {
                // SAFETY: as above.
                while !unsafe { half.as_ptr().is_done() } {
                    parker.park();
                }
            }
            // SAFETY: it is done.
            unsafe { half.take_result() }.unwrap()
        };
        half.retire();
        assert_eq!(result, 7);
        thief.join().unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 1, "it runs once");
    });
}

#[test]
fn models_a_half_runs_once_and_is_left_alone_then() {
    a_half_on_a_shelf();
}

#[test]
#[should_panic]
fn catches_an_owner_that_takes_back_what_is_gone() {
    mutant::set(Mutant::HalfTakenTwice);
    a_half_on_a_shelf();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn catches_a_thief_that_looks_for_the_waiter_too_late() {
    mutant::set(Mutant::HalfDoneEarly);
    a_half_on_a_shelf();
}

/// An owner that has said it need not look, has something on its shelf or hears of it.
fn the_demand_of_a_shelf() {
    loom::model(|| {
        let shelf = Arc::new(Shelf::new());
        let half: &'static _ = Box::leak(Box::new(Half::new(|| ())));
        shelf.put(0, half.as_ptr());
        let thief = {
            let shelf = Arc::clone(&shelf);
            thread::spawn(move || shelf.take().is_some())
        };
        let is_settled = shelf.settle();
        assert!(thief.join().unwrap());
        assert!(
            !is_settled || shelf.is_in_demand(),
            "nobody tells the owner"
        );
    });
}

#[test]
fn models_a_theft_makes_demand() {
    the_demand_of_a_shelf();
}

#[test]
#[should_panic(expected = "nobody tells the owner")]
fn catches_a_thief_that_says_nothing() {
    mutant::set(Mutant::DemandUntold);
    the_demand_of_a_shelf();
}

/// A join whose first half waits for what its second does: that has to run on another
/// thread, which may be about to fall asleep.
fn a_join_that_needs_two() {
    model(2, |scheduler| {
        let job = spawn(scheduler, || {
            let (tell, told) = loom::sync::mpsc::channel();
            let told = ManuallyDrop::new(told);
            let (answer, ()) = join(
                || {
                    let answer = told.recv().unwrap();
                    // Not dropped if this is the deadlock.
                    drop(ManuallyDrop::into_inner(told));
                    answer
                },
                move || tell.send(7).unwrap(),
            );
            answer
        });
        assert_eq!(expect(job), 7);
    });
}

#[test]
fn models_a_shown_half_wakes_a_sibling() {
    a_join_that_needs_two();
}

// Not "deadlock": loom raises that inside a job, where it is caught like any panic.
#[test]
#[should_panic]
fn catches_an_owner_that_shows_and_does_not_look() {
    mutant::set(Mutant::HalfUnnoticed);
    a_join_that_needs_two();
}

/// A join in a pool of two threads, and one in the half that may be stolen: every half
/// runs once, and the pool ends.
#[test]
fn models_joins_come_back() {
    model(2, |scheduler| {
        let job = spawn(scheduler, || join(|| 1, || join(|| 2, || 3)));
        assert_eq!(expect(job), (1, (2, 3)));
    });
}
