//! Promise: a map gives each item's result once, in order or as they come, pulls no
//! more than it may, and cancels what is on the way when it is dropped.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::{Bomb, Drops, EXPECTED, hush, on_each_size, until, watched};
use proptest::prelude::*;
use windlass::{Pool, is_cancelled};

/// Numbers from zero, and how many of them were pulled.
fn counted() -> (impl Iterator<Item = usize>, Arc<AtomicUsize>) {
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pulled);
    let numbers = std::iter::repeat_with(move || count.fetch_add(1, Ordering::SeqCst));
    (numbers, pulled)
}

/// Ends later for some numbers than for those that come after them.
fn uneven(n: usize) -> usize {
    for _ in 0..(n % 7) * 100 {
        std::hint::spin_loop();
    }
    n
}

#[test]
fn results_come_in_the_order_of_the_items() {
    on_each_size(|pool| {
        for look_ahead in [1, 2, 3, 64, 1000] {
            let results = pool.map(0..500, uneven).look_ahead(look_ahead);
            assert!(results.eq(0..500));
        }
        assert!(pool.map(0..500, uneven).eq(0..500));
        assert_eq!(pool.map([0; 0], uneven).next(), None);
    });
}

#[test]
fn unordered_results_come_once_each() {
    on_each_size(|pool| {
        for look_ahead in [1, 2, 64] {
            let map = pool.map(0..500, uneven).unordered().look_ahead(look_ahead);
            let mut results: Vec<_> = map.collect();
            results.sort_unstable();
            assert!(results.into_iter().eq(0..500));
        }
    });
}

/// Takes more than one thread: the slow item has one for itself.
#[test]
fn a_slow_item_keeps_no_unordered_result_back() {
    watched(|| {
        for threads in [2, 8] {
            let pool = common::pool(threads);
            let (open, gate) = mpsc::channel::<()>();
            let gate = Mutex::new(gate);
            let mut map = pool
                .map(0..100, move |n| {
                    if n == 0 {
                        let _ = gate.lock().unwrap().recv();
                    }
                    n
                })
                .unordered()
                .look_ahead(2);
            assert!(map.by_ref().take(99).eq(1..100));
            drop(open);
            assert!(map.eq([0]));
        }
    });
}

#[test]
fn it_becomes_unordered_with_what_is_on_the_way() {
    on_each_size(|pool| {
        let mut map = pool.map(0..100, uneven).look_ahead(10);
        assert_eq!(map.next(), Some(0));
        let mut rest: Vec<_> = map.unordered().collect();
        rest.sort_unstable();
        assert!(rest.into_iter().eq(1..100));
    });
}

#[test]
fn the_source_is_never_pulled_further_ahead_than_it_may_be() {
    on_each_size(|pool| {
        for look_ahead in [1, 2, 3, 20] {
            for unordered in [false, true] {
                let (source, pulled) = counted();
                let mut map = pool.map(source, uneven).look_ahead(look_ahead);
                if unordered {
                    map = map.unordered();
                }
                assert_eq!(pulled.load(Ordering::SeqCst), 0, "before it is asked");
                for given in 0..200 {
                    map.next().unwrap();
                    let pulled = pulled.load(Ordering::SeqCst);
                    assert!((given + 1..=given + look_ahead).contains(&pulled));
                }
            }
        }
    });
}

/// The default grows while items are short, and other bounds do not.
#[test]
fn short_items_are_pulled_no_further_ahead_than_they_may_be() {
    on_each_size(|pool| {
        for look_ahead in [None, Some(2), Some(30), Some(500)] {
            let (source, pulled) = counted();
            let mut map = pool.map(source, |n| n);
            if let Some(items) = look_ahead {
                map = map.look_ahead(items);
            }
            let at_most = look_ahead.unwrap_or(64 * pool.num_threads());
            for given in 0..5000 {
                assert_eq!(map.next(), Some(given));
                assert!(pulled.load(Ordering::SeqCst) <= given + at_most);
            }
        }
    });
}

