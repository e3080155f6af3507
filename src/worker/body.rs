//! What a worker does with its mail: the user's code, and how it starts again.

use std::time::{Duration, Instant};

use super::exit::{BoxError, WorkerError};
use crate::port::{Batch, Lane};

/// A handler of messages. `Err` ends the worker, or restarts it.
pub(super) type Handler<In> = Box<dyn FnMut(In) -> Result<(), Fault> + Send>;

/// Makes a fresh handler: the worker's module scope.
pub(super) type Start<In> = Box<dyn FnMut() -> Result<Handler<In>, Fault> + Send>;

/// Is told of each failure that a restart follows.
pub(super) type OnRestart = Box<dyn Fn(&WorkerError) + Send>;

/// Why a handler did not return `Ok`.
pub(super) enum Fault {
    Error(BoxError),
    /// It could not post to its owner, who went away: not a failure.
    OwnerGone,
}

/// What is moved from one turn of a worker to the next.
pub(super) struct Body<In> {
    /// Mail that was taken out of the mailbox and not handled yet.
    mail: Batch<In>,
    /// `None` before the start, and between a failure and a restart.
    handler: Option<Handler<In>>,
    start: Option<Start<In>>,
    restarts: Restarts,
}

impl<In> Body<In> {
    /// A body that is its handler, and cannot be started again.
    pub(super) fn of(handler: Handler<In>) -> Self {
        Self::new(Some(handler), None, Restarts::never())
    }

    /// A body that has to be started.
    pub(super) fn from_start(start: Start<In>, restarts: Restarts) -> Self {
        Self::new(None, Some(start), restarts)
    }

    fn new(handler: Option<Handler<In>>, start: Option<Start<In>>, restarts: Restarts) -> Self {
        Self {
            mail: Batch::default(),
            handler,
            start,
            restarts,
        }
    }

    /// The next message, oldest first.
    pub(super) fn next_mail(&mut self, mailbox: &Lane<In>) -> Option<In> {
        if self.mail.len() == 0 {
            self.mail = mailbox.queue().take();
        }
        let message = self.mail.pop()?;
        mailbox.make_room();
        Some(message)
    }

    pub(super) fn is_started(&self) -> bool {
        self.handler.is_some()
    }

    /// Runs the start closure; the body is started then.
    pub(super) fn start(&mut self) -> Result<(), Fault> {
        let start = self
            .start
            .as_mut()
            .expect("a body has a handler or a start");
        self.handler = Some(start()?);
        Ok(())
    }

    /// Runs the handler of a body that is started.
    #[inline]
    pub(super) fn handle(&mut self, message: In) -> Result<(), Fault> {
        let handler = self.handler.as_mut().expect("started");
        handler(message)
    }

    /// Drops the state; its `Drop` may panic.
    pub(super) fn drop_handler(&mut self) {
        self.handler = None;
    }

    /// Whether a failure now is to be followed by a restart. If so, it counts.
    pub(super) fn may_restart(&mut self) -> bool {
        self.start.is_some() && self.restarts.allow()
    }

    pub(super) fn tell_of_restart(&self, error: &WorkerError) {
        if let Some(hook) = &self.restarts.hook {
            hook(error);
        }
    }
}

/// What to do when a handler panics or returns an `Err`.
///
/// A restarted worker has a fresh state from its start closure, and its mailbox
/// as it was; the message that it failed over is gone. A *start* that fails is
/// not tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restart(Policy);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Policy {
    #[default]
    Never,
    Always,
    UpTo {
        times: u32,
        within: Duration,
    },
}

impl Restart {
    /// The worker ends with the error. The default.
    #[must_use]
    pub fn never() -> Self {
        Self(Policy::Never)
    }

    /// The worker starts again, however often.
    #[must_use]
    pub fn always() -> Self {
        Self(Policy::Always)
    }

    /// The worker starts again, but no more than `times` times within any period
    /// of `within`; with the next error it ends.
    #[must_use]
    pub fn up_to(times: u32, within: Duration) -> Self {
        Self(Policy::UpTo { times, within })
    }
}

/// A policy, and what has happened under it.
pub(super) struct Restarts {
    policy: Restart,
    /// When it restarted; no more than the policy allows.
    history: Vec<Instant>,
    hook: Option<OnRestart>,
}

impl Restarts {
    fn never() -> Self {
        Self::new(Restart::never(), None)
    }

    pub(super) fn new(policy: Restart, hook: Option<OnRestart>) -> Self {
        Self {
            policy,
            history: Vec::new(),
            hook,
        }
    }

    /// Whether one more restart is allowed now. If so, it counts.
    fn allow(&mut self) -> bool {
        match self.policy.0 {
            Policy::Never => false,
            Policy::Always => true,
            Policy::UpTo { times, within } => {
                let now = Instant::now();
                self.history
                    .retain(|then| now.duration_since(*then) <= within);
                let allowed = self.history.len() < times as usize;
                if allowed {
                    self.history.push(now);
                }
                allowed
            }
        }
    }
}
