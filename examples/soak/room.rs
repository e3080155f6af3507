//! Jobs that are handed over only where there is room.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use windlass::{JoinHandle, TrySpawnError, current_thread_index};

use crate::ledger::tally::{Fault, did};
use crate::ledger::tokens::{Product, is_rejecting, quiet};
use crate::ledger::{Job, fact};
use crate::random::Random;
use crate::scene::Scene;

/// Hands a job over, waits for room if it may, or gives it up.
pub(crate) fn spawn(
    scene: &Arc<Scene>,
    random: &mut Random,
    waits: bool,
    run: impl FnOnce() -> Product + Send + 'static,
    job: Job,
) -> Option<(JoinHandle<Product>, Job)> {
    if !waits {
        return match scene.near().try_spawn(run) {
            Ok(handle) => Some((handle, job)),
            Err(error) => {
                refused(&job, error);
                None
            }
        };
    }
    let is_outside = current_thread_index().is_none();
    let may_wait = (is_outside || scene.jobs_may_wait) && !is_rejecting();
    let mut future = scene.near().spawn_async(run);
    match random.below(3) {
        0 if may_wait => Some((future.wait(), job)),
        // An executor's wait is nothing that a pool sees.
        1 if may_wait && is_outside => Some((pollster::block_on(future), job)),
        _ => {
            for _ in 0..random.below(3) {
                let mut context = Context::from_waker(Waker::noop());
                if let Poll::Ready(handle) = Pin::new(&mut future).poll(&mut context) {
                    return Some((handle, job));
                }
                std::thread::yield_now();
            }
            did("waits for room that were given up", 1);
            job.add(fact::CAME_BACK);
            quiet(|| drop(future));
            if job.line().dropped.load(Relaxed) != 1 {
                job.fault(Fault::Lost, "given up, and its captures are not dropped");
            }
            None
        }
    }
}

/// A closure that was not taken.
pub(crate) fn refused<F>(job: &Job, error: TrySpawnError<F>) {
    let ledger = &job.ledger;
    let reason = if error.is_full() {
        &ledger.bounded
    } else {
        &ledger.closing
    };
    if !reason.load(Relaxed) {
        job.fault(Fault::Wrong, &format!("{error}, for no reason"));
    }
    job.took_back(error.into_inner());
}
