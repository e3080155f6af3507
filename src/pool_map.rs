//! Maps over iterators and streams, on [`Pool`].

use futures_core::Stream;

use crate::map::{Map, MapStream};
use crate::pool::Pool;
use crate::spawner::Spawner;

impl Pool {
    /// The results of `f` over `iter`, computed by the pool, as an iterator in the
    /// order of the items. The source is pulled on the thread that takes the results,
    /// no further ahead than it may be: so it may be endless, and memory is bounded.
    /// See [`Map`] for what waits, panics and cancels.
    ///
    /// One name, and the rest is said by what follows it, in any order:
    /// [`.unordered()`](Map::unordered) for results as they come,
    /// [`.look_ahead(n)`](Map::look_ahead) for how many items may be on the way, and
    /// last [`.results()`](Map::results) for panics as values.
    ///
    /// Each item is a job, so that its work should be worth one: a microsecond or
    /// more. Put smaller ones together, in `Vec`s or ranges.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let lines = "one\ntwo\nthree".lines().map(str::to_owned);
    /// let lengths: Vec<_> = pool.map(lines, |line| line.len()).collect();
    /// assert_eq!(lengths, [3, 3, 5]);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn map<I, F, T>(&self, iter: I, f: F) -> Map<I::IntoIter, F, T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapping().map(iter, f)
    }

    /// The same as [`map`](Self::map), for async code: a stream of the results of `f`
    /// over a stream, with backpressure both ways, on any executor. See [`MapStream`].
    ///
    /// ```
    /// # pollster::block_on(async {
    /// use std::pin::Pin;
    /// use futures_core::Stream;
    ///
    /// let pool = windlass::Pool::new()?;
    /// let (near, far) = windlass::channel::<u32, u64>();
    /// (1..=3).for_each(|n| far.post(n).unwrap());
    /// far.close(); // or: the rest comes later, from somewhere else
    ///
    /// let mut squares = pool.map_stream(near.stream()?, |n: u64| n * n);
    /// let mut next = async || { // with futures-util or tokio-stream: `squares.next()`
    ///     std::future::poll_fn(|cx| Pin::new(&mut squares).poll_next(cx)).await
    /// };
    /// assert_eq!((next().await, next().await), (Some(1), Some(4)));
    /// assert_eq!((next().await, next().await), (Some(9), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn map_stream<S, F, T>(&self, stream: S, f: F) -> MapStream<S, F, T>
    where
        S: Stream + Unpin,
        S::Item: Send + 'static,
        F: Fn(S::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapping().map_stream(stream, f)
    }

    fn mapping(&self) -> &Spawner {
        self.as_ref()
    }
}