/// Several short items are waited for at a time: not if one of them waits for what
/// came before it to be taken.
#[test]
fn a_long_item_keeps_no_earlier_result_back() {
    on_each_size(|pool| {
        for look_ahead in [None, Some(300)] {
            let taken = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&taken);
            let mut map = pool.map(0..4000, move |n| {
                if n % 500 == 499 {
                    until(|| seen.load(Ordering::SeqCst) == n);
                }
                n
            });
            if let Some(items) = look_ahead {
                map = map.look_ahead(items);
            }
            for n in map {
                assert_eq!(taken.fetch_add(1, Ordering::SeqCst), n);
            }
        }
    });
}

/// An item that ends only when so many are pulled: less would hang.
#[test]
fn the_source_is_pulled_as_far_ahead_as_it_may_be() {
    on_each_size(|pool| {
        let default = 2 * pool.num_threads();
        for look_ahead in [None, Some(1), Some(2), Some(50)] {
            let (source, pulled) = counted();
            let seen = Arc::clone(&pulled);
            let wanted = look_ahead.unwrap_or(default);
            let mut map = pool.map(source, move |n| {
                until(|| seen.load(Ordering::SeqCst) >= wanted);
                n
            });
            if let Some(items) = look_ahead {
                map = map.look_ahead(items);
            }
            assert_eq!(map.next(), Some(0));
            assert_eq!(pulled.load(Ordering::SeqCst), wanted);
        }
    });
}

/// A source that blocks holds no more than one result back at a time, if the jobs are
/// faster.
#[test]
fn results_that_are_there_are_given_before_more_is_pulled() {
    watched(|| {
        let pool = common::pool(1);
        let (source, pulled) = counted();
        // Takes its time: what was handed over before has ended then.
        let source = source.inspect(|_| pool.spawn(|| ()).join().unwrap());
        let mut map = pool.map(source, |n| n).look_ahead(10);
        for given in 0..100 {
            assert_eq!(map.next(), Some(given));
            assert!(pulled.load(Ordering::SeqCst) <= given + 2);
        }
    });
}

#[test]
fn a_source_may_be_endless_borrowed_and_of_one_thread() {
    on_each_size(|pool| {
        let pulled = Rc::new(Cell::new(0_u64));
        let lent = &pulled;
        let endless = std::iter::from_fn(|| {
            lent.set(lent.get() + 1);
            Some(lent.get())
        });
        let sum: u64 = pool.map(endless, |n| n * 2).take(1000).sum();
        assert_eq!(sum, 1_001_000);
        let ahead = pulled.get() - 1000;
        assert!(ahead <= 64 * pool.num_threads() as u64);
    });
}

#[test]
fn a_map_may_be_the_source_of_another() {
    on_each_size(|pool| {
        let doubled = pool.map(0..300, |n| n * 2);
        let odd = pool.map(doubled, |n| n + 1).look_ahead(3);
        assert!(odd.eq((0..300).map(|n| n * 2 + 1)));
    });
}

#[test]
fn a_panic_comes_at_its_place_and_the_rest_after_it() {
    hush();
    on_each_size(|pool| {
        let mut map = pool.map(0..50, |n| {
            assert!(n % 7 != 3, "{EXPECTED}: {n}");
            n
        });
        for n in 0..50 {
            match catch_unwind(AssertUnwindSafe(|| map.next())) {
                Ok(result) => assert!(result == Some(n) && n % 7 != 3),
                Err(payload) => {
                    assert_eq!(common::text(&*payload), Some(&*format!("{EXPECTED}: {n}")));
                    assert_eq!(n % 7, 3);
                }
            }
        }
        assert_eq!((map.next(), map.next()), (None, None));
    });
}

