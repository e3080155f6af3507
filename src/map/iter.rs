//! [`Map`]: a function over an iterator, on all cores.

use std::fmt;
use std::iter::FusedIterator;

use super::core::Core;
use super::results::{MapResults, raise};
use crate::error::JoinError;
use crate::spawner::Spawner;

impl Spawner {
    /// The results of `f` over `iter`, computed by the pool. See
    /// [`Pool::map`](crate::Pool::map).
    pub fn map<I, F, T>(&self, iter: I, f: F) -> Map<I::IntoIter, F, T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        Map {
            core: Core::new(self.clone(), f),
            source: Some(iter.into_iter()),
            is_over: false,
        }
    }
}

/// An iterator over the results of a function that the pool computes; see
/// [`Pool::map`](crate::Pool::map). In the order of the items, unless
/// [`unordered`](Self::unordered) is asked for.
///
/// * **Lazy and bounded.** `next` pulls items from the source, here, on the caller's
///   thread, while it would have to wait and fewer than
///   [`look_ahead`](Self::look_ahead) are on the way; nothing happens between two
///   calls but that the pool works. So the source may be endless, and need not be
///   `Send`. A source that blocks keeps back results that are there.
/// * **It waits.** `next` blocks until the next result is there. Inside a job of the
///   same pool that is safe at any depth, as with
///   [`JoinHandle::join`](crate::JoinHandle::join): what nobody has started is run
///   here. If the pool's [queue has a bound](crate::PoolBuilder::queue_capacity) it
///   also waits for room, or runs the item here if this is a job of that pool: an
///   item is never rejected (but may be thrown out, by
///   [`WhenFull::DropOldest`](crate::WhenFull::DropOldest)).
/// * **Short items come several at once.** Waking a thread up takes as long as dozens
///   of items of a microsecond. So `next` may sleep until there are several results,
///   for about 0.2 ms at most, and 2 ms if an item takes longer than those before it
///   let expect. Not with [`unordered`](Self::unordered).
/// * **Dropping it** cancels what is on the way, without waiting: what has not started
///   never will, and what runs is asked to stop
///   ([`is_cancelled`](crate::is_cancelled)). Results that are there are dropped here.
///
/// # Panics
/// `next` panics in place of the result of an item
/// - with the panic of `f`, if `f` panicked,
/// - with the text of the [`JoinError`] if the job did not run: the pool is closed, or
///   threw it out.
///
/// The call after it gives what comes next. With [`results`](Self::results) these are
/// values.
///
/// A panic of the source passes through `next`; the source is then not asked again, but
/// the results of what it gave are still to be had.
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// let primes = pool.map(2_u64.., |n| (n, (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0)));
/// let first: Vec<_> = primes.filter(|(_, is_prime)| *is_prime).map(|(n, _)| n).take(5).collect();
/// assert_eq!(first, [2, 3, 5, 7, 11]); // and what was ahead of that is cancelled
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[must_use = "iterators do nothing unless advanced"]
pub struct Map<I: Iterator, F, T> {
    core: Core<I::Item, F, T>,
    /// `None` once it has ended.
    source: Option<I>,
    /// It has ended, or has panicked, or is in the middle of a call.
    is_over: bool,
}

impl<I: Iterator, F, T> Map<I, F, T> {
    /// How many items may be on the way: pulled from the source, and not given out as
    /// a result. Default: two for each thread of the pool; more than that
    /// while `next` waits for less than 0.1 ms at a time, which is hardly worth waking
    /// it up for: up to 64 for each thread.
    ///
    /// More of them level out items of uneven cost, and cost memory. One is one at a
    /// time.
    ///
    /// # Panics
    /// If `items` is zero.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let mut pulled = 0;
    /// let source = std::iter::repeat_with(|| { pulled += 1; pulled });
    /// let mut squares = pool.map(source, |n| n * n).look_ahead(3);
    /// assert_eq!(squares.next(), Some(1));
    /// drop(squares);
    /// assert!(pulled <= 1 + 3);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    #[track_caller]
    pub fn look_ahead(mut self, items: usize) -> Self {
        self.core.set_look_ahead(items);
        self
    }

    /// The results as they come, so that a slow item keeps nothing back. The
    /// look-ahead still bounds what is on the way: one item that takes for ever
    /// takes one place of it.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let sum: u64 = pool.map(1..=100_u64, |n| n * n).unordered().look_ahead(16).sum();
    /// assert_eq!(sum, 338_350);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
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

    /// The next item of the source, which is left alone once it has ended or
    /// panicked.
    fn pull(&mut self) -> Option<I::Item> {
        if self.is_over {
            return None;
        }
        self.is_over = true;
        let item = self.source.as_mut()?.next();
        match item {
            Some(_) => self.is_over = false,
            // What it holds is let go of at once.
            None => self.source = None,
        }
        item
    }
}

impl<I, F, T> Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    pub(super) fn next_result(&mut self) -> Option<Result<T, JoinError>> {
        let mut pulled = false;
        while self.core.try_hand_over() {
            // At least one for the one that is given out; more only rather than wait.
            if pulled && let Some(result) = self.core.try_next() {
                return Some(result);
            }
            if self.core.is_full() {
                break;
            }
            let Some(item) = self.pull() else { break };
            self.core.hold(item);
            pulled = true;
        }
        self.core.wait()
    }
}

impl<I, F, T> Iterator for Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
    type Item = T;

    /// Waits for the next result.
    ///
    /// # Panics
    /// In place of a result, and if the source does: see [`Map`].
    fn next(&mut self) -> Option<T> {
        self.next_result().map(raise)
    }

    /// A panic in place of a result is counted as one.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let source = self.source.as_ref().filter(|_| !self.is_over);
        self.core
            .size_hint(source.map_or((0, Some(0)), I::size_hint))
    }
}

impl<I, F, T> ExactSizeIterator for Map<I, F, T>
where
    I: ExactSizeIterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
}

impl<I, F, T> FusedIterator for Map<I, F, T>
where
    I: Iterator,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> T + Send + Sync + 'static,
    T: Send + 'static,
{
}

impl<I: Iterator, F, T: Send + 'static> fmt::Debug for Map<I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
