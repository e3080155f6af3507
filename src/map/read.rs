//! [`TransformRead`]: a function over the blocks of a reader, on all cores.

use std::fmt;
use std::io::{self, Read};
use std::iter::FusedIterator;
use std::task::{Context, Poll, Waker};

use super::TransformStream;
use super::blocks::{Blocks, Failure};
use super::core::Core;
use crate::spawner::Spawner;
use crate::sync::block_until;

/// How many bytes a block has if nobody says so: as many as pigz gives to a thread.
const BLOCK_SIZE: usize = 128 * 1024;

impl Spawner {
    /// The results of `f` over the blocks of what `reader` gives, computed by the pool.
    /// See [`Pool::transform_read`](crate::Pool::transform_read).
    pub fn transform_read<R, F, T>(&self, reader: R, f: F) -> TransformRead<R, F, T>
    where
        R: Read + Send + 'static,
        F: Fn(Vec<u8>) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        TransformRead {
            core: Core::new(self.clone(), f),
            blocks: Blocks::new(reader, BLOCK_SIZE),
        }
    }
}

/// An iterator over the results of a function that the pool computes from the blocks of
/// what a reader gives, in order; see
/// [`Pool::transform_read`](crate::Pool::transform_read).
///
/// For async code, [`stream`](Self::stream) makes a `Stream` of it. (It is not both at
/// once: `next`, `map` and the like would be ambiguous where an extension trait for
/// streams is in scope.)
///
/// * **The pool reads**, one block at a time, inside [`blocking`](crate::blocking): another
///   thread runs in the place of the one that waits for a disk or a pipe. So blocks are
///   read while others are computed. The thread that takes the results never touches the
///   reader while it is not one of the pool.
/// * **Bounded, both ways.** Nothing is read before the first `next`, and then only while
///   fewer than [`look_ahead`](Self::look_ahead) blocks are on the way: who takes no
///   results keeps the reader waiting. What was read is handed on by whoever asks for
///   results; between two calls the pool works on what it has, and reads one block.
/// * **It waits.** `next` blocks until the next result is there. Inside a job of the same
///   pool that is safe at any depth, as with [`JoinHandle::join`](crate::JoinHandle::join):
///   what nobody has started, reading included, is done here. In a pool whose
///   [queue has a bound](crate::PoolBuilder::queue_capacity) blocks wait for room, as the
///   items of a [`Map`](crate::Map) do.
/// * **Dropping it** cancels what is on the way, without waiting. A read that is under way
///   cannot be ended: the reader is dropped by the thread that reads, as soon as that comes
///   back. Otherwise it is dropped with this; and if it has ended, before.
///
/// # Errors
/// * What the reader gives as an error, in place of the block that could not be read, after
///   the results of what was read before it; then it has ended. `Interrupted` is not an
///   error: the reader is asked again.
/// * A [`JoinError`](crate::JoinError) as an [`io::Error`] of kind `Other` (its `get_ref`
///   gives it back), in place of a result whose job did not run: the pool is closed, or
///   threw the job out. If it was to read, this has ended.
///
/// # Panics
/// `next` panics with the panic of `f` in place of that result, and goes on after it. A
/// panic of the reader comes in place of the block; then it has ended. (A panic of the
/// reader's `Drop` is discarded, if that has ended.)
///
/// ```
/// use std::io::Cursor;
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// let input = Cursor::new(vec![1_u8; 1_000_000]);
/// let sum = |block: Vec<u8>| block.iter().map(|&byte| u64::from(byte)).sum::<u64>();
/// let sums: Result<Vec<_>, _> = pool.transform_read(input, sum).block_size(300_000).collect();
/// assert_eq!(sums?, [300_000, 300_000, 300_000, 100_000]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "iterators do nothing unless advanced"]
pub struct TransformRead<R, F, T> {
    /// First: what waits to be computed goes before what waits to be read.
    core: Core<Vec<u8>, F, T>,
    blocks: Blocks<R>,
}

impl<R, F, T> TransformRead<R, F, T> {
    /// How many bytes a block has. Default: 128 KiB. It has fewer only at the end of the
    /// input, and before an error; none is empty.
    ///
    /// # Panics
    /// If `bytes` is zero.
    #[track_caller]
    pub fn block_size(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "block_size(0): there is no end of empty blocks");
        self.blocks.size = bytes;
        self
    }

    /// How many blocks may be on the way: read or being read, and not given out as a
    /// result. Default: two for each thread of the pool.
    ///
    /// With one of them nothing is read while another is computed.
    ///
    /// # Panics
    /// If `blocks` is zero.
    #[track_caller]
    pub fn look_ahead(mut self, blocks: usize) -> Self {
        self.core.set_look_ahead(blocks);
        self
    }

    /// The same for async code: see [`TransformStream`].
    ///
    /// ```
    /// # pollster::block_on(async {
    /// use std::future::poll_fn;
    /// use std::pin::Pin;
    /// use futures_core::Stream;
    ///
    /// let pool = windlass::Pool::new()?;
    /// let file = &b"as long as you like"[..];
    /// let mut sizes = pool.transform_read(file, |block| block.len()).block_size(10).stream();
    /// let mut next = async || { // with futures-util or tokio-stream: `sizes.next()`
    ///     poll_fn(|cx| Pin::new(&mut sizes).poll_next(cx)).await.transpose()
    /// };
    /// assert_eq!((next().await?, next().await?, next().await?), (Some(10), Some(9), None));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn stream(self) -> TransformStream<R, F, T> {
        TransformStream::of(self)
    }
}

