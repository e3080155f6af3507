//! Promise: a map over a stream gives each item's result once, polls its source only
//! while there is room, is woken for whatever it waits for, and cancels what is on the
//! way when it is dropped.

mod common;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use common::{CountingWaker, Drops, EXPECTED, Occupied, hush, on_each_size, until, watched};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use proptest::prelude::*;
use windlass::{Pool, is_cancelled};

/// A stream that gives what it was fed, and counts how often it is polled.
struct Fed<T>(Arc<Feed<T>>);

struct Feed<T> {
    /// `None` ends the stream.
    items: Mutex<VecDeque<Option<T>>>,
    waker: Mutex<Option<Waker>>,
    polls: AtomicUsize,
}

impl<T> Feed<T> {
    fn new() -> (Fed<T>, Arc<Self>) {
        let feed = Arc::new(Self {
            items: Mutex::default(),
            waker: Mutex::default(),
            polls: AtomicUsize::new(0),
        });
        (Fed(Arc::clone(&feed)), feed)
    }

    fn feed(&self, items: impl IntoIterator<Item = T>) {
        self.items
            .lock()
            .unwrap()
            .extend(items.into_iter().map(Some));
        self.wake();
    }

    fn end(&self) {
        self.items.lock().unwrap().push_back(None);
        self.wake();
    }

    fn wake(&self) {
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }
}

impl<T> Stream for Fed<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let feed = &self.0;
        feed.polls.fetch_add(1, Ordering::SeqCst);
        *feed.waker.lock().unwrap() = Some(cx.waker().clone());
        match feed.items.lock().unwrap().pop_front() {
            Some(next) => Poll::Ready(next),
            None => Poll::Pending,
        }
    }
}

/// A stream that is always ready.
fn ready<T>(items: impl IntoIterator<Item = T>) -> Fed<T> {
    let (fed, feed) = Feed::new();
    feed.feed(items);
    feed.end();
    fed
}

/// The next one, waited for.
fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    pollster::block_on(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)))
}

fn all<S: Stream + Unpin>(mut stream: S) -> Vec<S::Item> {
    std::iter::from_fn(|| next(&mut stream)).collect()
}

/// Polled once.
fn poll<S: Stream + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

fn is_pending<S: Stream + Unpin>(stream: &mut S) -> bool {
    poll(stream, Waker::noop()).is_pending()
}

#[test]
fn results_come_in_the_order_of_the_items() {
    on_each_size(|pool| {
        for look_ahead in [1, 2, 7, 1000] {
            let map = pool.map_stream(ready(0..300), |n| n * 2);
            assert!(
                all(map.look_ahead(look_ahead))
                    .into_iter()
                    .eq((0..300).map(|n| n * 2))
            );
        }
        assert!(
            all(pool.map_stream(ready(0..300), |n| n))
                .into_iter()
                .eq(0..300)
        );
    });
}

#[test]
fn unordered_results_come_once_each() {
    on_each_size(|pool| {
        for look_ahead in [1, 2, 50] {
            let map = pool.map_stream(ready(0..300), |n| n).unordered();
            let mut results = all(map.look_ahead(look_ahead));
            results.sort_unstable();
            assert!(results.into_iter().eq(0..300));
        }
    });
}

/// Backpressure: who takes no results keeps the source waiting.
#[test]
fn the_source_is_not_polled_while_as_many_are_on_the_way_as_may() {
    on_each_size(|pool| {
        for unordered in [false, true] {
            let (source, feed) = Feed::new();
            feed.feed(0..100);
            let open = Arc::new(AtomicBool::new(false));
            let gate = Arc::clone(&open);
            let mut map = pool.map_stream(source, move |n: u32| {
                until(|| gate.load(Ordering::SeqCst) || is_cancelled());
                n
            });
            map = map.look_ahead(5);
            if unordered {
                map = map.unordered();
            }
            assert_eq!(feed.polls(), 0);
            for _ in 0..10 {
                assert!(is_pending(&mut map));
                assert_eq!(feed.polls(), 5);
            }
            open.store(true, Ordering::SeqCst);
            for given in 1..=20 {
                assert!(next(&mut map).is_some());
                assert!((5..5 + given).contains(&feed.polls()));
            }
        }
    });
}

