//! [`Task`]: a job by name, for threads and processes alike.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handle::JoinHandle;
use crate::pool::Pool;
use crate::spawner::Spawner;

/// A job that has a name, and that can be written down: what a closure cannot be, and
/// must be to run in another process.
///
/// The same value runs on a thread, by [`Pool::submit`], or in a process, by
/// [`ProcessPool::submit`](super::ProcessPool::submit).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use windlass::Pool;
/// use windlass::process::{Task, TaskContext};
///
/// #[derive(Serialize, Deserialize)]
/// struct Fib(u32);
///
/// impl Task for Fib {
///     const NAME: &'static str = "fib";
///     type Output = u64;
///
///     fn run(self, _cx: &TaskContext) -> u64 {
///         (0..self.0).fold((0, 1), |(a, b), _| (b, a + b)).0
///     }
/// }
///
/// let pool = Pool::new()?;
/// assert_eq!(pool.submit(Fib(50)).join()?, 12_586_269_025);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Task: Serialize + DeserializeOwned + Send + 'static {
    /// What the task is called: in [`Tasks`](super::Tasks), in errors, before the lines
    /// that it writes. No two tasks of a program may share one.
    const NAME: &'static str;

    /// What comes of it.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// Does the work. A panic is the job's panic, wherever it runs.
    fn run(self, cx: &TaskContext) -> Self::Output;
}

/// What a task can ask while it runs.
pub struct TaskContext {
    name: &'static str,
    is_in_child: bool,
}

impl TaskContext {
    pub(super) fn new(name: &'static str, is_in_child: bool) -> Self {
        Self { name, is_in_child }
    }

    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether the job is to stop; see [`is_cancelled`](crate::is_cancelled). Always
    /// `false` in a process: there a job that is to stop is killed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        !self.is_in_child && crate::cancel::is_cancelled()
    }

    /// Whether this runs in a process of its own.
    #[must_use]
    pub fn is_in_child(&self) -> bool {
        self.is_in_child
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("name", &self.name)
            .field("is_in_child", &self.is_in_child)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Runs a task on this pool's threads, as [`spawn`](Self::spawn) runs a closure.
    /// See [`Task`].
    pub fn submit<T: Task>(&self, task: T) -> JoinHandle<T::Output> {
        let spawner: &Spawner = self.as_ref();
        spawner.submit(task)
    }
}

impl Spawner {
    /// Runs a task on the pool's threads. See [`Pool::submit`].
    pub fn submit<T: Task>(&self, task: T) -> JoinHandle<T::Output> {
        self.spawn(move || task.run(&TaskContext::new(T::NAME, false)))
    }
}