#[test]
fn a_panic_of_the_source_passes_once_and_loses_no_result() {
    hush();
    on_each_size(|pool| {
        for unordered in [false, true] {
            let (source, pulled) = counted();
            let source = source.inspect(|&n| assert!(n != 5, "{EXPECTED}: the source"));
            let mut map = pool.map(source, uneven).look_ahead(3);
            if unordered {
                map = map.unordered();
            }
            let (mut results, mut panics) = (Vec::new(), 0);
            loop {
                match catch_unwind(AssertUnwindSafe(|| map.next())) {
                    Ok(Some(n)) => results.push(n),
                    Ok(None) => break,
                    Err(_) => {
                        panics += 1;
                        assert_eq!(map.size_hint().1, Some(5 - results.len()));
                    }
                }
            }
            results.sort_unstable();
            assert_eq!((results, panics), (vec![0, 1, 2, 3, 4], 1));
            assert_eq!(map.next(), None);
            assert_eq!(pulled.load(Ordering::SeqCst), 6, "it is not asked again");
        }
    });
}

/// What runs is asked to stop, what does not never starts, and every item and the
/// function's captures are dropped.
#[test]
fn dropping_it_cancels_what_is_on_the_way() {
    on_each_size(|pool| {
        for unordered in [false, true] {
            let (drops, started) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let (source, pulled) = counted();
            let items = drops.clone();
            let source = source.map(move |n| (n, items.token()));
            let (captured, seen, starts) =
                (drops.token(), Arc::clone(&pulled), Arc::clone(&started));
            let mut map = pool.map(source, move |(n, _item)| {
                let _keep = &captured;
                starts.fetch_add(1, Ordering::SeqCst);
                until(|| is_cancelled() || n == 0 && seen.load(Ordering::SeqCst) == 40);
                n
            });
            map = map.look_ahead(40);
            if unordered {
                map = map.unordered();
            }
            assert_eq!(map.next(), Some(0));
            assert_eq!(pulled.load(Ordering::SeqCst), 40);
            drop(map);
            until(|| drops.count() == 41);
            // Of more threads, one that was let go of may start another one before
            // that is cancelled too.
            if pool.num_threads() == 1 {
                assert!(started.load(Ordering::SeqCst) <= 2);
            }
        }
    });
}

#[test]
fn results_that_nobody_takes_are_dropped_once() {
    on_each_size(|pool| {
        for unordered in [false, true] {
            let (drops, ended) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
            let (results, ends) = (drops.clone(), Arc::clone(&ended));
            let (source, pulled) = counted();
            let mut map = pool
                .map(source.take(20), move |_| {
                    until(|| pulled.load(Ordering::SeqCst) == 20);
                    ends.fetch_add(1, Ordering::SeqCst);
                    results.token()
                })
                .look_ahead(20);
            if unordered {
                map = map.unordered();
            }
            let taken = map.next();
            until(|| ended.load(Ordering::SeqCst) == 20);
            drop(map);
            // The last may be on its way out of its job.
            until(|| drops.count() == 19);
            drop(taken);
            assert_eq!(drops.count(), 20);
        }
    });
}

#[test]
fn results_whose_drop_panics_do_not_stop_the_drop_of_the_others() {
    hush();
    on_each_size(|pool| {
        let (drops, ended) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
        let (source, pulled) = counted();
        let (tokens, ends) = (drops.clone(), Arc::clone(&ended));
        let mut map = pool
            .map(source.take(10), move |_| {
                until(|| pulled.load(Ordering::SeqCst) == 10);
                ends.fetch_add(1, Ordering::SeqCst);
                (tokens.token(), Bomb)
            })
            .look_ahead(10);
        let (token, bomb) = map.next().unwrap();
        drop(token);
        std::mem::forget(bomb);
        until(|| ended.load(Ordering::SeqCst) == 10);
        drop(map);
        until(|| drops.count() == 10);
    });
}

#[test]
fn errors_are_values_if_they_are_asked_for() {
    hush();
    on_each_size(|pool| {
        let f = |n| {
            assert!(n != 3, "{EXPECTED}: three");
            n
        };
        for (n, result) in pool.map(0..6, f).results().enumerate() {
            match result {
                Ok(value) => assert!(value == n && n != 3),
                Err(error) => assert!(error.is_panic() && n == 3),
            }
        }
        let errors = pool.map(0..6, f).unordered().results();
        assert_eq!(errors.filter(Result::is_err).count(), 1);
        // It can end early.
        let all: Result<Vec<_>, _> = pool.map(0.., f).results().collect();
        assert!(all.unwrap_err().is_panic());
    });
}

