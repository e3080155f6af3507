//! The thread in the parent that looks after one process worker.
//!
//! It alone reads and writes the socket, reads what the child writes to stdout and
//! stderr, signals the child and waits for it: so no number is signalled that is another
//! process's by now. It sleeps in `poll`, and is woken by the child, by a message to be
//! sent, and by the handle.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal as Known;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ceiling::Ceiling;
use super::exit::{Core, Ended, ProcessExit};
use crate::error::{Crash, KillReason};
use crate::port::{Lane, OwnedClaim};
use crate::process::child::{Child, End, Greeting, SOMEBODY_ELSE};
use crate::process::output::{Kept, Output};
use crate::process::wire::descriptors::{self, Arrivals, Batch, Receiver};
use crate::process::wire::frame::{self, Filled, Frame, Kind};
use crate::process::wire::patience::Patience;
use crate::process::wire::payload;
use crate::process::wire::source::Source;
use crate::sync::Arc;
use crate::util::{catch, discard};

/// Messages are written down until so many bytes wait for the socket.
const BATCH: usize = 64 * 1024;

/// So often in a row one thing is done before the others are looked at.
const IN_A_ROW: usize = 64;

/// Where a child's end cannot be polled, it is looked for so often.
const LOOK: Duration = Duration::from_millis(100);

/// A child that has closed its connection is given so long to be gone.
const ENDING: Duration = Duration::from_millis(250);

/// What a worker is to be, as far as its keeper has to know.
pub(super) struct Orders {
    pub(super) number: u32,
    pub(super) hash: u64,
    pub(super) start_timeout: Duration,
    pub(super) grace: Duration,
    pub(super) max_payload: u64,
    pub(super) output: Output,
}

/// See the [module](self).
pub(super) struct Keeper<In, Out> {
    orders: Orders,
    core: Arc<Core>,
    child: Child,
    /// Readable when the child has ended, where there is such.
    ending: Option<OwnedFd>,
    ceiling: Option<Ceiling>,
    mailbox: Arc<Lane<In>>,
    mail: OwnedClaim<In>,
    outbox: Arc<Lane<Out>>,
    waker: Waker,
    patience: Patience,
    out: Batch,
    /// Descriptors that it sent, and whose messages are not whole.
    arrivals: Arrivals,
    /// Too many descriptors were on their way for those of `out`.
    is_held_up: bool,
    /// Nothing more is to be sent, or can be.
    is_done: bool,
    kept: Kept,
    panic: Option<String>,
    /// What it said cannot be read any further.
    is_nonsense: bool,
    /// The signals that its owner had it sent.
    sent: Vec<Known>,
    /// It has to end because it had too much memory.
    is_too_large: bool,
}

