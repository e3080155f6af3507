//! The wakers handed to futures and ports: who is ready?
//!
//! A waker lies in the inbox as a counted reference: a wake-up allocates
//! nothing, and while it is queued further wake-ups do nothing.

use std::task::{Wake, Waker};

use super::MainLoop;
use super::id::SourceId;
use super::shared::{Event, Shared};
use super::sources::Source;
use crate::sync::{Arc, AtomicBool, Ordering};

/// Wakes one source, from any thread, for as long as anybody cares to.
///
/// # Memory ordering
/// The swaps of `queued` form one chain: what a waking thread did is visible
/// to the poll (or the delivery) that follows, whether its own swap queued the event (the
/// channel passes it on) or found it queued (its Release is seen by the
/// Acquire in [`SourceWaker::reset`]).
pub(super) struct SourceWaker {
    pub(super) id: SourceId,
    /// Set if this waker lies in the inbox.
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl SourceWaker {
    /// Lets the next wake-up queue the waker again. Before the poll: a wake-up
    /// during the poll must not be lost.
    pub(super) fn reset(&self) {
        self.queued.swap(false, Ordering::AcqRel);
    }
}

impl Wake for SourceWaker {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            // Nobody is left to be told if the loop is gone.
            let shared = Arc::clone(&self.shared);
            let _ = shared.send(Event::Ready(self));
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let _ = self.shared.send(Event::Ready(Arc::clone(self)));
        }
    }
}

impl MainLoop {
    /// A new waker for the source called `id`.
    pub(super) fn waker_for(&self, id: SourceId) -> Waker {
        Waker::from(Arc::new(SourceWaker {
            id,
            queued: AtomicBool::new(false),
            shared: Arc::clone(&self.shared),
        }))
    }

    /// Sees to the source of `signal`, which came out of the inbox, and counts
    /// the callbacks that were run.
    pub(super) fn run_ready(&self, signal: Arc<SourceWaker>, ran: &mut usize) {
        let id = signal.id;
        signal.reset();
        let mut sources = self.sources.borrow_mut();
        match sources.get_mut(id) {
            Some(Source::Pending { future, woken }) => match future.take() {
                Some(future) => {
                    drop(sources);
                    self.poll_completion(id, future, &Waker::from(signal), ran);
                }
                // This is a turn within its poll, which will see to it.
                None => *woken = true,
            },
            Some(Source::Listener { listener, woken }) => match listener.take() {
                Some(listener) => {
                    drop(sources);
                    self.run_listener(id, listener, &Waker::from(signal), ran);
                }
                // This is a turn within its callback, which will see to it.
                None => *woken = true,
            },
            Some(Source::Finished { .. }) => {
                let finished = sources.remove(id);
                drop(sources);
                if let Some(Source::Finished { callback }) = finished {
                    *ran += 1;
                    callback(self);
                }
            }
            // Finished or cleared: a wake-up that came too late.
            _ => {}
        }
    }
}
