//! What every worker has, whatever its messages are.

use std::fmt;
use std::task::{Poll, Waker};

use super::exit::{Exit, WorkerError};
use crate::environment::Environment;
use crate::port::{Bell, Lane, Rank, Waiting};
use crate::scheduler::{Resident, Scheduler};
use crate::sync::{
    Arc, AtomicBool, AtomicU32, AtomicUsize, Mutex, OnceLock, Ordering, Parker, StaticU64, Weak,
};
use crate::sys::fork::Generation;
use crate::util::report;

/// A worker's number: never used again in this process, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u64);

impl WorkerId {
    fn fresh() -> Self {
        static NEXT: StaticU64 = StaticU64::new(1);
        // Relaxed: only that no number comes twice.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The bare number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerId({})", self.0)
    }
}

/// Who gives a worker its turns.
pub(super) enum Host {
    Pool(Arc<Scheduler>),
    /// A thread of its own.
    Thread(Arc<Parker>),
    /// Whoever gets the turn runs it on the spot.
    #[cfg(all(test, loom))]
    Model,
}

/// A worker with its message types forgotten.
pub(crate) trait AnyWorker: Resident {
    fn core(&self) -> &Core;

    /// No more mail; it drains, then exits.
    fn close(self: Arc<Self>);

    /// Sees to it that the worker looks around although there is no mail.
    fn call(self: Arc<Self>);
}

/// A worker that has started workers, as these remember it: it may be freed
/// before they end, and then those above it are the next to be told.
struct Owner {
    worker: Weak<dyn AnyWorker>,
    above: Option<Arc<Owner>>,
}

impl Owner {
    fn of(worker: &Arc<dyn AnyWorker>) -> Arc<Self> {
        let mut above = worker.core().owner.as_ref();
        // A worker that starts its successor and ends, again and again, must
        // not leave an ever longer line of the freed.
        while let Some(owner) = above
            && owner.worker.strong_count() == 0
        {
            above = owner.above.as_ref();
        }
        Arc::new(Self {
            worker: Arc::downgrade(worker),
            above: above.cloned(),
        })
    }
}

impl Drop for Owner {
    /// Without recursion: the line may be long.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(mut owner) = above.and_then(Arc::into_inner) {
            above = owner.above.take();
        }
    }
}

/// A worker's way out, with the type of its messages forgotten.
pub(super) trait Outbox: Send + Sync {
    fn close(&self);

    /// A place for `poll_over`.
    fn enter(&self, rank: Rank) -> Waiting;

    /// Ready once it is closed, which it is when the worker has ended, and
    /// whoever receives has had everything.
    fn poll_over(&self, waiting: &mut Waiting, waker: &Waker) -> Poll<()>;

    /// Gives a place back.
    fn leave(&self, waiting: &mut Waiting);
}

impl<T: Send> Outbox for Lane<T> {
    fn close(&self) {
        Lane::close(self);
    }

    fn enter(&self, rank: Rank) -> Waiting {
        Lane::enter(self, rank)
    }

    fn poll_over(&self, waiting: &mut Waiting, waker: &Waker) -> Poll<()> {
        Lane::poll_over(self, waiting, waker)
    }

    fn leave(&self, waiting: &mut Waiting) {
        Lane::leave(self, waiting);
    }
}

/// What every worker has.
///
/// # Memory ordering
/// `terminating` is stored before the mailbox is closed, whose word carries it
/// to the turn that sees it closed; the loads elsewhere are hints. `observers`
/// is compared with nothing: an observer that comes while the worker fails may
/// be too late, and then finds the error in `exit`.
pub(crate) struct Core {
    pub(super) id: WorkerId,
    pub(super) name: Option<Box<str>>,
    pub(super) host: Host,
    /// In whose turn it was started, and so on up.
    owner: Option<Arc<Owner>>,
    pub(super) environment: Environment,
    pub(super) outbox: Arc<dyn Outbox>,
    terminating: AtomicBool,
    /// The handle is gone.
    abandoned: AtomicBool,
    /// How many futures will be told how it ends.
    observers: AtomicUsize,
    restarts: AtomicU32,
    /// The error of a worker that this one started, and that nobody handled.
    child_error: Mutex<Option<WorkerError>>,
    exit: OnceLock<Exit>,
    /// Rung after `exit` was set.
    gone: Bell,
    /// The process that it lives in. In a fork of that it is left as it was, but
    /// counts as ended.
    made_in: Generation,
}

