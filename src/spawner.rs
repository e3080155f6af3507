//! [`Spawner`]: what any thread hands jobs over through.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::environment::{Environment, environment_methods};
use crate::handle::JoinHandle;
use crate::job::{HandleEnd, Reason, Slot, new_cell};
use crate::metrics::Metrics;
use crate::priority::Priority;
use crate::scheduler::{Permit, Scheduler, ThrownOut, current_scheduler};
use crate::sync::Arc;

/// A cheap way to hand jobs to a [`Pool`](crate::Pool) from anywhere: `Clone`,
/// `Send`, `Sync`, for application state and for jobs that spawn jobs.
///
/// It keeps nothing alive: once the pool is gone it answers
/// [`is_closed`](Self::is_closed), and jobs are refused. Dropping it does
/// nothing.
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// let spawner = pool.spawner();
/// let outer = pool.spawn(move || spawner.spawn(|| 6 * 7).join());
/// assert_eq!(outer.join()??, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Spawner {
    pub(crate) scheduler: Arc<Scheduler>,
}

impl Spawner {
    /// The spawner of the pool whose thread this is: for code that runs inside
    /// a job and was not given one. `None` elsewhere.
    ///
    /// ```
    /// use windlass::{Pool, Spawner};
    ///
    /// assert!(Spawner::current().is_none());
    /// let pool = Pool::new()?;
    /// let nested = pool.spawn(|| Spawner::current().unwrap().spawn(|| "nested").join());
    /// assert_eq!(nested.join()??, "nested");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        current_scheduler().map(|scheduler| Self { scheduler })
    }

    /// Hands `f` over and gives the way back to its result. See
    /// [`Pool::spawn`](crate::Pool::spawn).
    #[inline]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.scheduler.is_bounded() {
            return self.spawn_bounded(f);
        }
        let (job, end) = new_cell(f);
        self.submit_slot(Slot::with_handle(job), end)
    }

    /// As [`Spawner::spawn`], in a pool whose queue has a bound.
    #[cold]
    #[inline(never)]
    fn spawn_bounded<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // Told when the new job has been handed over.
        let (permit, _thrown_out) = match self.let_in() {
            Ok((permit, thrown_out)) => (Ok(permit), thrown_out),
            Err(reason) => (Err(reason), None),
        };
        self.spawn_if(permit, f)
    }

    /// Hands over a job that has a place, or refuses it if it has none.
    #[inline(never)]
    pub(crate) fn spawn_if<F, T>(
        &self,
        permit: Result<Option<Permit>, Reason>,
        f: F,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let refused = permit.as_ref().err().copied();
        let (job, end) = new_cell(move || {
            // The job has started: it does not wait any more.
            drop(permit);
            f()
        });
        let slot = Slot::with_handle(job);
        let Some(reason) = refused else {
            return self.submit_slot(slot, end);
        };
        self.refuse(slot, reason);
        self.handle(end, false)
    }

    /// Takes a place for a job with a handle, if the pool counts them; with it comes the
    /// job that had to go, which is to be dropped when the new one has been handed over.
    pub(crate) fn let_in(&self) -> Result<(Option<Permit>, Option<ThrownOut<'_>>), Reason> {
        let Some(bounds) = self.scheduler.bounds() else {
            return Ok((None, None));
        };
        let thrown_out = self.scheduler.let_in(bounds)?;
        Ok((Some(bounds.permit()), thrown_out))
    }

    /// Hands a job over, and makes the handle of it.
    #[inline]
    pub(crate) fn submit_slot<T>(&self, slot: Slot, end: HandleEnd<T>) -> JoinHandle<T> {
        let woke = self.scheduler.submit(slot).unwrap_or_else(|slot| {
            self.scheduler.left(&slot);
            self.refuse(slot, self.scheduler.why_refused());
            false
        });
        self.handle(end, woke)
    }

    /// As [`Spawner::submit`], for a job of any priority.
    pub(crate) fn submit_at<T>(
        &self,
        slot: Slot,
        end: HandleEnd<T>,
        priority: Priority,
    ) -> JoinHandle<T> {
        let submitted = self.scheduler.submit_at(slot, priority);
        let woke = submitted.unwrap_or_else(|slot| {
            self.scheduler.left(&slot);
            self.refuse(slot, self.scheduler.why_refused());
            false
        });
        self.handle(end, woke)
    }

    /// Refuses a job here and now.
    pub(crate) fn refuse(&self, slot: Slot, reason: Reason) {
        self.scheduler.refuse(slot, reason);
    }

    /// The handle of a job of this pool; `woke` if a thread was woken for it.
    #[inline]
    pub(crate) fn handle<T>(&self, end: HandleEnd<T>, woke: bool) -> JoinHandle<T> {
        JoinHandle::new(end, self.scheduler.id(), woke)
    }

    /// Hands `f` over, fire and forget. See [`Pool::execute`](crate::Pool::execute).
    #[inline]
    pub fn execute<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        if self.scheduler.is_bounded() {
            self.execute_bounded(Slot::detached(f));
        } else if let Err(slot) = self.scheduler.submit(Slot::detached(f)) {
            self.refuse(slot, self.scheduler.why_refused());
        }
    }

    /// As [`Spawner::execute`], in a pool whose queue has a bound.
    #[cold]
    #[inline(never)]
    fn execute_bounded(&self, slot: Slot) {
        let let_in = self.scheduler.bounds().map(|it| self.scheduler.let_in(it));
        match let_in.transpose() {
            Err(reason) => self.refuse(slot, reason),
            Ok(thrown_out) => {
                self.execute_let_in(slot);
                drop(thrown_out);
            }
        }
    }

    /// Hands over a fire-and-forget job that has a place, if jobs need one.
    pub(crate) fn execute_let_in(&self, slot: Slot) {
        if let Err(slot) = self.scheduler.submit(slot) {
            self.scheduler.left(&slot);
            self.refuse(slot, self.scheduler.why_refused());
        }
    }

    environment_methods!("the pool");

    fn environment(&self) -> &Environment {
        self.scheduler.environment()
    }

    /// Whether the pool takes no more jobs from outside: it was shut down or
    /// dropped, or this process is a fork. Once `true`, it stays so.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.scheduler.is_closed()
    }

    /// What the pool has done and is doing. See
    /// [`Pool::metrics`](crate::Pool::metrics).
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.scheduler.metrics()
    }

    /// How many jobs may wait; see
    /// [`PoolBuilder::queue_capacity`](crate::PoolBuilder::queue_capacity). `None`:
    /// as many as there is memory for.
    #[must_use]
    pub fn queue_capacity(&self) -> Option<usize> {
        self.scheduler
            .bounds()
            .map(|bounds| bounds.room().capacity())
    }

    /// How many threads the pool has.
    #[must_use]
    pub fn num_threads(&self) -> usize {
        self.scheduler.num_threads()
    }
}

impl AsRef<Self> for Spawner {
    fn as_ref(&self) -> &Self {
        self
    }
}

// User code never runs with anything of the scheduler's half done.
impl UnwindSafe for Spawner {}
impl RefUnwindSafe for Spawner {}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner")
            .field("num_threads", &self.num_threads())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}
