//! Promise: whoever waits for an element is woken by a notification, the oldest
//! first, threads and futures alike; no notification is lost, and none is heard
//! twice.

mod common;

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{CountingWaker, EXPECTED, hush, panic_of, text, until, watched};
use windlass::{SharedArray, SharedInteger, WaitAsync, WaitOutcome};

fn poll<T: SharedInteger>(wait: &mut WaitAsync<T>, waker: &Waker) -> Poll<WaitOutcome> {
    Pin::new(wait).poll(&mut Context::from_waker(waker))
}

fn is_woken<T: SharedInteger>(wait: &mut WaitAsync<T>) -> bool {
    match poll(wait, Waker::noop()) {
        Poll::Ready(outcome) => outcome == WaitOutcome::Woken,
        Poll::Pending => false,
    }
}

/// Returns once that many wait.
fn until_waiting(array: &SharedArray<i32>, count: usize) {
    let text = format!("waiting: {count},");
    until(|| format!("{array:?}").contains(&text));
}

#[test]
fn another_value_is_not_waited_for() {
    let array = SharedArray::from(vec![5_i64]);
    assert_eq!(array.wait(0, 4), WaitOutcome::NotEqual);
    let outcome = array.wait_timeout(0, 4, Duration::MAX);
    assert_eq!(outcome, WaitOutcome::NotEqual);
    let mut wait = array.wait_async(0, 4);
    // It was decided when it was called.
    array.store(0, 4);
    assert_eq!(array.notify(0, 1), 0);
    let outcome = poll(&mut wait, Waker::noop());
    assert_eq!(outcome, Poll::Ready(WaitOutcome::NotEqual));
}

#[test]
fn time_runs_out() {
    let array = SharedArray::<i32>::new(1);
    for patience in [Duration::ZERO, Duration::from_millis(2)] {
        assert_eq!(array.wait_timeout(0, 0, patience), WaitOutcome::TimedOut);
    }
    // Nobody is left in the line.
    assert_eq!(array.notify(0, usize::MAX), 0);
    until_waiting(&array, 0);
}

#[test]
fn a_waiting_thread_is_woken() {
    watched(|| {
        let array = SharedArray::<i32>::new(1);
        for limit in [None, Some(Duration::MAX), Some(Duration::from_secs(1000))] {
            let there = array.clone();
            let thread = thread::spawn(move || match limit {
                None => there.wait(0, 0),
                Some(limit) => there.wait_timeout(0, 0, limit),
            });
            until_waiting(&array, 1);
            // Also with the value as it was.
            assert_eq!(array.notify(0, 1), 1);
            assert_eq!(thread.join().unwrap(), WaitOutcome::Woken);
            assert_eq!(array.notify(0, 1), 0);
        }
    });
}

#[test]
fn the_oldest_are_woken_first_threads_and_futures_alike() {
    watched(|| {
        let array = SharedArray::<i32>::new(2);
        let (say, heard) = mpsc::channel();
        let thread = |name: &'static str, line: usize| {
            let (array, say) = (array.clone(), say.clone());
            let there = array.clone();
            thread::spawn(move || {
                assert_eq!(there.wait(0, 0), WaitOutcome::Woken);
                say.send(name).unwrap();
            });
            until_waiting(&array, line);
        };
        let mut first = array.wait_async(0, 0);
        thread("second", 2);
        let mut elsewhere = array.wait_async(1, 0);
        let mut third = array.wait_async(0, 0);
        thread("fourth", 5);
        let mut fifth = array.wait_async(0, 0);
        until_waiting(&array, 6);

        assert_eq!(array.notify(0, 0), 0);
        assert_eq!(array.notify(0, 1), 1);
        assert!(is_woken(&mut first) && !is_woken(&mut third));
        assert_eq!(array.notify(0, 2), 2);
        assert_eq!(heard.recv(), Ok("second"));
        assert!(is_woken(&mut third) && !is_woken(&mut fifth));
        assert_eq!(array.notify(0, usize::MAX), 2);
        assert_eq!(heard.recv(), Ok("fourth"));
        assert!(is_woken(&mut fifth) && !is_woken(&mut elsewhere));
        assert_eq!(array.notify(0, usize::MAX), 0);
        assert_eq!(array.notify(1, usize::MAX), 1);
        assert!(is_woken(&mut elsewhere));
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Empty));
    });
}

