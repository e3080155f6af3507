//! Which pool thread this is.

use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;

use super::{PoolThread, Scheduler, halves};
use crate::metrics;
use crate::sync::absence::{self, Absentee};
use crate::sync::{Arc, Parker, thread, thread_local};

thread_local! {
    /// Set while this thread works for a pool; empty again before the thread's
    /// stop hook and its destructors run, so that what those spawn is refused
    /// like anything else that comes after the end.
    static CURRENT: RefCell<Option<Rc<PoolThread>>> = const { RefCell::new(None) };
}

impl PoolThread {
    /// The whole life of a pool thread, from its start hook to its stop hook.
    pub(crate) fn live(mut self) {
        while let Some(again) = self.live_once() {
            self = again;
        }
    }

    /// One life. If the seat was taken again while the thread was about to leave it,
    /// another one is to follow.
    fn live_once(self) -> Option<Self> {
        let parker = Arc::new(Parker::new(thread::current()));
        let this = Rc::new(self);
        let (scheduler, index) = (&this.scheduler, this.index);
        scheduler.seats[index]
            .parker
            .store(Some(Arc::clone(&parker)));
        assert!(this.parker.set(parker).is_ok(), "a thread lives once");
        let rejoin = Arc::new(Parker::new(thread::current()));
        assert!(this.rejoin.set(rejoin).is_ok(), "a thread lives once");
        set(Some(Rc::clone(&this)));
        halves::tell(Some(&this));
        absence::tell(Some(Rc::clone(&this) as Rc<dyn Absentee>));
        metrics::tell(Some(Arc::clone(&this.stats)));
        scheduler.run_hook(|hooks| (hooks.on_thread_start)(index));
        this.work();
        metrics::tell(None);
        absence::tell(None);
        halves::tell(None);
        set(None);
        super::states::clear(|payload| scheduler.report_panic(payload));
        if scheduler.is_forked() {
            // A job has forked, and this is the fork: the pool's end is elsewhere.
            return None;
        }
        if !this.is_gone.get() {
            scheduler.end_residents();
        }
        scheduler.run_hook(|hooks| (hooks.on_thread_stop)(index));
        if !this.is_gone.get() {
            return None;
        }
        let scheduler = Arc::clone(scheduler);
        let this = Rc::into_inner(this).expect("nobody else holds a thread that has ended");
        let queues = scheduler.vacate(index, this.queues)?;
        Some(Self::new(scheduler, index, queues))
    }
}

fn set(thread: Option<Rc<PoolThread>>) {
    CURRENT.with(|current| current.replace(thread));
}

/// This thread, if it is one of `scheduler`'s.
///
/// A counted reference, so that nothing is borrowed while jobs, hooks or a
/// user's `Drop` run.
#[inline]
pub(super) fn of(scheduler: &Scheduler) -> Option<Rc<PoolThread>> {
    current(|thread| ptr::eq(&*thread.scheduler, scheduler).then(|| Rc::clone(thread))).flatten()
}

/// Which pool, or which thread of it; for comparing only.
#[derive(Clone, Copy)]
pub(crate) struct PoolId {
    scheduler: usize,
    seat: Option<usize>,
}

impl PoolId {
    /// Whether this thread is one of the pool's, or the one that is meant.
    pub(crate) fn is_current(self) -> bool {
        current(|thread| {
            thread.scheduler.id().scheduler == self.scheduler
                && self.seat.is_none_or(|seat| seat == thread.index)
        })
        .unwrap_or(false)
    }

    /// One thread of the pool.
    pub(crate) fn thread(self, seat: usize) -> Self {
        Self {
            seat: Some(seat),
            ..self
        }
    }
}

/// This thread claimed a job that may be its own child, to run it or to cancel
/// it; if it is a pool thread, it tidies up after that.
pub(crate) fn clear_tombstones() {
    if let Some(thread) = current(Rc::clone) {
        thread.clear_tombstones();
    }
}

/// As [`clear_tombstones`], after the claimed job has run.
pub(crate) fn count_claimed() {
    if let Some(thread) = current(Rc::clone) {
        thread.stats.count_end();
        thread.clear_tombstones();
    }
}

/// The job that runs here has this name; the one before it, if it is a pool thread.
pub(super) fn swap_job(name: Option<Arc<str>>) -> Option<Arc<str>> {
    current(|thread| {
        let mut job = thread.scheduler.seats[thread.index].job.lock();
        std::mem::replace(&mut *job, name)
    })
    .flatten()
}

impl Scheduler {
    /// Whether this thread is one of the pool's.
    pub(crate) fn is_current(&self) -> bool {
        self.id().is_current()
    }

    /// The address will do: an id that outlives its pool belongs to a job that
    /// has ended, about which nobody asks any more.
    pub(crate) fn id(&self) -> PoolId {
        PoolId {
            scheduler: ptr::from_ref(self).addr(),
            seat: None,
        }
    }
}

/// Whether this thread works for a pool that was told to throw its backlog away.
pub(crate) fn current_is_discarding() -> bool {
    current(|thread| thread.scheduler.is_discarding()).unwrap_or(false)
}

/// This thread's index in its pool, if it is a pool thread.
pub(crate) fn current_index() -> Option<usize> {
    current(|thread| thread.index)
}

/// The scheduler this thread works for, if it is a pool thread.
pub(crate) fn current_scheduler() -> Option<Arc<Scheduler>> {
    current(|thread| Arc::clone(&thread.scheduler))
}

fn current<R>(f: impl FnOnce(&Rc<PoolThread>) -> R) -> Option<R> {
    // In a thread's last destructors it is gone, and so is the pool thread.
    CURRENT
        .try_with(|current| {
            let current = current.borrow();
            let thread = current.as_ref()?;
            // In a fork of its process it is no pool thread any more.
            (!thread.scheduler.is_forked()).then(|| f(thread))
        })
        .ok()
        .flatten()
}
