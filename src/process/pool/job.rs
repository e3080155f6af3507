//! [`ProcessJob`]: a job for a process, with more to say about it than its task.

use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, Instant};

use super::driver::{Driver, Limits};
use super::handle::run;
use crate::cancel::CancelToken;
use crate::each_thread::ThreadState;
use crate::handle::JoinHandle;
use crate::job_builder::JobBuilder;
use crate::priority::Priority;
use crate::process::task::Task;

/// A job that is being put together; see
/// [`ProcessPool::job`](crate::process::ProcessPool::job).
#[must_use = "a builder does nothing until `submit`"]
pub struct ProcessJob {
    inner: JobBuilder,
    state: ThreadState<RefCell<Driver>>,
    deadline: Option<Duration>,
    timeout: Option<Duration>,
}

impl ProcessJob {
    pub(super) fn new(inner: JobBuilder, state: ThreadState<RefCell<Driver>>) -> Self {
        Self {
            inner,
            state,
            deadline: None,
            timeout: None,
        }
    }

    /// Which of the jobs that wait comes first. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.inner = self.inner.priority(priority);
        self
    }

    /// The job is to start within `limit` from when it is submitted, or not at all; see
    /// [`JobBuilder::deadline`]. It starts when its argument is sent to a process: one that
    /// had to be started first may have come too late.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.inner = self.inner.deadline(limit);
        self.deadline = Some(limit);
        self
    }

    /// The job is to run for no longer than `limit`, from when its argument is written
    /// to its process until its result is there. If it does, **its process is killed**,
    /// within a few milliseconds: its handle gives
    /// [`is_killed`](crate::JoinError::is_killed) and
    /// [`is_timed_out`](crate::JoinError::is_timed_out), and it does not run any more.
    /// Monotonic time; [`Duration::MAX`] is no limit.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Cancels the job with the token: if it has not started it never will, if it runs
    /// its process is killed.
    pub fn cancel_with(mut self, token: &CancelToken) -> Self {
        self.inner = self.inner.cancel_with(token);
        self
    }

    /// What to call the job in reports of it; see [`JobBuilder::name`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.inner = self.inner.name(name);
        self
    }

    /// Hands the task over, as [`ProcessPool::submit`](crate::process::ProcessPool::submit)
    /// does.
    pub fn submit<T: Task>(self, task: T) -> JoinHandle<T::Output> {
        let Self {
            inner,
            state,
            deadline,
            timeout,
        } = self;
        let limits = Limits {
            // Too far away to be a point in time is no deadline.
            deadline: deadline.and_then(|limit| Instant::now().checked_add(limit)),
            timeout,
        };
        inner.spawn(move || run(&state, task, limits))
    }
}

impl fmt::Debug for ProcessJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessJob")
            .field("job", &self.inner)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
