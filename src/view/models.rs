//! Views under loom: the real code on a real pool of one thread.

use loom::thread;

use super::core::View;
use crate::job::{Completion, HandleEnd, Slot, new_cell};
use crate::priority::Priority;
use crate::scheduler::Scheduler;
use crate::scheduler::models::{expect, model, wait};
use crate::sync::Arc;
use crate::sync::mutant::{self, Mutant};

fn view(scheduler: &Arc<Scheduler>, outer: Option<Arc<View>>) -> Arc<View> {
    let scheduler = Arc::clone(scheduler);
    let view = Arc::new(View::new(scheduler, outer, Priority::Normal, 1, None));
    if mutant::any() {
        // loom cannot run destructors of what a deadlock leaves behind.
        std::mem::forget(Arc::clone(&view));
    }
    view
}

fn spawn(view: &Arc<View>, value: i32) -> HandleEnd<i32> {
    let (job, end) = new_cell(move || value);
    View::submit(view, Slot::with_handle(job));
    end
}

/// A job is handed over while the one before it may just be ending: either that one
/// finds it waiting for the place, or it finds the place free.
fn two_jobs_for_one_place() {
    model(1, |scheduler| {
        let view = view(scheduler, None);
        let first = spawn(&view, 1);
        let second = spawn(&view, 2);
        assert_eq!((expect(first), expect(second)), (1, 2));
    });
}

#[test]
fn a_place_goes_from_job_to_job() {
    two_jobs_for_one_place();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_place_that_is_looked_at_too_early() {
    mutant::set(Mutant::PlaceSeenEarly);
    two_jobs_for_one_place();
}

#[test]
fn a_view_of_a_view_runs_its_jobs() {
    model(1, |scheduler| {
        let outer = view(scheduler, None);
        let inner = view(scheduler, Some(Arc::clone(&outer)));
        let first = spawn(&inner, 1);
        let second = spawn(&outer, 2);
        assert_eq!((expect(first), expect(second)), (1, 2));
    });
}

/// The pool closes while a job comes in.
#[test]
fn a_job_of_a_view_that_meets_the_end_is_resolved() {
    model(1, |scheduler| {
        let view = view(scheduler, None);
        let submitter = thread::spawn(move || wait(spawn(&view, 1)));
        scheduler.close();
        match submitter.join().unwrap() {
            Completion::Value(value) => assert_eq!(value, 1),
            Completion::Refused(_) => {}
            Completion::Panic(_) => unreachable!(),
        }
    });
}
