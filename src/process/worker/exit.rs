//! [`ProcessExit`]: how a process worker ends, and who wants to know.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use crate::error::{Crash, KillReason};
use crate::port::{Bell, Lane, Waiting};
use crate::process::signal::Signal;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, OnceLock, Ordering, block_until};
use crate::sys::fork::Generation;
use crate::util::report_past_locks;

/// How a process worker ended: with a code or by a signal, as the system says. Clones
/// are of the same end.
#[derive(Clone)]
pub struct ProcessExit(Arc<Ended>);

pub(super) struct Ended {
    pub(super) name: &'static str,
    /// Its code and signal, whether or not it crashed.
    pub(super) end: Crash,
    /// The text of a panic.
    pub(super) panic: Option<String>,
    /// Killed from here for what it did, or by the system that refused it memory.
    pub(super) killed: Option<KillReason>,
    /// Why it had to end, if it was not its own doing.
    pub(super) problem: Option<String>,
    pub(super) output: Option<String>,
}

impl ProcessExit {
    pub(super) fn new(ended: Ended) -> Self {
        Self(Arc::new(ended))
    }

    /// Whether it ended by itself, with the code 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.0.problem.is_none() && self.code() == Some(0)
    }

    /// The exit code, if it was not ended by a signal: 101 after a panic.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.0.end.code
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.0.end.signal
    }

    /// The text of the panic that ended it, empty if it had none.
    #[must_use]
    pub fn panic(&self) -> Option<&str> {
        self.0.panic.as_deref()
    }

    /// Why this process ended it, if it did so of its own accord: it never said hello, or
    /// something that is no message; a message could not be written or read; it went on
    /// after its [`ProcessWorker`](crate::process::ProcessWorker) was dropped; it had more
    /// memory than its limit.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.0.problem.as_deref()
    }

    /// Why it could not go on, if that was for memory: [`KillReason::Memory`] if it had
    /// more than its
    /// [`memory_limit`](crate::process::ProcessWorkerBuilder::memory_limit), or, with a
    /// limit or without, if it ended (`SIGABRT`) because the system gave it no more. `None`
    /// after every other end, [`terminate`](crate::process::ProcessWorker::terminate) and
    /// [`kill`](crate::process::ProcessWorker::kill) among them: these are told by
    /// [`signal`](Self::signal).
    ///
    /// ```
    /// use windlass::process::{KillReason, ProcessExit};
    ///
    /// /// Whether to start another one that is given less to do.
    /// fn was_too_much(exit: &ProcessExit) -> bool {
    ///     exit.killed() == Some(KillReason::Memory)
    /// }
    /// # let _ = was_too_much;
    /// ```
    #[must_use]
    pub fn killed(&self) -> Option<KillReason> {
        self.0.killed
    }

    /// The last that it wrote to stderr, four kilobytes at most.
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.0.end.stderr
    }

    /// The last that it wrote to stdout and stderr, with
    /// [`Output::Collect`](crate::process::Output::Collect).
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.0.output.as_deref()
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process worker {:?}: ", self.0.name)?;
        match (&self.0.problem, &self.0.panic) {
            (Some(problem), _) => f.write_str(problem),
            (None, Some(text)) => write!(f, "process {} panicked: {text}", self.0.end.pid),
            (None, None) => {
                if self.0.killed == Some(KillReason::Memory) {
                    f.write_str("the system gave it no more memory: ")?;
                }
                self.0.end.fmt(f)
            }
        }
    }
}

impl fmt::Debug for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessExit({self})")
    }
}

/// What a worker's handle, its keeper and those who wait for its end have in common.
///
/// # Memory ordering
/// `abandoned` is Release and Acquire: it is stored before the mailbox is closed, whose
/// word would carry it too. The counts are for reports.
pub(super) struct Core {
    pub(super) name: &'static str,
    pub(super) pid: u32,
    pub(super) alarm: Arc<Alarm>,
    /// What it is still to be sent.
    signals: Mutex<Vec<Signal>>,
    /// When the handle was dropped, if it was.
    abandoned_at: Mutex<Option<Instant>>,
    abandoned: AtomicBool,
    observers: AtomicUsize,
    exit: OnceLock<ProcessExit>,
    /// Rung after `exit` was set.
    gone: Bell,
    made_in: Generation,
}

impl Core {
    pub(super) fn new(name: &'static str, pid: u32, alarm: Arc<Alarm>) -> Self {
        Self {
            name,
            pid,
            alarm,
            signals: Mutex::default(),
            abandoned_at: Mutex::default(),
            abandoned: AtomicBool::new(false),
            observers: AtomicUsize::new(0),
            exit: OnceLock::new(),
            gone: Bell::default(),
            made_in: Generation::current(),
        }
    }

    /// Whether this process is a fork of the one that the worker belongs to.
    pub(super) fn is_forked(&self) -> bool {
        self.made_in.is_past()
    }

    pub(super) fn exit(&self) -> Option<ProcessExit> {
        let exit = self.exit.get().cloned();
        exit.or_else(|| self.is_forked().then(|| self.forked()))
    }

    fn forked(&self) -> ProcessExit {
        ProcessExit::new(Ended {
            name: self.name,
            end: ended(self.pid),
            panic: None,
            killed: None,
            problem: Some("this process is a fork, and the worker is another one's".into()),
            output: None,
        })
    }

