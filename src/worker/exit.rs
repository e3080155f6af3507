//! How workers end, and who wants to know.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::core::{AnyWorker, Core, WorkerId};
use crate::port::{Rank, Waiting};
use crate::sync::{Arc, Mutex, block_until};
use crate::util::{PanicPayload, payload_message};

/// What a handler may fail with: any error, by `?`.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// How a worker ended. Opaque; ask the predicates.
#[derive(Clone)]
pub struct Exit(Repr);

#[derive(Clone)]
enum Repr {
    Closed,
    Terminated,
    PoolClosed,
    Forked,
    Failed(WorkerError),
}

impl Exit {
    /// Of a worker that lives in another process, of which this is a fork.
    pub(super) const FORKED: Self = Self(Repr::Forked);

    pub(super) fn closed() -> Self {
        Self(Repr::Closed)
    }

    pub(super) fn terminated() -> Self {
        Self(Repr::Terminated)
    }

    pub(super) fn pool_closed() -> Self {
        Self(Repr::PoolClosed)
    }

    pub(super) fn failed(error: WorkerError) -> Self {
        Self(Repr::Failed(error))
    }

    /// Whether it was closed and had handled all its mail.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self.0, Repr::Closed)
    }

    /// Whether it was terminated. Mail that it had not handled is dropped.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        matches!(self.0, Repr::Terminated)
    }

    /// Whether its pool was shut down before it was closed.
    #[must_use]
    pub fn is_pool_closed(&self) -> bool {
        matches!(self.0, Repr::PoolClosed)
    }

    /// Whether this process is a fork of the one that the worker lives in, where it
    /// may be alive; see [`Pool`](crate::Pool#fork).
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self.0, Repr::Forked)
    }

    /// Whether it failed for good: [`error`](Self::error) says why.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.error().is_some()
    }

    /// What it failed with.
    #[must_use]
    pub fn error(&self) -> Option<&WorkerError> {
        match &self.0 {
            Repr::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// As Node counts: 0 for a success, 1 for everything else.
    #[must_use]
    pub fn code(&self) -> i32 {
        i32::from(!self.is_success())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Closed => f.write_str("closed, with all mail handled"),
            Repr::Terminated => f.write_str("terminated"),
            Repr::PoolClosed => f.write_str("its pool was closed"),
            Repr::Forked => f.write_str("this process is a fork, and the worker is not in it"),
            Repr::Failed(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exit({self})")
    }
}

/// What a worker failed with: a panic, an `Err`, or the error of a worker that
/// it had started and that nobody handled. Clones are of the same error.
#[derive(Clone)]
pub struct WorkerError(Arc<Failure>);

struct Failure {
    id: WorkerId,
    name: Option<Box<str>>,
    cause: Cause,
}

pub(super) enum Cause {
    /// The text of the panic, and what is left of it.
    Panic(Option<Box<str>>, Mutex<Option<PanicPayload>>),
    Error(BoxError),
    Child(WorkerError),
}

impl WorkerError {
    pub(super) fn new(core: &Core, cause: Cause) -> Self {
        Self(Arc::new(Failure {
            id: core.id,
            name: core.name.clone(),
            cause,
        }))
    }

    pub(super) fn panic(core: &Core, payload: PanicPayload) -> Self {
        let text = payload_message(&*payload).map(Box::from);
        Self::new(core, Cause::Panic(text, Mutex::new(Some(payload))))
    }

    /// The number of the worker that failed.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.0.id
    }

    /// Its name, if it had one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Whether it panicked, as opposed to having returned an `Err`.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0.cause, Cause::Panic(..))
    }

    /// What the panic carried; for the first who asks.
    #[must_use]
    pub fn take_panic(&self) -> Option<Box<dyn Any + Send + 'static>> {
        match &self.0.cause {
            Cause::Panic(_, payload) => payload.lock().take(),
            _ => None,
        }
    }

    /// The `Err` that the handler returned, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match &self.0.cause {
            Cause::Error(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.0.id)?;
        if let Some(name) = self.name() {
            write!(f, " ({name})")?;
        }
        match &self.0.cause {
            Cause::Panic(Some(text), _) => write!(f, " panicked: {text}"),
            Cause::Panic(None, _) => f.write_str(" panicked"),
            Cause::Error(error) => write!(f, " failed: {error}"),
            Cause::Child(error) => write!(f, " failed with a worker of its own: {error}"),
        }
    }
}

