//! Promise: a map in a scope borrows, is lazy and in order, and loses no panic.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Drops, hush, on_each_size, panic_of, pool, text, watched};
use windlass::{Pool, Spawner};

/// Runs `body` with pools of each size, from outside and from a job.
fn on_each_size_and_side(body: impl Fn(&Spawner) + Send + Sync + Clone + 'static) {
    on_each_size(move |pool: Pool| {
        let spawner = pool.spawner();
        body(&spawner);
        let inside = body.clone();
        pool.spawn(move || inside(&spawner)).join().unwrap();
    });
}

#[test]
fn results_come_in_the_order_of_the_items_and_all_may_borrow() {
    on_each_size_and_side(|pool| {
        let text: String = (0..500).map(|n| format!("line {n}\n")).collect();
        let prefix = String::from("line ");
        let numbers: Vec<&str> = pool.scope(|s| {
            let strip = |line| str::strip_prefix(line, prefix.as_str()).unwrap();
            s.map(text.lines(), strip).collect()
        });
        assert!((0..500).map(|n| n.to_string()).eq(numbers));
        let none: Vec<u8> = pool.scope(|s| s.map([], |n: u8| n).collect());
        assert!(none.is_empty());
    });
}

#[test]
fn the_source_is_pulled_here_and_no_further_ahead_than_it_may_be() {
    on_each_size_and_side(|pool| {
        let pulled = Cell::new(0_u64);
        let source = std::iter::repeat_with(|| pulled.replace(pulled.get() + 1));
        let sum = pool.scope(|s| {
            let mut map = s.map(source, |n| n * n).look_ahead(3);
            let mut sum = 0;
            for taken in 1..=100 {
                sum += map.next().unwrap();
                assert!(pulled.get() < taken + 3);
            }
            sum
        });
        assert_eq!(sum, (0..100).map(|n| n * n).sum());
        let map = |count: usize| pool.scope(|s| s.map(0..count, |n| n).size_hint());
        assert_eq!(map(7), (7, Some(7)));
    });
}

#[test]
fn a_panic_comes_in_its_place_and_only_there() {
    hush();
    on_each_size_and_side(|pool| {
        let results: Vec<_> = pool.scope(|s| {
            let mut map = s.map(0..20, |n| {
                assert!(n % 5 != 3, "expected: {n}");
                n
            });
            std::iter::from_fn(|| {
                catch_unwind(AssertUnwindSafe(|| map.next()))
                    .map_err(|payload| text(&*payload).unwrap().to_owned())
                    .transpose()
            })
            .collect()
        });
        for (n, result) in results.iter().enumerate() {
            match n % 5 {
                3 => assert_eq!(result, &Err(format!("expected: {n}"))),
                _ => assert_eq!(result, &Ok(n)),
            }
        }
        assert_eq!(results.len(), 20);
    });
}

#[test]
fn a_panic_that_nobody_came_to_is_the_scopes() {
    hush();
    on_each_size(|pool| {
        let [pulled, begun] = [(); 2].map(|()| AtomicUsize::new(0));
        let payload = panic_of(|| {
            pool.scope(|s| {
                let source = (0..2).inspect(|_| {
                    pulled.fetch_add(1, Ordering::SeqCst);
                });
                let mut map = s.map(source, |n| {
                    // The first result is there when the other item is on its way.
                    common::until(|| pulled.load(Ordering::SeqCst) == 2);
                    begun.fetch_add(1, Ordering::SeqCst);
                    assert!(n != 1, "expected: {n}");
                });
                assert_eq!(map.next(), Some(()));
                common::until(|| begun.load(Ordering::SeqCst) == 2);
            });
        });
        assert_eq!(text(&*payload), Some("expected: 1"));
    });
}

#[test]
fn a_panic_of_the_source_leaves_the_results_of_what_it_gave() {
    hush();
    on_each_size_and_side(|pool| {
        let mut given = 0;
        let source = std::iter::from_fn(|| {
            given += 1;
            assert!(given < 5, "expected: the source");
            Some(given)
        });
        pool.scope(|s| {
            let mut map = s.map(source, |n| n).look_ahead(10);
            let mut results = Vec::new();
            let mut panics = 0;
            loop {
                match catch_unwind(AssertUnwindSafe(|| map.next())) {
                    Ok(Some(n)) => results.push(n),
                    Ok(None) => break,
                    Err(_) => panics += 1,
                }
            }
            assert_eq!((results, panics), (vec![1, 2, 3, 4], 1));
        });
    });
}

/// Every item is dropped once, and what has not started never does.
#[test]
fn a_map_that_is_dropped_calls_its_function_no_more() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let called = AtomicUsize::new(0);
        let occupied = common::Occupied::all(&pool);
        std::thread::scope(|threads| {
            let (pulled, release) = std::sync::mpsc::channel();
            threads.spawn(move || {
                release.recv().unwrap();
                occupied.release();
            });
            pool.scope(|s| {
                let source = std::iter::repeat_with(|| drops.token());
                let count = |token| {
                    called.fetch_add(1, Ordering::SeqCst);
                    token
                };
                let source = source
                    .take(50)
                    .chain(std::iter::from_fn(|| panic!("expected: far enough")));
                hush();
                let mut map = s.map(source, count).look_ahead(100);
                panic_of(|| map.next());
                drop(map);
                pulled.send(()).unwrap();
            });
        });
        assert_eq!(called.into_inner(), 0);
        assert_eq!(drops.count(), 50);
    });
}

#[test]
fn maps_may_be_nested() {
    on_each_size_and_side(|pool| {
        let table: Vec<Vec<u64>> = (0..20).map(|n| (0..n).collect()).collect();
        let sums: Vec<u64> = pool.scope(|s| {
            s.map(&table, |row| {
                pool.scope(|s| s.map(row, |n| n * 2).sum::<u64>())
            })
            .collect()
        });
        assert!((0..20_u64).map(|n| n * n.saturating_sub(1)).eq(sums));
    });
}

#[test]
fn on_a_closed_pool_it_is_an_iterator_like_any_other() {
    watched(|| {
        let pool = pool(2);
        pollster::block_on(pool.shutdown());
        let squares: Vec<_> = pool.scope(|s| s.map(0..10, |n| n * n).collect());
        assert!((0..10).map(|n| n * n).eq(squares));
    });
}

#[test]
#[should_panic(expected = "look_ahead(0)")]
fn no_look_ahead_is_none() {
    let pool = pool(1);
    pool.scope(|s| drop(s.map(0..1, |n| n).look_ahead(0)));
}
