//! [`Whole`]: the claim on a split buffer.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::SharedBuffer;
use super::reunion::Claim;
use crate::sync::block_until;

/// The claim on a split [`SharedBuffer`]: gives the same allocation back when
/// the last [`Part`](crate::Part) is dropped.
///
/// * A plain thread: [`wait`](Self::wait), [`wait_timeout`](Self::wait_timeout).
/// * A loop of its own: [`is_whole`](Self::is_whole) or
///   [`try_into_vec`](Self::try_into_vec) once per turn.
/// * Async code: it is a `Future<Output = SharedBuffer<T>>` that needs no
///   runtime.
///
/// All that was written through the parts is seen then. A part that is leaked
/// keeps the whole out for ever. A part that went down with a panic counts as
/// dropped, and what it had half written is in the buffer: ask the handles of
/// the jobs.
///
/// **Dropping the whole gives the buffer up.** The parts go on, and the last
/// one of them drops the elements (or this does, if no part is left), each of
/// them even if some panic.
///
/// ```
/// use windlass::SharedBuffer;
///
/// let vec = vec![1.0_f32; 1000];
/// let address = vec.as_ptr();
///
/// let (parts, whole) = SharedBuffer::from(vec).split(4)?;
/// for mut part in parts {
///     std::thread::spawn(move || part.iter_mut().for_each(|x| *x *= 2.0));
/// }
/// let vec = whole.wait().into_vec();
/// assert_eq!(vec, [2.0; 1000]);
/// assert_eq!(vec.as_ptr(), address); // never copied
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping the whole gives the buffer up: the last part drops its elements"]
pub struct Whole<T> {
    claim: Claim<T>,
}

impl<T> Whole<T> {
    pub(super) fn new(claim: Claim<T>) -> Self {
        Self { claim }
    }

    /// Waits until the last part is dropped, however long it takes. Blocks this
    /// thread; inside a job, it takes the thread away from the pool meanwhile.
    ///
    /// The buffer that comes back has no other owner, so that
    /// [`into_vec`](SharedBuffer::into_vec) copies nothing and
    /// [`try_into_vec`](SharedBuffer::try_into_vec) succeeds.
    ///
    /// To wait on a thread that holds a part is to wait for ever, and so it is in a
    /// fork of the process whose threads hold one.
    ///
    /// # Panics
    /// If the buffer was taken before, by polling.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (mut parts, whole) = SharedBuffer::from(vec![1, 2, 3]).split(1)?;
    /// std::thread::spawn(move || parts[0].reverse());
    /// assert_eq!(whole.wait()[..], [3, 2, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self) -> SharedBuffer<T> {
        self.expect_unspent("wait");
        let vec = self.wait_until(None);
        vec.expect("a wait without a deadline ends with the buffer")
    }

    /// Waits for at most `timeout`, monotonic time. Zero looks once;
    /// `Duration::MAX` waits for ever. Blocks this thread.
    ///
    /// # Errors
    /// Gives the whole back if time runs out.
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::SharedBuffer;
    ///
    /// let (parts, whole) = SharedBuffer::from(vec![1, 2, 3]).split(2)?;
    /// let whole = whole.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// drop(parts);
    /// let buffer = whole.wait_timeout(Duration::from_millis(1)).unwrap();
    /// assert_eq!(buffer[..], [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<SharedBuffer<T>, Self> {
        self.expect_unspent("wait_timeout");
        // Too far away to be a point in time is no deadline.
        let deadline = Instant::now().checked_add(timeout);
        self.wait_until(deadline).ok_or(self)
    }

    /// The vector if no part is left, without waiting: the same allocation.
    ///
    /// # Errors
    /// Gives the whole back while there are parts.
    ///
    /// # Panics
    /// If the buffer was taken before, by polling.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (parts, whole) = SharedBuffer::from(vec![1, 2, 3]).split(2)?;
    /// let whole = whole.try_into_vec().unwrap_err();
    /// drop(parts);
    /// assert_eq!(whole.try_into_vec().unwrap(), [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_into_vec(mut self) -> Result<Vec<T>, Self> {
        self.expect_unspent("try_into_vec");
        self.claim.try_take().ok_or(self)
    }

    /// Whether no part is left, so that [`wait`](Self::wait) would not block.
    /// Never blocks itself. `false` after the buffer was taken by polling.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (parts, whole) = SharedBuffer::from(vec![1, 2, 3]).split(2)?;
    /// assert!(!whole.is_whole());
    /// drop(parts);
    /// assert!(whole.is_whole());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.claim.is_whole()
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Option<SharedBuffer<T>> {
        block_until(deadline, |waker| self.claim.poll(waker)).map(SharedBuffer::from)
    }

    #[track_caller]
    fn expect_unspent(&self, method: &str) {
        assert!(
            !self.claim.is_spent(),
            "Whole::{method}: the buffer was taken before"
        );
    }
}

impl<T> Future for Whole<T> {
    type Output = SharedBuffer<T>;

    /// The waker of the last poll is the one that the last part wakes.
    ///
    /// # Panics
    /// If the buffer was taken before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SharedBuffer<T>> {
        self.expect_unspent("poll");
        self.claim.poll(cx.waker()).map(SharedBuffer::from)
    }
}

impl<T> Unpin for Whole<T> {}

// A whole is counts and a waker until the buffer is taken; no panic finds them
// half changed.
impl<T> UnwindSafe for Whole<T> {}
impl<T> RefUnwindSafe for Whole<T> {}

impl<T> fmt::Debug for Whole<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole")
            .field("is_whole", &self.is_whole())
            .finish()
    }
}
