//! What lives in a pool without being a job of it, and must be told of its end.
//!
//! A worker that has no mail is in no queue; when the last thread leaves, those
//! who wait for such a worker have to hear that it is over. The register is a
//! lock-free list that only grows, and is swept when it has grown by as much
//! again as was left last time: a worker costs a constant amount of sweeping.

use super::Scheduler;
use crate::port::Queue;
use crate::sync::{Arc, AtomicUsize, Ordering, Weak};

/// Something that must be told of the pool's end.
pub(crate) trait Resident: Send + Sync {
    /// The pool has no more threads. Called once at most; does not panic.
    fn pool_ended(self: Arc<Self>);

    /// Whether it is over by itself, and need not be told of anything.
    fn is_over(&self) -> bool;
}

/// A pool's register.
pub(super) struct Residents {
    list: Queue<Weak<dyn Resident>>,
    /// How many may still come before the next sweep. Relaxed: it is a guess.
    before_sweep: AtomicUsize,
}

/// The fewest newcomers between two sweeps.
const FEWEST: usize = 1024;

impl Residents {
    pub(super) fn new() -> Self {
        Self {
            list: Queue::new(),
            before_sweep: AtomicUsize::new(FEWEST),
        }
    }

    /// Tells all of them that the pool has ended, and those that still come.
    /// Whoever comes first does it.
    pub(super) fn end(&self) {
        self.list.close();
        let mut all = self.list.take();
        while let Some(resident) = all.pop() {
            if let Some(resident) = resident.upgrade() {
                resident.pool_ended();
            }
        }
    }

    /// Forgets those that are over.
    fn sweep(&self) {
        let mut left = 0;
        let mut all = self.list.take();
        while let Some(resident) = all.pop() {
            let Some(alive) = resident.upgrade().filter(|it| !it.is_over()) else {
                continue;
            };
            left += 1;
            if self.list.push(resident).is_err() {
                alive.pool_ended();
            }
        }
        self.before_sweep.store(left.max(FEWEST), Ordering::Relaxed);
    }
}

impl Scheduler {
    /// Enters a resident; gives `false` if the pool has ended already. `true`
    /// in `sweep` if the caller should have a job call
    /// [`Scheduler::sweep_residents`].
    pub(crate) fn enter_resident(&self, resident: Weak<dyn Resident>) -> Result<Sweep, Ended> {
        if self.is_forked() {
            return Err(Ended);
        }
        self.residents.list.push(resident).map_err(|_| Ended)?;
        let before = &self.residents.before_sweep;
        let due = before.fetch_sub(1, Ordering::Relaxed) == 1;
        Ok(if due { Sweep::Due } else { Sweep::NotDue })
    }

    /// Forgets residents that are over. For a job: it takes a moment if there
    /// are many.
    pub(crate) fn sweep_residents(&self) {
        self.residents.sweep();
    }

    /// The calling thread has left the pool.
    pub(super) fn end_residents(&self) {
        self.residents.end();
    }
}

/// Whether the register has grown enough to be swept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    Due,
    NotDue,
}

/// The pool has no more threads, or this process none of them.
pub(crate) struct Ended;
