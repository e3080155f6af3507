//! The scheduler under loom: the real threads, with stand-in queues.
//!
//! In each model the main thread hands jobs over from outside and waits for
//! them; a lost wake-up shows as a deadlock, which loom reports. Where it says
//! "needs both", a job waits for another one, so that a thread that sleeps on
//! while work is visible is a deadlock too. The `#[should_panic]` models leave
//! one step of the protocol out and show that the model notices.

use std::mem::ManuallyDrop;
use std::sync::Mutex;

use loom::thread;

use super::orders::Order;
use super::{Berth, Bounds, Hooks, Scheduler, WhenFull, clear_tombstones};
use crate::job::{Completion, HandleEnd, Reason, Slot, Turn, new_cell};
use crate::metrics::JobTimes;
use crate::priority::Priority;
use crate::sync::absence::absent;
use crate::sync::mutant::{self, Mutant};
use crate::sync::{Arc, OnceLock, block_until};

/// Runs `program` against a pool of `threads` threads, in every interleaving
/// with up to two preemptions (one if there are two pool threads;
/// `LOOM_MAX_PREEMPTIONS` overrides), then closes the pool and waits for its
/// end.
pub(crate) fn model(threads: usize, program: impl Fn(&Arc<Scheduler>) + Send + Sync + 'static) {
    model_with_backlog(threads, |_| (), move |scheduler, ()| program(scheduler));
}

std::thread_local! {
    /// How many preemptions the models of this test are to have, if not as many as ever.
    pub(crate) static PREEMPTIONS: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

/// As [`model`], with jobs that are there before the threads are.
fn model_with_backlog<B>(
    threads: usize,
    backlog: impl Fn(&Scheduler) -> B + Send + Sync + 'static,
    program: impl Fn(&Arc<Scheduler>, B) + Send + Sync + 'static,
) {
    model_with_spares(threads, 0, || None, backlog, program);
}

/// As [`model_with_backlog`], with more threads than are to run at once, and with a
/// bound.
pub(super) fn model_with_spares<B>(
    threads: usize,
    spares: usize,
    bounds: impl Fn() -> Option<Bounds> + Send + Sync + 'static,
    backlog: impl Fn(&Scheduler) -> B + Send + Sync + 'static,
    program: impl Fn(&Arc<Scheduler>, B) + Send + Sync + 'static,
) {
    let all = threads + spares;
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder
        .preemption_bound
        .or(PREEMPTIONS.get())
        .or(Some(if all > 1 { 1 } else { 2 }));
    builder.max_branches = 10_000;
    builder.check(move || {
        let places: Vec<_> = (0..all).map(|_| Arc::new(OnceLock::new())).collect();
        let handles: Vec<_> = places.iter().cloned().map(start).collect();
        let berths = Arc::new(Mutex::new(Vec::new()));
        let enlist = {
            let berths = Arc::clone(&berths);
            move |_, berth: &Berth| {
                berths.lock().unwrap().push(Arc::clone(berth));
                Ok(())
            }
        };
        let enlist = Box::new(enlist);
        let scheduler = Scheduler::new(Hooks::silent(), bounds(), JobTimes::Off, spares, enlist);
        scheduler.man(all).unwrap();
        scheduler.set_model_target(threads);
        if mutant::any() {
            // loom cannot run destructors of what a deadlock leaves behind.
            std::mem::forget(Arc::clone(&scheduler));
        }
        let backlog = backlog(&scheduler);
        let berths = std::mem::take(&mut *berths.lock().unwrap());
        for ((place, berth), handle) in places.iter().zip(berths).zip(&handles) {
            assert!(place.set(berth).is_ok());
            handle.thread().unpark();
        }
        program(&scheduler, backlog);
        scheduler.close();
        for handle in handles {
            handle.join().unwrap();
        }
        assert!(!scheduler.work_visible(), "a job was left behind");
    });
}

type Place = Arc<OnceLock<Berth>>;

/// A pool thread that waits for its place.
fn start(place: Place) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let pool_thread = loop {
            match place.get() {
                Some(berth) => break berth.lock().take().unwrap(),
                None => thread::park(),
            }
        };
        pool_thread.live();
    })
}