#[test]
fn each_element_has_its_own_line() {
    let array = SharedArray::<i32>::new(3);
    let mut waits = [0, 1, 2, 1].map(|index| array.wait_async(index, 0));
    assert_eq!(array.notify(1, usize::MAX), 2);
    assert_eq!(waits.each_mut().map(is_woken), [false, true, false, true]);
    assert_eq!(array.notify(2, usize::MAX), 1);
    assert_eq!(array.notify(0, usize::MAX), 1);
    assert!(is_woken(&mut waits[0]) && is_woken(&mut waits[2]));
}

#[test]
fn polling_again_keeps_the_place_in_the_line() {
    let array = SharedArray::<i32>::new(1);
    let mut older = array.wait_async(0, 0);
    let mut younger = array.wait_async(0, 0);
    for _ in 0..3 {
        let waker = Waker::from(Arc::new(CountingWaker::default()));
        assert!(poll(&mut older, &waker).is_pending());
    }
    assert_eq!(array.notify(0, 1), 1);
    assert!(!is_woken(&mut younger) && is_woken(&mut older));
}

#[test]
fn many_are_woken_by_one_notification() {
    watched(|| {
        let array = SharedArray::<i32>::new(1);
        let wakers: Vec<_> = (0..10_000)
            .map(|_| Arc::new(CountingWaker::default()))
            .collect();
        let mut waits: Vec<_> = wakers.iter().map(|_| array.wait_async(0, 0)).collect();
        for (wait, waker) in waits.iter_mut().zip(&wakers) {
            assert!(poll(wait, &Waker::from(Arc::clone(waker))).is_pending());
        }
        assert_eq!(array.notify(0, 4321), 4321);
        let counts = |range: std::ops::Range<usize>| {
            wakers[range]
                .iter()
                .map(|waker| waker.count())
                .sum::<usize>()
        };
        assert_eq!((counts(0..4321), counts(4321..10_000)), (4321, 0));
        assert_eq!(array.notify(0, usize::MAX), 10_000 - 4321);
        assert!(wakers.iter().all(|waker| waker.count() == 1));
        assert!(waits.iter_mut().all(is_woken));
    });
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let array = SharedArray::<i32>::new(1);
    let mut wait = array.wait_async(0, 0);
    let wakers = [(); 3].map(|()| Arc::new(CountingWaker::default()));
    for waker in &wakers {
        assert!(poll(&mut wait, &Waker::from(Arc::clone(waker))).is_pending());
        // The same one again is neither cloned nor replaced.
        assert!(poll(&mut wait, &Waker::from(Arc::clone(waker))).is_pending());
        assert_eq!(Arc::strong_count(waker), 2);
    }
    assert_eq!(
        Arc::strong_count(&wakers[0]),
        1,
        "a replaced waker is let go"
    );
    assert_eq!(array.notify(0, 1), 1);
    assert_eq!([0, 1, 2].map(|index| wakers[index].count()), [0, 0, 1]);
    assert!(is_woken(&mut wait));
    let panic = panic_of(|| poll(&mut wait, Waker::noop()));
    assert_eq!(text(&*panic), Some("WaitAsync: polled after it was over"));
}

#[test]
fn a_notification_before_the_first_poll_counts() {
    let array = SharedArray::<i32>::new(1);
    let mut wait = array.wait_async(0, 0);
    assert_eq!(array.notify(0, 1), 1);
    assert!(is_woken(&mut wait));
}

#[test]
fn a_dropped_wait_leaves_the_line() {
    let array = SharedArray::<i32>::new(1);
    let (mut dropped, mut left) = (array.wait_async(0, 0), array.wait_async(0, 0));
    let waker = Arc::new(CountingWaker::default());
    assert!(poll(&mut dropped, &Waker::from(Arc::clone(&waker))).is_pending());
    drop(dropped);
    assert_eq!(Arc::strong_count(&waker), 1);
    until_waiting(&array, 1);
    assert_eq!(array.notify(0, 1), 1);
    assert_eq!(waker.count(), 0);
    assert!(is_woken(&mut left));
}

