//! Reunion and wait list under loom.
//!
//! Each model runs the real code. loom checks that nobody touches an element
//! unordered, and reports a lost wake-up as a deadlock. The `#[should_panic]`
//! models break the protocol on purpose and show that the model notices.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::thread;

use super::reunion::{Claim, Piece, take_apart};
use super::{SharedArray, WaitAsync, WaitOutcome};
use crate::sync::block_until;
use crate::sync::mutant::{self, Mutant};

/// Runs `f` in every interleaving with up to three preemptions
/// (`LOOM_MAX_PREEMPTIONS` overrides).
fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(f);
}

/// A waker that does nothing, each one different from all others.
fn idle_waker() -> Waker {
    struct Idle;
    impl Wake for Idle {
        fn wake(self: Arc<Self>) {}
    }
    Waker::from(Arc::new(Idle))
}

/// An element of which loom sees the accesses and the drop.
struct Element {
    accesses: UnsafeCell<()>,
    value: usize,
    drops: Arc<AtomicUsize>,
}

impl Element {
    fn set(&mut self, value: usize) {
        self.accesses.with_mut(|_| ());
        self.value = value;
    }

    fn get(&self) -> usize {
        self.accesses.with(|_| ());
        self.value
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        // A second panic would end the process.
        if !thread::panicking() {
            self.accesses.with_mut(|_| ());
        }
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two pieces of one element each, their claim, and the count of drops.
fn pair() -> (
    Piece<Element>,
    Piece<Element>,
    Claim<Element>,
    Arc<AtomicUsize>,
) {
    let drops = Arc::new(AtomicUsize::new(0));
    let elements = (0..2).map(|value| Element {
        accesses: UnsafeCell::new(()),
        value,
        drops: Arc::clone(&drops),
    });
    let (mut one, claim) = take_apart(elements.collect());
    let two = one.split_off(1);
    (one, two, claim, drops)
}

fn write_and_drop(mut piece: Piece<Element>, value: usize) {
    piece.as_mut_slice()[0].set(value);
}

fn wait(claim: Claim<Element>) -> Vec<Element> {
    // Not dropped if this wait is the deadlock that a model ends in.
    let mut claim = ManuallyDrop::new(claim);
    let vec = block_until(None, |waker| claim.poll(waker)).expect("no deadline");
    drop(ManuallyDrop::into_inner(claim));
    vec
}

fn values(elements: &[Element]) -> Vec<usize> {
    elements.iter().map(Element::get).collect()
}

fn parts_against_wait() {
    model(|| {
        let (one, two, claim, drops) = pair();
        let other = thread::spawn(move || write_and_drop(one, 10));
        let another = thread::spawn(move || write_and_drop(two, 20));
        let vec = wait(claim);
        assert_eq!(values(&vec), [10, 20]);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        other.join().unwrap();
        another.join().unwrap();
        drop(vec);
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn the_whole_waits_for_all_and_sees_all() {
    parts_against_wait();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn catches_a_part_that_lets_go_relaxed() {
    mutant::set(Mutant::PartLetsGoRelaxed);
    parts_against_wait();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_whole_that_looks_once() {
    mutant::set(Mutant::WholeLooksOnce);
    parts_against_wait();
}

#[test]
fn a_waker_replaced_while_the_last_part_goes() {
    model(|| {
        let (one, two, mut claim, _) = pair();
        drop(two);
        let other = thread::spawn(move || write_and_drop(one, 10));
        match claim.poll(&idle_waker()) {
            Poll::Ready(vec) => assert_eq!(values(&vec), [10, 1]),
            Poll::Pending => assert_eq!(values(&wait(claim)), [10, 1]),
        }
        other.join().unwrap();
    });
}

#[test]
fn a_look_without_waiting_against_the_last_part() {
    model(|| {
        let (one, two, mut claim, drops) = pair();
        drop(two);
        let other = thread::spawn(move || write_and_drop(one, 10));
        if let Some(vec) = claim.try_take() {
            assert_eq!(values(&vec), [10, 1]);
        }
        drop(claim);
        other.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
}

fn parts_against_a_dropped_whole() {
    model(|| {
        let (one, two, mut claim, drops) = pair();
        let _ = claim.poll(&idle_waker()).is_ready();
        let other = thread::spawn(move || write_and_drop(one, 10));
        let another = thread::spawn(move || write_and_drop(two, 20));
        drop(claim);
        other.join().unwrap();
        another.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 2, "once, by the last");
    });
}

#[test]
fn the_last_one_drops_the_elements() {
    parts_against_a_dropped_whole();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn catches_a_last_part_that_has_not_seen_the_others() {
    mutant::set(Mutant::PartLetsGoRelaxed);
    parts_against_a_dropped_whole();
}

#[test]
fn a_part_is_cut_in_two_while_others_go() {
    model(|| {
        let (one, mut two, claim, _) = pair();
        let other = thread::spawn(move || write_and_drop(one, 10));
        let another = thread::spawn(move || {
            let behind = two.split_off(0);
            drop(two);
            write_and_drop(behind, 20);
        });
        assert_eq!(values(&wait(claim)), [10, 20]);
        other.join().unwrap();
        another.join().unwrap();
    });
}

/// Not dropped if it is what a model's deadlock leaves behind.
fn array() -> ManuallyDrop<SharedArray<u32>> {
    ManuallyDrop::new(SharedArray::new(1))
}

fn wait_against_store_and_notify() {
    model(|| {
        let array = array();
        let other = SharedArray::clone(&array);
        let notifier = thread::spawn(move || {
            other.store(0, 1);
            other.notify(0, 1)
        });
        let outcome = array.wait(0, 0);
        assert_eq!(array.load(0), 1);
        let woken = notifier.join().unwrap();
        assert_eq!(outcome == WaitOutcome::Woken, woken == 1);
        drop(ManuallyDrop::into_inner(array));
    });
}

#[test]
fn a_store_and_a_notification_are_not_missed() {
    wait_against_store_and_notify();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_notifier_without_its_fence() {
    mutant::set(Mutant::NotifyFence);
    wait_against_store_and_notify();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_waiter_without_its_fence() {
    mutant::set(Mutant::WaitFence);
    wait_against_store_and_notify();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_waiter_that_compares_before_it_has_the_lock() {
    mutant::set(Mutant::WaitComparesEarly);
    wait_against_store_and_notify();
}

fn finish(wait: WaitAsync<u32>) -> WaitOutcome {
    let mut wait = ManuallyDrop::new(wait);
    let poll = |waker: &Waker| {
        let wait = std::pin::Pin::new(&mut *wait);
        wait.poll(&mut Context::from_waker(waker))
    };
    let outcome = block_until(None, poll).expect("no deadline");
    drop(ManuallyDrop::into_inner(wait));
    outcome
}

/// One notification, two who wait, one of which gives up: the other one has it
/// in the end, whoever was notified.
fn notify_against_drop() {
    model(|| {
        let array = array();
        let (oldest, younger) = (array.wait_async(0, 0), array.wait_async(0, 0));
        let other = SharedArray::clone(&array);
        let notifier = thread::spawn(move || assert_eq!(other.notify(0, 1), 1));
        drop(oldest);
        assert_eq!(finish(younger), WaitOutcome::Woken);
        notifier.join().unwrap();
        drop(ManuallyDrop::into_inner(array));
    });
}

#[test]
fn a_dropped_wait_passes_its_notification_on() {
    notify_against_drop();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_dropped_wait_that_keeps_its_notification() {
    mutant::set(Mutant::NotificationKept);
    notify_against_drop();
}

#[test]
fn two_waiters_are_woken_by_two_notifications() {
    model(|| {
        let array = array();
        let waiters = [(); 2].map(|()| {
            let array = SharedArray::clone(&array);
            thread::spawn(move || array.wait(0, 0))
        });
        array.store(0, 1);
        let woken = array.notify(0, 1) + array.notify(0, 1);
        let outcomes = waiters.map(|waiter| waiter.join().unwrap());
        let heard = outcomes.iter().filter(|&&o| o == WaitOutcome::Woken);
        assert_eq!(heard.count(), woken);
        drop(ManuallyDrop::into_inner(array));
    });
}

/// Either the time was up, or the notification came first: both sides agree.
fn time_out_against_notify() {
    model(|| {
        let array = array();
        let other = SharedArray::clone(&array);
        // On a thread that ends with it: loom takes a late unpark for another
        // wait's.
        let waiter = thread::spawn(move || other.wait_timeout(0, 0, Duration::ZERO));
        let woken = array.notify(0, 1);
        let outcome = waiter.join().unwrap();
        assert_eq!(outcome == WaitOutcome::Woken, woken == 1);
        drop(ManuallyDrop::into_inner(array));
    });
}

#[test]
fn a_notification_as_the_time_is_up_is_heard() {
    time_out_against_notify();
}

#[test]
#[should_panic(expected = "left == right")]
fn catches_a_waiter_that_does_not_ask_when_its_time_is_up() {
    mutant::set(Mutant::TimeOutUnasked);
    time_out_against_notify();
}

#[test]
fn a_replaced_waker_against_a_notification() {
    model(|| {
        let array = array();
        let mut wait = array.wait_async(0, 0);
        let other = SharedArray::clone(&array);
        let notifier = thread::spawn(move || assert_eq!(other.notify(0, 1), 1));
        let poll = {
            let wait = std::pin::Pin::new(&mut wait);
            wait.poll(&mut Context::from_waker(&idle_waker()))
        };
        match poll {
            Poll::Ready(outcome) => assert_eq!(outcome, WaitOutcome::Woken),
            Poll::Pending => assert_eq!(finish(wait), WaitOutcome::Woken),
        }
        notifier.join().unwrap();
        drop(ManuallyDrop::into_inner(array));
    });
}
