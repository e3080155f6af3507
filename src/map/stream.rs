//! [`MapStream`]: a function over a stream, on all cores.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::core::Core;
use super::results::{MapResults, raise};
use crate::error::JoinError;
use crate::spawner::Spawner;

impl Spawner {
    /// The results of `f` over `stream`, computed by the pool. See
    /// [`Pool::map_stream`](crate::Pool::map_stream).
    pub fn map_stream<S, F, T>(&self, stream: S, f: F) -> MapStream<S, F, T>
    where
        S: Stream + Unpin,
        S::Item: Send + 'static,
        F: Fn(S::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        MapStream {
            core: Core::new(self.clone(), f),
            source: Some(stream),
            is_over: false,
        }
    }
}

/// A stream of the results of a function that the pool computes; see
/// [`Pool::map_stream`](crate::Pool::map_stream). In the order of the items, unless
/// [`unordered`](Self::unordered) is asked for. It needs no runtime.
///
/// * **Bounded, both ways.** The source is polled only when this is, and only while
///   fewer than [`look_ahead`](Self::look_ahead) items are on the way: who takes no
///   results keeps the source waiting. In a pool whose
///   [queue has a bound](crate::PoolBuilder::queue_capacity) items wait for room, and
///   are never rejected (but may be thrown out, by
///   [`WhenFull::DropOldest`](crate::WhenFull::DropOldest)).
/// * **It never blocks**, if the source does not. Blocking on it inside a job of the
///   same pool (`block_on`) cannot be seen by the pool, and takes a thread away from
///   it: use [`Map`](crate::Map) there.
/// * **Dropping it** cancels what is on the way: what has not started never will, and
///   what runs is asked to stop ([`is_cancelled`](crate::is_cancelled)).
///
/// The source has to be `Unpin`: `Box::pin(source)` is, and so is
/// [`pin!`](std::pin::pin)`(source)`.
///
/// # Panics
/// `poll_next` panics in place of a result as [`Map`](crate::Map) does: with the panic
/// of `f`, or the text of the [`JoinError`] if the job did not run. With
/// [`results`](Self::results) these are values. A panic of the source passes through;
/// the source is then not polled again, but the results of what it gave are still to
/// be had.
#[must_use = "streams do nothing unless polled"]
pub struct MapStream<S: Stream, F, T> {
    core: Core<S::Item, F, T>,
    /// `None` once it has ended.
    source: Option<S>,
    /// It has ended, or has panicked, or is in the middle of a call.
    is_over: bool,
}

impl<S: Stream, F, T> MapStream<S, F, T> {
    /// How many items may be on the way: taken from the source, and not given out as a
    /// result. Default: two for each thread of the pool.
    ///
    /// # Panics
    /// If `items` is zero.
    #[track_caller]
    pub fn look_ahead(mut self, items: usize) -> Self {
        self.core.set_look_ahead(items);
        self
    }

    /// The results as they come, so that a slow item keeps nothing back (but its place
    /// in the look-ahead).
    pub fn unordered(mut self) -> Self
    where
        T: Send + 'static,
    {
        self.core.set_unordered();
        self
    }

    /// Each result as a `Result`: instead of a panic an `Err`. See [`MapResults`].
    pub fn results(self) -> MapResults<Self> {
        MapResults::of(self)
    }
}

impl<S, F, T> MapStream<S, F, T>
where
    S: Stream + Unpin,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    pub(super) fn poll_result(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, JoinError>>> {
        let mut source_waits = false;
        while self.core.poll_hand_over(cx).is_ready() && !self.core.is_full() {
            match self.poll_source(cx) {
                Poll::Ready(Some(item)) => self.core.hold(item),
                Poll::Ready(None) => break,
                Poll::Pending => {
                    source_waits = true;
                    break;
                }
            }
        }
        match self.core.poll_next(cx) {
            Poll::Ready(None) if source_waits => Poll::Pending,
            next => next,
        }
    }

    /// The next item of the source, which is left alone once it has ended or panicked.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Some(source) = &mut self.source else {
            return Poll::Ready(None);
        };
        self.is_over = true;
        let next = Pin::new(source).poll_next(cx);
        match next {
            // What it holds is let go of at once.
            Poll::Ready(None) => self.source = None,
            _ => self.is_over = false,
        }
        next
    }
}

impl<S, F, T> Stream for MapStream<S, F, T>
where
    S: Stream + Unpin,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = T;

    /// # Panics
    /// In place of a result, and if the source does: see [`MapStream`].
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_result(cx).map(|next| next.map(raise))
    }

    /// A panic in place of a result is counted as one.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let source = self.source.as_ref().filter(|_| !self.is_over);
        self.core
            .size_hint(source.map_or((0, Some(0)), S::size_hint))
    }
}

impl<S, F, T> FusedStream for MapStream<S, F, T>
where
    S: Stream + Unpin,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    fn is_terminated(&self) -> bool {
        self.is_over && self.core.len() == 0
    }
}

// Items are moved, and never pinned.
impl<S: Stream + Unpin, F, T> Unpin for MapStream<S, F, T> {}

impl<S: Stream, F, T: Send + 'static> fmt::Debug for MapStream<S, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
