//! Promise: the whole is there when the last part is dropped, and not before;
//! whoever waits for it hears of that once; and whoever is last drops the
//! elements, each once, whatever panics.

mod common;

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::{mem, thread};

use common::{Bomb, CountingWaker, Drops, EXPECTED, hush, panic_of, text, until, watched};
use windlass::{Part, SharedBuffer, Whole};

fn poll<T>(whole: &mut Whole<T>, waker: &Waker) -> Poll<SharedBuffer<T>> {
    std::pin::Pin::new(whole).poll(&mut Context::from_waker(waker))
}

fn numbers(len: usize) -> SharedBuffer<usize> {
    SharedBuffer::from((0..len).collect::<Vec<_>>())
}

#[test]
fn elements_are_dropped_once_and_not_with_their_part() {
    let drops = Drops::default();
    let tokens = || SharedBuffer::from(vec![drops.token(), drops.token(), drops.token()]);
    let (parts, whole) = tokens().split(2).unwrap();
    drop(parts);
    assert_eq!(drops.count(), 0);
    drop(whole);
    assert_eq!(drops.count(), 3, "by the whole, which was last");

    let (mut parts, whole) = tokens().split(2).unwrap();
    drop(whole);
    parts.pop();
    assert_eq!(drops.count(), 3);
    let last = thread::spawn(move || {
        drop(parts);
        thread::current().id()
    });
    let last = last.join().unwrap();
    assert_eq!(
        drops.threads()[3..],
        [last; 3],
        "by the last part, where it was"
    );

    let (parts, whole) = tokens().split(2).unwrap();
    drop(parts);
    let vec = whole.try_into_vec().unwrap();
    assert_eq!(drops.count(), 6);
    drop(vec);
    assert_eq!(drops.count(), 9);
}

/// A value that was replaced through a part goes at once; the one in its place
/// with the buffer.
#[test]
fn what_is_written_over_is_dropped() {
    let drops = Drops::default();
    let (mut parts, whole) = SharedBuffer::from(vec![drops.token()]).split(1).unwrap();
    parts[0][0] = drops.token();
    assert_eq!(drops.count(), 1);
    drop(parts);
    drop(whole.wait());
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_leaked_part_keeps_the_whole_out() {
    let drops = Drops::default();
    let buffer = SharedBuffer::from(vec![drops.token(), drops.token()]);
    let (mut parts, mut whole) = buffer.split(2).unwrap();
    mem::forget(parts.pop());
    drop(parts);
    assert!(!whole.is_whole());
    for patience in [Duration::ZERO, Duration::from_millis(1)] {
        whole = whole.wait_timeout(patience).unwrap_err();
    }
    drop(whole.try_into_vec().err().expect("one is out there"));
    assert_eq!(drops.count(), 0, "they leak with it");
}

#[test]
fn waiting_has_a_limit_if_it_is_to_have_one() {
    watched(|| {
        let (parts, whole) = numbers(4).split(2).unwrap();
        let whole = whole.wait_timeout(Duration::ZERO).unwrap_err();
        let whole = whole.wait_timeout(Duration::from_millis(2)).unwrap_err();
        assert_eq!(format!("{whole:?}"), "Whole { is_whole: false }");
        let there = thread::spawn(move || drop(parts));
        let buffer = whole.wait_timeout(Duration::MAX).unwrap();
        assert_eq!(buffer.into_vec(), [0, 1, 2, 3]);
        there.join().unwrap();

        let (parts, whole) = numbers(4).split(2).unwrap();
        drop(parts);
        assert_eq!(format!("{whole:?}"), "Whole { is_whole: true }");
        assert_eq!(whole.wait_timeout(Duration::ZERO).unwrap().len(), 4);
    });
}

#[test]
fn a_part_says_where_it_is() {
    let (parts, _whole) = numbers(5).split(2).unwrap();
    assert_eq!(format!("{:?}", parts[1]), "Part { range: 3..5, .. }");
}

#[test]
fn a_panicked_part_leaves_what_it_had_written() {
    hush();
    watched(|| {
        let (mut parts, whole) = SharedBuffer::from(vec![0; 6]).split(2).unwrap();
        let mut second = parts.pop().unwrap();
        let there = thread::spawn(move || {
            for (done, element) in second.iter_mut().enumerate() {
                assert!(done < 2, "{EXPECTED}: half way");
                *element = 9;
            }
        });
        drop(parts);
        assert_eq!(whole.wait().into_vec(), [0, 0, 0, 9, 9, 0]);
        assert!(there.join().is_err());
    });
}

/// A token, or a bomb with one.
struct Explosive(
    #[allow(dead_code)] Option<Bomb>,
    #[allow(dead_code)] common::Token,
);

fn explosives(drops: &Drops) -> SharedBuffer<Explosive> {
    let bomb = |index: usize| (index % 2 == 1).then(|| Bomb);
    let elements = (0..6).map(|index| Explosive(bomb(index), drops.token()));
    SharedBuffer::from(elements.collect::<Vec<_>>())
}

#[test]
fn elements_that_panic_when_dropped_take_no_others_with_them() {
    hush();
    watched(|| {
        let drops = Drops::default();
        // In the last part's drop: all are dropped, one panic comes out.
        let (mut parts, whole) = explosives(&drops).split(3).unwrap();
        let last = parts.pop().unwrap();
        drop((parts, whole));
        let panic = panic_of(|| drop(last));
        assert!(text(&*panic).unwrap().starts_with(EXPECTED));
        assert_eq!(drops.count(), 6);

        // In the whole's.
        let (parts, whole) = explosives(&drops).split(3).unwrap();
        drop(parts);
        panic_of(|| drop(whole));
        assert_eq!(drops.count(), 12);

        // In a thread that is unwinding already: it does not abort.
        let (parts, whole) = explosives(&drops).split(3).unwrap();
        drop(whole);
        let thread = thread::spawn(move || {
            let _parts = parts;
            panic!("{EXPECTED}: the first one");
        });
        let panic = thread.join().unwrap_err();
        assert_eq!(text(&*panic), Some("expected: the first one"));
        assert_eq!(drops.count(), 18);
    });
}

#[test]
fn the_last_part_wakes_once_and_the_last_waker_left() {
    let (mut parts, mut whole) = numbers(4).split(4).unwrap();
    let wakers = [(); 3].map(|()| Arc::new(CountingWaker::default()));
    for waker in &wakers {
        assert!(poll(&mut whole, &Waker::from(Arc::clone(waker))).is_pending());
    }
    assert_eq!(
        Arc::strong_count(&wakers[0]),
        1,
        "a replaced waker is let go"
    );
    let last = parts.pop();
    drop(parts);
    assert_eq!(wakers[2].count(), 0, "not before the last");
    drop(last);
    assert_eq!([0, 1, 2].map(|index| wakers[index].count()), [0, 0, 1]);
    assert!(poll(&mut whole, Waker::noop()).is_ready());
    assert!(!whole.is_whole(), "it was taken");
    assert_eq!(Arc::strong_count(&wakers[2]), 1);
}

#[test]
fn a_whole_that_is_dropped_lets_go_of_its_waker() {
    let (parts, mut whole) = numbers(4).split(4).unwrap();
    let waker = Arc::new(CountingWaker::default());
    assert!(poll(&mut whole, &Waker::from(Arc::clone(&waker))).is_pending());
    drop(whole);
    assert_eq!(Arc::strong_count(&waker), 1);
    drop(parts);
    assert_eq!(waker.count(), 0);
}

#[test]
fn a_buffer_is_taken_once() {
    hush();
    let taken = || {
        let (parts, mut whole) = numbers(4).split(4).unwrap();
        drop(parts);
        assert!(poll(&mut whole, Waker::noop()).is_ready());
        whole
    };
    let check = |method: &str, call: fn(Whole<usize>)| {
        let panic = panic_of(|| call(taken()));
        let message = format!("Whole::{method}: the buffer was taken before");
        assert_eq!(text(&*panic), Some(&*message));
    };
    check("poll", |mut whole| drop(poll(&mut whole, Waker::noop())));
    check("wait", |whole| drop(whole.wait()));
    check("wait_timeout", |whole| {
        drop(whole.wait_timeout(Duration::MAX));
    });
    check("try_into_vec", |whole| drop(whole.try_into_vec()));
    drop(taken());
}

/// Drops what it holds when it is woken, and panics.
struct Hostile(Mutex<Vec<Part<usize>>>);

impl Wake for Hostile {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().clear();
        panic!("{EXPECTED}: a waker");
    }
}

