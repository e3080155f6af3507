//! The job cell under loom: the interleavings of its three kinds of party.
//!
//! Each model runs the real code. `account` checks that each iteration frees
//! every cell exactly once; loom checks that no two threads touch the body or
//! the waker unordered. The `#[should_panic]` models break the protocol on
//! purpose and show that the model notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use loom::thread;

use super::children::{Child, Children};
use super::ends::{CellJob, Completion, HandleEnd, new_cell};
use super::slot::Slot;
use super::state::Reason;
use crate::magazine::account;
use crate::sync::block_until;
use crate::sync::mutant::{self, Mutant};

/// Counts its drops, to see that a closure, a result or a waker goes once.
#[derive(Clone)]
struct Witness(Arc<AtomicUsize>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn witness() -> (Witness, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    (Witness(Arc::clone(&drops)), drops)
}

/// A waker that does nothing, each one different from all others.
fn idle_waker() -> Waker {
    struct Idle;
    impl Wake for Idle {
        fn wake(self: Arc<Self>) {}
    }
    Waker::from(Arc::new(Idle))
}

/// Runs `f` in every interleaving with up to three preemptions
/// (`LOOM_MAX_PREEMPTIONS` overrides).
fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(move || account(&f));
}

/// A job whose closure captures a witness and returns another.
fn job() -> (
    CellJob,
    HandleEnd<Witness>,
    Arc<AtomicUsize>,
    Arc<AtomicUsize>,
) {
    let (captured, captures_dropped) = witness();
    let (result, results_dropped) = witness();
    let (job, handle) = new_cell(move || {
        drop(captured);
        result
    });
    (job, handle, captures_dropped, results_dropped)
}

fn wait<T>(handle: &mut HandleEnd<T>) -> Completion<T> {
    block_until(None, |waker| handle.poll(waker)).expect("no deadline")
}

#[test]
fn finish_against_join() {
    model(|| {
        let (job, mut handle, captures, results) = job();
        let runner = thread::spawn(move || assert!(job.run().is_ok()));
        assert!(matches!(wait(&mut handle), Completion::Value(_)));
        assert_eq!(
            captures.load(Ordering::SeqCst),
            1,
            "captures go before the handle resolves"
        );
        runner.join().unwrap();
        assert_eq!(results.load(Ordering::SeqCst), 1);
    });
}

