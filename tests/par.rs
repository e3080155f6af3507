//! Helpers over slices: they give what the sequential program gives, on any number of
//! threads, and lose nothing if something panics.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::{Bomb, Drops, SIZES, hush, on_each_size, panic_of, pool, text, watched};
use proptest::prelude::*;
use windlass::{Pool, current_thread_index, join, par_chunks, par_chunks_mut, par_map, par_reduce};

/// Work of some nanoseconds, or of some microseconds, so that blocks of all lengths are
/// made.
fn work(n: &u64) -> u64 {
    let steps = if n.is_multiple_of(97) { 5000 } else { n % 7 };
    (0..steps).fold(*n, |n, step| std::hint::black_box(n ^ step)) + 1
}

/// All helpers with one slice, against the same without any.
fn check(numbers: &[u64], n: usize, place: Place<'_>) {
    let expected: Vec<_> = numbers.iter().map(work).collect();
    assert_eq!(place.map(numbers), expected);

    let joined: Vec<_> = numbers.iter().map(u64::to_string).collect();
    let joined = (!joined.is_empty()).then(|| joined.concat());
    assert_eq!(place.concat(numbers), joined, "in order");

    let expected: Vec<_> = numbers.chunks(n).collect();
    let visits: Vec<_> = expected.iter().map(|_| AtomicUsize::new(0)).collect();
    place.chunks(numbers, n, |index, chunk| {
        assert_eq!(chunk, expected[index]);
        visits[index].fetch_add(1, Ordering::Relaxed);
    });
    assert!(visits.into_iter().all(|visits| visits.into_inner() == 1));

    let mut changed = numbers.to_vec();
    place.chunks_mut(&mut changed, n, |index, chunk| {
        chunk.iter_mut().for_each(|number| *number += index as u64);
    });
    let expected = numbers
        .iter()
        .enumerate()
        .map(|(at, number)| number + (at / n) as u64);
    assert!(changed.into_iter().eq(expected));
}

/// By which way the helpers are called.
#[derive(Clone, Copy)]
enum Place<'p> {
    /// Where this thread is.
    Here,
    On(&'p Pool),
}

impl Place<'_> {
    fn map(self, slice: &[u64]) -> Vec<u64> {
        match self {
            Self::Here => par_map(slice, work),
            Self::On(pool) => pool.par_map(slice, work),
        }
    }

    fn concat(self, slice: &[u64]) -> Option<String> {
        let concat = |a: String, b: String| a + &b;
        match self {
            Self::Here => par_reduce(slice, u64::to_string, concat),
            Self::On(pool) => pool.par_reduce(slice, u64::to_string, concat),
        }
    }

    fn chunks(self, slice: &[u64], n: usize, f: impl Fn(usize, &[u64]) + Sync) {
        match self {
            Self::Here => par_chunks(slice, n, f),
            Self::On(pool) => pool.par_chunks(slice, n, f),
        }
    }

    fn chunks_mut(self, slice: &mut [u64], n: usize, f: impl Fn(usize, &mut [u64]) + Sync) {
        match self {
            Self::Here => par_chunks_mut(slice, n, f),
            Self::On(pool) => pool.par_chunks_mut(slice, n, f),
        }
    }
}

#[test]
fn each_helper_gives_what_the_sequential_program_gives() {
    watched(|| {
        let pools = SIZES.map(pool);
        let input = (
            prop_oneof![
                prop::collection::vec(0..1000_u64, 0..40),
                prop::collection::vec(0..1000_u64, 0..5000),
            ],
            prop_oneof![1..5_usize, 1..6000_usize, Just(usize::MAX)],
        );
        let config = ProptestConfig::with_cases(64);
        proptest!(config, |((numbers, n) in input)| {
            check(&numbers, n, Place::Here);
            for pool in &pools {
                check(&numbers, n, Place::On(pool));
                pool.join(|| check(&numbers, n, Place::Here), || ());
            }
        });
    });
}

#[test]
fn outside_a_pool_all_of_it_is_done_here_in_order() {
    let here = thread::current().id();
    let turn = AtomicUsize::new(0);
    let numbers: Vec<_> = (0..1000).collect();
    let turns = par_map(&numbers, |_| {
        assert_eq!(thread::current().id(), here);
        turn.fetch_add(1, Ordering::Relaxed)
    });
    assert_eq!(turns, numbers);
    par_chunks(&numbers, 7, |index, chunk| {
        assert_eq!(thread::current().id(), here);
        assert_eq!(
            turn.fetch_add(chunk.len(), Ordering::Relaxed),
            1000 + 7 * index
        );
    });
}