#[test]
fn a_waker_that_panics_does_not_harm_who_dropped_the_last_part() {
    hush();
    watched(|| {
        let (mut parts, mut whole) = numbers(4).split(2).unwrap();
        let (others, mut other_whole) = numbers(6).split(3).unwrap();
        let woken = Arc::new(CountingWaker::default());
        assert!(poll(&mut other_whole, &Waker::from(Arc::clone(&woken))).is_pending());
        let hostile = Waker::from(Arc::new(Hostile(Mutex::new(others))));
        assert!(poll(&mut whole, &hostile).is_pending());
        parts.clear();
        assert_eq!(woken.count(), 1, "it was woken, and dropped the others");
        assert_eq!(whole.wait().len(), 4);
        assert_eq!(other_whole.wait().len(), 6);
    });
}

/// Holds a part, and panics when it is let go.
struct Holder(Option<Part<usize>>);

impl Wake for Holder {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.take());
        panic!("{EXPECTED}: a waker's Drop");
    }
}

#[test]
fn a_waker_that_holds_the_last_part_itself_is_no_knot() {
    hush();
    watched(|| {
        let knot = || {
            let (mut parts, mut whole) = numbers(1).split(1).unwrap();
            let waker = Waker::from(Arc::new(Holder(parts.pop())));
            assert!(poll(&mut whole, &waker).is_pending());
            drop(waker);
            assert!(
                !whole.is_whole(),
                "the whole holds the waker holds the part"
            );
            whole
        };
        // Replacing the waker drops it, and so the part: which is not missed.
        assert!(poll(&mut knot(), Waker::noop()).is_ready());
        drop(knot());
    });
}

#[test]
fn it_is_awaited_on_an_executor_and_elsewhere_written() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let vec = runtime.block_on(async move {
            let (parts, whole) = SharedBuffer::from(vec![1; 100]).split(3).unwrap();
            let writer = thread::spawn(move || {
                gate.recv().unwrap();
                for mut part in parts {
                    part.fill(2);
                }
            });
            let waiting = tokio::spawn(whole);
            tokio::task::yield_now().await;
            go.send(()).unwrap();
            let vec = waiting.await.unwrap().into_vec();
            writer.join().unwrap();
            vec
        });
        assert_eq!(vec, [2; 100]);
    });
}

#[test]
fn the_end_is_not_missed_at_any_moment() {
    watched(|| {
        for _ in 0..2000 {
            let (mut parts, mut whole) = numbers(2).split(2).unwrap();
            let one = parts.pop();
            let there = thread::spawn(move || drop(one));
            let here = thread::spawn(move || drop(parts));
            let waker = Arc::new(CountingWaker::default());
            if poll(&mut whole, &Waker::from(Arc::clone(&waker))).is_pending() {
                until(|| waker.count() > 0);
                assert!(whole.is_whole());
            }
            there.join().unwrap();
            here.join().unwrap();
        }
    });
}
