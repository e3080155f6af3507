//! Listeners: callbacks for the messages of a port.

use std::task::{Poll, Waker};

use super::MainLoop;
use super::id::SourceId;
use super::sources::{PutBack, Source};
use crate::port::{Claim, Lane, OwnedClaim, Port, RecvError};
use crate::sync::Arc;
use crate::util::{catch, discard};

/// At most so many messages of one port are delivered per turn, so that a port
/// that is flooded does not hold up the rest of the loop for long.
const SHARE: usize = 1024;

/// Where a main loop can listen: a [`Port`], a [`Worker`](crate::Worker), a
/// [`Broadcast`](crate::Broadcast), a [`ProgressHandle`](crate::ProgressHandle).
///
/// It is there to be named in bounds; it cannot be implemented elsewhere.
pub trait MessageSource: sealed::Sealed {
    /// What arrives.
    type Message: 'static;

    /// What [`MainLoop::on_message`] does.
    #[doc(hidden)]
    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, Self::Message) + 'static,
    ) -> Result<SourceId, RecvError>;
}

pub(crate) mod sealed {
    /// Keeps [`MessageSource`](super::MessageSource) to this crate.
    pub trait Sealed {}
}

impl<S, R> sealed::Sealed for Port<S, R> {}

impl<S, R: 'static> MessageSource for Port<S, R> {
    type Message = R;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, R) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(self.lane(), callback)
    }
}

impl MainLoop {
    /// Has `callback` run on this thread for each message that arrives at
    /// `source`, in order.
    ///
    /// What has arrived before is delivered too, from the next turn on; the
    /// callback never runs here. A turn delivers what is there when it comes to
    /// this port, and no more than 1,024 messages: what a callback posts to
    /// itself is next turn's.
    ///
    /// The listener keeps the loop alive until the other side is closed and
    /// everything was delivered; then it is gone by itself. It goes on after
    /// `source` was dropped. [`MainLoop::clear`] ends it sooner: what it has not
    /// had yet stays there for the next listener, or `recv`.
    ///
    /// # Errors
    /// [`is_taken`](RecvError::is_taken) if somebody else receives there.
    ///
    /// # Panics
    /// A callback's panic comes out of the turn. The listener stays, and the
    /// rest of the messages are delivered next turn.
    ///
    /// ```
    /// use windlass::{MainLoop, channel};
    ///
    /// let main = MainLoop::new();
    /// let (port, other) = channel::<(), u32>();
    /// other.post(1)?; // waits until somebody listens
    /// main.on_message(&port, |_main, n| println!("{n}"))?;
    /// other.post(2)?;
    /// drop(other);
    /// main.run(); // 1, 2; returns because nothing more can come
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_message<M: MessageSource>(
        &self,
        source: &M,
        callback: impl FnMut(&MainLoop, M::Message) + 'static,
    ) -> Result<SourceId, RecvError> {
        source.attach(self, callback)
    }

    /// As [`MainLoop::on_message`], for what is behind a source.
    pub(crate) fn listen<T: 'static>(
        &self,
        lane: &Arc<Lane<T>>,
        callback: impl FnMut(&MainLoop, T) + 'static,
    ) -> Result<SourceId, RecvError> {
        let claim = Claim::new(Arc::clone(lane))?;
        let id = self.sources.borrow_mut().insert(Source::Listener {
            listener: Some(Box::new(Listening { claim, callback })),
            woken: false,
        });
        // The next turn looks at what is there, and waits if it is nothing.
        self.waker_for(id).wake();
        Ok(id)
    }

    /// Delivers a listener's share of a turn.
    pub(super) fn run_listener(
        &self,
        id: SourceId,
        mut listener: Box<dyn Listener>,
        waker: &Waker,
        ran: &mut usize,
    ) {
        for _ in 0..listener.at_hand().min(SHARE) {
            *ran += 1;
            if let Err(payload) = catch(|| listener.deliver(self)) {
                self.put_listener_back(id, listener, waker, true);
                std::panic::resume_unwind(payload);
            }
            if !self.sources.borrow().contains(id) {
                // What its captures' Drop may panic with is the turn's panic, as
                // with every callback that clears itself.
                return drop(listener);
            }
        }
        match listener.rest(waker) {
            Rest::Waiting => self.put_listener_back(id, listener, waker, false),
            Rest::More => self.put_listener_back(id, listener, waker, true),
            Rest::Over => {
                let removed = self.sources.borrow_mut().remove(id);
                drop((removed, listener));
            }
        }
    }

    fn put_listener_back(
        &self,
        id: SourceId,
        listener: Box<dyn Listener>,
        waker: &Waker,
        again: bool,
    ) {
        let result = self.sources.borrow_mut().put_back_listener(id, listener);
        match result {
            PutBack::Waiting if !again => {}
            PutBack::Waiting | PutBack::Woken => waker.wake_by_ref(),
            // A panic may be on its way already.
            PutBack::Cleared(listener) => discard(listener),
        }
    }
}

/// A port and a callback, with the message's type forgotten.
pub(super) trait Listener {
    /// How many messages can be delivered now.
    fn at_hand(&mut self) -> usize;

    /// Delivers one message that is at hand.
    fn deliver(&mut self, main: &MainLoop);

    /// After the turn's share: what now? `waker` is woken by the next message
    /// if there is nothing left.
    fn rest(&mut self, waker: &Waker) -> Rest;
}

/// What is left after a turn's share.
pub(super) enum Rest {
    Waiting,
    More,
    Over,
}

struct Listening<T, F> {
    claim: OwnedClaim<T>,
    callback: F,
}

impl<T, F: FnMut(&MainLoop, T)> Listener for Listening<T, F> {
    fn at_hand(&mut self) -> usize {
        self.claim.at_hand()
    }

    fn deliver(&mut self, main: &MainLoop) {
        if let Poll::Ready(Some(message)) = self.claim.try_next() {
            (self.callback)(main, message);
        }
    }

    fn rest(&mut self, waker: &Waker) -> Rest {
        if self.claim.at_hand() != 0 {
            return Rest::More;
        }
        match self.claim.poll_end(waker) {
            Some(true) => Rest::Over,
            Some(false) => Rest::More,
            None => Rest::Waiting,
        }
    }
}
