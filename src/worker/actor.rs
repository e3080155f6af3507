//! The worker itself: a mailbox, a body, and whoever has the turn.
//!
//! # The turn
//! There is one *turn* per worker, and whoever has it may touch the body. It
//! passes like this; `worker.md` has the picture and the proof.
//!
//! - A worker without mail is *idle*: WAITING is set in its mailbox's word, and
//!   nobody has the turn.
//! - Whoever clears WAITING (by posting, closing, calling) has the turn, and
//!   hands it to the host: a slot in the pool's queues, or an unparked thread.
//! - The thread that runs it takes the body out, handles a bounded batch, puts
//!   the body back, and then either hands the turn on (there is more mail) or
//!   sets WAITING, which fails if something has come meanwhile.
//! - The one who ends the worker keeps the turn for ever.

use super::body::{Body, Fault};
use super::core::{AnyWorker, Core, Host};
use super::current;
use super::ending;
use super::exit::{Cause, Exit, WorkerError};
use crate::job::{Slot, Turn};
use crate::port::{Lane, PostError, Wait};
use crate::priority::Priority;
use crate::scheduler::Resident;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, Mutex};
use crate::util::{PanicPayload, catch};

/// At most so many messages are handled before others have their turn.
const BATCH: usize = if cfg!(loom) { 2 } else { 64 };

/// A worker: what its handle, its parents and the pool share.
pub(super) struct Actor<In> {
    pub(super) core: Core,
    pub(super) mailbox: Lane<In>,
    /// Empty while somebody has the turn and uses it, and after the end. The
    /// lock is never waited for: only who has the turn comes here.
    body: Mutex<Option<Body<In>>>,
}

/// What to do after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum After {
    /// Nothing: whoever brings mail has the turn.
    Idle,
    /// Run another one, once others had theirs.
    Again,
    /// Nothing: that was the last one.
    Over,
}

enum Step {
    Done,
    NoMail,
    End(Exit),
}

