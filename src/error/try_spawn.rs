//! [`TrySpawnError`]: a job that was not handed over.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::sync::Mutex;

/// A closure that was not handed over: it comes back in the error.
///
/// It is `Sync` even if the closure is not, so that `?` carries it into `anyhow`
/// and `Box<dyn Error + Send + Sync>`.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// pool.shutdown_now();
/// let error = pool.try_spawn(|| 6 * 7).unwrap_err();
/// assert!(error.is_closed());
/// assert_eq!(error.into_inner()(), 42); // on this thread, then
/// # Ok::<(), windlass::BuildError>(())
/// ```
pub struct TrySpawnError<F> {
    why: Why,
    // Nobody locks it: the mutex makes the error `Sync`.
    closure: Mutex<F>,
}

/// Why a job was not handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The pool takes no more.
    Closed,
    /// So many jobs wait, and no more may.
    Full { capacity: usize },
}

impl<F> TrySpawnError<F> {
    pub(crate) fn new(why: Why, closure: F) -> Self {
        Self {
            why,
            closure: Mutex::new(closure),
        }
    }

    /// Whether as many jobs wait as may, or others wait for room already.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.is_closed()
    }

    /// Whether the pool takes no more jobs.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.why == Why::Closed
    }

    /// The same with something else in the closure's place.
    #[cfg(all(unix, feature = "process"))]
    pub(crate) fn map<G>(self, f: impl FnOnce(F) -> G) -> TrySpawnError<G> {
        TrySpawnError::new(self.why, f(self.closure.into_inner()))
    }

    /// The closure. Dropping the error drops it.
    pub fn into_inner(self) -> F {
        self.closure.into_inner()
    }
}

impl<F> fmt::Display for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Closed => f.write_str("the pool is closed"),
            Why::Full { capacity: 1 } => f.write_str("the pool's queue is full: 1 job waits"),
            Why::Full { capacity } => {
                write!(f, "the pool's queue is full: {capacity} jobs wait")
            }
        }
    }
}

impl<F> fmt::Debug for TrySpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrySpawnError({self})")
    }
}

impl<F> std::error::Error for TrySpawnError<F> {}

// The closure can only be taken out whole.
impl<F> UnwindSafe for TrySpawnError<F> {}
impl<F> RefUnwindSafe for TrySpawnError<F> {}
