//! Joins: both halves run once, whatever happens, and their results come back.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::gate::Gate;
use common::{Drops, hush, on_each_size, pool, watched};
use windlass::{Pool, join};

fn fib(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = join(|| fib(n - 1), || fib(n - 2));
    a + b
}

#[test]
fn a_tree_of_joins_gives_what_the_serial_program_gives() {
    on_each_size(|pool| {
        assert_eq!(pool.spawn(|| fib(20)).join().unwrap(), 6765);
        assert_eq!(pool.join(|| fib(18), || fib(17)), (2584, 1597));
    });
}

#[test]
fn outside_a_pool_both_run_here_in_order() {
    let turn = AtomicUsize::new(1);
    let here = || (turn.fetch_add(1, Ordering::Relaxed), thread::current().id());
    let id = thread::current().id();
    assert_eq!(join(here, here), ((1, id), (2, id)));
}

/// Two halves that wait for each other can only end on two threads.
#[test]
fn both_halves_run_at_once_if_a_thread_is_free() {
    let pool = pool(2);
    watched(move || {
        let gate = Gate::default();
        let other = Gate::default();
        pool.join(
            || {
                gate.open();
                other.wait();
            },
            || {
                other.open();
                gate.wait();
            },
        );
    });
}

type Leaf<'a> = dyn Fn() + Sync + 'a;

/// Whichever side a chain of joins leans to.
#[test]
fn as_many_coarse_halves_run_at_once_as_there_are_threads() {
    fn left(count: usize, leaf: &Leaf) {
        if count == 1 {
            leaf();
        } else {
            join(|| left(count - 1, leaf), leaf);
        }
    }
    fn right(count: usize, leaf: &Leaf) {
        if count == 1 {
            leaf();
        } else {
            join(leaf, || right(count - 1, leaf));
        }
    }
    let pool = pool(4);
    watched(move || {
        let shapes: [fn(usize, &Leaf); 2] = [left, right];
        for lean in shapes {
            let arrived = AtomicUsize::new(0);
            let leaf = || {
                arrived.fetch_add(1, Ordering::Relaxed);
                while arrived.load(Ordering::Relaxed) < 4 {
                    thread::yield_now();
                }
            };
            pool.join(|| lean(4, &leaf), || ());
        }
    });
}

#[test]
fn the_first_panic_is_raised_after_the_other_half_has_run() {
    hush();
    on_each_size(|pool| {
        let ran = AtomicUsize::new(0);
        let both = |a_panics: bool, b_panics: bool| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.join(
                    || {
                        ran.fetch_add(1, Ordering::Relaxed);
                        assert!(!a_panics, "expected: a");
                    },
                    || {
                        ran.fetch_add(1, Ordering::Relaxed);
                        assert!(!b_panics, "expected: b");
                    },
                )
            }));
            result.map_err(|payload| *payload.downcast::<&str>().unwrap())
        };
        assert_eq!(both(true, false), Err("expected: a"));
        assert_eq!(both(false, true), Err("expected: b"));
        assert_eq!(both(true, true), Err("expected: a"));
        assert!(both(false, false).is_ok());
        assert_eq!(ran.into_inner(), 8);
    });
}

#[test]
fn a_result_whose_sibling_panics_is_dropped_once() {
    hush();
    on_each_size(|pool| {
        let drops = Drops::default();
        for a_panics in [true, false] {
            let (a, b) = (drops.token(), drops.token());
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.join(
                    move || {
                        assert!(!a_panics, "expected");
                        a
                    },
                    move || {
                        assert!(a_panics, "expected");
                        b
                    },
                )
            }));
            assert!(result.is_err());
        }
        assert_eq!(drops.count(), 4);
    });
}

#[test]
fn a_panic_in_one_half_leaves_the_thread_as_it_was() {
    hush();
    on_each_size(|pool| {
        for _ in 0..100 {
            let failed = pool.spawn(|| {
                join(
                    || join(|| fib(8), || panic!("expected")).0,
                    || join(|| fib(8), || fib(7)).0,
                )
            });
            assert!(failed.join().unwrap_err().is_panic());
            assert_eq!(pool.spawn(|| fib(12)).join().unwrap(), 144);
        }
    });
}

#[test]
fn on_a_closed_pool_both_halves_run_on_the_caller() {
    let pool = pool(1);
    pollster::block_on(pool.shutdown());
    let here = thread::current().id();
    let on = || thread::current().id();
    assert_eq!(pool.join(on, on), (here, here));
}

#[test]
fn the_backlog_that_is_thrown_away_does_not_hold_halves() {
    watched(move || {
        let pool = pool(2);
        let begun = Gate::default();
        let go = Gate::default();
        let job = {
            let (begun, go) = (begun.clone(), go.clone());
            pool.spawn(move || {
                begun.open();
                go.wait();
                fib(16)
            })
        };
        begun.wait();
        pool.shutdown_now();
        go.open();
        assert_eq!(job.join().unwrap(), 987, "it had begun");
    });
}

