//! [`CancelToken`]: one call that ends many jobs.
//!
//! A token is a closed or open queue of those who want to know. Whoever cancels
//! closes the queue and tells all that are in it; whoever comes later finds it
//! closed, and is told by itself. There is no lock: a main loop that hands a job
//! over never waits for a thread that just cancels.
//!
//! # Those who no longer care
//! A job that is over stays in the queue of a token that lives on. So whoever
//! makes the queue twice as long as it was takes it all out and puts back those
//! that still want to know: a constant cost for each. A token that is cancelled
//! meanwhile is closed, and then the putting back fails, and tells them: a moment
//! later than the call that cancelled, which did not find them.
//!
//! A child that nobody has any more cannot be cancelled but with its parent: who
//! looks takes over those that wait for it, and forgets it.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::job::CancelEnd;
use crate::port::Queue;
use crate::sync::{Arc, AtomicUsize, Ordering, WakerSlot};
use crate::util::{catch, discard};

/// So many may wait before anybody looks for those that no longer care.
const FEW: usize = 64;

/// Ends jobs, wherever their handles went: those that have not started never
/// will, those that run are asked to stop ([`is_cancelled`](crate::is_cancelled)).
///
/// Clones are the same token. It is given to jobs by
/// [`JobBuilder::cancel_with`](crate::JobBuilder::cancel_with): one token for
/// all the jobs of a request, say, and a [`child`](Self::child) for a part of it.
/// Dropping a token does nothing; see [`drop_guard`](Self::drop_guard).
///
/// ```
/// use windlass::{CancelToken, Pool};
///
/// let pool = Pool::builder().num_threads(1).build()?;
/// let (go, wait) = std::sync::mpsc::channel::<()>();
/// pool.execute(move || drop(wait.recv())); // the thread is busy
///
/// let request = CancelToken::new();
/// let jobs: Vec<_> = (0..3)
///     .map(|_| pool.job().cancel_with(&request).spawn(|| unreachable!("cancelled first")))
///     .collect();
/// request.cancel();
/// for job in jobs {
///     let result: Result<(), _> = job.join();
///     assert!(result.unwrap_err().is_cancelled());
/// }
/// # drop(go);
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[derive(Clone)]
pub struct CancelToken {
    node: Arc<Node>,
}

struct Node {
    /// Who wants to know; closed once the token is cancelled.
    queue: Queue<Listener>,
    /// How many were put in since the last look for those that no longer care.
    recent: AtomicUsize,
    /// How many did care then.
    caring: AtomicUsize,
}

/// Who wants to know.
enum Listener {
    Job(CancelEnd),
    Child(Arc<Node>),
    Waiter(Arc<WakerSlot>),
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        let node = Arc::new(Node {
            queue: Queue::new(),
            recent: AtomicUsize::new(0),
            caring: AtomicUsize::new(0),
        });
        Self { node }
    }

    /// A token that is cancelled with this one, and can be without it.
    #[must_use]
    pub fn child(&self) -> Self {
        let child = Self::new();
        self.node.tell(Listener::Child(Arc::clone(&child.node)));
        child
    }

    /// Cancels all jobs that were given this token or a child of it: those that
    /// have not started never will once this has returned, and what they
    /// captured is dropped here, with no lock held; those that run are asked to
    /// stop. Wakes whoever waits for it. Never blocks, but for what the `Drop`
    /// of a capture does; a panic of one goes to the job's handle.
    ///
    /// A second call does nothing, and may return before the first one is
    /// through. Where another thread gives jobs to the same token meanwhile, it is
    /// that thread which cancels those, and now and then some older ones, a moment
    /// later: such a job may still start in between, and is asked to stop then.
    pub fn cancel(&self) {
        Node::cancel_all(Listener::Child(Arc::clone(&self.node)));
    }

    /// Whether it was cancelled. Once `true`, it stays so. Never blocks.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.queue.is_closed()
    }

    /// Ready once the token is cancelled. Dropping it changes nothing.
    ///
    /// ```
    /// # pollster::block_on(async {
    /// let token = windlass::CancelToken::new();
    /// let cancelled = token.cancelled();
    /// token.cancel();
    /// cancelled.await;
    /// # });
    /// ```
    pub fn cancelled(&self) -> WaitForCancel {
        WaitForCancel {
            node: Arc::clone(&self.node),
            slot: None,
        }
    }

    /// Cancels the token when it is dropped: for work that nobody wants once the
    /// owner is gone.
    ///
    /// ```
    /// let token = windlass::CancelToken::new();
    /// drop(token.drop_guard());
    /// assert!(token.is_cancelled());
    /// ```
    #[must_use = "dropping the guard cancels the token"]
    pub fn drop_guard(&self) -> CancelGuard {
        CancelGuard {
            token: Some(self.clone()),
        }
    }

    /// Cancels this job with the token, now if that is cancelled.
    pub(crate) fn adopt(&self, job: CancelEnd) {
        self.node.tell(Listener::Job(job));
    }
}