impl Core {
    pub(super) fn new(
        name: Option<Box<str>>,
        host: Host,
        owner: Option<&Arc<dyn AnyWorker>>,
        outbox: Arc<dyn Outbox>,
    ) -> Self {
        let environment = match (owner, &host) {
            (Some(owner), _) => owner.core().environment.inherit(),
            (None, Host::Pool(scheduler)) => scheduler.environment().inherit(),
            (None, _) => Environment::new(),
        };
        Self {
            id: WorkerId::fresh(),
            name,
            host,
            owner: owner.map(Owner::of),
            environment,
            outbox,
            terminating: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            observers: AtomicUsize::new(0),
            restarts: AtomicU32::new(0),
            child_error: Mutex::new(None),
            exit: OnceLock::new(),
            gone: Bell::default(),
            made_in: Generation::current(),
        }
    }

    /// Whether this process is a fork of the one that it lives in.
    #[inline]
    pub(super) fn is_forked(&self) -> bool {
        self.made_in.is_past()
    }

    pub(super) fn exit(&self) -> Option<&Exit> {
        let exit = self.exit.get();
        exit.or_else(|| self.is_forked().then_some(&Exit::FORKED))
    }

    /// Ready once the worker has ended.
    pub(super) fn poll_gone(&self, waiting: &mut Waiting, waker: &Waker) -> Poll<()> {
        if self.is_forked() {
            return Poll::Ready(());
        }
        self.gone.poll(waiting, waker, || self.exit.get().is_some())
    }

    /// Ends a wait that [`Core::poll_gone`] began.
    pub(super) fn leave_gone(&self, waiting: &mut Waiting) {
        self.gone.leave(waiting);
    }

    pub(super) fn is_terminating(&self) -> bool {
        self.terminating.load(Ordering::Acquire)
    }

    /// The handle is gone: nobody receives but who does already.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(super) fn count_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_observer(&self) {
        self.observers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_observer(&self) {
        self.observers.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn take_child_error(&self) -> Option<WorkerError> {
        self.child_error.lock().take()
    }

    /// It is over: says how, tells everybody, and passes an error that nobody
    /// observes to the owner. Called once.
    pub(super) fn end(&self, exit: Exit) {
        let orphan = match exit.error() {
            Some(error) if self.observers.load(Ordering::Relaxed) == 0 => Some(error.clone()),
            _ => None,
        };
        let first = self.exit.set(exit).is_ok();
        debug_assert!(first, "a worker ends once");
        self.outbox.close();
        self.gone.ring();
        // Partner: the fence in `Core::accept`.
        crate::sync::fence(Ordering::SeqCst);
        let unseen = self.take_child_error();
        for error in orphan.into_iter().chain(unseen) {
            self.pass_on(error);
        }
    }

    /// Takes the error of a worker that this one started, unless it has ended or
    /// has one already: then it comes back, or was passed on by the end.
    fn accept(&self, error: WorkerError) -> Result<(), Option<WorkerError>> {
        if self.exit().is_some() {
            return Err(Some(error));
        }
        {
            let mut place = self.child_error.lock();
            if place.is_some() {
                return Err(Some(error));
            }
            *place = Some(error);
        }
        // It may have ended meanwhile: either this takes the error out again, or
        // the end does, which looks after it has set `exit`.
        crate::sync::fence(Ordering::SeqCst);
        if self.exit.get().is_some() {
            return Err(self.take_child_error());
        }
        Ok(())
    }

    /// Reports an error to the nearest owner that is still there, or to the
    /// pool's hook.
    fn pass_on(&self, error: WorkerError) {
        let mut error = error;
        let mut owner = self.owner.as_ref();
        while let Some(Owner { worker, above }) = owner.map(Arc::as_ref) {
            if let Some(worker) = worker.upgrade() {
                match worker.core().accept(error) {
                    Ok(()) => return worker.call(),
                    Err(Some(back)) => error = back,
                    // Its own end has passed the error on.
                    Err(None) => return,
                }
            }
            owner = above.as_ref();
        }
        match &self.host {
            Host::Pool(scheduler) => scheduler.report_panic(Box::new(error.to_string())),
            _ => report(format_args!("windlass: nobody handled this: {error}")),
        }
    }
}

impl dyn AnyWorker {
    /// No more mail is looked at.
    pub(super) fn terminate(self: Arc<Self>) {
        self.core().terminating.store(true, Ordering::Release);
        self.close();
    }
}
