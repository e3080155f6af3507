//! [`Core`]: a scope without its borrows from outside.
//!
//! # Safety
//! A [`Core`] lies in the frame of whoever calls [`run`], and `'scope`, in which it is
//! borrowed, is a part of that call: no closure that is generic over it can keep anything
//! of it for longer. `run` does not end, by a return or by a panic, before all children
//! have ended, or none of those that have not is in this process. So what a child may
//! touch, which outlives `'scope`, is there as long as it may.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::panic::resume_unwind;

use super::ScopedHandle;
use crate::job::{Children, Context};
use crate::scheduler::count_claimed;
use crate::spawner::Spawner;
use crate::sync::{AtomicBool, Ordering, block_until, spin_for};
use crate::util::{Stays, catch, discard};

/// What a scope, its handles and its maps share.
pub(super) struct Core<'scope> {
    children: Children,
    spawner: Spawner,
    /// The job that the scope is in.
    context: Context,
    /// A thread had to be woken for a child, so that not all can be done soon.
    woke: AtomicBool,
    scope: PhantomData<&'scope mut &'scope ()>,
}

impl<'scope> Core<'scope> {
    /// For [`run`], without which no child is spawned.
    pub(super) fn new(spawner: &Spawner) -> Self {
        Self {
            children: Children::new(),
            spawner: spawner.clone(),
            context: Context::current(),
            woke: AtomicBool::new(false),
            scope: PhantomData,
        }
    }

    pub(super) fn spawn<F, T>(&'scope self, f: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        // SAFETY: see the head of this file; the context is that of the job that calls
        // `run`.
        let (slot, mut child) = unsafe { self.children.spawn(self.context, f) };
        // In a fork somebody who is not there may have the list; and it runs here at once.
        if !self.is_forked() {
            self.children.list(&child);
        }
        let woke = match self.spawner.scheduler.submit(slot) {
            Ok(woke) => {
                if self.spawner.scheduler.has_exited() {
                    // It came too late for the pool's threads to see it, and whoever
                    // empties the queues leaves it to this one.
                    child.run_unstarted();
                }
                woke
            }
            Err(slot) => {
                discard(slot.run());
                false
            }
        };
        if woke {
            // Relaxed: a hint.
            self.woke.store(true, Ordering::Relaxed);
        }
        ScopedHandle::new(child, self, woke)
    }

    pub(super) fn num_threads(&self) -> usize {
        self.spawner.num_threads()
    }

    pub(super) fn is_over(&self) -> bool {
        self.children.is_over()
    }

    /// Whether this thread may run children that nobody has started: it is one of the
    /// pool's, or the only one of this process.
    pub(super) fn may_claim(&self) -> bool {
        self.spawner.scheduler.is_current() || self.is_forked()
    }

    pub(super) fn is_forked(&self) -> bool {
        self.spawner.scheduler.is_forked()
    }

    /// Waits until all children have ended; `false` if some cannot, because they run on
    /// threads that are not in this fork of their process.
    fn wait(&self) -> bool {
        if self.may_claim() {
            while self.children.run_newest(self.is_forked()) {
                count_claimed();
            }
        }
        if self.is_over() {
            return true;
        }
        if self.is_forked() {
            return false;
        }
        if !self.woke.load(Ordering::Relaxed) {
            spin_for(|| self.is_over());
        }
        let waited = block_until(None, |waker| self.children.poll_over(waker));
        waited.is_some()
    }
}

/// Runs the closure of a scope, and waits for the children.
pub(super) fn run<R>(core: &Core<'_>, f: impl FnOnce() -> R) -> R {
    let stays = Stays;
    let result = catch(f);
    let is_whole = core.wait();
    std::mem::forget(stays);
    // Those that are not there may have been in the middle of a panic.
    let panic = is_whole.then(|| core.children.take_panic()).flatten();
    match (result, panic) {
        (Err(payload), later) => {
            discard(later);
            resume_unwind(payload)
        }
        (Ok(result), Some(payload)) => {
            discard(result);
            resume_unwind(payload)
        }
        (Ok(result), None) => {
            assert!(
                is_whole,
                "a job of a scope runs on a thread that is not in this fork of its process"
            );
            result
        }
    }
}
