//! [`JoinHandle`]: the way back from one job.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::CancelHandle;
use crate::error::JoinError;
use crate::job::{Completion, HandleEnd, Reason};
use crate::scheduler::{PoolId, clear_tombstones, count_claimed};
use crate::sync::absence::GuestsAway;
use crate::sync::{Arc, block_until, spin_for};
use crate::sys::fork::Generation;

/// The way back from one job: wait for its result, look for it, or await it on
/// any executor.
///
/// * A plain thread: [`join`](Self::join), [`join_timeout`](Self::join_timeout).
/// * A loop of its own: [`try_join`](Self::try_join) once per turn, or
///   [`MainLoop::on_complete`](crate::MainLoop::on_complete).
/// * Async code: it is a `Future<Output = Result<T, JoinError>>` that needs no
///   runtime.
///
/// The job's captures are dropped before its handle resolves, unless a
/// [deadline](crate::JobBuilder::deadline) or a
/// [timeout](crate::JobBuilder::timeout) is what resolves it.
///
/// **Dropping the handle detaches the job**: it runs all the same, and its
/// result is dropped by the pool thread (or here, if it is there already). If
/// it panics then, the panic goes to
/// [`on_panic`](crate::PoolBuilder::on_panic). See
/// [`cancel_on_drop`](Self::cancel_on_drop) for the other meaning.
///
/// # Inside a job
/// `join` may be called inside a job of the same pool, to any depth: a pool
/// thread that waits for a job nobody started runs it itself. It runs nothing
/// else meanwhile, so that a lock held across `join` cannot deadlock through
/// the pool. If it has to wait, another thread of the pool runs in its place, so
/// that jobs of two pools may wait for each other too; see
/// [`blocking`](crate::blocking). Blocking on the *future* inside a job
/// (`block_on(handle)`) cannot be seen by the pool, and takes a thread away from
/// it: use `join` there.
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// let handle = pool.spawn(|| (1..=20u64).product::<u64>());
/// assert_eq!(handle.join()?, 2_432_902_008_176_640_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a handle detaches the job; use `execute` if no result is wanted"]
pub struct JoinHandle<T> {
    end: HandleEnd<T>,
    home: Home,
    /// A thread had to be woken for the job, so that it cannot be done soon.
    woke: bool,
    cancel_on_drop: bool,
    /// The process that the job is in.
    made_in: Generation,
}

/// Where a job waits for its turn.
enum Home {
    /// In a pool's own queues: a waiting thread of the pool may claim it.
    Pool(PoolId),
    /// In a view's queue, which may not be jumped.
    View(Arc<dyn Help>),
}

/// A view, as whoever waits for a job of it sees it.
pub(crate) trait Help: Send + Sync {
    /// Whether the job that waits on this thread has to end before the one that it
    /// waits for may start.
    fn would_deadlock(self: Arc<Self>) -> bool;

    /// Does what the view allows to bring the job about, until `is_over` or nothing
    /// is left to do; `waker` is woken when there is something again.
    fn help(self: Arc<Self>, waker: &Waker, is_over: &dyn Fn() -> bool);
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(end: HandleEnd<T>, pool: PoolId, woke: bool) -> Self {
        Self::of(end, Home::Pool(pool), woke)
    }

    /// The handle of a job that waits in a view.
    pub(crate) fn of_view(end: HandleEnd<T>, view: Arc<dyn Help>) -> Self {
        Self::of(end, Home::View(view), false)
    }

    fn of(end: HandleEnd<T>, home: Home, woke: bool) -> Self {
        Self {
            end,
            home,
            woke,
            cancel_on_drop: false,
            made_in: Generation::current(),
        }
    }