impl Scheduler {
    /// Fewer threads are to run than there are; those too many lie down first.
    fn set_model_target(&self, threads: usize) {
        if threads < self.threads_aboard() {
            self.set_target(threads);
            self.orders.give(Order::Crowded);
        }
    }
}

impl Hooks {
    fn silent() -> Self {
        Self {
            on_panic: Box::new(|_| unreachable!("nothing panics here")),
            on_reject: Box::new(|_| {}),
            ..Self::default()
        }
    }
}

pub(super) fn spawn<T: Send + 'static>(
    scheduler: &Scheduler,
    f: impl FnOnce() -> T + Send + 'static,
) -> HandleEnd<T> {
    let (job, end) = new_cell(f);
    if let Err(slot) = scheduler.submit(Slot::with_handle(job)) {
        scheduler.refuse(slot, Reason::Closed);
    }
    end
}

pub(crate) fn wait<T>(handle: HandleEnd<T>) -> Completion<T> {
    // Not dropped if this wait is the deadlock that a model ends in.
    let mut handle = ManuallyDrop::new(handle);
    let completion = block_until(None, |waker| handle.poll(waker)).expect("no deadline");
    drop(ManuallyDrop::into_inner(handle));
    completion
}

pub(crate) fn expect<T>(handle: HandleEnd<T>) -> T {
    match wait(handle) {
        Completion::Value(value) => value,
        _ => panic!("the job did not run"),
    }
}

fn one_after_another() {
    model(1, |scheduler| {
        assert_eq!(expect(spawn(scheduler, || 1)), 1);
        assert_eq!(expect(spawn(scheduler, || 2)), 2);
    });
}