impl<R, F, T: Send + 'static> TransformRead<R, F, T> {
    /// Whether all was given out.
    pub(super) fn is_terminated(&self) -> bool {
        self.blocks.is_over() && !self.blocks.has_failed() && self.core.len() == 0
    }

    /// How many results and errors are to come, panics counted as one.
    pub(super) fn len_hint(&self) -> (usize, Option<usize>) {
        let failures = usize::from(self.blocks.has_failed());
        let known = self.core.len() + failures;
        (known, self.blocks.is_over().then_some(known))
    }
}

impl<R, F, T> TransformRead<R, F, T>
where
    R: Read + Send + 'static,
    F: Fn(Vec<u8>) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    /// The next result if it is there. On a thread of the pool (`is_here`) nothing waits
    /// for room: it may be the one to make some.
    pub(super) fn poll_result(
        &mut self,
        cx: &mut Context<'_>,
        is_here: bool,
    ) -> Poll<Option<Result<T, Failure>>> {
        self.advance(cx, is_here);
        let next = match std::task::ready!(self.core.poll_next(cx)) {
            Some(result) => Some(result.map_err(Failure::Job)),
            None if !self.blocks.is_over() => return Poll::Pending,
            None => self.blocks.take_failure().map(Err),
        };
        // There is room for one more, to be read while the caller is busy. That it was
        // is of no interest before the next call.
        self.advance(&mut Context::from_waker(Waker::noop()), is_here);
        Poll::Ready(next)
    }

    /// Hands over what was read, and has the next block read if there is room.
    fn advance(&mut self, cx: &mut Context<'_>, is_here: bool) {
        loop {
            let handed_over = match is_here {
                true => self.core.try_hand_over(),
                false => self.core.poll_hand_over(cx).is_ready(),
            };
            if !handed_over {
                return;
            }
            match self.blocks.poll(cx) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(block)) => {
                    self.core.hold(block);
                    continue;
                }
                Poll::Pending => return,
            }
            if !self.blocks.is_idle() || self.core.is_full() {
                return;
            }
            let entrance = self.core.entrance();
            let permit = match is_here {
                true => entrance.try_enter(),
                false => match entrance.poll(cx.waker()) {
                    Poll::Ready(permit) => Some(permit),
                    Poll::Pending => None,
                },
            };
            let Some(permit) = permit else { return };
            self.blocks.start(entrance, permit);
        }
    }

    /// Does, on this thread, one of the pool, what the next result depends on, if nobody
    /// has started it; whether there was something.
    fn run_next(&mut self) -> bool {
        self.core.run_next() || self.core.len() == 0 && self.blocks.run(self.core.entrance())
    }

    fn next_result(&mut self) -> Option<Result<T, Failure>> {
        let is_here = self.core.is_here();
        let next = block_until(None, |waker| {
            let mut cx = Context::from_waker(waker);
            loop {
                let next = self.poll_result(&mut cx, is_here);
                if next.is_ready() || !(is_here && self.run_next()) {
                    return next;
                }
            }
        });
        next.expect("a wait without a deadline ends with a result")
    }
}

impl<R, F, T> Iterator for TransformRead<R, F, T>
where
    R: Read + Send + 'static,
    F: Fn(Vec<u8>) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = io::Result<T>;

    /// Waits for the next result.
    ///
    /// # Panics
    /// In place of a result: see [`TransformRead`].
    fn next(&mut self) -> Option<io::Result<T>> {
        let next = self.next_result();
        next.map(|result| result.map_err(Failure::raise))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.len_hint()
    }
}

impl<R, F, T> FusedIterator for TransformRead<R, F, T>
where
    R: Read + Send + 'static,
    F: Fn(Vec<u8>) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
}

// The reader is moved, and never pinned.
impl<R, F, T> Unpin for TransformRead<R, F, T> {}

impl<R, F, T: Send + 'static> fmt::Debug for TransformRead<R, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformRead")
            .field("on_the_way", &self.core.len())
            .field("look_ahead", &self.core.look_ahead())
            .field("block_size", &self.blocks.size)
            .finish_non_exhaustive()
    }
}
