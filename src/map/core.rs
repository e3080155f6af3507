//! [`Core`]: what is behind a map, whatever its source is.

use std::fmt;
use std::task::{Context, Poll};

use super::flight::Flight;
use crate::error::JoinError;
use crate::job::{Reason, Slot, new_cell};
use crate::spawn_async::Entrance;
use crate::spawner::Spawner;
use crate::sync::{Arc, block_until};

/// A map without its source: `X` are the items.
pub(super) struct Core<X, F, T> {
    flight: Flight<T>,
    /// An item that waits for room in the pool's queue.
    held: Option<X>,
    /// The default if it is `None`.
    look_ahead: Option<usize>,
    f: Arc<F>,
    entrance: Entrance,
}

impl<X, F, T> Core<X, F, T> {
    pub(super) fn new(spawner: Spawner, f: F) -> Self {
        Self {
            flight: Flight::in_order(),
            held: None,
            look_ahead: None,
            f: Arc::new(f),
            entrance: Entrance::new(spawner),
        }
    }

    #[track_caller]
    pub(super) fn set_look_ahead(&mut self, items: usize) {
        assert!(
            items > 0,
            "look_ahead(0): a map that takes no item gives no result"
        );
        self.look_ahead = Some(items);
    }

    pub(super) fn look_ahead(&self) -> usize {
        let default = || {
            // Asked each time: the pool may get more threads.
            let threads = self.entrance.spawner().num_threads().max(1);
            self.flight.look_ahead(threads)
        };
        self.look_ahead.unwrap_or_else(default)
    }

    /// The way into the pool, while nothing is held.
    pub(super) fn entrance(&mut self) -> &mut Entrance {
        debug_assert!(self.held.is_none());
        &mut self.entrance
    }

    /// Whether this thread is one of the pool.
    pub(super) fn is_here(&self) -> bool {
        self.entrance.spawner().scheduler.is_current()
    }
}

impl<X, F, T: Send + 'static> Core<X, F, T> {
    pub(super) fn set_unordered(&mut self) {
        self.flight.set_unordered(self.entrance.spawner());
    }

    /// How many items are on the way.
    pub(super) fn len(&self) -> usize {
        self.flight.len() + usize::from(self.held.is_some())
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.look_ahead()
    }

    /// Takes an item from the source, to be handed over next.
    pub(super) fn hold(&mut self, item: X) {
        self.held = Some(item);
    }

    /// How many results are to come if that many items are.
    pub(super) fn size_hint(&self, source: (usize, Option<usize>)) -> (usize, Option<usize>) {
        let (at_least, at_most) = source;
        let len = self.len();
        let at_most = at_most.and_then(|items| items.checked_add(len));
        (at_least.saturating_add(len), at_most)
    }

    pub(super) fn try_next(&mut self) -> Option<Result<T, JoinError>> {
        self.flight.try_next()
    }
}

impl<X, F, T> Core<X, F, T>
where
    X: Send + 'static,
    F: Fn(X) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    /// Hands the held item over, if there is one and room for it; whether nothing is
    /// held any more.
    pub(super) fn try_hand_over(&mut self) -> bool {
        let Some(item) = self.held.take() else {
            return true;
        };
        let spawner = self.entrance.spawner();
        let Some(bounds) = spawner.scheduler.bounds() else {
            let handle = spawner.spawn(job(&self.f, item));
            self.flight.push(handle);
            return true;
        };
        let permit = match spawner.scheduler.try_let_in(bounds) {
            Ok(()) => Ok(Some(bounds.permit())),
            Err(Reason::Rejected) => {
                self.held = Some(item);
                return false;
            }
            Err(reason) => Err(reason),
        };
        let handle = spawner.spawn_if(permit, job(&self.f, item));
        self.flight.push(handle);
        true
    }

    /// As [`Core::try_hand_over`], ready once nothing is held any more.
    pub(super) fn poll_hand_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.held.is_none() {
            return Poll::Ready(());
        }
        let permit = std::task::ready!(self.entrance.poll(cx.waker()));
        if let Some(item) = self.held.take() {
            let handle = self.entrance.hand_over(permit, job(&self.f, item));
            self.flight.push(handle);
        }
        Poll::Ready(())
    }

    /// Waits for the next result; `None` if no item is on the way.
    pub(super) fn wait(&mut self) -> Option<Result<T, JoinError>> {
        if self.flight.len() == 0 && self.held.is_some() {
            if self.entrance.spawner().scheduler.is_current() {
                self.run_held();
            } else {
                block_until(None, |waker| {
                    self.poll_hand_over(&mut Context::from_waker(waker))
                });
            }
        }
        self.flight.wait(self.is_here())
    }

    /// Runs the held item on this thread, one of the pool, as a job that never was in
    /// a queue: there is no room for it, and this thread may be the one to make some.
    fn run_held(&mut self) {
        let Some(item) = self.held.take() else { return };
        let (job, end) = new_cell(job(&self.f, item));
        let slot = Slot::with_handle(job);
        let mut handle = self.entrance.spawner().handle(end, false);
        handle.run_unstarted();
        slot.let_go();
        self.flight.push(handle);
    }

    /// Runs on this thread, one of the pool, what a wait for the next result is for, if
    /// nobody has started it: the oldest job, or the held item if there is none.
    /// Whether it did.
    pub(super) fn run_next(&mut self) -> bool {
        if self.flight.len() > 0 {
            return self.flight.run_oldest();
        }
        let is_held = self.held.is_some();
        self.run_held();
        is_held
    }

    /// As [`Core::wait`], for a task that hands over first, and is woken when there is
    /// room.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        match self.flight.poll(cx) {
            Poll::Ready(None) if self.held.is_some() => Poll::Pending,
            next => next,
        }
    }
}

/// The job of one item.
fn job<X, F, T>(f: &Arc<F>, item: X) -> impl FnOnce() -> T + Send + 'static
where
    X: Send + 'static,
    F: Fn(X) -> T + Send + Sync + 'static,
{
    let f = Arc::clone(f);
    move || f(item)
}

impl<X, F, T: Send + 'static> fmt::Debug for Core<X, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("on_the_way", &self.len())
            .field("look_ahead", &self.look_ahead())
            .finish_non_exhaustive()
    }
}
