//! Waiting for an element of an array to be notified.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::array::Shared;
use super::wait_list::Key;
use super::{SharedArray, SharedInteger};
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, block_until};

/// How a wait on an element of a [`SharedArray`] ended: what `Atomics.wait`
/// calls `"ok"`, `"not-equal"` and `"timed-out"`.
///
/// ```
/// use std::time::Duration;
/// use windlass::{SharedArray, WaitOutcome};
///
/// let array = SharedArray::<i32>::new(1);
/// assert_eq!(array.wait(0, 7), WaitOutcome::NotEqual);
/// assert_eq!(array.wait_timeout(0, 0, Duration::ZERO), WaitOutcome::TimedOut);
///
/// let wait = array.wait_async(0, 0);
/// assert_eq!(array.notify(0, 1), 1);
/// assert_eq!(pollster::block_on(wait), WaitOutcome::Woken);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WaitOutcome {
    /// [`SharedArray::notify`] woke it. The value need not have changed.
    Woken,
    /// The element did not have the expected value, and so there was no wait.
    NotEqual,
    /// Nobody woke it in time.
    TimedOut,
}

impl<T: SharedInteger> SharedArray<T> {
    /// Waits until the element at `index` is [notified](Self::notify), if it
    /// has the value `expected`; however long it takes. Blocks this thread (and inside a
    /// job takes it away from the pool): on a thread that must stay free, use
    /// [`wait_async`](Self::wait_async).
    ///
    /// Comparing and beginning to wait are one step: whoever stores another
    /// value and *then* notifies is never missed. Waits end for a notification
    /// only, never without a cause; but another thread may have changed the
    /// value again, so that most programs compare and wait in a loop.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// use windlass::SharedArray;
    ///
    /// let array = SharedArray::<i32>::new(1);
    /// let other = array.clone();
    /// let waiter = std::thread::spawn(move || {
    ///     while other.load(0) == 0 {
    ///         other.wait(0, 0);
    ///     }
    ///     other.load(0)
    /// });
    /// array.store(0, 123);
    /// array.notify(0, 1);
    /// assert_eq!(waiter.join().unwrap(), 123);
    /// ```
    #[track_caller]
    pub fn wait(&self, index: usize, expected: T) -> WaitOutcome {
        self.wait_until(index, expected, None)
    }

    /// As [`wait`](Self::wait), but for at most `timeout`, monotonic time. Zero
    /// is over at once; `Duration::MAX` waits for ever. Blocks this thread.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::{SharedArray, WaitOutcome};
    ///
    /// let array = SharedArray::from(vec![1_u8]);
    /// let outcome = array.wait_timeout(0, 1, Duration::from_millis(1));
    /// assert_eq!(outcome, WaitOutcome::TimedOut);
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, index: usize, expected: T, timeout: Duration) -> WaitOutcome {
        // Too far away to be a point in time is no deadline.
        self.wait_until(index, expected, Instant::now().checked_add(timeout))
    }

    /// As [`wait`](Self::wait), as a future: never blocks, and never times out
    /// (give it to a timer of the executor's for that).
    ///
    /// As in JavaScript, **the comparison is made here**, and it waits from here
    /// on, even before it is polled: a notification counts it in. So do not keep
    /// one around that nobody polls. Dropping it ends the wait; if it had been
    /// notified by then, the next one who waits for the element is notified in
    /// its place, so that no notification is lost.
    ///
    /// # Panics
    /// If `index` is out of bounds; when it is called, not when it is polled.
    ///
    /// ```
    /// use windlass::{SharedArray, WaitOutcome};
    ///
    /// let array = SharedArray::<i32>::new(1);
    /// let wait = array.wait_async(0, 0);
    /// array.store(0, 1);
    /// assert_eq!(array.notify(0, usize::MAX), 1);
    /// assert_eq!(pollster::block_on(wait), WaitOutcome::Woken);
    /// ```
    #[track_caller]
    pub fn wait_async(&self, index: usize, expected: T) -> WaitAsync<T> {
        let place = self.place(index);
        let has_the_value = || T::load(place) == expected;
        // The first poll leaves a better one.
        let key = self.shared.waits.join(index, Waker::noop(), has_the_value);
        WaitAsync {
            shared: Arc::clone(&self.shared),
            index,
            stage: key.map_or(Stage::NotEqual, Stage::Waiting),
        }
    }

    /// Wakes those who wait for the element at `index`, threads and futures
    /// alike: `n` of them at most (`usize::MAX`: all), those first who have
    /// waited longest. How many were woken.
    ///
    /// Only those who waited when it was called are counted in, so that it ends
    /// even if they come back at once. With nobody waiting for any element it
    /// takes no lock.
    ///
    /// Wakers run on this thread, with no lock held; if one panics, the others
    /// are woken all the same, and the panic is discarded.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// use windlass::SharedArray;
    ///
    /// let array = SharedArray::<i32>::new(2);
    /// let waits = [(); 3].map(|()| array.wait_async(0, 0));
    /// assert_eq!(array.notify(1, usize::MAX), 0);
    /// assert_eq!(array.notify(0, 2), 2);
    /// assert_eq!(array.notify(0, 2), 1);
    /// # drop(waits);
    /// ```
    #[track_caller]
    pub fn notify(&self, index: usize, n: usize) -> usize {
        let _ = self.place(index);
        self.shared.waits.notify(index, n)
    }

    #[track_caller]
    fn wait_until(&self, index: usize, expected: T, deadline: Option<Instant>) -> WaitOutcome {
        let place = self.place(index);
        let has_the_value = || T::load(place) == expected;
        // Spares the allocation of a waker.
        if !has_the_value() {
            return WaitOutcome::NotEqual;
        }
        let waits = &self.shared.waits;
        let mut key = None;
        let outcome = block_until(deadline, |waker| match key {
            Some(key) => waits.poll(key, waker).map(|()| WaitOutcome::Woken),
            None => {
                key = waits.join(index, waker, has_the_value);
                match key {
                    Some(_) => Poll::Pending,
                    None => Poll::Ready(WaitOutcome::NotEqual),
                }
            }
        });
        outcome.unwrap_or_else(|| match key {
            Some(key) if waits.leave(key) || broken(Mutant::TimeOutUnasked) => {
                WaitOutcome::TimedOut
            }
            // It was notified at the last moment.
            _ => WaitOutcome::Woken,
        })
    }
}