#[test]
fn a_dropped_wait_passes_its_notification_on() {
    let array = SharedArray::<i32>::new(2);
    let waits = || [(); 3].map(|()| array.wait_async(0, 0));
    let [notified, mut next, mut last] = waits();
    let mut elsewhere = array.wait_async(1, 0);
    let waker = Arc::new(CountingWaker::default());
    assert!(poll(&mut next, &Waker::from(Arc::clone(&waker))).is_pending());
    assert_eq!(array.notify(0, 1), 1);
    assert_eq!(waker.count(), 0);
    drop(notified);
    assert_eq!(waker.count(), 1, "to the next one, who is told");
    assert!(is_woken(&mut next));
    assert!(!is_woken(&mut last) && !is_woken(&mut elsewhere));
    drop(next);
    assert!(!is_woken(&mut last), "who has heard it, has it");
    drop((last, elsewhere));

    // Along a whole line of those who give up.
    let [one, two, mut three] = waits();
    assert_eq!(array.notify(0, 1), 1);
    drop(one);
    drop(two);
    assert!(is_woken(&mut three));
    // And if there is nobody, it is over: nobody who comes later has it.
    let [one, two, three] = waits();
    assert_eq!(array.notify(0, 3), 3);
    drop((one, two, three));
    assert!(!is_woken(&mut array.wait_async(0, 0)));
    until_waiting(&array, 0);
}

#[test]
fn a_wait_keeps_the_memory_and_needs_no_array() {
    let array = SharedArray::<i32>::new(1);
    let other = array.clone();
    let mut wait = array.wait_async(0, 0);
    drop(array);
    assert_eq!(other.notify(0, 1), 1);
    drop(other);
    assert!(is_woken(&mut wait));
    assert_eq!(format!("{wait:?}"), "WaitAsync { index: 0, .. }");
}

/// Waits again at once when it is woken, and panics then.
struct Again {
    array: SharedArray<i32>,
    waits: Mutex<Vec<WaitAsync<i32>>>,
    woken: AtomicUsize,
}

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        let mut wait = self.array.wait_async(0, 0);
        assert!(poll(&mut wait, &Waker::from(Arc::clone(&self))).is_pending());
        self.waits.lock().unwrap().push(wait);
        panic!("{EXPECTED}: a waker");
    }
}

/// More than fit into one batch under the lock.
#[test]
fn those_who_come_back_at_once_are_woken_once_though_they_panic() {
    hush();
    watched(|| {
        let again = Arc::new(Again {
            array: SharedArray::new(1),
            waits: Mutex::default(),
            woken: AtomicUsize::new(0),
        });
        let mut waits: Vec<_> = (0..100).map(|_| again.array.wait_async(0, 0)).collect();
        for wait in &mut waits {
            assert!(poll(wait, &Waker::from(Arc::clone(&again))).is_pending());
        }
        assert_eq!(again.array.notify(0, usize::MAX), 100);
        assert_eq!(again.woken.load(Ordering::SeqCst), 100);
        assert!(
            waits.iter_mut().all(is_woken),
            "none is kept from it by a panic"
        );
        assert_eq!(again.array.notify(0, 150), 100);
        assert_eq!(again.woken.load(Ordering::SeqCst), 200);
        let mut waits = std::mem::take(&mut *again.waits.lock().unwrap());
        assert_eq!(waits.len(), 200);
        assert!(waits[..100].iter_mut().all(is_woken));
        assert!(!waits[100..].iter_mut().any(is_woken));
    });
}

/// Does something with the array when it is dropped, and panics.
struct Meddler(SharedArray<i32>);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.0.notify(0, 1);
        drop(self.0.wait_async(0, 0));
        panic!("{EXPECTED}: a waker's Drop");
    }
}

#[test]
fn wakers_are_dropped_with_no_lock_held() {
    hush();
    watched(|| {
        let array = SharedArray::<i32>::new(1);
        let meddler = || Waker::from(Arc::new(Meddler(array.clone())));
        let mut wait = array.wait_async(0, 0);
        assert!(poll(&mut wait, &meddler()).is_pending());
        // By being replaced: the panic is the poller's, and it is woken by the
        // notification that came first.
        panic_of(|| poll(&mut wait, Waker::noop()));
        assert!(is_woken(&mut wait));
        // By giving up, and by a notification.
        let mut wait = array.wait_async(0, 0);
        assert!(poll(&mut wait, &meddler()).is_pending());
        drop(wait);
        let mut wait = array.wait_async(0, 0);
        assert!(poll(&mut wait, &meddler()).is_pending());
        assert_eq!(array.notify(0, 1), 1);
        assert!(is_woken(&mut wait));
        until_waiting(&array, 0);
    });
}