impl<In, Out> Keeper<In, Out>
where
    In: Serialize + Send + 'static,
    Out: DeserializeOwned + Send + 'static,
{
    pub(super) fn new(
        orders: Orders,
        core: Arc<Core>,
        (child, ceiling): (Child, Option<Ceiling>),
        mailbox: Arc<Lane<In>>,
        mail: OwnedClaim<In>,
        outbox: Arc<Lane<Out>>,
    ) -> Self {
        Self {
            waker: Waker::from(Arc::clone(&core.alarm)),
            patience: Patience::default(),
            kept: orders.output.begin(),
            ending: child.pollable_end(),
            out: Batch::new(frame::small(Kind::Worker, 0, &orders.number.to_le_bytes())),
            arrivals: Arrivals::default(),
            is_held_up: false,
            is_done: false,
            panic: None,
            is_nonsense: false,
            sent: Vec::new(),
            is_too_large: false,
            orders,
            core,
            child,
            ceiling,
            mailbox,
            mail,
            outbox,
        }
    }

    /// The thread's whole life.
    pub(super) fn live(mut self) {
        let mut problem = self.greet().and_then(|()| self.talk()).err();
        // Posts come back from here on.
        self.mailbox.close();
        // What is not to go on is not waited for.
        let limit = if problem.is_none() {
            ENDING
        } else {
            Duration::ZERO
        };
        let ended = self.child.has_ended();
        let end = ended.or_else(|| self.child.parting(limit));
        if problem.is_some() && self.child.is_greeted && !self.is_nonsense {
            // What it had posted by then arrives.
            let _ = self.read(true);
        }
        if self.is_too_large {
            // It may have been about to end of something else.
            self.is_too_large = end.is_none_or(|end| end.signal() == Some(libc::SIGKILL));
            problem.take_if(|_| !self.is_too_large);
        }
        let was_killed = self.was_killed(end);
        match (&problem, end) {
            (None, None) if !was_killed => {
                problem = Some("it closed its connection, went on, and was killed".into());
            }
            (None, Some(end)) if end.is_unknown() && self.panic.is_none() => {
                problem = Some(SOMEBODY_ELSE.into());
            }
            _ => {}
        }
        let (core, outbox) = (Arc::clone(&self.core), Arc::clone(&self.outbox));
        let exit = self.exit(problem, end);
        core.end(exit, was_killed, || outbox.close());
    }

    /// What is to be told of the end; the child, the descriptors and the mail that is
    /// left are gone then.
    fn exit(mut self, problem: Option<String>, end: Option<End>) -> ProcessExit {
        // What the program said before its hello is none of the worker's.
        if self.child.is_greeted {
            let (output, kept, name) = (&self.orders.output, &mut self.kept, self.core.name);
            self.child
                .pipes
                .read_to_the_end(|stream, line| output.take(name, stream, line, kept));
        }
        self.mail.discard_all();
        let was_refused = self.kept.is_out_of_memory(end.and_then(End::signal));
        ProcessExit::new(Ended {
            name: self.core.name,
            end: Crash {
                pid: self.child.pid(),
                // Killed here, as far as is known.
                signal: end.map_or(Some(libc::SIGKILL), End::signal),
                code: end.and_then(End::code),
                last_words: self.kept.last_words(),
                stderr: self.kept.stderr(),
            },
            panic: self.panic.take(),
            killed: (self.is_too_large || was_refused).then_some(KillReason::Memory),
            problem,
            output: self.kept.all(),
        })
    }

    /// Waits for the child's hello. It is sent its signals meanwhile.
    fn greet(&mut self) -> Result<(), String> {
        let grace_is_over = self.grace();
        let must_look = {
            let core = Arc::clone(&self.core);
            move || {
                let is_late = core.abandoned_at().zip(grace_is_over);
                core.has_signals() || is_late.is_some_and(|(at, grace)| at.elapsed() > grace)
            }
        };
        loop {
            let Orders {
                hash,
                start_timeout,
                ..
            } = self.orders;
            let is_too_large = || self.ceiling.as_ref().is_some_and(Ceiling::is_broken);
            let stop = || must_look() || is_too_large();
            match self.child.greet(hash, start_timeout, stop) {
                Greeting::Done => return Ok(()),
                // It was killed, which is no problem.
                Greeting::Failed(_) if self.has_been_killed() => return Ok(()),
                Greeting::Failed(why) => return Err(why),
                Greeting::Interrupted => {
                    self.send_signals();
                    self.end_of_grace()?;
                    self.look_at_size()?;
                }
            }
        }
    }

    /// Passes messages on, both ways, until the child has ended.
    fn talk(&mut self) -> Result<(), String> {
        loop {
            // Before the looks at what it is about.
            self.core.alarm.quiet();
            self.send_signals();
            self.end_of_grace()?;
            self.look_at_size()?;
            let has_more = self.write()?;
            // Asked first: what a child said before its end is there by then.
            let has_ended = self.has_ended();
            let read = self.read(has_ended);
            self.is_nonsense = read.is_err();
            let read = read?;
            self.pass_output_on();
            if has_ended || read == Filled::End {
                return Ok(());
            }
            if !has_more && read == Filled::Nothing {
                self.wait();
            }
        }
    }

    /// Whether the child is no more.
    fn has_ended(&mut self) -> bool {
        let is_worth_it = self.ending.as_ref().is_none_or(|ending| {
            let mut fds = [PollFd::new(ending, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
        });
        is_worth_it && self.child.has_ended().is_some()
    }

    /// Waits until there is something to do.
    fn wait(&mut self) {
        let left = self.left_of_grace();
        let mut events = PollFlags::IN;
        if !self.out.is_sent() && !self.is_held_up {
            events |= PollFlags::OUT;
        }
        let mut fds = vec![
            PollFd::new(&self.child.socket, events),
            PollFd::new(self.core.alarm.fd(), PollFlags::IN),
        ];
        let others = self
            .child
            .pipes
            .open()
            .map(|pipe| PollFd::new(pipe, PollFlags::IN));
        fds.extend(others);
        fds.extend(self.ending.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
        let look = self.ending.is_none().then_some(LOOK);
        let later = self.is_held_up.then_some(descriptors::LATER);
        let nap = self.ceiling.as_ref().map(Ceiling::nap);
        let limit = [look, left, later, nap].into_iter().flatten().min();
        // What is too long for the system is for ever.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        let mut came = |limit: Option<&Timespec>| match poll(&mut fds, limit) {
            Ok(0) => None,
            // A wait that was interrupted is looked at like any other.
            _ => Some(()),
        };
        let looked = self.patience.look(|| came(Some(&Timespec::default())));
        looked.or_else(|| came(limit.as_ref()));
    }

    fn send_signals(&mut self) {
        for signal in self.core.take_signals() {
            let Some(signal) = signal.known() else {
                continue;
            };
            if !self.sent.contains(&signal) {
                self.sent.push(signal);
            }
            // If it is gone, it needs none.
            let _ = self.child.signal(signal);
        }
    }

    /// Whether its owner has ended it, if it ended so: by a signal that it had it sent, or
    /// by itself after one that asks for that. `None`: it had to be killed.
    fn was_killed(&self, end: Option<End>) -> bool {
        let asks = |signal: &Known| {
            matches!(
                *signal,
                Known::KILL | Known::TERM | Known::INT | Known::HUP | Known::QUIT
            )
        };
        match end.and_then(End::signal) {
            Some(by) => self.sent.iter().any(|signal| signal.as_raw() == by),
            None => self.sent.iter().any(asks),
        }
    }

    fn has_been_killed(&mut self) -> bool {
        let end = self.child.has_ended();
        end.is_some() && self.was_killed(end)
    }

    /// How long it may go on without its handle; for ever if that is too long to count.
    fn grace(&self) -> Option<Duration> {
        let grace = self.orders.grace;
        Instant::now().checked_add(grace).map(|_| grace)
    }

    fn left_of_grace(&self) -> Option<Duration> {
        let since = self.core.abandoned_at()?.elapsed();
        Some(self.grace()?.saturating_sub(since))
    }

    fn end_of_grace(&self) -> Result<(), String> {
        match self.left_of_grace() {
            Some(Duration::ZERO) => {
                let grace = self.orders.grace;
                Err(format!(
                    "it went on for {grace:?} after its handle was dropped, and was killed"
                ))
            }
            _ => Ok(()),
        }
    }

    fn look_at_size(&mut self) -> Result<(), String> {
        let looked = self.ceiling.as_ref().map_or(Ok(()), Ceiling::check);
        self.is_too_large = looked.is_err();
        looked
    }

    fn pass_output_on(&mut self) {
        let (output, kept, name) = (&self.orders.output, &mut self.kept, self.core.name);
        self.child
            .pipes
            .read(|stream, line| output.take(name, stream, line, kept));
    }

    /// Sends what the socket takes; whether there may be more that it takes.
    fn write(&mut self) -> Result<bool, String> {
        self.is_held_up = false;
        for _ in 0..IN_A_ROW {
            while !self.out.is_sent() {
                match self.out.send(&self.child.socket) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                    Err(error) if descriptors::is_momentary(&error) => {
                        self.is_held_up = true;
                        return Ok(false);
                    }
                    Err(error) if !is_closed(&error) => {
                        return Err(format!("a message for it could not be sent: {error}"));
                    }
                    Err(_) => {
                        // It is about to end, and may have said something.
                        self.is_done = true;
                        self.mailbox.close();
                        self.mail.discard_all();
                        self.out.clear(frame::KEPT);
                    }
                }
            }
            self.out.clear(frame::KEPT);
            self.write_down()?;
            if self.out.is_sent() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes down messages that wait.
    fn write_down(&mut self) -> Result<(), String> {
        while !self.is_done && self.out.frames.len() < BATCH {
            match self.mail.poll_next(&self.waker) {
                Poll::Pending => break,
                Poll::Ready(Some(message)) => self.append(message)?,
                Poll::Ready(None) => {
                    self.is_done = true;
                    let bye = frame::small(Kind::Disconnect, 0, &[]);
                    self.out.frames.extend_from_slice(&bye);
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, message: In) -> Result<(), String> {
        let begin = self.out.frames.len();
        frame::append(&mut self.out.frames, Kind::Post, 0);
        let (frames, most) = (&mut self.out.frames, self.orders.max_payload);
        // The user's code.
        let written = catch(|| payload::write_message(&message, frames, most));
        discard(message);
        let written = written.unwrap_or_else(|panic| {
            discard(panic);
            Err("it panicked".into())
        });
        let along =
            written.map_err(|error| format!("a message for it could not be written: {error}"))?;
        self.out.go_along(begin, along);
        Ok(())
    }

    /// Takes what has come; all of it if it is the last. What the last look brought.
    fn read(&mut self, to_the_end: bool) -> Result<Filled, String> {
        let mut rounds = 0;
        loop {
            let filled = self.child.inbox.fill(Receiver {
                socket: &self.child.socket,
                arrivals: &mut self.arrivals,
            });
            // An error is the end, too: of a child that did not read what was sent to it.
            let filled = filled.unwrap_or(Filled::End);
            loop {
                let frame = self.child.inbox.take();
                let frame = frame.map_err(|malformed| format!("it said {malformed}"))?;
                let Some(frame) = frame else { break };
                match message(&frame, &mut self.arrivals)? {
                    Said::Message(message) => self.deliver(message),
                    Said::Panic(text) => self.panic = Some(text),
                }
            }
            let too_many = self.arrivals.check();
            too_many.map_err(|error| format!("it sent {error}"))?;
            rounds += 1;
            if filled != Filled::Some || rounds >= IN_A_ROW && !to_the_end {
                return Ok(filled);
            }
        }
    }

    fn deliver(&self, message: Out) {
        if self.core.is_abandoned() && !self.outbox.is_claimed() {
            return discard(message);
        }
        // It is closed by nobody else.
        discard(self.outbox.post(message));
    }
}

/// Whether the other end is.
fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected
    )
}

enum Said<T> {
    Message(T),
    Panic(String),
}

fn message<T: DeserializeOwned>(
    frame: &Frame<'_>,
    arrivals: &mut Arrivals,
) -> Result<Said<T>, String> {
    match frame.kind {
        Kind::Posted => {}
        Kind::Panic => {
            let text = String::from_utf8_lossy(frame.payload);
            return Ok(Said::Panic(text.into_owned()));
        }
        kind => return Err(format!("it said {kind:?}, which no worker says")),
    }
    let read = arrivals.take(frame.job).and_then(|came| {
        let read = catch(|| {
            Source::InFrame(frame.payload)
                .read_with(came)
                .map(Said::Message)
        });
        read.unwrap_or_else(|panic| {
            discard(panic);
            Err("it panicked".into())
        })
    });
    read.map_err(|error| format!("a message of it could not be read: {error}"))
}
