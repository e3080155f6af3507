//! Promise: a scope's jobs may borrow, all have ended when it does, and no panic among
//! them is lost or keeps the others from running.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::gate::Gate;
use common::{Bomb, Drops, EXPECTED, hush, on_each_size, panic_of, pool, text, watched};
use windlass::{Pool, Scope, ScopedHandle, Spawner};

/// Runs `body` with pools of each size, in scopes from outside and from a job.
fn on_each_size_and_side(body: impl Fn(&Spawner) + Send + Sync + Clone + 'static) {
    on_each_size(move |pool| {
        let spawner = pool.spawner();
        body(&spawner);
        let inside = body.clone();
        pool.spawn(move || inside(&spawner)).join().unwrap();
    });
}

#[test]
fn results_come_back_and_borrows_end() {
    on_each_size_and_side(|pool| {
        let numbers: Vec<u64> = (0..100).collect();
        let total = pool.scope(|s| {
            let parts: Vec<_> = numbers
                .chunks(7)
                .map(|part| s.spawn(move || part.iter().sum::<u64>()))
                .collect();
            parts
                .into_iter()
                .map(|part| part.join().unwrap())
                .sum::<u64>()
        });
        assert_eq!(total, numbers.into_iter().sum());
        // A result may borrow, too.
        let words = String::from("one two");
        let first = pool.scope(|s| s.spawn(|| words.split(' ').next()).join().unwrap());
        assert_eq!(first, Some("one"));
    });
}

#[test]
fn all_jobs_have_ended_when_the_scope_does() {
    on_each_size_and_side(|pool| {
        let mut data = vec![1_u32; 10_000];
        pool.scope(|s| {
            for chunk in data.chunks_mut(64) {
                s.spawn(move || chunk.iter_mut().for_each(|n| *n += 1));
            }
        });
        assert!(data.iter().all(|&n| n == 2));
        pool.scope(|_| ());
    });
}

fn grow<'scope>(s: &'scope Scope<'scope, '_>, depth: u32, leaves: &'scope AtomicUsize) {
    if depth == 0 {
        leaves.fetch_add(1, Ordering::Relaxed);
        return;
    }
    for _ in 0..3 {
        s.spawn(move || grow(s, depth - 1, leaves));
    }
}

#[test]
fn jobs_may_spawn_jobs_of_their_scope() {
    on_each_size_and_side(|pool| {
        let leaves = AtomicUsize::new(0);
        pool.scope(|s| grow(s, 7, &leaves));
        assert_eq!(leaves.into_inner(), 3_usize.pow(7));
    });
}

fn fib(pool: &Spawner, n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    pool.scope(|s| {
        let a = s.spawn(|| fib(pool, n - 1));
        let b = fib(pool, n - 2);
        a.join().unwrap() + b
    })
}

#[test]
fn scopes_may_be_nested_to_any_depth() {
    fn deep(pool: &Spawner, depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        let mut below = 0;
        pool.scope(|s| {
            s.spawn(|| below = deep(pool, depth - 1));
        });
        below + 1
    }
    on_each_size_and_side(|pool| assert_eq!(fib(pool, 12), 144));
    watched(|| {
        for threads in common::SIZES {
            let pool = Pool::builder()
                .num_threads(threads)
                .stack_size(16 << 20)
                .build()
                .unwrap();
            let spawner = pool.spawner();
            let depth = pool.spawn(move || deep(&spawner, 1000));
            assert_eq!(depth.join().unwrap(), 1000);
        }
    });
}

#[test]
fn a_scope_inside_another_pools_job_waits_for_that_pool() {
    watched(|| {
        let (one, other) = (pool(1), pool(1));
        let (to_one, to_other) = (one.spawner(), other.spawner());
        let sum = one.spawn(move || {
            let numbers = [1, 2, 3];
            to_other.scope(|s| {
                let there = s.spawn(|| {
                    // And back again: the thread that waits has a substitute.
                    to_one.scope(|s| s.spawn(|| numbers.iter().sum::<i32>()).join().unwrap())
                });
                there.join().unwrap()
            })
        });
        assert_eq!(sum.join().unwrap(), 6);
    });
}