    /// Has the keeper send a signal.
    pub(super) fn signal(&self, signal: Signal) {
        self.signals.lock().push(signal);
        self.alarm.ring();
    }

    pub(super) fn take_signals(&self) -> Vec<Signal> {
        std::mem::take(&mut *self.signals.lock())
    }

    pub(super) fn has_signals(&self) -> bool {
        !self.signals.lock().is_empty()
    }

    /// The handle is gone: nobody receives but who does already.
    pub(super) fn abandon(&self) {
        *self.abandoned_at.lock() = Some(Instant::now());
        self.abandoned.store(true, Ordering::Release);
        self.alarm.ring();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn abandoned_at(&self) -> Option<Instant> {
        *self.abandoned_at.lock()
    }

    /// It is over: says how, and tells everybody. Called once.
    pub(super) fn end(&self, exit: ProcessExit, was_killed: bool, close: impl FnOnce()) {
        let is_news = !exit.is_success() && (!was_killed || exit.problem().is_some());
        if is_news && self.observers.load(Ordering::Relaxed) == 0 {
            // First: who is told may end the program.
            report_past_locks(format_args!("windlass: nobody handled this: {exit}"));
        }
        let first = self.exit.set(exit).is_ok();
        debug_assert!(first, "a worker ends once");
        close();
        self.gone.ring();
    }
}

/// An end of which nothing is known.
pub(super) fn ended(pid: u32) -> Crash {
    Crash {
        pid,
        signal: None,
        code: None,
        last_words: String::new(),
        stderr: String::new(),
    }
}

/// Somebody who will be told how a worker ends.
struct Observer(Arc<Core>);

impl Observer {
    fn new(core: &Arc<Core>) -> Self {
        core.observers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(core))
    }

    fn exit(&self) -> ProcessExit {
        self.0.exit().expect("set before anybody is told")
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.0.observers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ready once a process worker has ended, with how; of
/// [`ProcessWorker::exited`](crate::process::ProcessWorker::exited). As
/// [`Exited`](crate::Exited) of a [`Worker`](crate::Worker).
///
/// Messages that nobody has received yet can still be received after it; for an event
/// that comes after them see [`MainLoop::on_exit`](crate::MainLoop::on_exit). Dropping it
/// changes nothing about the worker.
pub struct ProcessExited {
    observer: Observer,
    waiting: Waiting,
}

impl ProcessExited {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self {
            observer: Observer::new(core),
            waiting: Waiting::alone(),
        }
    }

    /// Waits until the worker has ended, as long as it takes.
    pub fn wait(mut self) -> ProcessExit {
        self.wait_until(None)
            .expect("a wait without a deadline ends with the exit")
    }

    /// Waits until the worker has ended, for at most `timeout` (`Duration::MAX`: for
    /// ever).
    ///
    /// # Errors
    /// Gives this back if time runs out.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<ProcessExit, Self> {
        // Too far away to be a point in time is no deadline.
        let deadline = Instant::now().checked_add(timeout);
        self.wait_until(deadline).ok_or(self)
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Option<ProcessExit> {
        let Self { observer, waiting } = self;
        block_until(deadline, |waker| {
            poll_gone(&observer.0, waiting, &mut Context::from_waker(waker))
        })?;
        Some(observer.exit())
    }
}

fn poll_gone(core: &Core, waiting: &mut Waiting, cx: &mut Context<'_>) -> Poll<()> {
    if core.is_forked() {
        return Poll::Ready(());
    }
    core.gone
        .poll(waiting, cx.waker(), || core.exit.get().is_some())
}

impl Future for ProcessExited {
    type Output = ProcessExit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ProcessExit> {
        let Self { observer, waiting } = &mut *self;
        poll_gone(&observer.0, waiting, cx).map(|()| observer.exit())
    }
}

impl Drop for ProcessExited {
    fn drop(&mut self) {
        self.observer.0.gone.leave(&mut self.waiting);
    }
}

impl fmt::Debug for ProcessExited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessExited").finish_non_exhaustive()
    }
}

// What it holds can only be read.
impl UnwindSafe for ProcessExit {}
impl RefUnwindSafe for ProcessExit {}

/// As [`ProcessExited`], but not before the one who receives the worker's messages has
/// had all of them.
///
/// The first look is for the next turn: who begins to listen in this one is to have the
/// messages first.
pub(super) struct Delivered<T> {
    observer: Observer,
    outbox: Arc<Lane<T>>,
    waiting: Waiting,
    looked: bool,
}

impl<T> Delivered<T> {
    pub(super) fn new(core: &Arc<Core>, outbox: &Arc<Lane<T>>) -> Self {
        Self {
            observer: Observer::new(core),
            outbox: Arc::clone(outbox),
            waiting: Waiting::alone(),
            looked: false,
        }
    }
}

impl<T> Future for Delivered<T> {
    type Output = ProcessExit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ProcessExit> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.looked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let over = this.outbox.poll_over(&mut this.waiting, cx.waker());
        over.map(|()| this.observer.exit())
    }
}

impl<T> Drop for Delivered<T> {
    fn drop(&mut self) {
        self.outbox.leave(&mut self.waiting);
    }
}

impl<T> Unpin for Delivered<T> {}
