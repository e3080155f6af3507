//! Scopes under loom, on the scheduler's real threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::thread;

use crate::scheduler::models::{PREEMPTIONS, model};
use crate::spawner::Spawner;
use crate::sync::Arc;

/// A scope from outside whose pool is closed, or whose backlog is thrown away, by `end`:
/// its job runs once, and not on the thread that does that.
fn scope_against(end: fn(&Spawner)) {
    model(1, move |scheduler| {
        let spawner = Spawner {
            scheduler: Arc::clone(scheduler),
        };
        let ending = {
            let spawner = spawner.clone();
            thread::spawn(move || {
                end(&spawner);
                thread::current().id()
            })
        };
        let ran = AtomicUsize::new(0);
        let (inside, ran_on) = spawner.scope(|s| {
            let job = s.spawn(|| {
                ran.fetch_add(1, Ordering::Relaxed);
                thread::current().id()
            });
            (ran.load(Ordering::Relaxed), job.join().unwrap())
        });
        assert!(inside <= 1 && ran.into_inner() == 1);
        assert_ne!(
            ran_on,
            ending.join().unwrap(),
            "whoever ends a pool ran a job"
        );
    });
}

#[test]
fn a_scope_against_the_end_of_its_pool() {
    scope_against(|spawner| spawner.scheduler.close());
}

#[test]
fn a_scope_against_the_end_of_the_backlog() {
    // With two it is not done within minutes.
    PREEMPTIONS.set(Some(1));
    scope_against(|spawner| spawner.scheduler.discard_backlog());
}

/// In a job: the jobs that nobody has started are the owner's, and those that a second
/// thread has taken are waited for.
#[test]
fn a_scope_in_a_job_with_a_thread_that_helps() {
    model(2, |scheduler| {
        let spawner = Spawner {
            scheduler: Arc::clone(scheduler),
        };
        let outer = spawner.clone();
        let job = outer.spawn(move || {
            let mut ran = 0;
            spawner.scope(|s| drop(s.spawn(|| ran += 1)));
            ran
        });
        assert_eq!(job.join().unwrap(), 1);
    });
}
