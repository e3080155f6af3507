//! [`MapResults`]: a map that says of each item what became of it.

use std::iter::FusedIterator;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::{Map, MapStream};
use crate::error::JoinError;

/// A [`Map`] or a [`MapStream`] whose results are `Result`s: a panic is an `Err` at
/// its place, and so is a job that was refused. See [`Map::results`].
///
/// Collected into a `Result` it ends at the first error, and what is on the way is
/// cancelled with it.
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// # std::panic::set_hook(Box::new(|_| {}));
/// let mut halves = pool.map([4, 7, 8], |n| if n % 2 == 0 { n / 2 } else { panic!("{n} is odd") }).results();
/// assert_eq!(halves.next().unwrap()?, 2);
/// assert_eq!(halves.next().unwrap().unwrap_err().to_string(), "the job panicked: 7 is odd");
/// assert_eq!(halves.next().unwrap()?, 4);
///
/// let all: Result<Vec<_>, _> = pool.map(0..10, |n| n * n).results().collect();
/// assert_eq!(all?.len(), 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators and streams do nothing unless advanced"]
#[derive(Debug)]
pub struct MapResults<M>(M);

impl<M> MapResults<M> {
    pub(super) fn of(map: M) -> Self {
        Self(map)
    }
}

impl<I, F, T> Iterator for MapResults<Map<I, F, T>>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T, JoinError>;

    /// Waits, as [`Map`] does.
    ///
    /// # Panics
    /// If the source does.
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_result()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<I, F, T> ExactSizeIterator for MapResults<Map<I, F, T>>
where
    I: ExactSizeIterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
}

impl<I, F, T> FusedIterator for MapResults<Map<I, F, T>>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
}

impl<S, F, T> Stream for MapResults<MapStream<S, F, T>>
where
    S: Stream + Unpin,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = Result<T, JoinError>;

    /// # Panics
    /// If the source does.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_result(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<S, F, T> FusedStream for MapResults<MapStream<S, F, T>>
where
    S: Stream + Unpin,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

/// The result, or the panic that came in its place.
pub(super) fn raise<T>(result: Result<T, JoinError>) -> T {
    match result.map_err(JoinError::try_into_panic) {
        Ok(result) => result,
        Err(Ok(payload)) => resume_unwind(payload),
        Err(Err(error)) => panic!("an item of a map has no result: {error}"),
    }
}