impl Node {
    /// Has `listener` told when the token is cancelled: here, if it is.
    fn tell(&self, listener: Listener) {
        let Err(listener) = self.queue.push(listener) else {
            // Relaxed: a count that is off by some comes to the same.
            let recent = self.recent.fetch_add(1, Ordering::Relaxed) + 1;
            let caring = self.caring.load(Ordering::Relaxed);
            if recent > caring.max(FEW) {
                self.clear();
            }
            return;
        };
        Self::cancel_all(listener);
    }

    /// Drops those that no longer care.
    #[cold]
    fn clear(&self) {
        self.recent.store(0, Ordering::Relaxed);
        let mut caring = 0;
        let mut next = self.take();
        while let Some(listener) = next.pop() {
            let listener = match listener {
                Listener::Job(job) if job.is_resolved() => continue,
                Listener::Waiter(waiter) if Arc::strong_count(&waiter) == 1 => continue,
                Listener::Child(node) => match Arc::try_unwrap(node) {
                    Ok(node) => {
                        next.extend(node.take());
                        continue;
                    }
                    Err(node) => Listener::Child(node),
                },
                other => other,
            };
            caring += 1;
            if let Err(listener) = self.queue.push(listener) {
                Self::cancel_all(listener);
            }
        }
        self.caring.store(caring, Ordering::Relaxed);
    }

    fn take(&self) -> Vec<Listener> {
        let mut all = self.queue.take();
        std::iter::from_fn(|| all.pop()).collect()
    }

    /// Tells `first`, and everybody below it; without recursion, since children
    /// have children.
    fn cancel_all(first: Listener) {
        let mut next = vec![first];
        while let Some(listener) = next.pop() {
            match listener {
                Listener::Job(job) => drop(job.cancel()),
                Listener::Waiter(waiter) => discard(catch(|| waiter.wake())),
                Listener::Child(node) => {
                    node.queue.close();
                    next.extend(node.take());
                }
            }
        }
    }
}

impl Drop for Node {
    /// Without recursion: the line of children may be long.
    fn drop(&mut self) {
        let mut next = self.take();
        while let Some(listener) = next.pop() {
            if let Listener::Child(node) = listener
                && let Ok(node) = Arc::try_unwrap(node)
            {
                next.extend(node.take());
            }
        }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

// User code never runs with anything of a token half done.
impl UnwindSafe for CancelToken {}
impl RefUnwindSafe for CancelToken {}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Ready once a token is cancelled; see [`CancelToken::cancelled`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct WaitForCancel {
    node: Arc<Node>,
    /// Where the waker lies, once there was one.
    slot: Option<Arc<WakerSlot>>,
}

impl Future for WaitForCancel {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match &this.slot {
            Some(slot) => slot.register(cx.waker()),
            None => {
                let slot = this.slot.insert(Arc::new(WakerSlot::new()));
                slot.register(cx.waker());
                this.node.tell(Listener::Waiter(Arc::clone(slot)));
            }
        }
        // After the waker is in its place: whoever cancels closes first, and
        // wakes then.
        if this.node.queue.is_closed() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl UnwindSafe for WaitForCancel {}
impl RefUnwindSafe for WaitForCancel {}

impl fmt::Debug for WaitForCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForCancel").finish_non_exhaustive()
    }
}

/// Cancels its token when it is dropped; see [`CancelToken::drop_guard`].
#[must_use = "dropping the guard cancels the token"]
#[derive(Debug)]
pub struct CancelGuard {
    token: Option<CancelToken>,
}

impl CancelGuard {
    /// Gives the token back, which is not cancelled then.
    pub fn disarm(mut self) -> CancelToken {
        self.token.take().expect("taken once")
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            token.cancel();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::job::new_cell;

    /// How many listeners the token has.
    fn listeners(token: &CancelToken) -> usize {
        token.node.take().len()
    }

    #[test]
    fn a_token_that_lives_on_forgets_jobs_that_are_over() {
        let token = CancelToken::new();
        for _ in 0..20_000 {
            let (job, end) = new_cell(|| ());
            token.adopt(end.cancel_end().expect("not spent"));
            assert!(job.run().is_ok());
        }
        assert!(listeners(&token) <= FEW + 1);
    }

    #[test]
    fn it_forgets_children_and_waiters_that_are_gone_and_keeps_jobs_that_wait() {
        let token = CancelToken::new();
        let mut waiting = Vec::new();
        for n in 0..20_000 {
            let child = token.child();
            if n % 100 == 0 {
                let (job, end) = new_cell(|| ());
                child.adopt(end.cancel_end().expect("not spent"));
                waiting.push((job, end));
            }
            let mut given_up = token.cancelled();
            let polled =
                Pin::new(&mut given_up).poll(&mut Context::from_waker(std::task::Waker::noop()));
            assert!(polled.is_pending());
        }
        let left = listeners(&token);
        assert!(
            (waiting.len()..=3 * waiting.len() + FEW).contains(&left),
            "{left}"
        );
    }
}