#[test]
fn a_handle_tells_when_its_job_has_ended() {
    on_each_size(|pool| {
        pool.scope(|s| {
            let gate = Gate::default();
            let wait = gate.clone();
            let handle = s.spawn(move || wait.wait());
            assert!(!handle.is_finished());
            gate.open();
            common::until(|| handle.is_finished());
            handle.join().unwrap();
        });
    });
}

/// A handle may be joined by a sibling.
#[test]
fn jobs_may_wait_for_each_other_in_a_row() {
    on_each_size_and_side(|pool| {
        let last = pool.scope(|s| {
            let mut last: ScopedHandle<usize> = s.spawn(|| 0);
            for _ in 0..100 {
                let before = last;
                last = s.spawn(move || before.join().unwrap() + 1);
            }
            last.join().unwrap()
        });
        assert_eq!(last, 100);
    });
}

/// The text that a scope panics with.
fn raised<R>(scope: impl FnOnce() -> R) -> String {
    text(&*panic_of(scope)).unwrap().to_owned()
}

/// Checklist 45.
#[test]
fn a_panic_in_a_scope_lets_the_siblings_run_and_the_first_one_wins() {
    hush();
    on_each_size(|pool| {
        let ran = AtomicUsize::new(0);
        let count = || {
            ran.fetch_add(1, Ordering::Relaxed);
        };
        let text = raised(|| {
            pool.scope(|s| {
                s.spawn(count);
                let first = s.spawn(|| panic!("expected: first"));
                common::until(|| first.is_finished());
                drop(first);
                s.spawn(count);
                s.spawn(|| panic!("expected: second"));
                s.spawn(count);
            });
        });
        assert_eq!(text, "expected: first");
        assert_eq!(ran.into_inner(), 3);
    });
}

/// Checklist 45: the first to panic, whichever handle is dropped first.
#[test]
fn the_first_is_the_first_that_panicked() {
    hush();
    on_each_size(|pool| {
        let text = raised(|| {
            pool.scope(|s| {
                let _one = s.spawn(|| panic!("expected: one"));
                common::until(|| _one.is_finished());
                let _two = s.spawn(|| panic!("expected: two"));
                common::until(|| _two.is_finished());
                // Dropped in the other order.
            });
        });
        assert_eq!(text, "expected: one");
    });
}

/// Checklist 45.
#[test]
fn the_panic_of_the_closure_comes_before_those_of_jobs_and_after_their_ends() {
    hush();
    on_each_size_and_side(|pool| {
        let ran = AtomicUsize::new(0);
        let text = raised(|| {
            pool.scope(|s| {
                for _ in 0..10 {
                    s.spawn(|| {
                        ran.fetch_add(1, Ordering::Relaxed);
                        panic!("expected: a job");
                    });
                }
                panic!("expected: the closure");
            });
        });
        assert_eq!(text, "expected: the closure");
        assert_eq!(ran.into_inner(), 10);
    });
}

#[test]
fn a_panic_that_was_joined_is_the_joiners() {
    hush();
    on_each_size_and_side(|pool| {
        let kept = pool.scope(|s| {
            let failed = s.spawn(|| panic!("expected"));
            failed.join().unwrap_err().is_panic()
        });
        assert!(kept);
        // Of two, the one that was not.
        let text = raised(|| {
            pool.scope(|s| {
                s.spawn(|| panic!("expected: joined")).join().unwrap_err();
                s.spawn(|| panic!("expected: dropped"));
            });
        });
        assert_eq!(text, "expected: dropped");
    });
}

#[test]
fn a_panic_whose_handle_is_leaked_is_not_lost() {
    hush();
    on_each_size(|pool| {
        let text = raised(|| {
            pool.scope(|s| std::mem::forget(s.spawn(|| panic!("expected"))));
        });
        assert!(text.contains("leaked"), "{text}");
    });
}

