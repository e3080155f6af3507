//! [`JobSet`]: jobs that are awaited together, in the order in which they end.
//!
//! Each job has a ticket, its waker: it puts the job's number into a queue, whose
//! word says in the same step whether the owner of the set waits
//! ([`Queue`]).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;

use crate::cancel::CancelToken;
use crate::error::JoinError;
use crate::handle::JoinHandle;
use crate::job_builder::JobBuilder;
use crate::port::{Batch, Queue, Wait};
use crate::spawner::Spawner;
use crate::sync::{Arc, WakerSlot, block_until};
use crate::sys::fork::Generation;
use crate::util::discard;

/// Jobs that belong together: their results come in the order in which the jobs
/// end, all are cancelled by one call, and with the set.
///
/// **Dropping it** cancels its jobs: those that have not started never will, those
/// that run are asked to stop ([`is_cancelled`](crate::is_cancelled)).
///
/// Inside a job of the same pool waiting is safe at any depth, as with
/// [`JoinHandle::join`]: a pool thread that waits runs jobs of the set that nobody
/// started, the oldest first.
///
/// ```
/// use windlass::{JobSet, Pool};
///
/// let pool = Pool::new()?;
/// let mut set = JobSet::new(&pool);
/// for n in 1..=10_u64 {
///     set.spawn(move || n * n);
/// }
/// let mut sum = 0;
/// while let Some(square) = set.join_next() {
///     sum += square?;
/// }
/// assert_eq!(sum, 385);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JobSet<T> {
    spawner: Spawner,
    token: CancelToken,
    /// The jobs whose results were not taken, by number.
    members: BTreeMap<u64, JoinHandle<T>>,
    /// The number of the next job.
    next: u64,
    /// Nobody before this one is left that a waiting pool thread could start.
    untried: u64,
    /// Results that were there when their jobs were spawned.
    finished: BTreeMap<u64, Result<T, JoinError>>,
    /// What is given out first: in a fork there are no tickets.
    forked: VecDeque<(u64, Result<T, JoinError>)>,
    /// Numbers of jobs that have ended, taken out of the queue.
    ended: Batch<u64>,
    desk: Arc<Desk>,
    /// The process whose threads hand tickets in.
    process: Generation,
}

/// Where tickets are handed in.
struct Desk {
    ended: Queue<u64>,
    /// The waker of the set's owner.
    owner: WakerSlot,
}

/// One job's waker.
struct Ticket {
    number: u64,
    desk: Arc<Desk>,
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The queue is never closed.
        if matches!(self.desk.ended.push(self.number), Ok(true)) {
            self.desk.owner.wake();
        }
    }
}

