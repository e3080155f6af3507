//! Handing jobs over to a pool whose queue may be full, with the closure back if it
//! is: `try_spawn`, `try_execute`, [`TrySpawnError`].

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::handle::JoinHandle;
use crate::job::{Reason, Slot};
use crate::spawner::Spawner;
use crate::sync::Mutex;

impl Spawner {
    /// Hands `f` over if there is room for it. See
    /// [`Pool::try_spawn`](crate::Pool::try_spawn).
    ///
    /// # Errors
    /// Gives `f` back if the queue is full or the pool is closed.
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if let Err(why) = self.try_let_in() {
            return Err(TrySpawnError::new(why, f));
        }
        Ok(match self.scheduler.bounds() {
            Some(bounds) => self.spawn_if(Ok(Some(bounds.permit())), f),
            None => self.spawn(f),
        })
    }

    /// Hands `f` over, fire and forget, if there is room for it. See
    /// [`Pool::try_execute`](crate::Pool::try_execute).
    ///
    /// # Errors
    /// Gives `f` back if the queue is full or the pool is closed.
    pub fn try_execute<F>(&self, f: F) -> Result<(), TrySpawnError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        if let Err(why) = self.try_let_in() {
            return Err(TrySpawnError::new(why, f));
        }
        self.execute_let_in(Slot::detached(f));
        Ok(())
    }

    /// Takes a place for a job if there is one, and if jobs need one.
    fn try_let_in(&self) -> Result<(), Why> {
        let Some(bounds) = self.scheduler.bounds() else {
            return match self.scheduler.is_open_here() {
                true => Ok(()),
                false => Err(Why::Closed),
            };
        };
        self.scheduler
            .try_let_in(bounds)
            .map_err(|reason| match reason {
                Reason::Rejected => Why::Full {
                    capacity: bounds.room().capacity(),
                },
                _ => Why::Closed,
            })
    }
}

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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Closed,
    Full { capacity: usize },
}

impl<F> TrySpawnError<F> {
    fn new(why: Why, closure: F) -> Self {
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