impl fmt::Debug for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerError({self})")
    }
}

impl Error for WorkerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.cause {
            Cause::Panic(..) => None,
            Cause::Error(error) => Some(&**error),
            Cause::Child(error) => Some(error),
        }
    }
}

// What it holds can only be read, or taken out whole.
impl UnwindSafe for WorkerError {}
impl RefUnwindSafe for WorkerError {}
impl UnwindSafe for Exit {}
impl RefUnwindSafe for Exit {}

/// Somebody who will be told how a worker ends, so that its error is not
/// unhandled.
struct Observer(Arc<dyn AnyWorker>);

impl Observer {
    fn new(worker: Arc<dyn AnyWorker>) -> Self {
        worker.core().add_observer();
        Self(worker)
    }

    fn exit(&self) -> Exit {
        let exit = self.0.core().exit();
        exit.expect("set before anybody is told").clone()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.0.core().remove_observer();
    }
}

/// Ready once a worker has ended, with how; of
/// [`Worker::exited`](super::Worker::exited) and
/// [`Worker::terminate`](super::Worker::terminate).
///
/// While it exists, the worker's error counts as handled. Messages that nobody
/// has received yet can still be received after it; for an event that comes
/// after them see [`MainLoop::on_exit`](crate::MainLoop::on_exit). Dropping it
/// changes nothing about the worker.
pub struct Exited {
    observer: Observer,
    waiting: Waiting,
}

impl Exited {
    pub(super) fn new(worker: Arc<dyn AnyWorker>) -> Self {
        Self {
            observer: Observer::new(worker),
            waiting: Waiting::alone(),
        }
    }

    /// Waits until the worker has ended, as long as it takes.
    pub fn wait(mut self) -> Exit {
        self.wait_until(None)
            .expect("a wait without a deadline ends with the exit")
    }

    /// Waits until the worker has ended, for at most `timeout` (`Duration::MAX`:
    /// for ever).
    ///
    /// # Errors
    /// Gives this back if time runs out.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Exit, Self> {
        // Too far away to be a point in time is no deadline.
        let deadline = Instant::now().checked_add(timeout);
        self.wait_until(deadline).ok_or(self)
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Option<Exit> {
        let Self { observer, waiting } = self;
        let core = observer.0.core();
        block_until(deadline, |waker| core.poll_gone(waiting, waker))?;
        Some(observer.exit())
    }
}

impl Future for Exited {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Exit> {
        let Self { observer, waiting } = &mut *self;
        let core = observer.0.core();
        core.poll_gone(waiting, cx.waker())
            .map(|()| observer.exit())
    }
}

impl Drop for Exited {
    fn drop(&mut self) {
        self.observer.0.core().leave_gone(&mut self.waiting);
    }
}

impl fmt::Debug for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exited").finish_non_exhaustive()
    }
}

/// As [`Exited`], but not before the one who receives the worker's messages has
/// had all of them; on one loop, errors before exits.
///
/// An exit is told when no `on_error` of its loop is due any more: each has been
/// told, or was cleared. So it does not matter in what order they asked, nor at which
/// moment between their looks the worker ends. Each loop has an order of its own, and
/// [`Exited`] is in none: it does not wait for a loop that nobody runs.
///
/// The first look is for the next turn: who begins to listen in this one is to
/// have the messages first.
pub(super) struct Delivered {
    observer: Observer,
    waiting: Waiting,
    looked: bool,
}

impl Delivered {
    pub(super) fn new(worker: Arc<dyn AnyWorker>, rank: Rank) -> Self {
        let observer = Observer::new(worker);
        let waiting = observer.0.core().outbox.enter(rank);
        Self {
            observer,
            waiting,
            looked: false,
        }
    }
}

impl Future for Delivered {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Exit> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.looked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let outbox = &this.observer.0.core().outbox;
        outbox
            .poll_over(&mut this.waiting, cx.waker())
            .map(|()| this.observer.exit())
    }
}

impl Drop for Delivered {
    fn drop(&mut self) {
        self.observer.0.core().outbox.leave(&mut self.waiting);
    }
}
