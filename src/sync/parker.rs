//! Putting a thread to sleep until it is told to go on.

use std::task::{Poll, Wake, Waker};
use std::time::Instant;

use super::absence::absent;
use super::{Arc, AtomicBool, Ordering, thread};

/// A binary semaphore for one thread: `unpark` before `park` is remembered.
///
/// Spurious returns of the standard library's `park` (user code may unpark
/// any thread it has a `Thread` for) are absorbed by the flag.
///
/// # Memory ordering
/// What happened before `unpark` is visible after the `park` it ends: the
/// swap in `unpark` (Release) pairs with the swap in `park` (Acquire).
pub(crate) struct Parker {
    notified: AtomicBool,
    thread: thread::Thread,
}

impl Parker {
    /// A parker for `thread`, the only one that may call [`Parker::park`].
    pub(crate) fn new(thread: thread::Thread) -> Self {
        Self {
            notified: AtomicBool::new(false),
            thread,
        }
    }

    pub(crate) fn thread_name(&self) -> Option<&str> {
        self.thread.name()
    }

    /// Sleeps until `unpark` was called since the last `park`.
    pub(crate) fn park(&self) {
        while !self.take() {
            thread::park();
        }
    }

    /// Sleeps until `unpark` was called or `deadline` has passed; `true` if it
    /// was called.
    pub(crate) fn park_until(&self, deadline: Option<Instant>) -> bool {
        loop {
            if self.take() {
                return true;
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return self.take();
                    }
                    park_timeout(left);
                }
            }
        }
    }

    /// Lets the thread go on, now or at its next `park`.
    pub(crate) fn unpark(&self) {
        if !self.notified.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    fn take(&self) -> bool {
        self.notified.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}

#[cfg(not(loom))]
fn park_timeout(left: std::time::Duration) {
    thread::park_timeout(left);
}

/// Loom has no clock: a timed wait is a yield, so that the model sees both a
/// wake-up in time and one that comes too late.
#[cfg(loom)]
fn park_timeout(_left: std::time::Duration) {
    thread::yield_now();
}

/// Blocks this thread until `poll` is ready or `deadline` has passed (`None`:
/// never). The waker handed to `poll` unparks this thread.
pub(crate) fn block_until<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&Waker) -> Poll<T>,
) -> Option<T> {
    let parker = Arc::new(Parker::new(thread::current()));
    let waker = Waker::from(Arc::clone(&parker));
    loop {
        if let Poll::Ready(value) = poll(&waker) {
            return Some(value);
        }
        if !absent(|| parker.park_until(deadline)) {
            return None;
        }
    }
}
