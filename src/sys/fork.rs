//! Whether this process is a fork of the one in which something was made.
//!
//! `fork(2)` copies the whole memory and one thread, the one that calls it. What
//! lived on another thread is in the child without the thread: a queue that nobody
//! looks at, a lock that nobody will let go of, a number half changed. So the
//! child waits for nothing of what was made before, and touches as little of it as it
//! can. It has to know what that is: everything that lives on threads keeps the
//! *generation* of the process in which it was made.
//!
//! The generation is one number for the process. The handler that counts it up runs
//! in the child, on its only thread, before `fork` returns. It may do nothing that
//! is not safe in a signal handler, and adding to an atomic is all it does. It is
//! registered before the first thread is started. (Who forks by a bare system call,
//! past the C library, is not noticed.)
//!
//! Where there is no fork the generation is always the same.

#![allow(unsafe_code)]

use crate::sync::{Ordering, StaticU32};

/// How many forks lie between this process and the one that began.
///
/// # Memory ordering
/// Relaxed: it changes while there is one thread, and those that come later are
/// started by it.
static GENERATION: StaticU32 = StaticU32::new(0);

/// A process, as it and its forks tell themselves apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Generation(u32);

impl Generation {
    /// This process.
    #[inline]
    pub(crate) fn current() -> Self {
        Self(GENERATION.load(Ordering::Relaxed))
    }

    /// This process, whose forks will be noticed from here on: for whoever starts
    /// threads.
    pub(crate) fn watched() -> Self {
        watch();
        Self::current()
    }

    /// Whether this process is a fork of that one.
    #[inline]
    pub(crate) fn is_past(self) -> bool {
        self != Self::current()
    }
}

#[cfg(any(not(unix), target_os = "emscripten", loom, miri))]
fn watch() {}

/// Registers the handler, once.
///
/// Not with a `Once`: a fork in the middle of it would leave the child with one that
/// never ends. Two threads at once may register it twice, and then it counts by two.
#[cfg(all(unix, not(any(target_os = "emscripten", loom, miri))))]
fn watch() {
    use crate::sync::{StaticBool, deque};

    static WATCHED: StaticBool = StaticBool::new(false);

    // Acquire and Release: who sees it registered has it registered.
    if WATCHED.load(Ordering::Acquire) {
        return;
    }
    // The queues have something in common in the whole process, which whoever steals
    // first makes, with a `Once`. So it is made here, before there are threads: else
    // a fork in the middle of it leaves the child without queues for a new pool.
    let _ = deque::Worker::<()>::new_fifo().stealer().steal();
    // SAFETY: the handler may be called in a fork of this process at any time: see
    // there. It stays where it is, as all code does.
    let error = unsafe { libc::pthread_atfork(None, None, Some(count)) };
    // Without the memory for it forks are not noticed; the next pool tries again.
    WATCHED.store(error == 0, Ordering::Release);
}

/// What runs in a fork before `fork` returns.
#[cfg(all(unix, not(any(target_os = "emscripten", loom, miri))))]
extern "C" fn count() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
