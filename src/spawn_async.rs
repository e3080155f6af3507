//! [`SpawnAsync`]: a job that waits for room.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::handle::JoinHandle;
use crate::job::Reason;
use crate::port::Ticket;
use crate::scheduler::Permit;
use crate::spawner::Spawner;
use crate::sync::{Arc, block_until};

impl Spawner {
    /// Hands `f` over as soon as there is room for it. See
    /// [`Pool::spawn_async`](crate::Pool::spawn_async).
    pub fn spawn_async<F, T>(&self, f: F) -> SpawnAsync<F, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        SpawnAsync {
            entrance: Entrance::new(self.clone()),
            closure: Some(f),
            result: PhantomData,
        }
    }
}

/// A job that is handed over as soon as there is room for it; see
/// [`Pool::spawn_async`](crate::Pool::spawn_async).
///
/// A future of the job's handle; a thread that may block calls
/// [`wait`](Self::wait). **Dropping it** drops the closure, and the next one moves
/// up.
#[must_use = "futures do nothing unless polled"]
pub struct SpawnAsync<F, T> {
    entrance: Entrance,
    /// `None` once it is handed over.
    closure: Option<F>,
    result: PhantomData<fn() -> T>,
}

impl<F, T> SpawnAsync<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    /// Blocks the calling thread until there is room, however long that takes, and
    /// gives the job's handle. At once on a pool that is closed, or whose queue has
    /// no bound.
    ///
    /// In a job of the same pool another thread runs meanwhile, so that there will be
    /// room; see [`blocking`](crate::blocking).
    ///
    /// ```
    /// let pool = windlass::Pool::builder().queue_capacity(10).build()?;
    /// let jobs: Vec<_> = (0..1000_u64)
    ///     .map(|n| pool.spawn_async(move || n * n).wait()) // at most ten ahead
    ///     .collect();
    /// let mut sum = 0;
    /// for job in jobs {
    ///     sum += job.join()?;
    /// }
    /// assert_eq!(sum, 332_833_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self) -> JoinHandle<T> {
        block_until(None, |waker| self.poll_with(waker))
            .expect("a wait without a deadline ends with the handle")
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<JoinHandle<T>> {
        assert!(
            self.closure.is_some(),
            "a windlass future was polled after it was ready"
        );
        let permit = std::task::ready!(self.entrance.poll(waker));
        let closure = self.closure.take().expect("looked at above");
        Poll::Ready(self.entrance.hand_over(permit, closure))
    }
}

impl<F, T> Future for SpawnAsync<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = JoinHandle<T>;

    /// # Panics
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_with(cx.waker())
    }
}

// The closure is moved out whole, or dropped.
impl<F, T> Unpin for SpawnAsync<F, T> {}
impl<F, T> UnwindSafe for SpawnAsync<F, T> {}
impl<F, T> RefUnwindSafe for SpawnAsync<F, T> {}

impl<F, T> fmt::Debug for SpawnAsync<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnAsync").finish_non_exhaustive()
    }
}

/// The way into a pool's queues, for who waits for room. Dropping it ends the wait:
/// the next one moves up.
pub(crate) struct Entrance {
    spawner: Spawner,
    /// While somebody waits.
    place: Option<Arc<Ticket>>,
}

impl Entrance {
    pub(crate) fn new(spawner: Spawner) -> Self {
        Self {
            spawner,
            place: None,
        }
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Ready with a place for one job, or without one if none is needed: there is no
    /// bound, or the pool is closed. Who waits is served in order.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Option<Permit>> {
        let scheduler = &self.spawner.scheduler;
        let Some(bounds) = scheduler.bounds() else {
            return Poll::Ready(None);
        };
        let is_over = || !scheduler.is_open_here();
        let entered = bounds.room().poll_enter(&mut self.place, waker, is_over);
        entered.map(|entered| entered.then(|| bounds.permit()))
    }

    /// As [`Entrance::poll`], without waiting: `None` if there is no room.
    pub(crate) fn try_enter(&self) -> Option<Option<Permit>> {
        let scheduler = &self.spawner.scheduler;
        let Some(bounds) = scheduler.bounds() else {
            return Some(None);
        };
        match scheduler.try_let_in(bounds) {
            Ok(()) => Some(Some(bounds.permit())),
            Err(Reason::Rejected) => None,
            Err(_) => Some(None),
        }
    }

    /// Hands a job over with what [`Entrance::poll`] gave; a closed pool refuses it.
    pub(crate) fn hand_over<F, T>(&self, permit: Option<Permit>, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match permit {
            Some(permit) => self.spawner.spawn_if(Ok(Some(permit)), f),
            None => self.spawner.spawn(f),
        }
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        if let Some(bounds) = self.spawner.scheduler.bounds() {
            bounds.room().give_up(&mut self.place);
        }
    }
}
