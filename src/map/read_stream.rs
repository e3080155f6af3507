//! [`TransformStream`]: a [`TransformRead`] for tasks.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::TransformRead;
use super::blocks::Failure;

/// A stream of the results of a function that the pool computes from the blocks of what a
/// reader gives, in order, on any executor; see [`TransformRead::stream`].
///
/// As [`TransformRead`], but that it **never blocks**: the pool does all the reading, and
/// polling starts and collects it. So an async program can pour a reader that blocks (a
/// file, a pipe, a decoder over them) through the pool. Blocking on it inside a job of the
/// same pool (`block_on`) cannot be seen by the pool, and takes a thread away from it:
/// iterate over a `TransformRead` there.
///
/// # Panics
/// `poll_next` panics in place of a result as [`TransformRead`] does.
#[must_use = "streams do nothing unless polled"]
pub struct TransformStream<R, F, T>(TransformRead<R, F, T>);

impl<R, F, T> TransformStream<R, F, T> {
    pub(super) fn of(transform: TransformRead<R, F, T>) -> Self {
        Self(transform)
    }
}

impl<R, F, T> Stream for TransformStream<R, F, T>
where
    R: Read + Send + 'static,
    F: Fn(Vec<u8>) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = io::Result<T>;

    /// # Panics
    /// In place of a result: see [`TransformStream`].
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.0.poll_result(cx, false));
        Poll::Ready(next.map(|result| result.map_err(Failure::raise)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.len_hint()
    }
}

impl<R, F, T> FusedStream for TransformStream<R, F, T>
where
    R: Read + Send + 'static,
    F: Fn(Vec<u8>) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

impl<R, F, T: Send + 'static> fmt::Debug for TransformStream<R, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