#[test]
fn a_stolen_half_knows_that_its_job_is_to_stop() {
    let pool = pool(2);
    watched(move || {
        let (begun, stolen) = (Gate::default(), Gate::default());
        let job = {
            let (begun, stolen) = (begun.clone(), stolen.clone());
            pool.spawn(move || {
                begun.open();
                join(
                    || stolen.wait(), // so the other one is on another thread
                    || {
                        stolen.open();
                        while !windlass::is_cancelled() {
                            std::hint::spin_loop();
                        }
                    },
                );
            })
        };
        begun.wait();
        assert!(!job.cancel(), "it runs");
        job.join().unwrap();
    });
}

#[test]
fn a_join_of_another_pool_waits_for_that_one() {
    watched(move || {
        let (one, other) = (pool(1), pool(1));
        let spawner = other.spawner();
        let index = one.spawn(move || spawner.join(|| fib(10), || fib(11)));
        assert_eq!(index.join().unwrap(), (55, 89));
        drop(other);
    });
}

#[test]
fn tuples_arrays_and_vectors_keep_their_order() {
    on_each_size(|pool| {
        let (a, b, c, d, e, f, g, h) = pool.join_all((
            || 1_u8,
            || "two",
            || 3_u16,
            || String::from("four"),
            || 5_i32,
            || [6; 6],
            || vec![7],
            || '8',
        ));
        assert_eq!((a, b, c, d.as_str(), e), (1, "two", 3, "four", 5));
        assert_eq!((f, g, h), ([6; 6], vec![7], '8'));
        assert_eq!(pool.join_all((|| 1, || 2, || 3)), (1, 2, 3));
        assert!(pool.join_all(Vec::<fn()>::new()).is_empty());
        assert_eq!(
            pool.join_all(std::array::from_fn(|n| move || n)),
            [0, 1, 2, 3, 4]
        );
        let closures: Vec<_> = (0..1000).map(|n| move || n * 2).collect();
        assert!(
            pool.join_all(closures)
                .into_iter()
                .eq((0..1000).map(|n| n * 2))
        );
    });
}

/// Addresses of a local in the deepest call and in the first one.
fn stack_of(depth: usize, call: &dyn Fn(usize) -> usize) -> usize {
    let here = 0_u8;
    (std::ptr::from_ref(&here).addr()).abs_diff(call(depth))
}

fn bottom() -> usize {
    let here = 0_u8;
    std::hint::black_box(std::ptr::from_ref(&here)).addr()
}

fn serial(depth: usize) -> usize {
    if depth == 0 {
        return bottom();
    }
    let (a, b) = (
        std::hint::black_box(serial)(depth - 1),
        std::hint::black_box(depth),
    );
    a.max(b.min(1))
}

fn joined(depth: usize) -> usize {
    if depth == 0 {
        return bottom();
    }
    let (a, b) = join(
        || std::hint::black_box(joined)(depth - 1),
        || std::hint::black_box(depth),
    );
    a.max(b.min(1))
}

/// Beyond what the serial program needs for a call, in bytes: the half, what the
/// compiler keeps across the call, and without optimisation a frame for each layer.
const STACK_PER_JOIN: usize = if cfg!(debug_assertions) { 2048 } else { 192 };

#[test]
fn a_join_costs_no_more_stack_than_a_call_and_a_constant() {
    on_each_size(|pool| {
        let depth = 200;
        let (serial, joined) = pool
            .spawn(move || (stack_of(depth, &serial), stack_of(depth, &joined)))
            .join()
            .unwrap();
        let more = joined.saturating_sub(serial) / depth;
        assert!(more <= STACK_PER_JOIN, "{more} bytes more for each join");
    });
}

#[test]
fn a_chain_of_joins_may_be_as_deep_as_the_stack_allows() {
    const DEPTH: usize = 10_000;
    common::for_each_size(|threads| {
        let stack = DEPTH * (STACK_PER_JOIN + 1024) + 256 * 1024;
        let pool = Pool::builder()
            .num_threads(threads)
            .stack_size(stack)
            .build();
        let pool = pool.unwrap();
        fn left(depth: usize) -> usize {
            if depth == 0 {
                return 0;
            }
            let (a, b) = join(|| left(depth - 1), || 1);
            a + b
        }
        fn right(depth: usize) -> usize {
            if depth == 0 {
                return 0;
            }
            let (a, b) = join(|| 1, || right(depth - 1));
            a + b
        }
        for _ in 0..20 {
            assert_eq!(pool.join(|| left(DEPTH), || right(DEPTH)), (DEPTH, DEPTH));
        }
    });
}