/// A wait on an element of a [`SharedArray`]; made by
/// [`SharedArray::wait_async`].
///
/// It is [`Woken`](WaitOutcome::Woken) or [`NotEqual`](WaitOutcome::NotEqual)
/// in the end, on any executor. The waker of the last poll is the one that is
/// woken. Dropping it ends the wait, and passes on a notification that nobody
/// has seen. It keeps the array's memory alive.
///
/// ```
/// use windlass::{SharedArray, WaitAsync, WaitOutcome};
///
/// let array = SharedArray::<u8>::new(1);
/// let (one, two): (WaitAsync<u8>, _) = (array.wait_async(0, 0), array.wait_async(0, 0));
/// array.notify(0, 1); // gives it to the older one
/// drop(one); // which passes it on
/// assert_eq!(pollster::block_on(two), WaitOutcome::Woken);
/// ```
#[must_use = "a wait that is dropped ends"]
pub struct WaitAsync<T: SharedInteger> {
    shared: Arc<Shared<T>>,
    index: usize,
    stage: Stage,
}

enum Stage {
    NotEqual,
    /// In the list, or taken out of it and so notified.
    Waiting(Key),
    /// The outcome was given.
    Over,
}

impl<T: SharedInteger> Drop for WaitAsync<T> {
    fn drop(&mut self) {
        if let Stage::Waiting(key) = self.stage
            && !self.shared.waits.leave(key)
            && !broken(Mutant::NotificationKept)
        {
            self.shared.waits.notify(self.index, 1);
        }
    }
}

impl<T: SharedInteger> Future for WaitAsync<T> {
    type Output = WaitOutcome;

    /// # Panics
    /// If it was over before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WaitOutcome> {
        let outcome = match self.stage {
            Stage::NotEqual => WaitOutcome::NotEqual,
            Stage::Waiting(key) => match self.shared.waits.poll(key, cx.waker()) {
                Poll::Ready(()) => WaitOutcome::Woken,
                Poll::Pending => return Poll::Pending,
            },
            Stage::Over => panic!("WaitAsync: polled after it was over"),
        };
        self.stage = Stage::Over;
        Poll::Ready(outcome)
    }
}

impl<T: SharedInteger> Unpin for WaitAsync<T> {}

// Integers and a list of wakers, which no panic finds half changed.
impl<T: SharedInteger> UnwindSafe for WaitAsync<T> {}
impl<T: SharedInteger> RefUnwindSafe for WaitAsync<T> {}

impl<T: SharedInteger> fmt::Debug for WaitAsync<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitAsync")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