#[test]
fn every_payload_is_dropped_once() {
    hush();
    on_each_size_and_side(|pool| {
        let drops = Drops::default();
        let payload = panic_of(|| {
            pool.scope(|s| {
                for _ in 0..5 {
                    let token = drops.token();
                    s.spawn(|| std::panic::panic_any(token));
                }
                let token = drops.token();
                let joined = s.spawn(|| std::panic::panic_any(token));
                drop(joined.join().unwrap_err());
            });
        });
        assert_eq!(drops.count(), 5);
        drop(payload);
        assert_eq!(drops.count(), 6);
        let token = drops.token();
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.scope(|s| {
                let token = drops.token();
                s.spawn(|| std::panic::panic_any(token));
                std::panic::panic_any(5)
            })
        }));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&5));
        assert_eq!(drops.count(), 7);
        drop(token);
    });
}

/// The result of a closure whose scope panics, and of jobs whose handles are dropped.
#[test]
fn results_that_nobody_gets_are_dropped_once_and_in_time() {
    hush();
    on_each_size_and_side(|pool| {
        let drops = Drops::default();
        let payload = panic_of(|| {
            pool.scope(|s| {
                s.spawn(|| panic!("expected"));
                drops.token()
            })
        });
        assert_eq!(text(&*payload), Some("expected"));
        assert_eq!(drops.count(), 1);
        pool.scope(|s| {
            for _ in 0..100 {
                s.spawn(|| drops.token());
            }
        });
        assert_eq!(drops.count(), 101, "before the scope ends");
    });
}

/// Looks at what it borrows when it is dropped.
struct Entry<'a>(&'a Mutex<Vec<u32>>, u32);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

#[test]
fn a_result_may_look_at_what_it_borrows_when_it_is_dropped() {
    on_each_size_and_side(|pool| {
        let book = Mutex::new(Vec::new());
        pool.scope(|s| {
            for n in 0..100 {
                let handle = s.spawn(|| Entry(&book, 1));
                match n % 4 {
                    0 => drop(handle),
                    1 => drop(handle.join()),
                    // Its handle lives in another job.
                    2 => drop(s.spawn(move || handle.is_finished())),
                    _ => drop(s.spawn(move || handle)),
                }
            }
        });
        assert_eq!(book.into_inner().unwrap().len(), 100);
    });
}

#[test]
fn a_panic_in_the_drop_of_a_capture_or_a_result_is_a_jobs_panic() {
    hush();
    on_each_size_and_side(|pool| {
        for drops_result in [true, false] {
            let text = raised(|| {
                pool.scope(|s| {
                    let bomb = Bomb;
                    if drops_result {
                        s.spawn(move || bomb);
                    } else {
                        s.spawn(move || drop(bomb));
                    }
                });
            });
            assert!(text.starts_with(EXPECTED));
        }
    });
}

#[test]
fn the_pool_is_whole_after_panics_in_scopes() {
    hush();
    on_each_size(|pool| {
        for _ in 0..50 {
            raised(|| pool.scope(|s| drop(s.spawn(|| panic!("expected")))));
            let one = pool.scope(|s| s.spawn(|| 1).join().unwrap());
            assert_eq!(one, 1);
        }
        assert_eq!(pool.metrics().panicked, 50);
    });
}

#[test]
fn threads_from_outside_may_spawn_into_a_scope() {
    on_each_size(|pool| {
        let sum = AtomicUsize::new(0);
        pool.scope(|s| {
            thread::scope(|threads| {
                for n in 1..=4 {
                    let sum = &sum;
                    threads.spawn(move || {
                        for _ in 0..100 {
                            s.spawn(move || sum.fetch_add(n, Ordering::Relaxed));
                        }
                    });
                }
            });
        });
        assert_eq!(sum.into_inner(), 1000);
    });
}
