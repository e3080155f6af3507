//! [`ScopedMap`]: a function over an iterator, on all cores, and all of it may borrow.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::panic::resume_unwind;

use super::ScopedHandle;
use super::core::Core;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::util::discard;

/// An iterator over the results of a function that the pool computes, in the order of the
/// items; see [`Scope::map`](crate::Scope::map).
///
/// * **Lazy and bounded**, as [`Map`](crate::Map) is: `next` pulls items from the source,
///   here, on the caller's thread, while it would have to wait and fewer than
///   [`look_ahead`](Self::look_ahead) are on the way. So the source may be endless, and
///   need not be `Send`.
/// * **It waits.** `next` blocks until the next result is there. On a thread of the pool
///   an item that nobody has started is run here.
/// * **Dropping it** does not wait, but the scope waits for the items that are being
///   worked on. Those that have not started are dropped without a call of the function.
///
/// # Panics
/// `next` panics with the panic of the function in place of the result of that item; the
/// call after it gives what comes next. The panic of an item whose turn does not come is
/// left to the scope. A panic of the source passes through `next`; the source is then not
/// asked again, but the results of what it gave are still to be had.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let names = ["ada", "bob"].map(String::from);
/// let shouted: Vec<_> = pool.scope(|s| s.map(&names, |name| name.to_uppercase()).collect());
/// assert_eq!(shouted, ["ADA", "BOB"]);
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[must_use = "iterators do nothing unless advanced"]
pub struct ScopedMap<'scope, I: Iterator, F, T> {
    core: &'scope Core<'scope>,
    /// `None` once it has ended.
    source: Option<I>,
    /// It has ended, or has panicked, or is in the middle of a call.
    is_over: bool,
    shared: Arc<Shared<F>>,
    /// The oldest first. A result is `None` if the map is gone.
    on_the_way: VecDeque<ScopedHandle<'scope, Option<T>>>,
    /// The default if it is `None`.
    look_ahead: Option<usize>,
}

/// What the jobs of a map share.
struct Shared<F> {
    f: F,
    is_gone: AtomicBool,
}

impl<'scope, I: Iterator, F, T> ScopedMap<'scope, I, F, T> {
    pub(super) fn new(core: &'scope Core<'scope>, source: I, f: F) -> Self {
        Self {
            core,
            source: Some(source),
            is_over: false,
            shared: Arc::new(Shared {
                f,
                is_gone: AtomicBool::new(false),
            }),
            on_the_way: VecDeque::new(),
            look_ahead: None,
        }
    }

    /// How many items may be on the way: pulled from the source, and not given out as
    /// a result. Default: two for each thread of the pool.
    ///
    /// # Panics
    /// If `items` is zero.
    #[track_caller]
    pub fn look_ahead(mut self, items: usize) -> Self {
        assert!(
            items > 0,
            "look_ahead(0): a map that takes no item gives no result"
        );
        self.look_ahead = Some(items);
        self
    }

    fn is_full(&self) -> bool {
        // Asked each time: the pool may get more threads.
        let default = || self.core.num_threads().max(1) * 2;
        self.on_the_way.len() >= self.look_ahead.unwrap_or_else(default)
    }

    /// The next item of the source, which is left alone once it has ended or panicked.
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

impl<'scope, I, F, T> ScopedMap<'scope, I, F, T>
where
    I: Iterator,
    I::Item: Send + 'scope,
    F: Fn(I::Item) -> T + Send + Sync + 'scope,
    T: Send + 'scope,
{
    /// Hands items over: at least one for the one that is given out, and more only rather
    /// than wait.
    fn hand_over(&mut self) {
        let mut pulled = false;
        while !self.is_full() {
            let oldest = self.on_the_way.front();
            let is_there = oldest.is_some_and(ScopedHandle::is_finished);
            if pulled && is_there {
                return;
            }
            let Some(item) = self.pull() else { return };
            pulled = true;
            let shared = Arc::clone(&self.shared);
            let handle = self.core.spawn(move || {
                // Relaxed: an item that starts beside the drop was a moment earlier.
                let is_gone = shared.is_gone.load(Ordering::Relaxed);
                (!is_gone).then(|| (shared.f)(item))
            });
            self.on_the_way.push_back(handle);
        }
    }
}

impl<'scope, I, F, T> Iterator for ScopedMap<'scope, I, F, T>
where
    I: Iterator,
    I::Item: Send + 'scope,
    F: Fn(I::Item) -> T + Send + Sync + 'scope,
    T: Send + 'scope,
{
    type Item = T;

    /// Waits for the next result.
    ///
    /// # Panics
    /// In place of a result, and if the source does: see [`ScopedMap`].
    fn next(&mut self) -> Option<T> {
        self.hand_over();
        match self.on_the_way.pop_front()?.join() {
            Ok(result) => Some(result.expect("the map is here")),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => resume_unwind(payload),
                Err(error) => panic!("an item of a map has no result: {error}"),
            },
        }
    }

    /// A panic in place of a result is counted as one.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let source = self.source.as_ref().filter(|_| !self.is_over);
        let (at_least, at_most) = source.map_or((0, Some(0)), I::size_hint);
        let len = self.on_the_way.len();
        let at_most = at_most.and_then(|items| items.checked_add(len));
        (at_least.saturating_add(len), at_most)
    }
}

impl<'scope, I, F, T> ExactSizeIterator for ScopedMap<'scope, I, F, T>
where
    I: ExactSizeIterator,
    I::Item: Send + 'scope,
    F: Fn(I::Item) -> T + Send + Sync + 'scope,
    T: Send + 'scope,
{
}

impl<'scope, I, F, T> FusedIterator for ScopedMap<'scope, I, F, T>
where
    I: Iterator,
    I::Item: Send + 'scope,
    F: Fn(I::Item) -> T + Send + Sync + 'scope,
    T: Send + 'scope,
{
}

impl<I: Iterator, F, T> Drop for ScopedMap<'_, I, F, T> {
    fn drop(&mut self) {
        self.shared.is_gone.store(true, Ordering::Relaxed);
        // The `Drop` of a result may panic, and the next one is to be dropped too.
        self.on_the_way.drain(..).rev().for_each(discard);
    }
}

impl<I: Iterator, F, T> fmt::Debug for ScopedMap<'_, I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedMap")
            .field("on_the_way", &self.on_the_way.len())
            .field("look_ahead", &self.look_ahead)
            .finish_non_exhaustive()
    }
}