#[test]
fn a_closed_pool_says_so_for_each_item() {
    hush();
    on_each_size(|pool| {
        let spawner = pool.spawner();
        let mut map = pool.map(0..4, |n| n).look_ahead(1);
        let mut results = spawner.map(0..3, |n| n).unordered().results();
        assert_eq!(map.next(), Some(0));
        drop(pool);
        let refused = common::panic_of(|| map.results().next().unwrap().unwrap());
        assert!(common::text(&*refused).unwrap().contains("pool is closed"));
        assert!(results.by_ref().all(|r| r.unwrap_err().is_closed()));
        assert_eq!(results.len(), 0);
        let lost = catch_unwind(AssertUnwindSafe(|| spawner.map([1], |n| n).next()));
        let text = lost.unwrap_err();
        assert_eq!(
            common::text(&*text),
            Some("an item of a map has no result: the pool is closed; the job did not run")
        );
    });
}

#[test]
fn sizes_are_exact() {
    on_each_size(|pool| {
        let mut map = pool.map(0..10, uneven).look_ahead(4);
        for left in (0..=10).rev() {
            assert_eq!((map.len(), map.size_hint()), (left, (left, Some(left))));
            assert_eq!(map.next().is_some(), left > 0);
        }
        assert_eq!(pool.map(0..10, uneven).unordered().results().len(), 10);
        let endless = pool.map(std::iter::repeat(1), uneven);
        assert_eq!(endless.size_hint(), (usize::MAX, None));
        let some = pool.map((0..10).filter(|n| n % 2 == 0), uneven);
        assert_eq!(some.size_hint(), (0, Some(10)));
    });
}

#[test]
fn it_has_ended_when_its_source_has() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let token = drops.token();
        let mut calls = 0;
        // Not fused: it would go on.
        let source = std::iter::from_fn(move || {
            let _held = &token;
            calls += 1;
            (calls % 3 != 0).then_some(calls)
        });
        let mut map = pool.map(source, |n| n);
        assert_eq!(
            (map.next(), map.next(), map.next()),
            (Some(1), Some(2), None)
        );
        assert_eq!(map.next(), None);
        assert_eq!(drops.count(), 1, "what the source held is let go of");
    });
}

#[test]
#[should_panic(expected = "look_ahead(0)")]
fn a_look_ahead_of_nothing_is_a_mistake() {
    let _ = common::pool(1).map(0..1, |n| n).look_ahead(0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against `Iterator::map`, panics included, however many are taken.
    #[test]
    fn it_is_the_sequential_map(
        items in prop::collection::vec((any::<u16>(), prop::bool::weighted(0.1)), 0..80),
        look_ahead in 1_usize..20,
        size in 0_usize..3,
        capacity in prop::option::of(1_usize..5),
        unordered: bool,
        take in 0_usize..100,
    ) {
        hush();
        watched(move || {
            let mut pool = Pool::builder().num_threads(common::SIZES[size]);
            if let Some(capacity) = capacity {
                pool = pool.queue_capacity(capacity);
            }
            let pool = pool.build().unwrap();
            let model = items.iter().map(|&(n, panics)| (!panics).then_some(uneven(n.into())));
            let mut model: Vec<_> = model.collect();
            let map = pool.map(items, |(n, panics)| {
                assert!(!panics, "{EXPECTED}: by chance");
                uneven(n.into())
            });
            let mut map = map.look_ahead(look_ahead);
            if unordered {
                map = map.unordered();
            }
            let results = map.results().map(|result| result.map_err(|e| assert!(e.is_panic())).ok());
            if unordered {
                let mut results: Vec<_> = results.collect();
                results.sort_unstable();
                model.sort_unstable();
                assert_eq!(results, model);
            } else {
                model.truncate(take);
                assert_eq!(results.take(take).collect::<Vec<_>>(), model);
            }
        });
    }
}