/// One waker for both that it may wait for: the source, and the jobs.
#[test]
fn it_is_woken_by_its_source_and_by_its_jobs() {
    on_each_size(|pool| {
        for unordered in [false, true] {
            let (source, feed) = Feed::new();
            let busy = Occupied::all(&pool);
            let mut map = pool.map_stream(source, |n: u32| n);
            if unordered {
                map = map.unordered();
            }
            let woken = Arc::new(CountingWaker::default());
            let waker = Waker::from(Arc::clone(&woken));

            assert!(poll(&mut map, &waker).is_pending());
            assert_eq!(woken.count(), 0);
            feed.feed([7]);
            assert_eq!(woken.count(), 1);
            assert!(poll(&mut map, &waker).is_pending());
            busy.release();
            until(|| woken.count() == 2);
            assert_eq!(poll(&mut map, &waker), Poll::Ready(Some(7)));

            assert!(poll(&mut map, &waker).is_pending());
            feed.end();
            assert_eq!(woken.count(), 3);
            assert!(!map.is_terminated());
            assert_eq!(poll(&mut map, &waker), Poll::Ready(None));
            assert!(map.is_terminated());
            let polls = feed.polls();
            assert_eq!(poll(&mut map, &waker), Poll::Ready(None));
            assert_eq!(feed.polls(), polls, "it has ended: it is not asked again");
        }
    });
}

/// A source on another thread, and a task that sleeps in between.
#[test]
fn no_wake_up_is_lost_beside_a_source_of_another_thread() {
    on_each_size(|pool| {
        for unordered in [false, true] {
            let (source, feed) = Feed::new();
            let mut map = pool.map_stream(source, |n: u64| n).look_ahead(3);
            if unordered {
                map = map.unordered();
            }
            let feeder = thread::spawn(move || {
                for n in 0..500 {
                    feed.feed([n]);
                    if n % 10 == 0 {
                        thread::yield_now();
                    }
                }
                feed.end();
            });
            assert_eq!(all(map).into_iter().sum::<u64>(), 499 * 250);
            feeder.join().unwrap();
        }
    });
}

#[test]
fn messages_are_a_source() {
    on_each_size(|pool| {
        let (near, far) = windlass::channel::<(), u64>();
        let posts = pool.spawn(move || (0..100).for_each(|n| far.post(n).unwrap()));
        let map = pool.map_stream(near.stream().unwrap(), |n| n * 2);
        assert!(all(map).into_iter().eq((0..100).map(|n| n * 2)));
        posts.join().unwrap();
    });
}

#[test]
fn a_source_that_may_not_move_is_pinned_by_who_has_it() {
    struct Pinned(Fed<u8>, #[allow(dead_code)] std::marker::PhantomPinned);
    impl Stream for Pinned {
        type Item = u8;
        fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u8>> {
            // The test moves nothing out of it.
            let fed = Fed(Arc::clone(&self.0.0));
            pin!(fed).poll_next(cx)
        }
    }
    let pinned = || Pinned(ready([1, 2, 3]), std::marker::PhantomPinned);
    let pool = common::pool(1);
    let on_the_stack = pin!(pinned());
    assert_eq!(all(pool.map_stream(on_the_stack, |n| n)), [1, 2, 3]);
    assert_eq!(all(pool.map_stream(Box::pin(pinned()), |n| n)), [1, 2, 3]);
}

#[test]
fn dropping_it_cancels_what_is_on_the_way() {
    on_each_size(|pool| {
        for unordered in [false, true] {
            for running in [false, true] {
                let (drops, started) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
                let (captured, starts) = (drops.token(), Arc::clone(&started));
                let items: Vec<_> = (0..60).map(|_| drops.token()).collect();
                let mut map = pool.map_stream(ready(items), move |item| {
                    let _keep = &captured;
                    starts.fetch_add(1, Ordering::SeqCst);
                    until(is_cancelled);
                    item
                });
                map = map.look_ahead(40);
                if unordered {
                    map = map.unordered();
                }
                let busy = (!running).then(|| Occupied::all(&pool));
                assert!(is_pending(&mut map));
                if running {
                    until(|| started.load(Ordering::SeqCst) > 0);
                    drop(map);
                    until(|| drops.count() == 61);
                } else {
                    drop(map);
                    assert_eq!(drops.count(), 61);
                    drop(busy);
                    pool.spawn(|| ()).join().unwrap();
                    assert_eq!(started.load(Ordering::SeqCst), 0);
                }
            }
        }
    });
}

#[test]
fn panics_come_at_their_place_or_as_values() {
    hush();
    on_each_size(|pool| {
        let f = |n| {
            assert!(n % 5 != 2, "{EXPECTED}: {n}");
            n
        };
        let mut map = pool.map_stream(ready(0..30), f);
        for n in 0..30 {
            match catch_unwind(AssertUnwindSafe(|| next(&mut map))) {
                Ok(result) => assert!(result == Some(n) && n % 5 != 2),
                Err(payload) => {
                    assert_eq!(common::text(&*payload), Some(&*format!("{EXPECTED}: {n}")));
                }
            }
        }
        assert_eq!(next(&mut map), None);

        let results = all(pool.map_stream(ready(0..30), f).results());
        for (n, result) in results.into_iter().enumerate() {
            assert_eq!(result.is_err_and(|error| error.is_panic()), n % 5 == 2);
        }
    });
}

#[test]
fn a_panic_of_the_source_passes_once_and_loses_no_result() {
    struct Panics(u32);
    impl Stream for Panics {
        type Item = u32;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
            self.0 += 1;
            assert!(self.0 != 4, "{EXPECTED}: the source");
            Poll::Ready(Some(self.0))
        }
    }
    hush();
    on_each_size(|pool| {
        let mut map = pool.map_stream(Panics(0), |n| n).look_ahead(2);
        let (mut results, mut panics) = (Vec::new(), 0);
        loop {
            match catch_unwind(AssertUnwindSafe(|| next(&mut map))) {
                Ok(Some(n)) => results.push(n),
                Ok(None) => break,
                Err(_) => panics += 1,
            }
        }
        assert_eq!((results, panics), (vec![1, 2, 3], 1));
        assert!(map.is_terminated());
    });
}