impl<In: Send + 'static> Actor<In> {
    /// An idle worker without a body yet.
    pub(super) fn new(core: Core, mailbox: Lane<In>) -> Self {
        Self {
            core,
            mailbox,
            body: Mutex::new(None),
        }
    }

    /// Gives the worker its body, before anybody else knows it.
    pub(super) fn embody(&self, body: Body<In>) {
        *self.body.lock() = Some(body);
    }

    /// Puts a message into the mailbox, and hands the turn over if that gave it
    /// to the caller.
    pub(super) fn post(self: &Arc<Self>, message: In) -> Result<(), PostError<In>> {
        if self.core.is_forked() {
            return Err(PostError::closed(message));
        }
        let told = self.mailbox.push(message)?;
        self.posted(told)
    }

    /// As [`Actor::post`], by who has taken the room for it.
    pub(super) fn post_let_in(self: &Arc<Self>, message: In) -> Result<(), PostError<In>> {
        if self.core.is_forked() {
            return Err(PostError::closed(message));
        }
        let told = self.mailbox.push_let_in(message)?;
        self.posted(told)
    }

    /// A message was put in; `told` if the caller has the turn now.
    #[inline]
    fn posted(self: &Arc<Self>, told: bool) -> Result<(), PostError<In>> {
        if !told || self.hand_turn_over() {
            return Ok(());
        }
        // The pool is gone. The caller has the turn, and the oldest message is
        // the one that gave it to it.
        let mut body = self.take_body();
        let mine = body.next_mail(&self.mailbox);
        self.end(body, self.exit_with_pool());
        mine.map_or(Ok(()), |message| Err(PostError::closed(message)))
    }

    /// Runs one turn; the caller has it.
    pub(super) fn turn(self: &Arc<Self>) -> After {
        let mut body = self.take_body();
        let _inside = current::enter(self);
        for _ in 0..BATCH {
            match self.step(&mut body) {
                // The handler has forked, and this is the fork: the rest of the
                // mail is handled in the other process.
                Step::Done if self.core.is_forked() => {
                    self.embody(body);
                    return After::Over;
                }
                Step::Done => {}
                Step::NoMail => {
                    if broken(Mutant::BodyKept) {
                        let _ = self.mailbox.queue().wait();
                    }
                    // Before WAITING is set: whoever clears it may run the next
                    // turn at once.
                    self.embody(body);
                    match self.mailbox.queue().wait() {
                        Wait::Waiting => return After::Idle,
                        Wait::Arrived | Wait::Closed => body = self.take_body(),
                    }
                }
                Step::End(exit) => {
                    self.end(body, exit);
                    return After::Over;
                }
            }
        }
        self.embody(body);
        After::Again
    }

    /// Handles one message, or finds out what else there is to do.
    fn step(&self, body: &mut Body<In>) -> Step {
        if self.core.is_terminating() {
            return Step::End(Exit::terminated());
        }
        if self.mailbox.queue().take_call()
            && let Some(error) = self.core.take_child_error()
        {
            return self.fail(body, WorkerError::new(&self.core, Cause::Child(error)));
        }
        if !body.is_started() {
            return self.start(body);
        }
        // Read before the mailbox: what was posted before it closed is there.
        let closed = self.mailbox.queue().is_closed();
        let Some(message) = body.next_mail(&self.mailbox) else {
            return match closed {
                // Whoever terminates says so first and closes then.
                true if self.core.is_terminating() => Step::End(Exit::terminated()),
                true => Step::End(Exit::closed()),
                false => Step::NoMail,
            };
        };
        match catch(|| body.handle(message)) {
            Ok(Ok(())) => Step::Done,
            Ok(Err(fault)) => self.fault(body, fault),
            Err(payload) => self.fail(body, WorkerError::panic(&self.core, payload)),
        }
    }

    /// Runs the start closure. If that fails, the worker ends.
    fn start(&self, body: &mut Body<In>) -> Step {
        let error = match catch(|| body.start()) {
            Ok(Ok(())) => return Step::Done,
            Ok(Err(Fault::OwnerGone)) => return Step::End(Exit::closed()),
            Ok(Err(Fault::Error(error))) => WorkerError::new(&self.core, Cause::Error(error)),
            Err(payload) => WorkerError::panic(&self.core, payload),
        };
        Step::End(Exit::failed(error))
    }

    fn fault(&self, body: &mut Body<In>, fault: Fault) -> Step {
        match fault {
            Fault::OwnerGone => Step::End(Exit::closed()),
            Fault::Error(error) => {
                self.fail(body, WorkerError::new(&self.core, Cause::Error(error)))
            }
        }
    }

    /// The handler failed: restarts the worker, or ends it.
    fn fail(&self, body: &mut Body<In>, error: WorkerError) -> Step {
        if !body.may_restart() {
            return Step::End(Exit::failed(error));
        }
        for result in [
            catch(|| body.drop_handler()),
            catch(|| body.tell_of_restart(&error)),
        ] {
            result.unwrap_or_else(|payload| self.report(payload));
        }
        self.core.count_restart();
        Step::Done
    }

    /// Ends the worker. The caller has the turn, and nobody gets it again.
    fn end(&self, mut body: Body<In>, exit: Exit) {
        self.mailbox.shut();
        let dropped = catch(|| body.drop_handler());
        // What is left in the mailbox is not handled; nothing comes any more.
        while body
            .next_mail(&self.mailbox)
            .map(crate::util::discard)
            .is_some()
        {}
        let started = catch(|| drop(body));
        let exit = match dropped.and(started) {
            Err(payload) if exit.error().is_none() => {
                Exit::failed(WorkerError::panic(&self.core, payload))
            }
            Err(payload) => {
                self.report(payload);
                exit
            }
            Ok(()) => exit,
        };
        self.core.end(exit);
    }

    /// The pool ends, or has ended; the caller has the turn.
    fn end_with_pool(&self) {
        let exit = if self.core.is_terminating() {
            Exit::terminated()
        } else {
            self.exit_with_pool()
        };
        self.end(self.take_body(), exit);
    }

    /// How a worker ends that has no pool any more.
    fn exit_with_pool(&self) -> Exit {
        match &self.core.host {
            Host::Pool(scheduler) if scheduler.is_forked() => Exit::FORKED,
            _ => Exit::pool_closed(),
        }
    }

    /// A panic that no exit will tell of.
    fn report(&self, payload: PanicPayload) {
        match &self.core.host {
            Host::Pool(scheduler) => scheduler.report_panic(payload),
            // The panic hook has printed it.
            _ => crate::util::discard(payload),
        }
    }

    /// The caller has the turn and gives it to the host; `false` if there is
    /// none any more.
    fn hand_turn_over(self: &Arc<Self>) -> bool {
        match &self.core.host {
            Host::Pool(scheduler) => scheduler.submit(self.slot()).is_ok(),
            Host::Thread(parker) => {
                parker.unpark();
                true
            }
            #[cfg(all(test, loom))]
            Host::Model => {
                while self.turn() == After::Again {}
                true
            }
        }
    }

    /// As [`Actor::hand_turn_over`]; without a host the worker ends.
    pub(super) fn hand_turn_over_or_end(self: &Arc<Self>) {
        if !self.hand_turn_over() {
            let this = Arc::clone(self);
            ending::one_after_another(Box::new(move || this.end_with_pool()));
        }
    }

    fn slot(self: &Arc<Self>) -> Slot {
        Slot::turn(Arc::clone(self) as Arc<dyn Turn>)
    }

    fn take_body(&self) -> Body<In> {
        let body = self.body.lock().take();
        body.expect("whoever has the turn finds the body")
    }
}

impl<In: Send + 'static> Turn for Actor<In> {
    fn run(self: Arc<Self>) {
        if self.turn() != After::Again {
            return;
        }
        let Host::Pool(scheduler) = &self.core.host else {
            return;
        };
        if scheduler
            .submit_behind(self.slot(), Priority::Normal)
            .is_err()
        {
            self.end_with_pool();
        }
    }

    fn refuse(self: Arc<Self>) {
        self.end_with_pool();
    }
}

impl<In: Send + 'static> Resident for Actor<In> {
    fn pool_ended(self: Arc<Self>) {
        // Whoever has the turn instead will find out by itself.
        if self.mailbox.queue().call() {
            self.end_with_pool();
        }
    }

    fn is_over(&self) -> bool {
        self.core.exit().is_some()
    }
}

impl<In: Send + 'static> AnyWorker for Actor<In> {
    fn core(&self) -> &Core {
        &self.core
    }

    fn close(self: Arc<Self>) {
        if !self.core.is_forked() && self.mailbox.shut() {
            self.hand_turn_over_or_end();
        }
    }

    fn call(self: Arc<Self>) {
        if !self.core.is_forked() && self.mailbox.queue().call() {
            self.hand_turn_over_or_end();
        }
    }
}
