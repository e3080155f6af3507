//! [`JobBuilder`]: a job with more to say about it than a closure.

use std::fmt;
use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::handle::JoinHandle;
use crate::job::{HandleEnd, Reason, Slot, new_cell};
use crate::priority::Priority;
use crate::scheduler::{NamedJob, Permit, ThrownOut};
use crate::spawner::Spawner;
use crate::sync::Arc;
use crate::timer::Timed;

/// A job that is being put together; see [`Pool::job`](crate::Pool::job).
#[must_use = "a builder does nothing until `spawn`"]
pub struct JobBuilder {
    spawner: Spawner,
    deadline: Option<Duration>,
    timeout: Option<Duration>,
    tokens: Vec<CancelToken>,
    priority: Priority,
    name: Option<Arc<str>>,
}

impl Spawner {
    /// A job with more to say about it than a closure. See
    /// [`Pool::job`](crate::Pool::job).
    pub fn job(&self) -> JobBuilder {
        JobBuilder {
            spawner: self.clone(),
            deadline: None,
            timeout: None,
            tokens: Vec::new(),
            priority: Priority::Normal,
            name: None,
        }
    }
}

impl JobBuilder {
    /// Which of the jobs that wait comes first. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The job is to start within `limit` from when it is spawned, or not at all:
    /// then its handle gives [`is_expired`](crate::JoinError::is_expired), at the
    /// deadline, and what it captured is dropped by a pool thread when the job's
    /// turn would have come (until then it counts for
    /// [`queue_capacity`](crate::PoolBuilder::queue_capacity)). Monotonic time.
    /// Zero expires at once, and drops the captures here; [`Duration::MAX`] is no
    /// limit.
    ///
    /// While a job with a limit waits or runs there is one thread more, which
    /// keeps the time. If that cannot be started (a line on stderr says so), the
    /// job still does not start too late, but its handle is told only then.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = windlass::Pool::builder().num_threads(1).build()?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// pool.execute(move || drop(wait.recv())); // the thread is busy
    /// let late = pool.job().deadline(Duration::from_millis(1)).spawn(|| unreachable!());
    /// let result: Result<(), _> = late.join();
    /// assert!(result.unwrap_err().is_expired()); // although the thread is busy still
    /// # drop(go);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// The job is to run for no longer than `limit` from when it starts. If it
    /// does, its handle gives [`is_timed_out`](crate::JoinError::is_timed_out) at
    /// once, and it is asked to stop ([`is_cancelled`](crate::is_cancelled)): it
    /// cannot be made to, and goes on until it asks or ends. What it returns
    /// after that is dropped by the pool thread. Monotonic time;
    /// [`Duration::MAX`] is no limit.
    ///
    /// This is the one case where a handle resolves while the job runs. About the time-keeping thread see [`deadline`](Self::deadline); if
    /// it cannot be started, the job runs without a limit.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = windlass::Pool::new()?;
    /// let search = pool.job().timeout(Duration::from_millis(5)).spawn(|| {
    ///     while !windlass::is_cancelled() { /* ... a step ... */ }
    /// });
    /// assert!(search.join().unwrap_err().is_timed_out());
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Cancels the job with the token, or with the first of several: if it has not started, it never will; if
    /// it runs, it is asked to stop. With a token that is cancelled already the
    /// closure is dropped by [`spawn`](Self::spawn). See [`CancelToken`].
    pub fn cancel_with(mut self, token: &CancelToken) -> Self {
        self.tokens.push(token.clone());
        self
    }

    /// What to call the job in reports of it; see
    /// [`PoolBuilder::stall_after`](crate::PoolBuilder::stall_after).
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into());
        self
    }

    /// Hands `f` over, as [`Pool::spawn`](crate::Pool::spawn) does, also when the
    /// pool's queue is full.
    pub fn spawn<F, T>(mut self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let spawner = self.spawner.clone();
        // Told when this one has been handed over.
        let (permit, _thrown_out, refused) = match self.let_in(&spawner) {
            Ok((permit, thrown_out)) => (permit, thrown_out, None),
            Err(reason) => (None, None, Some(reason)),
        };
        let is_limited = self.deadline.is_some() || self.timeout.is_some();
        let is_plain = !is_limited && self.name.is_none();
        // In a fork of the pool's process it is refused, whatever its limits.
        if is_plain || self.spawner.scheduler.is_forked() {
            let (job, end) = new_cell(move || {
                drop(permit);
                f()
            });
            self.adopt(&end);
            return self.submit(Slot::with_handle(job), end, refused);
        }
        let at = self
            .deadline
            .and_then(|limit| Instant::now().checked_add(limit));
        let timed = is_limited.then(Timed::new);
        let (timeout, name) = (self.timeout.take(), self.name.take());
        let (job, end) = new_cell(move || {
            drop(permit);
            let _named = name.map(NamedJob::enter);
            if let (Some(limit), Some(timed)) = (timeout, &timed) {
                timed.limit_current(limit);
            }
            let result = f();
            drop(timed);
            result
        });
        self.adopt(&end);
        let (None, Some(at)) = (refused, at) else {
            return self.submit(Slot::with_handle(job), end, refused);
        };
        if let Some(party) = end.cancel_end() {
            Timed::deadline(at, party);
        }
        self.submit(Slot::punctual(job, at), end, None)
    }

    /// Takes a place in the pool's queue, if jobs need one.
    fn let_in<'a>(
        &self,
        spawner: &'a Spawner,
    ) -> Result<(Option<Permit>, Option<ThrownOut<'a>>), Reason> {
        if self.deadline == Some(Duration::ZERO) {
            return Err(Reason::Expired);
        }
        spawner.let_in()
    }

    fn submit<T>(&self, slot: Slot, end: HandleEnd<T>, refused: Option<Reason>) -> JoinHandle<T> {
        let Some(reason) = refused else {
            return self.spawner.submit_at(slot, end, self.priority);
        };
        self.spawner.refuse(slot, reason);
        self.spawner.handle(end, false)
    }

    fn adopt<T>(&self, end: &HandleEnd<T>) {
        for token in &self.tokens {
            if let Some(party) = end.cancel_end() {
                token.adopt(party);
            }
        }
    }
}

impl fmt::Debug for JobBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobBuilder")
            .field("name", &self.name)
            .field("priority", &self.priority)
            .field("deadline", &self.deadline)
            .field("timeout", &self.timeout)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}
