//! The ways to receive: blocking, timed, looking, awaiting, iterating.
//!
//! Each takes the lane's claim for as long as it receives, so that a second
//! receiver is an error and never a lost wake-up.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::RecvError;
use super::lane::{Claim, Lane, OwnedClaim};
use crate::sync::{Arc, block_until, spin_for};

/// Receives, waiting as long as it takes.
pub(crate) fn recv<T>(lane: &Lane<T>) -> Result<T, RecvError> {
    let mut claim = Claim::new(lane)?;
    next(&mut claim).ok_or(RecvError::closed())
}

/// Receives, waiting for `timeout` at most.
pub(crate) fn recv_timeout<T>(lane: &Lane<T>, timeout: Duration) -> Result<T, RecvError> {
    let mut claim = Claim::new(lane)?;
    // Too far away to be a point in time is no deadline.
    let deadline = Instant::now().checked_add(timeout);
    match block_until(deadline, |waker| claim.poll_next(waker)) {
        Some(Some(message)) => Ok(message),
        Some(None) => Err(RecvError::closed()),
        None => Err(RecvError::timeout()),
    }
}

/// Receives, without waiting.
pub(crate) fn try_recv<T>(lane: &Lane<T>) -> Result<T, RecvError> {
    match Claim::new(lane)?.try_next() {
        Poll::Ready(Some(message)) => Ok(message),
        Poll::Ready(None) => Err(RecvError::closed()),
        Poll::Pending => Err(RecvError::empty()),
    }
}

/// The next message: for a moment by looking, then by parking.
fn next<T>(claim: &mut Claim<T, &Lane<T>>) -> Option<T> {
    if let Poll::Ready(next) = claim.try_next() {
        return next;
    }
    spin_for(|| claim.is_worth_a_look());
    block_until(None, |waker| claim.poll_next(waker))
        .expect("a wait without a deadline ends with a message")
}

/// The next message as a future; see `recv_async`.
///
/// It receives from its first poll on until it is ready or dropped; a message
/// is taken only by the poll that gives it out, so dropping it loses none.
#[must_use = "futures do nothing unless polled"]
pub struct RecvFuture<'a, T> {
    lane: &'a Lane<T>,
    claim: Option<Claim<T, &'a Lane<T>>>,
}

impl<'a, T> RecvFuture<'a, T> {
    pub(crate) fn new(lane: &'a Lane<T>) -> Self {
        Self { lane, claim: None }
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let claim = match &mut this.claim {
            Some(claim) => claim,
            none => match Claim::new(this.lane) {
                Ok(claim) => none.insert(claim),
                Err(taken) => return Poll::Ready(Err(taken)),
            },
        };
        let next = claim.poll_next(cx.waker());
        if next.is_ready() {
            this.claim = None;
        }
        next.map(|message| message.ok_or(RecvError::closed()))
    }
}

impl<T> Unpin for RecvFuture<'_, T> {}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFuture").finish_non_exhaustive()
    }
}

/// The messages as they come, as a blocking iterator that ends when the other
/// side has closed and everything was received.
///
/// While it exists it is the one receiver. What it has not given out is left for
/// the next one.
#[must_use = "iterators do nothing unless advanced"]
pub struct Iter<'a, T>(Claim<T, &'a Lane<T>>);

impl<'a, T> Iter<'a, T> {
    pub(crate) fn new(lane: &'a Lane<T>) -> Result<Self, RecvError> {
        Claim::new(lane).map(Self)
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(&mut self.0)
    }
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

/// The messages as they come, as a [`Stream`] that ends when the other side has
/// closed and everything was received.
///
/// While it exists it is the one receiver, even if the port or the worker it
/// came from is dropped. What it has not given out is left for the next one.
#[must_use = "streams do nothing unless polled"]
pub struct MessageStream<T>(OwnedClaim<T>);

impl<T> MessageStream<T> {
    pub(crate) fn new(lane: &Arc<Lane<T>>) -> Result<Self, RecvError> {
        Claim::new(Arc::clone(lane)).map(Self)
    }
}

impl<T> Stream for MessageStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_next(cx.waker())
    }
}

impl<T> Unpin for MessageStream<T> {}

impl<T> fmt::Debug for MessageStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageStream").finish_non_exhaustive()
    }
}

/// The receiving methods, for a type with a `fn lane(&self) -> &Arc<Lane<T>>`.
macro_rules! receiving_methods {
    ($message:ty) => {
        $crate::port::receiving_methods!(recv: $message);
        $crate::port::receiving_methods!(but recv: $message);
    };
    (recv: $message:ty) => {
        /// Waits for the next message, as long as it takes.
        ///
        /// Inside a job it occupies the pool thread meanwhile; see
        /// [`Worker::dedicated`](crate::Worker::dedicated) for code that waits a
        /// lot.
        ///
        /// # Errors
        /// [`is_closed`](crate::RecvError::is_closed) once everything was
        /// received and the other side is closed;
        /// [`is_taken`](crate::RecvError::is_taken) if somebody else receives.
        pub fn recv(&self) -> Result<$message, $crate::port::RecvError> {
            $crate::port::receive::recv(self.lane())
        }
    };
    (but recv: $message:ty) => {
        /// Waits for the next message for at most `timeout`, monotonic time
        /// (`Duration::MAX`: for ever).
        ///
        /// # Errors
        /// As [`recv`](Self::recv), and
        /// [`is_timeout`](crate::RecvError::is_timeout).
        pub fn recv_timeout(
            &self,
            timeout: std::time::Duration,
        ) -> Result<$message, $crate::port::RecvError> {
            $crate::port::receive::recv_timeout(self.lane(), timeout)
        }

        /// The next message if it is there, without waiting.
        ///
        /// # Errors
        /// As [`recv`](Self::recv), and [`is_empty`](crate::RecvError::is_empty).
        pub fn try_recv(&self) -> Result<$message, $crate::port::RecvError> {
            $crate::port::receive::try_recv(self.lane())
        }

        /// The next message as a future, on any executor. Dropping the future
        /// loses no message.
        ///
        /// # Errors
        /// As [`recv`](Self::recv).
        pub fn recv_async(&self) -> $crate::port::RecvFuture<'_, $message> {
            $crate::port::RecvFuture::new(self.lane())
        }

        /// All messages, as a blocking iterator.
        ///
        /// # Errors
        /// [`is_taken`](crate::RecvError::is_taken) if somebody else receives.
        pub fn iter(&self) -> Result<$crate::port::Iter<'_, $message>, $crate::port::RecvError> {
            $crate::port::Iter::new(self.lane())
        }

        /// All messages, as a [`Stream`](futures_core::Stream).
        ///
        /// # Errors
        /// [`is_taken`](crate::RecvError::is_taken) if somebody else receives.
        pub fn stream(
            &self,
        ) -> Result<$crate::port::MessageStream<$message>, $crate::port::RecvError> {
            $crate::port::MessageStream::new(self.lane())
        }
    };
}
pub(crate) use receiving_methods;