    /// Waits for the result, however long it takes.
    ///
    /// Inside a job of the same pool, a job that nobody has started is run
    /// here.
    ///
    /// # Errors
    /// If the job panicked, was cancelled, or the pool was closed.
    ///
    /// # Panics
    /// If the result was taken before, by `try_join` or by polling.
    pub fn join(mut self) -> Result<T, JoinError> {
        self.expect_unspent("join");
        let completion = self.wait(None);
        into_result(completion.expect("a wait without a deadline ends with the result"))
    }

    /// Waits for the result for at most `timeout`, monotonic time. Zero looks
    /// once; `Duration::MAX` waits for ever.
    ///
    /// It never runs the job here, so that time is kept also inside a job (but
    /// for ever is `join`, and does).
    ///
    /// # Errors
    /// Gives the handle back if time runs out; the inner result is that of
    /// [`join`](Self::join).
    ///
    /// # Panics
    /// As [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::Pool;
    ///
    /// let pool = Pool::new()?;
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let handle = pool.spawn(move || wait.recv());
    /// let handle = handle.join_timeout(Duration::from_millis(1)).unwrap_err();
    /// go.send("now")?;
    /// assert_eq!(handle.join()?, Ok("now"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_timeout(mut self, timeout: Duration) -> Result<Result<T, JoinError>, Self> {
        self.expect_unspent("join_timeout");
        match self.wait(Some(timeout)) {
            Some(completion) => Ok(into_result(completion)),
            None => Err(self),
        }
    }

    /// The result if it is there, without waiting. `None` while the job has not
    /// ended, and for ever after the result was taken.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let mut handle = pool.spawn(|| 6 * 7);
    /// let answer = loop {
    ///     // ... draw a frame ...
    ///     if let Some(result) = handle.try_join() {
    ///         break result?;
    ///     }
    /// };
    /// assert_eq!(answer, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_join(&mut self) -> Option<Result<T, JoinError>> {
        if let Some(completion) = self.end.try_take() {
            return Some(into_result(completion));
        }
        self.look_for_fork();
        self.end.try_take().map(into_result)
    }

    /// Whether the job has ended, one way or another, so that `join` would not
    /// wait. Never waits itself.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.end.is_resolved() || self.is_forked()
    }

    /// Cancels the job if it has not started; `true` if it never will, because
    /// of this call or of another one.
    ///
    /// Exact: after `true` the closure never runs, and the handle gives
    /// [`is_cancelled`](JoinError::is_cancelled). The call that did it has
    /// dropped the closure with all it captured, with no lock held. After
    /// `false` the job was running or over; its result is not affected. Should
    /// the `Drop` of a capture panic, the handle gives that panic instead, and
    /// this call still returns `true`.
    pub fn cancel(&self) -> bool {
        let cancelled = self.end.cancel();
        if cancelled && self.is_here() {
            clear_tombstones();
        }
        cancelled
    }

    /// The power to cancel, to be kept when the handle is awaited or given to a
    /// main loop.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.end.cancel_end(), self.made_in)
    }

    /// Makes dropping this handle cancel the job, as [`cancel`](Self::cancel)
    /// does, instead of detaching it: for work that nobody wants once the
    /// client is gone.
    ///
    /// ```
    /// # let pool = windlass::Pool::builder().num_threads(1).build()?;
    /// # let (go, wait) = std::sync::mpsc::channel::<()>();
    /// # let busy = pool.spawn(move || wait.recv());
    /// let wanted = pool.spawn(|| unreachable!("cancelled first")).cancel_on_drop();
    /// drop(wanted);
    /// # drop(go);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancel_on_drop = true;
        self
    }

    /// Whether this thread may claim the job: it is one of its pool.
    pub(crate) fn is_here(&self) -> bool {
        matches!(self.home, Home::Pool(pool) if pool.is_current())
    }

    /// Runs the job on this thread, one of its pool, if nobody started it; whether
    /// it did.
    pub(crate) fn run_unstarted(&mut self) -> bool {
        let ran = self.end.run_unstarted();
        if ran {
            count_claimed();
        }
        ran
    }

    /// Waits until the job has ended, and leaves the result where it is; whether it has
    /// ended by the `deadline`. Never runs it here.
    pub(crate) fn wait_until_ended(&mut self, deadline: Option<Instant>) -> bool {
        if self.is_finished() {
            return true;
        }
        self.spin();
        block_until(deadline, |waker| self.end.poll_resolved(waker)).is_some()
    }

    /// Whether this process is a fork of the one that the job is in.
    pub(crate) fn is_forked(&self) -> bool {
        self.made_in.is_past()
    }

    /// In a fork nobody is going to resolve the job.
    #[inline]
    fn look_for_fork(&self) {
        if self.is_forked() {
            self.end.give_up(Reason::Forked);
        }
    }

    fn expect_unspent(&self, method: &str) {
        assert!(
            !self.end.is_spent(),
            "JoinHandle::{method}: the result was taken before"
        );
    }

    /// Waits for the outcome: for a moment by looking, then by parking.
    fn wait(&mut self, timeout: Option<Duration>) -> Option<Completion<T>> {
        // Too far away to be a point in time is no deadline.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // Only a thread of the pool runs it here: a job is entitled to a pool
        // thread's stack, priority and per-thread state. And only if there is
        // no deadline that running it could miss.
        if deadline.is_none() {
            if self.is_here() {
                self.run_unstarted();
            } else if let Home::View(view) = &self.home {
                let view = Arc::clone(view);
                return Some(self.wait_in_view(&view));
            }
        }
        self.wait_until(deadline, timeout)
    }

    fn wait_in_view(&mut self, view: &Arc<dyn Help>) -> Completion<T> {
        if let Some(completion) = self.end.try_take() {
            return completion;
        }
        self.look_for_fork();
        if Arc::clone(view).would_deadlock() {
            return Completion::Refused(Reason::Deadlock);
        }
        let end = &mut self.end;
        // Who helps may need the place that this job has.
        let _guests = GuestsAway::leave();
        let completion = block_until(None, |waker| {
            Arc::clone(view).help(waker, &|| end.is_resolved());
            end.poll(waker)
        });
        completion.expect("a wait without a deadline ends with the result")
    }

    fn wait_until(
        &mut self,
        deadline: Option<Instant>,
        timeout: Option<Duration>,
    ) -> Option<Completion<T>> {
        if let Some(completion) = self.end.try_take() {
            return Some(completion);
        }
        self.look_for_fork();
        if timeout != Some(Duration::ZERO) {
            self.spin();
        }
        block_until(deadline, |waker| self.end.poll(waker))
    }

    /// Looks for the outcome for a moment. If a thread had to be woken for the job,
    /// parking at once may let that thread run on this very processor.
    fn spin(&self) {
        if !self.woke {
            spin_for(|| self.end.is_resolved());
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.cancel_on_drop {
            self.cancel();
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// If the result was taken before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.look_for_fork();
        self.end.poll(cx.waker()).map(into_result)
    }
}

impl<T> Unpin for JoinHandle<T> {}

// A panic elsewhere leaves a handle as it was: each step of it is one atomic
// step of the job's state.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

pub(crate) fn into_result<T>(completion: Completion<T>) -> Result<T, JoinError> {
    match completion {
        Completion::Value(value) => Ok(value),
        Completion::Panic(payload) => Err(JoinError::panic(payload)),
        Completion::Refused(Reason::Cancelled) => Err(JoinError::cancelled()),
        Completion::Refused(Reason::Closed) => Err(JoinError::closed()),
        Completion::Refused(Reason::Expired) => Err(JoinError::expired()),
        Completion::Refused(Reason::TimedOut) => Err(JoinError::timed_out()),
        Completion::Refused(Reason::Rejected) => Err(JoinError::rejected()),
        Completion::Refused(Reason::Forked) => Err(JoinError::forked()),
        Completion::Refused(Reason::Deadlock) => Err(JoinError::deadlock()),
    }
}
