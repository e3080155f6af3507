//! [`ScopedHandle`]: the way back from one job of a scope.

use std::fmt;

use super::core::Core;
use crate::error::JoinError;
use crate::handle::into_result;
use crate::job::{Child, Completion};
use crate::scheduler::count_claimed;
use crate::sync::{block_until, spin_for};

/// The way back from one job of a [`Scope`](crate::Scope).
///
/// **Dropping it** is fine: the scope waits for the job all the same. The result is
/// dropped then, by the thread that has run the job, or here if it is there already; and
/// if the job panicked, or does so later, the scope panics with that.
///
/// It cannot leave its scope:
///
/// ```compile_fail
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let handle = pool.scope(|s| s.spawn(|| 1));
/// ```
pub struct ScopedHandle<'scope, T> {
    child: Child<'scope, T>,
    core: &'scope Core<'scope>,
    /// A thread had to be woken for the job, so that it cannot be done soon.
    woke: bool,
}

impl<'scope, T> ScopedHandle<'scope, T> {
    pub(super) fn new(child: Child<'scope, T>, core: &'scope Core<'scope>, woke: bool) -> Self {
        Self { child, core, woke }
    }

    /// Waits for the result, however long it takes. The job's captures have been dropped
    /// then.
    ///
    /// On a thread of the pool, a job that nobody has started is run here, as with
    /// [`JoinHandle::join`](crate::JoinHandle::join); nothing else is.
    ///
    /// # Errors
    /// If the job panicked: the scope does not panic with it then. Or if this process is
    /// a [fork](crate::Pool#fork) of the one in which it runs.
    ///
    /// ```
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// let pool = windlass::Pool::new()?;
    /// let error = pool.scope(|s| s.spawn(|| panic!("no more rope")).join().unwrap_err());
    /// assert_eq!(error.to_string(), "the job panicked: no more rope");
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn join(mut self) -> Result<T, JoinError> {
        if self.core.may_claim() && self.child.run_unstarted() {
            count_claimed();
        }
        into_result(self.wait())
    }

    /// Whether the job has ended, so that `join` would not wait. Never waits itself.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.child.is_resolved() || self.core.is_forked()
    }

    fn wait(&mut self) -> Completion<T> {
        if let Some(completion) = self.child.try_take() {
            return completion;
        }
        if self.core.is_forked() {
            self.child.give_up();
        }
        if !self.woke {
            spin_for(|| self.child.is_resolved());
        }
        let completion = block_until(None, |waker| self.child.poll(waker));
        completion.expect("a wait without a deadline ends with the result")
    }
}

impl<T> fmt::Debug for ScopedHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedHandle")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}
