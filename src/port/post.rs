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
    fn try_post(&self, message: T) -> Result<(), PostError<T>>;
    fn room(&self) -> Option<&Room>;
}

impl<T: Send> Target<T> for Lane<T> {
    fn try_post(&self, message: T) -> Result<(), PostError<T>> {
        self.post(message)
    }

    fn room(&self) -> Option<&Room> {
        Lane::room(self)
    }
}

/// A message that is posted as soon as there is room; see `post_async`.
///
/// Those who wait are served in the order in which they began, as far as
/// nobody's plain `post` is quicker. Dropping the future drops the message
/// unposted, and lets the next one in.
#[must_use = "futures do nothing unless polled"]
pub struct PostFuture<'a, T> {
    to: &'a dyn Target<T>,
    /// `None` once it is posted.
    message: Option<T>,
    /// Once there was no room.
    ticket: Option<Arc<Ticket>>,
}

impl<'a, T> PostFuture<'a, T> {
    pub(crate) fn new(to: &'a dyn Target<T>, message: T) -> Self {
        Self {
            to,
            message: Some(message),
            ticket: None,
        }
    }

    fn try_post(&mut self) -> Poll<Result<(), PostError<T>>> {
        let message = self
            .message
            .take()
            .expect("a windlass future was polled after it was ready");
        match self.to.try_post(message) {
            Err(error) if error.is_full() => {
                self.message = Some(error.into_inner());
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }
}

impl<T> Future for PostFuture<'_, T> {
    type Output = Result<(), PostError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = self.try_post() {
            return Poll::Ready(result);
        }
        let room = self.to.room().expect("only what is bounded is ever full");
        let ticket = Arc::clone(self.ticket.get_or_insert_with(Ticket::new));
        ticket.register(cx.waker());
        room.list(&ticket);
        let second = self.try_post();
        room.call_waiting();
        second
    }
}

impl<T> Unpin for PostFuture<'_, T> {}

impl<T> Drop for PostFuture<'_, T> {
    fn drop(&mut self) {
        if let (Some(ticket), Some(room)) = (&self.ticket, self.to.room()) {
            room.unlist(ticket);
            room.call_waiting();
        }
    }
}

impl<T> fmt::Debug for PostFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostFuture").finish_non_exhaustive()
    }
}
