//! What is done, or kept, once per pool thread.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::handle::JoinHandle;
use crate::job::{Slot, Turn, new_cell};
use crate::scheduler::{Scheduler, StateKey, forget_state};
use crate::spawner::Spawner;
use crate::sync::Arc;

impl Spawner {
    /// Runs `f` once on every pool thread, with the thread's index. See
    /// [`Pool::on_each_thread`](crate::Pool::on_each_thread).
    pub fn on_each_thread<F, T>(&self, f: F) -> Vec<JoinHandle<T>>
    where
        F: Fn(usize) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let f = Arc::new(f);
        let pool = self.scheduler.id();
        let mut handles = Vec::with_capacity(self.num_threads());
        self.scheduler.call_each(|index| {
            let f = Arc::clone(&f);
            let (job, end) = new_cell(move || f(index));
            handles.push(JoinHandle::new(end, pool.thread(index), true));
            Slot::call(job)
        });
        handles
    }

    /// A value that each pool thread has one of. See
    /// [`Pool::thread_state`](crate::Pool::thread_state).
    pub fn thread_state<T: 'static>(
        &self,
        init: impl Fn() -> T + Send + Sync + 'static,
    ) -> ThreadState<T> {
        ThreadState(Arc::new(Shared {
            key: StateKey::fresh(),
            init: Box::new(init),
            scheduler: Arc::clone(&self.scheduler),
        }))
    }
}

/// A value that each pool thread has one of: made when the thread first asks for
/// it, used by the jobs on that thread, dropped on it. It need not be `Send`.
///
/// Clones are of the same values. They are dropped when the last clone is, or
/// with the pool's threads.
///
/// ```
/// use std::cell::RefCell;
///
/// let pool = windlass::Pool::new()?;
/// let buffer = pool.thread_state(|| RefCell::new(String::new()));
/// let length = pool.spawn({
///     let buffer = buffer.clone();
///     move || {
///         buffer.with(|text| {
///             text.borrow_mut().push_str("used again by the next job");
///             text.borrow().len()
///         })
///     }
/// });
/// assert!(length.join()?.is_some());
/// assert!(buffer.with(|_| ()).is_none()); // not a pool thread
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ThreadState<T: 'static>(Arc<Shared<T>>);

struct Shared<T: 'static> {
    key: StateKey,
    init: Box<dyn Fn() -> T + Send + Sync>,
    scheduler: Arc<Scheduler>,
}

impl<T: 'static> ThreadState<T> {
    /// Runs `f` with this thread's value; `None` on a thread that is not the
    /// pool's. Never blocks.
    ///
    /// # Panics
    /// If `init` or `f` does. A panic in `init` leaves no value behind: the next
    /// one who asks tries again.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        let Shared {
            key,
            init,
            scheduler,
        } = &*self.0;
        let value = scheduler.state(*key, init)?;
        Some(f(&value))
    }
}

impl<T: 'static> Clone for ThreadState<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: 'static> Drop for Shared<T> {
    fn drop(&mut self) {
        let forget = Arc::new(Forget(self.key));
        self.scheduler
            .call_all(|_| Slot::turn(Arc::clone(&forget) as Arc<dyn Turn>));
    }
}

/// Drops one value on the thread that has it.
struct Forget(StateKey);

impl Turn for Forget {
    fn run(self: Arc<Self>) {
        forget_state(self.0);
    }

    /// The thread drops all its values when it ends.
    fn refuse(self: Arc<Self>) {}
}

// The values are each on one thread; a panic in `f` is their own affair.
impl<T: 'static> UnwindSafe for ThreadState<T> {}
impl<T: 'static> RefUnwindSafe for ThreadState<T> {}

impl<T: 'static> fmt::Debug for ThreadState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadState").finish_non_exhaustive()
    }
}