fn finish_against_replaced_waker() {
    model(|| {
        let (job, mut handle, _, results) = job();
        let runner = thread::spawn(move || assert!(job.run().is_ok()));
        // A waker that is replaced must not be the one that is woken.
        match handle.poll(&idle_waker()) {
            Poll::Ready(completion) => assert!(matches!(completion, Completion::Value(_))),
            Poll::Pending => assert!(matches!(wait(&mut handle), Completion::Value(_))),
        }
        runner.join().unwrap();
        assert_eq!(results.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn finish_against_poll_and_replaced_waker() {
    finish_against_replaced_waker();
}

#[test]
#[should_panic(expected = "Concurrent write accesses")]
fn catches_an_ending_that_lets_go_before_it_took_the_waker() {
    mutant::set(Mutant::FinishInOneStep);
    finish_against_replaced_waker();
}

#[test]
fn finish_against_drop() {
    model(|| {
        let (job, mut handle, captures, results) = job();
        let runner = thread::spawn(move || assert!(job.run().is_ok()));
        let _ = handle.poll(&idle_waker()).is_ready();
        drop(handle);
        runner.join().unwrap();
        assert_eq!(captures.load(Ordering::SeqCst), 1);
        assert_eq!(
            results.load(Ordering::SeqCst),
            1,
            "a result nobody reads goes once"
        );
    });
}

#[test]
fn cancel_against_start() {
    model(|| {
        let (job, mut handle, captures, results) = job();
        let canceller = handle.cancel_end().unwrap();
        let runner = thread::spawn(move || assert!(job.run().is_ok()));
        let cancelled = canceller.cancel();
        if cancelled {
            assert_eq!(
                captures.load(Ordering::SeqCst),
                1,
                "cancel drops the captures at once"
            );
            assert!(canceller.cancel(), "a cancelled job stays cancelled");
        }
        match wait(&mut handle) {
            Completion::Value(_) => assert!(!cancelled, "a cancelled job ran"),
            Completion::Refused(reason) => {
                assert!(cancelled);
                assert_eq!(reason, Reason::Cancelled);
            }
            Completion::Panic(_) => unreachable!(),
        }
        drop(handle);
        drop(canceller);
        runner.join().unwrap();
        assert_eq!(captures.load(Ordering::SeqCst), 1);
        assert_eq!(
            results.load(Ordering::SeqCst),
            1,
            "unrun, it goes with the closure"
        );
    });
}

fn cancel_of_an_awaited_job() {
    model(|| {
        let (job, mut handle, ..) = job();
        let canceller = handle.cancel_end().unwrap();
        // The waker is registered before anybody claims.
        let _ = handle.poll(&idle_waker()).is_ready();
        let other = thread::spawn(move || canceller.cancel());
        let completion = wait(&mut handle);
        assert!(matches!(completion, Completion::Refused(Reason::Cancelled)));
        assert!(other.join().unwrap(), "nothing had started it");
        assert!(job.run().is_ok());
    });
}

#[test]
fn cancel_reaches_a_job_that_is_awaited() {
    cancel_of_an_awaited_job();
}

fn claim_of_an_awaited_job() {
    model(|| {
        let (job, mut handle, ..) = job();
        let _ = handle.poll(&idle_waker()).is_ready();
        let runner = thread::spawn(move || assert!(job.run().is_ok()));
        assert!(matches!(wait(&mut handle), Completion::Value(_)));
        runner.join().unwrap();
    });
}

#[test]
fn a_registered_waker_does_not_keep_a_job_from_starting() {
    claim_of_an_awaited_job();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_claim_that_fails_once_a_waker_is_registered() {
    mutant::set(Mutant::ClaimFromZero);
    claim_of_an_awaited_job();
}

#[test]
fn two_cancellers_and_a_dropped_handle() {
    model(|| {
        let (job, handle, captures, _) = job();
        let one = handle.cancel_end().unwrap();
        let two = one.clone();
        let other = thread::spawn(move || two.cancel());
        drop(handle);
        let mine = one.cancel();
        let theirs = other.join().unwrap();
        assert!(mine || theirs);
        assert_eq!(captures.load(Ordering::SeqCst), 1);
        drop(one);
        assert!(job.run().is_ok());
    });
}

#[test]
fn claim_by_the_waiter_against_start() {
    model(|| {
        let (job, mut handle, captures, results) = job();
        let runner = thread::spawn(move || assert!(job.run().is_ok()));
        if handle.run_unstarted() {
            assert!(handle.is_resolved());
        }
        assert!(matches!(wait(&mut handle), Completion::Value(_)));
        drop(handle);
        runner.join().unwrap();
        assert_eq!(captures.load(Ordering::SeqCst), 1);
        assert_eq!(results.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn closing_against_cancel_and_wait() {
    model(|| {
        let (job, mut handle, captures, _) = job();
        let canceller = handle.cancel_end().unwrap();
        let closer = thread::spawn(move || drop(job));
        let cancelled = canceller.cancel();
        match wait(&mut handle) {
            Completion::Refused(Reason::Cancelled) => assert!(cancelled),
            Completion::Refused(Reason::Closed) => assert!(!cancelled),
            _ => unreachable!(),
        }
        closer.join().unwrap();
        assert_eq!(captures.load(Ordering::SeqCst), 1);
    });
}

/// A job that expires is resolved at once and left to the queue's end, which runs
/// it, refuses it, or is dropped; or it started before.
fn expiry_against(end: impl Fn(CellJob) + Copy + Send + Sync + 'static) {
    model(move || {
        let (job, mut handle, captures, _) = job();
        let timer = handle.cancel_end().unwrap();
        let queue = thread::spawn(move || end(job));
        let expired = timer.expire();
        match wait(&mut handle) {
            Completion::Value(_) => assert!(!expired),
            Completion::Refused(Reason::Expired) => assert!(expired),
            Completion::Refused(reason) => assert!(!expired && reason == Reason::Closed),
            Completion::Panic(_) => unreachable!(),
        }
        drop((handle, timer));
        queue.join().unwrap();
        assert_eq!(captures.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn expiry_against_start() {
    expiry_against(|job| assert!(job.run().is_ok()));
}

#[test]
fn expiry_against_closing() {
    expiry_against(drop);
}

#[test]
fn expiry_against_cancel_and_claim_by_the_waiter() {
    model(|| {
        let (job, mut handle, captures, _) = job();
        let (timer, canceller) = (handle.cancel_end().unwrap(), handle.cancel_end().unwrap());
        let timer = thread::spawn(move || timer.expire());
        let cancelled = thread::spawn(move || canceller.cancel());
        let ran = handle.run_unstarted();
        let (expired, cancelled) = (timer.join().unwrap(), cancelled.join().unwrap());
        assert_eq!(
            [ran, expired, cancelled].iter().filter(|&&won| won).count(),
            1
        );
        drop(handle);
        assert!(job.run().is_ok());
        assert_eq!(captures.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn resolved_early_against_finish() {
    model(|| {
        let (job, mut handle, captures, results) = job();
        let timer = handle.cancel_end().unwrap();
        let runner = thread::spawn(move || assert!(job.run().is_ok()));
        let timer = thread::spawn(move || timer.time_out());
        match wait(&mut handle) {
            Completion::Value(_) => {}
            Completion::Refused(reason) => assert_eq!(reason, Reason::TimedOut),
            Completion::Panic(_) => unreachable!(),
        }
        drop(handle);
        timer.join().unwrap();
        runner.join().unwrap();
        assert_eq!(captures.load(Ordering::SeqCst), 1);
        assert_eq!(
            results.load(Ordering::SeqCst),
            1,
            "a late result is dropped by its runner"
        );
    });
}

/// The owner of a scope, which waits by `wait`. `outside` gets two children and their
/// slots, and gives what is to be looked at when the frame of the scope is gone.
fn scope<R>(
    wait: fn(&Children),
    outside: impl Fn([Slot; 2], [Child<'static, Witness>; 2]) -> R + Send + Sync + 'static,
    after: impl Fn(R) + Send + Sync + 'static,
) {
    model(move || {
        let (captured, captures_dropped) = witness();
        let (result, results_dropped) = witness();
        let rest = Children::in_a_frame(|children| {
            let [one, two] = [(); 2].map(|()| {
                let (captured, result) = (captured.clone(), result.clone());
                let spawned = children.spawn_static(move || {
                    drop(captured);
                    result
                });
                children.list(&spawned.1);
                spawned
            });
            let rest = outside([one.0, two.0], [one.1, two.1]);
            wait(children);
            assert_eq!(captures_dropped.load(Ordering::SeqCst), 2);
            assert!(children.take_panic().is_none());
            rest
        });
        after(rest);
        assert_eq!(results_dropped.load(Ordering::SeqCst), 2);
        drop((captured, result));
    });
}

fn parks(children: &Children) {
    block_until(None, |waker| children.poll_over(waker));
}

fn claims(children: &Children) {
    while children.run_newest(false) {}
    parks(children);
}

/// Looks again although nobody has woken it.
fn looks(children: &Children) {
    let waker = idle_waker();
    while children.poll_over(&waker).is_pending() {
        thread::yield_now();
    }
}

fn last_children_against(owner: fn(&Children)) {
    scope(
        owner,
        |[one, two], children| {
            drop(children);
            [one, two].map(|slot| thread::spawn(move || assert!(slot.run().is_ok())))
        },
        |runners| runners.into_iter().for_each(|it| it.join().unwrap()),
    );
}

#[test]
fn a_scope_ends_after_the_last_child() {
    last_children_against(parks);
    last_children_against(looks);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn catches_a_child_that_takes_the_waker_when_it_is_counted_no_longer() {
    mutant::set(Mutant::ChildEndsEarly);
    last_children_against(looks);
}

#[test]
fn the_owners_claim_against_start() {
    scope(
        claims,
        |[one, two], children| {
            drop(children);
            thread::spawn(move || {
                assert!(two.run().is_ok());
                // Left to the scope.
                drop(one);
            })
        },
        |runner| runner.join().unwrap(),
    );
}

#[test]
fn a_childs_handle_against_start_and_the_owners_claim() {
    scope(
        claims,
        |[one, two], [mut first, second]| {
            drop(second);
            let runner = thread::spawn(move || [one, two].map(Slot::run).map(Result::unwrap));
            first.run_unstarted();
            let ended = block_until(None, |waker| first.poll(waker));
            assert!(matches!(ended, Some(Completion::Value(_))));
            runner
        },
        |runner| drop(runner.join()),
    );
}
