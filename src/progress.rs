//! Jobs that talk while they run.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::JoinError;
use crate::handle::{CancelHandle, JoinHandle};
use crate::job_builder::JobBuilder;
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Claim, Lane, PostError, RecvError, Waiting, receiving_methods};
use crate::sync::Arc;

impl JobBuilder {
    /// Has `callback` run on this thread with whatever the job posts while it
    /// runs.
    ///
    /// ```
    /// use windlass::{MainLoop, Pool, Progress};
    ///
    /// let pool = Pool::new()?;
    /// let main = MainLoop::new();
    /// let job = pool
    ///     .job()
    ///     .on_progress(&main, |_main, percent: u32| println!("{percent}%"))
    ///     .spawn(|progress: &Progress<u32>| {
    ///         for percent in [0, 50, 100] {
    ///             let _ = progress.post(percent);
    ///         }
    ///         "done"
    ///     });
    /// main.on_complete(job, |_main, result| println!("{}", result.unwrap()));
    /// main.run(); // 0%, 50%, 100%, done: the result is always last
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn on_progress<P: Send + 'static>(
        self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, P) + 'static,
    ) -> ProgressBuilder<P> {
        let lane = Arc::new(Lane::outbox());
        let listening = main.listen(&lane, callback);
        debug_assert!(listening.is_ok(), "nobody else knows the lane");
        ProgressBuilder {
            job: self,
            reports: Reports(lane),
        }
    }

    /// Hands `f` over with a way to talk while it runs; what it posts is received
    /// from the handle.
    ///
    /// ```
    /// use windlass::{Pool, Progress};
    ///
    /// let pool = Pool::new()?;
    /// let job = pool.job().spawn_with_progress(|progress: &Progress<u32>| {
    ///     (1..=3).for_each(|step| { let _ = progress.post(step); });
    ///     "done"
    /// });
    /// let steps: Vec<u32> = job.iter()?.collect(); // ends with the job
    /// assert_eq!(steps, [1, 2, 3]);
    /// assert_eq!(job.join()?, "done");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_with_progress<P, F, T>(self, f: F) -> ProgressHandle<P, T>
    where
        P: Send + 'static,
        F: FnOnce(&Progress<P>) -> T + Send + 'static,
        T: Send + 'static,
    {
        let reports = Reports(Arc::new(Lane::outbox()));
        spawn(self, reports, f)
    }
}

/// A job whose progress a main loop hears of; see [`JobBuilder::on_progress`].
///
/// Dropping it ends the listener.
#[must_use = "a builder does nothing until `spawn`"]
pub struct ProgressBuilder<P: Send + 'static> {
    job: JobBuilder,
    reports: Reports<P>,
}

impl<P: Send + 'static> ProgressBuilder<P> {
    /// Hands `f` over with a way to talk while it runs.
    pub fn spawn<F, T>(self, f: F) -> ProgressHandle<P, T>
    where
        F: FnOnce(&Progress<P>) -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn(self.job, self.reports, f)
    }
}

impl<P: Send + 'static> fmt::Debug for ProgressBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressBuilder").finish_non_exhaustive()
    }
}

/// The job's end of the lane: closed when the job is over, whatever way.
struct Reports<P>(Arc<Lane<P>>);

impl<P> Drop for Reports<P> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn spawn<P, F, T>(job: JobBuilder, reports: Reports<P>, f: F) -> ProgressHandle<P, T>
where
    P: Send + 'static,
    F: FnOnce(&Progress<P>) -> T + Send + 'static,
    T: Send + 'static,
{
    let lane = Arc::clone(&reports.0);
    let progress = Progress { reports };
    // It is a capture, and those are dropped before the handle resolves.
    let handle = job.spawn(move || f(&progress));
    ProgressHandle {
        handle,
        receiver: Receiver {
            lane,
            waiting: Waiting::alone(),
        },
    }
}

/// How a running job talks to its owner.
pub struct Progress<P> {
    reports: Reports<P>,
}

impl<P> Progress<P> {
    /// Posts a message to the owner. Never blocks.
    ///
    /// # Errors
    /// Gives the message back if nobody can receive it: the handle was dropped,
    /// and no listener or stream is left. The job may well go on.
    pub fn post(&self, message: P) -> Result<(), PostError<P>> {
        if self.reports.0.is_cut_off() {
            return Err(PostError::closed(message));
        }
        self.reports.0.post(message)
    }

    /// Whether posts come back.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reports.0.is_closed()
    }
}

// User code never runs with anything of a lane half done.
impl<P> UnwindSafe for Progress<P> {}
impl<P> RefUnwindSafe for Progress<P> {}

impl<P> fmt::Debug for Progress<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// The way back from a job that talks: its messages, then its result.
///
/// The messages are received as from a [`Port`](crate::Port), and end with the
/// job. As a future, and with
/// [`MainLoop::on_complete`](crate::MainLoop::on_complete), it is ready only
/// after whoever receives the messages has had all of them, so that no progress
/// comes after the result. (For that reason do not block on the future on the
/// very thread whose loop is listening; [`join`](Self::join) is safe there, and
/// waits for the job alone.)
///
/// **Dropping it** detaches the job, which runs all the same; what it posts comes
/// back to it, unless a listener or a stream still receives.
#[must_use = "dropping a handle detaches the job"]
pub struct ProgressHandle<P, T> {
    handle: JoinHandle<T>,
    receiver: Receiver<P>,
}

/// The owner's end of the lane.
struct Receiver<P> {
    lane: Arc<Lane<P>>,
    waiting: Waiting,
}

impl<P> Drop for Receiver<P> {
    fn drop(&mut self) {
        self.lane.leave(&mut self.waiting);
        // Nobody can come to receive, but who does already.
        if let Ok(mut claim) = Claim::new(&*self.lane) {
            self.lane.close();
            claim.discard_all();
        }
    }
}

impl<P, T> ProgressHandle<P, T> {
    receiving_methods!(P);

    /// Waits for the result of the job, as [`JoinHandle::join`] does. Messages
    /// that were not received are dropped, but for those of a listener or stream,
    /// which may come later.
    ///
    /// # Errors
    /// If the job panicked, was cancelled, or the pool was closed.
    pub fn join(self) -> Result<T, JoinError> {
        self.handle.join()
    }

    /// The result if it is there; see [`JoinHandle::try_join`].
    pub fn try_join(&mut self) -> Option<Result<T, JoinError>> {
        self.handle.try_join()
    }

    /// Whether the job has ended, one way or another.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Cancels the job if it has not started; see [`JoinHandle::cancel`].
    pub fn cancel(&self) -> bool {
        self.handle.cancel()
    }

    /// The power to cancel; see [`JoinHandle::cancel_handle`].
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.handle.cancel_handle()
    }

    fn lane(&self) -> &Arc<Lane<P>> {
        &self.receiver.lane
    }
}

impl<P, T> Future for ProgressHandle<P, T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// If the result was taken before.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Receiver { lane, waiting } = &mut this.receiver;
        if lane.poll_over(waiting, cx.waker()).is_pending() {
            return Poll::Pending;
        }
        Pin::new(&mut this.handle).poll(cx)
    }
}

impl<P, T> Unpin for ProgressHandle<P, T> {}

impl<P: 'static, T> Sealed for ProgressHandle<P, T> {}

impl<P: 'static, T> MessageSource for ProgressHandle<P, T> {
    type Message = P;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, P) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(&self.receiver.lane, callback)
    }
}

impl<P, T> fmt::Debug for ProgressHandle<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressHandle")
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