#[test]
fn of_nothing_nothing_is_made() {
    on_each_size(|pool| {
        let none: [u64; 0] = [];
        let never = |_: &u64| -> u64 { unreachable!("there is no item") };
        assert_eq!(pool.par_map(&none, never), []);
        assert_eq!(pool.par_reduce(&none, never, |a, _| a), None);
        pool.par_chunks(&none, 3, |_, _| unreachable!("there is no chunk"));
        pool.par_chunks_mut(&mut [0; 0], 3, |_, _| unreachable!("there is no chunk"));
    });
}

#[test]
fn chunks_of_no_items_are_refused_by_name() {
    hush();
    on_each_size(|pool| {
        let is_named = |name: &str, f: &dyn Fn()| {
            let payload = panic_of(f);
            let text = text(&*payload).unwrap();
            assert!(text.starts_with(name) && text.contains("n is 0"), "{text}");
        };
        is_named("par_chunks:", &|| pool.par_chunks(&[1], 0, |_, _| ()));
        is_named("par_chunks:", &|| par_chunks(&[1], 0, |_, _| ()));
        is_named("par_chunks_mut:", &|| {
            pool.par_chunks_mut(&mut [1], 0, |_, _| ());
        });
        is_named("par_chunks_mut:", &|| {
            par_chunks_mut(&mut [1], 0, |_, _| ());
        });
    });
}