impl<T: Send + 'static> JobSet<T> {
    /// An empty set for jobs of this pool. Takes a [`Pool`](crate::Pool) or a
    /// [`Spawner`].
    #[must_use]
    pub fn new(pool: &impl AsRef<Spawner>) -> Self {
        let desk = Desk {
            ended: Queue::new(),
            owner: WakerSlot::new(),
        };
        Self {
            spawner: pool.as_ref().clone(),
            token: CancelToken::new(),
            members: BTreeMap::new(),
            next: 0,
            untried: 0,
            finished: BTreeMap::new(),
            forked: VecDeque::new(),
            ended: Batch::default(),
            desk: Arc::new(desk),
            process: Generation::current(),
        }
    }

    /// Hands a job over, as [`Pool::spawn`](crate::Pool::spawn) does. Never
    /// blocks. After [`cancel_all`](Self::cancel_all) the job is cancelled at
    /// once.
    pub fn spawn<F>(&mut self, f: F)
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn_job(self.spawner.job(), f);
    }

    /// As [`spawn`](Self::spawn), for a job with more to say about it; it may be
    /// of another pool.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::{JobSet, Pool};
    ///
    /// let pool = Pool::new()?;
    /// let mut set = JobSet::new(&pool);
    /// set.spawn_job(pool.job().deadline(Duration::ZERO), || 1);
    /// assert!(set.join_next().unwrap().unwrap_err().is_expired());
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn spawn_job<F>(&mut self, job: JobBuilder, f: F)
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.adopt(job.cancel_with(&self.token).spawn(f));
    }

    /// Takes in a job that was handed over otherwise. The set does not cancel it; its
    /// handle may.
    pub(crate) fn adopt(&mut self, mut handle: JoinHandle<T>) {
        let number = self.next;
        self.next += 1;
        let ticket = Waker::from(Arc::new(Ticket {
            number,
            desk: Arc::clone(&self.desk),
        }));
        match Pin::new(&mut handle).poll(&mut Context::from_waker(&ticket)) {
            Poll::Ready(result) => {
                self.finished.insert(number, result);
                // In its turn: others have ended before.
                ticket.wake_by_ref();
            }
            Poll::Pending => drop(self.members.insert(number, handle)),
        }
    }

    /// Waits for the next job to end; `None` if all results were taken.
    pub fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        Some(self.wait_for_next()?.1)
    }

    /// As [`join_next`](Self::join_next), for async code. Dropping the future
    /// loses no result.
    pub fn join_next_async(&mut self) -> JoinNext<'_, T> {
        JoinNext { set: self }
    }

    /// The result of a job that has ended, without waiting.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        Some(self.take_next()?.1)
    }

    /// Waits for all jobs; the results in the order in which the jobs were
    /// spawned.
    #[must_use = "the results say which jobs failed"]
    pub fn join_all(mut self) -> Vec<Result<T, JoinError>> {
        let mut results = BTreeMap::new();
        while let Some((number, result)) = self.wait_for_next() {
            results.insert(number, result);
        }
        results.into_values().collect()
    }

    /// Waits for all jobs, or until one of them fails: then the rest is cancelled,
    /// and not waited for.
    ///
    /// # Errors
    /// The first failure. Results that were there are dropped.
    ///
    /// ```
    /// use windlass::{JobSet, Pool};
    ///
    /// let pool = Pool::new()?;
    /// let mut set = JobSet::new(&pool);
    /// (1..=3).for_each(|n| set.spawn(move || n * n));
    /// assert_eq!(set.try_join_all()?, [1, 4, 9]); // as they were spawned
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_join_all(mut self) -> Result<Vec<T>, JoinError> {
        let mut values = BTreeMap::new();
        while let Some((number, result)) = self.wait_for_next() {
            match result {
                Ok(value) => drop(values.insert(number, value)),
                Err(error) => {
                    // One that panics must not take the error's place.
                    values.into_values().for_each(discard);
                    return Err(error);
                }
            }
        }
        Ok(values.into_values().collect())
    }

    /// How many results were not taken yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len() + self.finished.len() + self.forked.len()
    }

    /// Whether all results were taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn wait_for_next(&mut self) -> Option<(u64, Result<T, JoinError>)> {
        loop {
            if let Some(next) = self.take_next() {
                return Some(next);
            }
            if !self.run_unstarted() {
                return block_until(None, |waker| self.poll_next_with(waker)).expect("no deadline");
            }
        }
    }

    fn poll_next_with(&mut self, waker: &Waker) -> Poll<Option<(u64, Result<T, JoinError>)>> {
        loop {
            if let Some(next) = self.take_next() {
                return Poll::Ready(Some(next));
            }
            if self.is_empty() {
                return Poll::Ready(None);
            }
            // First the waker, then the word that says that it is there.
            self.desk.owner.register(waker);
            if self.desk.ended.wait() == Wait::Waiting {
                return Poll::Pending;
            }
        }
    }

    fn take_next(&mut self) -> Option<(u64, Result<T, JoinError>)> {
        if self.process.is_past() {
            self.finish_forked();
        }
        if let Some(next) = self.forked.pop_front() {
            return Some(next);
        }
        loop {
            if self.ended.len() == 0 {
                self.ended = self.desk.ended.take();
            }
            let number = self.ended.pop()?;
            if let Some(result) = self.finished.remove(&number) {
                return Some((number, result));
            }
            let result = self.members.get_mut(&number).and_then(JoinHandle::try_join);
            if let Some(result) = result {
                self.members.remove(&number);
                return Some((number, result));
            }
        }
    }

    /// This process is a fork: nobody in it hands the tickets of earlier jobs in.
    #[cold]
    fn finish_forked(&mut self) {
        self.process = Generation::current();
        let forked = self.members.extract_if(.., |_, handle| handle.is_forked());
        let results = forked.filter_map(|(number, mut handle)| Some((number, handle.try_join()?)));
        self.forked.extend(results);
        self.forked.extend(std::mem::take(&mut self.finished));
    }

    /// Runs the oldest job that nobody started, if this is a thread of its pool.
    fn run_unstarted(&mut self) -> bool {
        for (&number, handle) in self.members.range_mut(self.untried..) {
            if !handle.is_here() {
                return false;
            }
            self.untried = number + 1;
            if handle.run_unstarted() {
                return true;
            }
        }
        false
    }
}

impl<T> JobSet<T> {
    /// Cancels all jobs that have not ended, and all that come. Their results are
    /// still to be had: that they were cancelled, or what a job that ran gave all
    /// the same.
    pub fn cancel_all(&self) {
        self.token.cancel();
    }

    /// Drops all handles, the newest first, and the results that are there; what those
    /// panic with is discarded.
    pub(crate) fn let_go(&mut self) {
        while let Some((_, handle)) = self.members.pop_last() {
            discard(handle);
        }
        std::mem::take(&mut self.finished)
            .into_values()
            .for_each(discard);
        self.forked.drain(..).for_each(discard);
    }
}

impl<T> Drop for JobSet<T> {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

impl<T: Send + 'static> Stream for JobSet<T> {
    type Item = Result<T, JoinError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.poll_next_with(cx.waker());
        next.map(|next| next.map(|(_, result)| result))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<T> Unpin for JobSet<T> {}

// User code never runs with anything of a set half done.
impl<T> UnwindSafe for JobSet<T> {}
impl<T> RefUnwindSafe for JobSet<T> {}

impl<T: Send + 'static> fmt::Debug for JobSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSet").field("len", &self.len()).finish()
    }
}

/// The next job of a set to end; see [`JobSet::join_next_async`].
#[must_use = "a future does nothing unless it is awaited"]
#[derive(Debug)]
pub struct JoinNext<'a, T: Send + 'static> {
    set: &'a mut JobSet<T>,
}

impl<T: Send + 'static> Future for JoinNext<'_, T> {
    type Output = Option<Result<T, JoinError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut *self.set).poll_next(cx)
    }
}