#[test]
fn a_job_wakes_a_sleeper() {
    one_after_another();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_submitter_without_its_fence() {
    mutant::set(Mutant::SubmitFence);
    one_after_another();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_sleeper_without_its_fence() {
    mutant::set(Mutant::SleepFence);
    one_after_another();
}

/// Two jobs of which the first waits for the second: they need both threads.
fn pair(scheduler: &Scheduler) -> (HandleEnd<i32>, HandleEnd<()>) {
    let (tell, told) = loom::sync::mpsc::channel();
    let told = ManuallyDrop::new(told);
    let first = spawn(scheduler, move || {
        let answer = told.recv().unwrap();
        // As in `wait`: not dropped if this is the deadlock.
        drop(ManuallyDrop::into_inner(told));
        answer
    });
    let second = spawn(scheduler, move || tell.send(7).unwrap());
    (first, second)
}

fn expect_pair((first, second): (HandleEnd<i32>, HandleEnd<()>)) {
    // As in `wait`: not dropped if this is the deadlock.
    let second = ManuallyDrop::new(second);
    assert_eq!(expect(first), 7);
    expect(ManuallyDrop::into_inner(second));
}

fn needs_both() {
    model(2, |scheduler| expect_pair(pair(scheduler)));
}

#[test]
fn two_jobs_get_two_threads() {
    needs_both();
}

#[test]
// Not "deadlock": loom raises that inside a job here, where it is caught like any
// job's panic, and what comes after trips over loom's end.
#[should_panic]
fn catches_a_searcher_that_does_not_hand_on() {
    mutant::set(Mutant::SearcherHandsOn);
    needs_both();
}

/// A job spawns a child and waits for what the child does.
#[test]
fn a_nested_job_wakes_a_sibling() {
    model(2, |scheduler| {
        let inner = Arc::clone(scheduler);
        let outer = spawn(scheduler, move || {
            let (tell, told) = loom::sync::mpsc::channel();
            let child = spawn(&inner, move || tell.send(7).unwrap());
            let answer = told.recv().unwrap();
            drop(child);
            answer
        });
        assert_eq!(expect(outer), 7);
    });
}

/// The pair is there before the threads: whoever takes it as a batch publishes
/// the second job only after the other thread may have looked.
fn batch_needs_both() {
    model_with_backlog(2, pair, |_, pair| expect_pair(pair));
}

#[test]
fn a_batch_leaves_nothing_behind() {
    batch_needs_both();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_batch_without_notice() {
    mutant::set(Mutant::BatchNotice);
    batch_needs_both();
}

/// A job claims its second child, and tidies up above the first, which the
/// other thread has to run: in between, the first is in no queue.
fn tidying_needs_both() {
    model(2, |scheduler| {
        let inner = Arc::clone(scheduler);
        let outer = spawn(scheduler, move || {
            let (tell, told) = loom::sync::mpsc::channel();
            let told = ManuallyDrop::new(told);
            let first = ManuallyDrop::new(spawn(&inner, move || tell.send(7).unwrap()));
            let mut second = spawn(&inner, || ());
            if second.run_unstarted() {
                clear_tombstones();
            }
            drop(second);
            // As in `wait`: not dropped if this is the deadlock.
            let answer = told.recv().unwrap();
            drop(ManuallyDrop::into_inner(told));
            drop(ManuallyDrop::into_inner(first));
            answer
        });
        assert_eq!(expect(outer), 7);
    });
}

#[test]
fn tidying_up_leaves_nothing_behind() {
    tidying_needs_both();
}

// Not "deadlock", as above.
#[test]
#[should_panic]
fn catches_tidying_up_without_notice() {
    mutant::set(Mutant::BatchNotice);
    tidying_needs_both();
}

/// A submitter that is already past the check races with closing: its job runs,
/// or its handle says why not.
fn closing_against_submit() {
    model(1, |scheduler| {
        let submitter = {
            let scheduler = Arc::clone(scheduler);
            thread::spawn(move || wait(spawn(&scheduler, || 1)))
        };
        scheduler.close();
        match submitter.join().unwrap() {
            Completion::Value(value) => assert_eq!(value, 1),
            Completion::Refused(reason) => assert_eq!(reason, Reason::Closed),
            Completion::Panic(_) => unreachable!(),
        }
    });
}

#[test]
fn a_job_that_meets_the_end_is_resolved() {
    closing_against_submit();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_submitter_that_ignores_the_exit() {
    mutant::set(Mutant::ExitSweep);
    closing_against_submit();
}

#[test]
fn closing_finishes_what_was_accepted() {
    model(2, |scheduler| {
        let one = spawn(scheduler, || 1);
        let two = spawn(scheduler, || 2);
        scheduler.close();
        assert_eq!(expect(one) + expect(two), 3);
    });
}

#[test]
fn throwing_the_backlog_away_resolves_all() {
    model(1, |scheduler| {
        let one = spawn(scheduler, || ());
        let two = spawn(scheduler, || ());
        scheduler.discard_backlog();
        for handle in [one, two] {
            match wait(handle) {
                Completion::Value(()) | Completion::Refused(Reason::Cancelled) => {}
                _ => panic!("neither ran nor cancelled"),
            }
        }
    });
}

/// One thread is to run, and there is a spare one: a job waits for what another job
/// does, and says so. Either the spare thread is awake, or the wait wakes it, or
/// whoever hands the second job over does.
fn a_wait_with_a_spare() {
    model_with_spares(
        1,
        1,
        || None,
        |_| (),
        |scheduler, ()| {
            let (tell, told) = loom::sync::mpsc::channel();
            let told = ManuallyDrop::new(told);
            let first = spawn(scheduler, move || {
                let answer = absent(|| told.recv().unwrap());
                // As in `wait`: not dropped if this is the deadlock.
                drop(ManuallyDrop::into_inner(told));
                answer
            });
            let second = spawn(scheduler, move || tell.send(7).unwrap());
            expect_pair((first, second));
        },
    );
}

#[test]
fn a_wait_lets_another_thread_run() {
    a_wait_with_a_spare();
}

// Not "deadlock", as above.
#[test]
#[should_panic]
fn catches_a_wait_that_does_not_look() {
    mutant::set(Mutant::AbsentUnseen);
    a_wait_with_a_spare();
}

/// As [`one_after_another`], of other priorities.
#[test]
fn a_job_in_a_lane_wakes_a_sleeper() {
    model(1, |scheduler| {
        for priority in [Priority::Low, Priority::High] {
            let (job, end) = new_cell(move || priority);
            let slot = Slot::with_handle(job);
            assert!(scheduler.submit_at(slot, priority).is_ok());
            assert_eq!(expect(end), priority);
        }
    });
}

/// A turn that somebody is to run.
struct Witness(std::sync::atomic::AtomicBool);

impl Turn for Witness {
    fn run(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    fn refuse(self: Arc<Self>) {}
}

/// A thread from outside has a turn in hand, to put it back, while the pool closes.
fn hand_against_the_end() {
    let bounds = || Some(Bounds::new(1, WhenFull::DropOldest));
    let turn = |scheduler: &Scheduler| {
        let turn = Arc::new(Witness(false.into()));
        let slot = Slot::turn(Arc::clone(&turn) as Arc<dyn Turn>);
        assert!(scheduler.submit_from_outside(slot).is_ok());
        turn
    };
    model_with_spares(1, 0, bounds, turn, |scheduler, turn| {
        let reaching = thread::spawn({
            let scheduler = Arc::clone(scheduler);
            move || drop(scheduler.take_oldest())
        });
        scheduler.close();
        reaching.join().unwrap();
        // It is run before the threads leave.
        while !scheduler.idle.load().has_exited() {
            thread::yield_now();
        }
        assert!(turn.0.load(std::sync::atomic::Ordering::SeqCst), "refused");
    });
}

#[test]
fn a_turn_in_somebodys_hand_keeps_the_threads() {
    hand_against_the_end();
}

#[test]
#[should_panic(expected = "refused")]
fn catches_threads_that_leave_while_a_turn_is_in_hand() {
    mutant::set(Mutant::HandUnseen);
    hand_against_the_end();
}

/// The oldest job is thrown out while it is cancelled: no place is lost or made.
fn shedding_against_cancel() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(|| {
        // No threads: the jobs wait for ever.
        let bounds = Bounds::new(1, WhenFull::DropOldest);
        let enlist = Box::new(|_, _: &Berth| unreachable!());
        let scheduler = Scheduler::new(Hooks::silent(), Some(bounds), JobTimes::Off, 0, enlist);
        let bounds = scheduler.bounds().unwrap();
        assert!(scheduler.let_in(bounds).is_ok());
        let permit = bounds.permit();
        let oldest = spawn(&scheduler, move || drop(permit));
        let canceller = thread::spawn(move || {
            oldest.cancel();
        });
        let let_in = scheduler.let_in(bounds).is_ok();
        canceller.join().unwrap();
        scheduler.sweep(Reason::Closed);
        if let_in {
            bounds.room().leave();
        }
        assert!(bounds.room().enter(), "a place is lost");
        assert!(!bounds.room().enter(), "a place too many");
    });
}

#[test]
fn throwing_out_what_is_cancelled_meanwhile_keeps_count() {
    shedding_against_cancel();
}

#[test]
#[should_panic(expected = "a place is lost")]
fn catches_who_throws_out_too_late_and_keeps_the_place() {
    mutant::set(Mutant::LatePlaceKept);
    shedding_against_cancel();
}

/// One thread is to run, and there are two: either may be the one that lies down, also
/// with a job in its own queue, which the other one takes then, or it itself when it is
/// woken.
#[test]
fn who_lies_down_leaves_nothing_behind() {
    model_with_spares(
        1,
        1,
        || None,
        |_| (),
        |scheduler, ()| {
            let inner = Arc::clone(scheduler);
            let outer = spawn(scheduler, move || spawn(&inner, || 7));
            assert_eq!(expect(expect(outer)), 7);
        },
    );
}
