//! Posting with patience: a message that waits for room.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::PostError;
use super::lane::Lane;
use super::room::{Room, Ticket};
use crate::sync::Arc;

/// Where messages are posted to.
pub(crate) trait Target<T>: Send + Sync {
    /// Posts a message that the room was taken for.
    fn post_let_in(&self, message: T) -> Result<(), PostError<T>>;
    fn is_closed(&self) -> bool;
    fn room(&self) -> Option<&Room>;
}

impl<T: Send> Target<T> for Lane<T> {
    fn post_let_in(&self, message: T) -> Result<(), PostError<T>> {
        Lane::post_let_in(self, message)
    }

    fn is_closed(&self) -> bool {
        Lane::is_closed(self)
    }

    fn room(&self) -> Option<&Room> {
        Lane::room(self)
    }
}

/// A message that is posted as soon as there is room; see `post_async`.
///
/// Those who wait are served in the order in which they began, that is, were first
/// polled; while somebody waits, a plain `post` finds no room. Dropping the future
/// drops the message unposted, and lets the next one in.
#[must_use = "futures do nothing unless polled"]
pub struct PostFuture<'a, T> {
    to: &'a dyn Target<T>,
    /// `None` once it is posted.
    message: Option<T>,
    /// While it waits for room.
    place: Option<Arc<Ticket>>,
}

impl<'a, T> PostFuture<'a, T> {
    pub(crate) fn new(to: &'a dyn Target<T>, message: T) -> Self {
        Self {
            to,
            message: Some(message),
            place: None,
        }
    }

    /// Waits until it is posted, or cannot be.
    #[cfg(all(unix, feature = "process"))]
    pub(crate) fn wait(mut self) -> Result<(), PostError<T>> {
        crate::sync::block_until(None, |waker| {
            Pin::new(&mut self).poll(&mut Context::from_waker(waker))
        })
        .expect("a wait without a deadline ends with the post")
    }
}

impl<T> Future for PostFuture<'_, T> {
    type Output = Result<(), PostError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let let_in = match (&this.message, this.to.room()) {
            (None, _) => panic!("a windlass future was polled after it was ready"),
            // There may be room in what nobody receives from any more.
            _ if this.to.is_closed() => false,
            (Some(_), None) => true,
            (Some(_), Some(room)) => {
                let poll = room.poll_enter(&mut this.place, cx.waker(), || this.to.is_closed());
                std::task::ready!(poll)
            }
        };
        let message = this.message.take().expect("looked at above");
        Poll::Ready(if let_in {
            this.to.post_let_in(message)
        } else {
            Err(PostError::closed(message))
        })
    }
}

impl<T> Unpin for PostFuture<'_, T> {}

impl<T> Drop for PostFuture<'_, T> {
    fn drop(&mut self) {
        if let Some(room) = self.to.room() {
            room.give_up(&mut self.place);
        }
    }
}

impl<T> fmt::Debug for PostFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostFuture").finish_non_exhaustive()
    }
}