#[test]
fn a_closed_pool_says_so_for_each_item() {
    on_each_size(|pool| {
        let map = pool.map_stream(ready(0..5), |n| n).results();
        drop(pool);
        let results = all(map);
        assert_eq!(results.len(), 5);
        assert!(
            results
                .into_iter()
                .all(|result| result.unwrap_err().is_closed())
        );
    });
}

/// It waits in the line for room, is woken when there is some, and leaves the line
/// when it is dropped.
#[test]
fn in_a_bounded_pool_items_wait_for_room() {
    watched(|| {
        for unordered in [false, true] {
            let pool = Pool::builder().num_threads(1).queue_capacity(1);
            let pool = pool.build().unwrap();
            let map = |n: u32| {
                let map = pool.map_stream(ready(0..n), |n| n).look_ahead(8);
                if unordered { map.unordered() } else { map }
            };
            let busy = Occupied::all(&pool);
            let fills = pool.spawn(|| ());
            let woken = Arc::new(CountingWaker::default());
            let waker = Waker::from(Arc::clone(&woken));
            let (mut gives_up, mut waits) = (map(1), map(20));
            assert!(is_pending(&mut gives_up));
            assert!(poll(&mut waits, &waker).is_pending());
            assert_eq!(waits.size_hint(), (1, None));
            drop(gives_up);
            assert_eq!(woken.count(), 0);
            busy.release();
            until(|| woken.count() > 0);
            let mut results = all(waits);
            if unordered {
                results.sort_unstable();
            }
            assert!(results.into_iter().eq(0..20));
            assert!(fills.join().is_ok());
        }
    });
}

#[test]
fn sizes_and_ends_are_told() {
    struct Sized(Fed<u8>);
    impl Stream for Sized {
        type Item = u8;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u8>> {
            Pin::new(&mut self.0).poll_next(cx)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            let len = self.0.0.items.lock().unwrap().iter().flatten().count();
            (len, Some(len))
        }
    }
    on_each_size(|pool| {
        let mut map = pool
            .map_stream(Sized(ready(0..10)), |n| n)
            .look_ahead(3)
            .results();
        for left in (0..=10).rev() {
            assert_eq!(map.size_hint(), (left, Some(left)));
            assert_eq!(next(&mut map).is_some(), left > 0);
        }
        assert!(map.is_terminated());
    });
}

/// What the source does when it is polled.
#[derive(Clone, Debug)]
enum Step {
    Item(u16),
    /// Pending, and woken at once.
    Later,
}

struct Script(VecDeque<Step>);

impl Stream for Script {
    type Item = u16;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u16>> {
        match self.0.pop_front() {
            Some(Step::Item(n)) => Poll::Ready(Some(n)),
            Some(Step::Later) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_the_sequential_map(
        steps in prop::collection::vec(
            prop_oneof![3 => any::<u16>().prop_map(Step::Item), 1 => Just(Step::Later)],
            0..80,
        ),
        look_ahead in 1_usize..12,
        size in 0_usize..3,
        capacity in prop::option::of(1_usize..5),
        unordered: bool,
    ) {
        watched(move || {
            let mut pool = Pool::builder().num_threads(common::SIZES[size]);
            if let Some(capacity) = capacity {
                pool = pool.queue_capacity(capacity);
            }
            let pool = pool.build().unwrap();
            let items = steps.iter().filter_map(|step| match step {
                Step::Item(n) => Some(u32::from(*n) + 1),
                Step::Later => None,
            });
            let mut model: Vec<_> = items.collect();
            let map = pool.map_stream(Script(steps.clone().into()), |n| u32::from(n) + 1);
            let mut map = map.look_ahead(look_ahead);
            if unordered {
                map = map.unordered();
            }
            let mut results = all(map);
            if unordered {
                results.sort_unstable();
                model.sort_unstable();
            }
            assert_eq!(results, model);
        });
    }
}