#[test]
fn items_and_results_may_have_no_size() {
    on_each_size(|pool| {
        let items = vec![(); 10_000];
        let count = AtomicUsize::new(0);
        let results = pool.par_map(&items, |()| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!((results.len(), count.into_inner()), (10_000, 10_000));
        assert_eq!(pool.par_reduce(&items, |()| 1, |a, b| a + b), Some(10_000));
        let chunks = AtomicUsize::new(0);
        pool.par_chunks(&[(); usize::MAX], usize::MAX / 2, |index, chunk| {
            assert_eq!(chunk.len(), if index == 2 { 1 } else { usize::MAX / 2 });
            chunks.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(chunks.into_inner(), 3);
    });
}

#[test]
fn a_map_may_be_within_a_map() {
    on_each_size(|pool| {
        let rows: Vec<u64> = (0..100).collect();
        let table = pool.par_map(&rows, |row| par_map(&rows, |column| row * column));
        let sums = pool.par_map(&table, |row| par_reduce(row, |&n| n, |a, b| a + b).unwrap());
        assert!(sums.into_iter().eq(rows.iter().map(|row| row * 4950)));
    });
}

/// Items that wait for each other can only end on two threads.
#[test]
fn two_threads_take_part() {
    watched(|| {
        let pool = Pool::builder()
            .num_threads(2)
            .max_substitutes(0)
            .build()
            .unwrap();
        let numbers: Vec<_> = (0..1000).collect();
        for _ in 0..20 {
            let is_there = [const { AtomicBool::new(false) }; 2];
            pool.par_chunks(&numbers, 1, |_, _| {
                is_there[current_thread_index().unwrap()].store(true, Ordering::Relaxed);
                while !is_there.iter().all(|thread| thread.load(Ordering::Relaxed)) {
                    thread::yield_now();
                }
            });
        }
    });
}

/// However they lie in the slice, and how few they are.
#[test]
fn as_many_coarse_items_run_at_once_as_there_are_threads() {
    watched(|| {
        let pool = pool(4);
        for _ in 0..20 {
            let arrived = AtomicUsize::new(0);
            pool.par_map(&[(); 4], |()| {
                arrived.fetch_add(1, Ordering::Relaxed);
                while arrived.load(Ordering::Relaxed) < 4 {
                    thread::yield_now();
                }
            });
        }
    });
}

/// Two threads that help each other in turns: who waits for a half, while its thief waits
/// for a part of that, is helped as well.
#[test]
fn who_is_helped_while_it_waits_for_its_helper_helps_again() {
    watched(|| {
        let pool = Pool::builder()
            .num_threads(2)
            .max_substitutes(0)
            .build()
            .unwrap();
        let begun = |flag: &AtomicUsize| {
            // Not for ever: a thread may have parked before it could help.
            for _ in 0..10_000 {
                if flag.load(Ordering::SeqCst) > 0 {
                    return true;
                }
                thread::yield_now();
            }
            false
        };
        let mut has_happened = false;
        while !has_happened {
            let flags = [const { AtomicUsize::new(0) }; 3];
            let begin = |which: usize| flags[which].store(1, Ordering::SeqCst);
            let first = || begun(&flags[0]);
            let second = || {
                begin(0);
                let second = || begun(&flags[1]);
                let third = || {
                    begin(1);
                    let (on_this, ()) = join(|| begun(&flags[2]), || begin(2));
                    on_this
                };
                join(second, third)
            };
            let (first, (second, third)) = pool.join(first, second);
            has_happened = first && second && third;
        }
    });
}

#[test]
fn a_panic_is_raised_and_each_result_dropped_once() {
    hush();
    on_each_size(|pool| {
        for len in [1, 2, 100, 5000] {
            let numbers: Vec<_> = (0..len).collect();
            for at in [0, len / 3, len - 1] {
                let (made, drops) = (AtomicUsize::new(0), Drops::default());
                let make = |n: &usize| {
                    assert!(*n != at, "expected: {n}");
                    made.fetch_add(1, Ordering::SeqCst);
                    drops.token()
                };
                let payload = panic_of(|| pool.par_map(&numbers, make));
                assert_eq!(text(&*payload), Some(&*format!("expected: {at}")));
                assert_eq!(drops.count(), made.load(Ordering::SeqCst));
                let payload = panic_of(|| pool.par_reduce(&numbers, make, |a, _| a));
                assert_eq!(text(&*payload), Some(&*format!("expected: {at}")));
                assert_eq!(drops.count(), made.load(Ordering::SeqCst));
            }
        }
    });
}

#[test]
fn a_panic_in_the_reduction_is_raised_too() {
    hush();
    on_each_size(|pool| {
        let numbers: Vec<_> = (0..5000).collect();
        let (made, drops) = (AtomicUsize::new(0), Drops::default());
        let make = |n: &usize| {
            made.fetch_add(1, Ordering::SeqCst);
            (*n, drops.token())
        };
        let payload = panic_of(|| {
            pool.par_reduce(&numbers, make, |a, b| {
                assert!(b.0 != 3000, "expected: 3000");
                a
            })
        });
        assert_eq!(text(&*payload), Some("expected: 3000"));
        assert_eq!(drops.count(), made.load(Ordering::SeqCst));
    });
}

#[test]
fn nothing_runs_any_more_when_a_panic_is_raised() {
    hush();
    on_each_size(|pool| {
        let numbers: Vec<_> = (0..2000).collect();
        let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let payload = panic_of(|| {
            pool.par_chunks(&numbers, 10, |index, _| {
                begun.fetch_add(1, Ordering::SeqCst);
                assert!(index > 0, "expected: 0");
                thread::yield_now();
                ended.fetch_add(1, Ordering::SeqCst);
            });
        });
        assert_eq!(text(&*payload), Some("expected: 0"));
        let begun = begun.into_inner();
        assert_eq!(begun, ended.into_inner() + 1);
        if pool.num_threads() == 1 {
            assert_eq!(begun, 1, "what was not begun is left out");
        }
        assert_eq!(pool.par_map(&numbers, |n| *n), numbers);
    });
}

/// Only the first panic is raised, and no result is lost for it.
#[test]
fn results_whose_drop_panics_are_dropped_once() {
    struct Result(#[allow(dead_code, reason = "dropped")] (common::Token, Bomb));
    hush();
    on_each_size(|pool| {
        let numbers: Vec<_> = (0..1000).collect();
        let (made, drops) = (AtomicUsize::new(0), Drops::default());
        let payload = panic_of(|| {
            pool.par_map(&numbers, |n| {
                assert!(*n != 700, "expected: 700");
                made.fetch_add(1, Ordering::SeqCst);
                Result((drops.token(), Bomb))
            })
        });
        assert_eq!(text(&*payload), Some("expected: 700"));
        assert_eq!(drops.count(), made.load(Ordering::SeqCst));
    });
}

#[test]
fn results_are_dropped_with_the_vector_and_not_before() {
    on_each_size(|pool| {
        let drops = Drops::default();
        let results = pool.par_map(&[0; 3000], |_| drops.token());
        assert_eq!((results.len(), drops.count()), (3000, 0));
        drop(results);
        assert_eq!(drops.count(), 3000);
    });
}

#[test]
fn on_a_closed_pool_the_caller_does_it() {
    let pool = pool(1);
    pollster::block_on(pool.shutdown());
    let here = thread::current().id();
    assert_eq!(
        pool.par_map(&[(); 3], |()| thread::current().id()),
        [here; 3]
    );
}
