//! Maps over iterators, streams and readers, on [`Pool`].

use std::io::Read;

use futures_core::Stream;

use crate::map::{Map, MapStream, TransformRead};
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

    /// The results of `f` over the blocks of what `reader` gives, computed by the pool,
    /// in order: an iterator, and with [`.stream()`](TransformRead::stream) a stream.
    /// The pool reads, too, so that nobody else waits for a disk or a pipe; no further
    /// ahead than it may, so that memory is bounded. See [`TransformRead`] for what
    /// waits, panics and cancels.
    ///
    /// As with [`map`](Self::map), the rest is said by what follows:
    /// [`.block_size(bytes)`](TransformRead::block_size) and
    /// [`.look_ahead(n)`](TransformRead::look_ahead) blocks.
    ///
    /// It is what a Transform is for Node's streams: `f` may give several chunks, or
    /// none, as a `Vec`, and what is to be flushed at the end follows the last result.
    ///
    /// ```
    /// use std::io::{Cursor, Write};
    ///
    /// let pool = windlass::Pool::new()?;
    /// let file = Cursor::new("haul away, ".repeat(100_000)); // or a `File`, `io::stdin()`
    /// let mut out = Vec::new();
    /// for shouted in pool.transform_read(file, |block| block.to_ascii_uppercase()) {
    ///     out.write_all(&shouted?)?; // an error is one of the reader's
    /// }
    /// assert_eq!(out.len(), 1_100_000);
    /// assert!(out.ends_with(b"HAUL AWAY, "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transform_read<R, F, T>(&self, reader: R, f: F) -> TransformRead<R, F, T>
    where
        R: Read + Send + 'static,
        F: Fn(Vec<u8>) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.mapping().transform_read(reader, f)
    }

    fn mapping(&self) -> &Spawner {
        self.as_ref()
    }
}
