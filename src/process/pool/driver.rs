//! One thread's child, and how a job runs in it.
//!
//! A thread of the inner pool has one driver each, and runs one job at a time: it
//! writes the argument, waits for the answer, and meanwhile looks every few
//! milliseconds whether the job is cancelled, late or too large. Whatever goes wrong
//! ends with the child gone and the next one on its way, before the job's handle is
//! told.

use std::any::Any;
use std::io::{ErrorKind, Write};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use crate::cancel::is_cancelled;
use crate::error::{Crash, How, KillReason, ProcessEnd};
use crate::process::child::{Child, End, Greeting, Purpose};
use crate::process::output::{Kept, Output};
use crate::process::program::{Program, Starts};
use crate::process::task::Task;
use crate::process::tasks::Tasks;
use crate::process::wire::frame::{self, Filled, Kind};
use crate::process::wire::patience::{Patience, news};
use crate::process::wire::payload::{self, Memory};
use crate::process::wire::source::Source;
use crate::sync::{Arc, AtomicU32, Ordering};
use crate::util::{catch, discard};

/// What all drivers of a pool have in common.
pub(super) struct Settings {
    pub(super) tasks: Tasks,
    pub(super) hash: u64,
    pub(super) program: Program,
    pub(super) output: Output,
    pub(super) starts: Starts,
    pub(super) start_timeout: Duration,
    pub(super) memory_limit: Option<u64>,
    pub(super) max_jobs: Option<u64>,
    pub(super) max_payload: u64,
    /// The number of each driver's child, 0 if it has none. Relaxed: they are for
    /// reports.
    pub(super) pids: Vec<AtomicU32>,
}

/// How a job ended that has no value: what its closure unwinds with.
type Unwound = Box<dyn Any + Send>;

/// The waits between two looks at a job: the first and the longest.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LATER_LOOK: Duration = Duration::from_millis(3);

/// A child that has closed its connection is given so long to be gone. (It ends itself
/// somewhat later, and that is not what is to be told of it.)
const ENDING: Duration = Duration::from_millis(250);

/// See the [module](self).
pub(super) struct Driver {
    settings: Arc<Settings>,
    index: usize,
    child: Option<Child>,
    /// The frame that is sent.
    frame: Vec<u8>,
    /// What was read from the shared memory.
    large: Vec<u8>,
    job: u64,
    patience: Patience,
}

/// What a job was told of its time.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits {
    /// It is to have come to a process by then. The inner pool has looked at it, too; but
    /// the process may have had to be started.
    pub(super) deadline: Option<Instant>,
    pub(super) timeout: Option<Duration>,
}

/// Why a child did not answer.
enum Fate {
    Kill(KillReason),
    /// Its end of the socket is closed.
    Gone,
    /// It said what is no answer.
    Broken(String),
}

impl Driver {
    pub(super) fn new(settings: &Arc<Settings>, index: usize) -> Self {
        Self {
            settings: Arc::clone(settings),
            index,
            child: None,
            frame: Vec::new(),
            large: Vec::new(),
            job: 0,
            patience: Patience::default(),
        }
    }

    /// Sees to it that there is a child that can be given a job, which is to start by
    /// `deadline`.
    pub(super) fn ready(&mut self, deadline: Option<Instant>) -> Result<(), How> {
        let settings = Arc::clone(&self.settings);
        let starts = &settings.starts;
        loop {
            if let Some(child) = &mut self.child {
                let was_greeted = child.is_greeted;
                let greeting = match was_greeted {
                    true => Greeting::Done,
                    false => child.greet(settings.hash, settings.start_timeout, || {
                        is_cancelled() || is_past(deadline)
                    }),
                };
                match greeting {
                    Greeting::Done if child.is_fit() && !is_large(&settings, child) => {
                        if !was_greeted {
                            starts.succeeded();
                        }
                        return Ok(());
                    }
                    // It died while it had nothing to do.
                    Greeting::Done if was_greeted => {}
                    Greeting::Done => starts.failed(match is_large(&settings, child) {
                        true => "it had more memory than its limit before its first job".into(),
                        false => "it ended right after its hello".into(),
                    }),
                    Greeting::Interrupted if is_cancelled() => return Err(How::Withdrawn),
                    Greeting::Interrupted => return Err(How::Expired),
                    Greeting::Failed(why) => starts.failed(why),
                }
                self.put(None);
            }
            starts.may_start().map_err(How::StartFailed)?;
            self.start();
        }
    }

    /// Starts a child, and does not wait for it.
    fn start(&mut self) {
        let settings = &self.settings;
        let is_limited = settings.memory_limit.is_some();
        let started = Memory::share().and_then(|memory| {
            let purpose = Purpose::Jobs { memory, is_limited };
            Child::start(&settings.program, settings.max_payload, purpose)
        });
        match started {
            Ok(child) => drop(self.put(Some(child))),
            Err(error) => {
                let path = settings.program.path().display();
                let why = format!("{path} could not be started: {error}");
                settings.starts.failed(why);
            }
        }
    }

    fn put(&mut self, child: Option<Child>) -> Option<Child> {
        let pid = child.as_ref().map_or(0, Child::pid);
        self.settings.pids[self.index].store(pid, Ordering::Relaxed);
        std::mem::replace(&mut self.child, child)
    }

    fn start_ahead(&mut self) {
        if self.settings.starts.are_well() && self.settings.starts.may_start().is_ok() {
            self.start();
        }
    }

    /// Runs a job; `Err` is what it is to unwind with.
    pub(super) fn run<T: Task>(&mut self, task: T, limits: Limits) -> Result<T::Output, Unwound> {
        let end = |how| {
            let task = T::NAME;
            let output = None;
            Box::new(ProcessEnd { task, how, output }) as Unwound
        };
        let Some(number) = self.settings.tasks.number_of::<T>() else {
            let why = "it is not among the pool's tasks, and did not run: add it by `with`";
            return Err(end(How::Lost(why.into())));
        };
        self.ready(limits.deadline).map_err(end)?;
        self.write(&task, number).map_err(|error| match error {
            Ok(why) => end(How::Lost(why)),
            Err(panic) => panic,
        })?;
        if is_cancelled() {
            return Err(end(How::Withdrawn));
        }
        if is_past(limits.deadline) {
            return Err(end(How::Expired));
        }
        let mut kept = self.settings.output.begin();
        // It is dropped while the child works: that of many bytes takes its time. Its
        // panic is the job's, once the child has done with it.
        let (mut task, mut dropped) = (Some(task), Ok(()));
        let mut drop_task = || {
            if let Some(task) = task.take() {
                dropped = catch(|| drop(task));
            }
        };
        let conversed = self.converse(T::NAME, limits.timeout, &mut kept, &mut drop_task);
        drop_task();
        let result = match conversed {
            Ok(kind) => self.answered::<T>(kind, &mut kept),
            Err(fate) => Err(self.failed(T::NAME, fate, &mut kept)),
        };
        match dropped {
            Ok(()) => result,
            Err(panic) => {
                discard(result);
                Err(panic)
            }
        }
    }

    /// Makes the frame of a job.
    fn write<T: Task>(&mut self, task: &T, number: u32) -> Result<(), Result<String, Unwound>> {
        let Some(child) = &self.child else {
            return Err(Ok("there is no process".into()));
        };
        let max_payload = self.settings.max_payload;
        self.job += 1;
        frame::begin(&mut self.frame, Kind::Job, self.job);
        self.frame.extend_from_slice(&number.to_le_bytes());
        // The user's code. Nothing was sent so far, and the child is well.
        let written = catch(|| child.memory.write(task, &mut self.frame, max_payload));
        let written = written.map_err(Err)?.map_err(|error| {
            Ok(format!(
                "its argument could not be written, and it did not run: {error}"
            ))
        })?;
        payload::finish(&mut self.frame, 4, &written, Kind::LargeJob);
        Ok(())
    }

    /// Sends the frame and waits for the answer, which is whole then. Runs `meanwhile`
    /// after each piece that was sent.
    fn converse(
        &mut self,
        task: &'static str,
        timeout: Option<Duration>,
        kept: &mut Kept,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Kind, Fate> {
        let settings = &self.settings;
        let Some(child) = &mut self.child else {
            return Err(Fate::Gone);
        };
        let begin = Instant::now();
        let mut look = FIRST_LOOK;
        let mut rest = &self.frame[..];
        let mut has_ended = false;
        let mut has_waited = false;
        // Whether something may have been written that was not read.
        let mut has_output = true;
        loop {
            rest = send(child, rest)?;
            meanwhile();
            let mut looked = None;
            if rest.is_empty() && !has_waited {
                // There cannot be an answer yet.
                looked = self.patience.look(|| news(child.inbox.fill(&child.socket)));
                if looked.is_none() {
                    has_output = child.wait(PollFlags::IN, look.min(timeout.unwrap_or(look)));
                }
                has_waited = true;
            }
            let filled = looked.unwrap_or_else(|| child.inbox.fill(&child.socket));
            match child.inbox.next() {
                Ok(None) => {}
                Ok(Some((kind, job))) => {
                    let is_answer = matches!(
                        kind,
                        Kind::Value | Kind::LargeValue | Kind::Panic | Kind::Refused
                    );
                    if !is_answer || job != self.job || !rest.is_empty() {
                        let own = self.job;
                        let what = format!("a frame {kind:?} of job {job} to job {own}");
                        return Err(Fate::Broken(what));
                    }
                    // It was written before the answer, and seen with it.
                    if has_output {
                        child.pipes.read_to_the_end(|stream, line| {
                            settings.output.take(task, stream, line, kept);
                        });
                    }
                    return Ok(kind);
                }
                Err(malformed) => return Err(Fate::Broken(malformed.to_string())),
            }
            match filled {
                Ok(Filled::Some) => continue,
                Ok(Filled::Nothing) => {}
                Ok(Filled::End) | Err(_) => return Err(Fate::Gone),
            }
            if has_output {
                child
                    .pipes
                    .read(|stream, line| settings.output.take(task, stream, line, kept));
            }
            if is_cancelled() {
                return Err(Fate::Kill(KillReason::Cancelled));
            }
            let elapsed = begin.elapsed();
            if timeout.is_some_and(|timeout| elapsed >= timeout) {
                return Err(Fate::Kill(KillReason::Timeout));
            }
            if is_large(settings, child) {
                return Err(Fate::Kill(KillReason::Memory));
            }
            // It may have ended, and a process of its own have its end of the socket. What
            // it said before is looked at first.
            if has_ended {
                return Err(Fate::Gone);
            }
            has_ended = child.has_ended().is_some();
            if has_ended {
                has_output = true;
                continue;
            }
            let events = match rest {
                [] => PollFlags::IN,
                _ => PollFlags::IN | PollFlags::OUT,
            };
            let left = timeout.map_or(look, |timeout| timeout.saturating_sub(elapsed));
            has_output = child.wait(events, look.min(left));
            look = (look + FIRST_LOOK).min(LATER_LOOK);
        }
    }

    /// Makes the job's result of the answer that has arrived.
    fn answered<T: Task>(&mut self, kind: Kind, kept: &mut Kept) -> Result<T::Output, Unwound> {
        let settings = Arc::clone(&self.settings);
        let broken = |this: &mut Self, why: String, kept: &mut Kept| {
            Err(this.failed(T::NAME, Fate::Broken(why), kept))
        };
        let Some(child) = &mut self.child else {
            return broken(self, "there is no process".into(), kept);
        };
        child.jobs += 1;
        child.idle_since = Instant::now();
        let Ok(Some(frame)) = child.inbox.take() else {
            return broken(self, "the answer is gone".into(), kept);
        };
        let text = || String::from_utf8_lossy(frame.payload).into_owned();
        let source = match kind {
            Kind::LargeValue => match frame::u64_of(frame.payload) {
                Some(len) => child
                    .memory
                    .source(len, settings.max_payload, &mut self.large),
                None => Err("it has no length".into()),
            },
            _ => Ok(Source::InFrame(frame.payload)),
        };
        let result = match kind {
            Kind::Panic if frame.payload.is_empty() => {
                Err(Box::new("a panic without a text".to_owned()) as Unwound)
            }
            Kind::Panic => Err(Box::new(text()) as Unwound),
            Kind::Refused => Err(Box::new(ProcessEnd {
                task: T::NAME,
                how: How::Lost(text()),
                output: None,
            }) as Unwound),
            // The user's code may panic; the child has done its work.
            _ => match catch(|| source.and_then(Source::read::<T::Output>)) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(why)) => {
                    let why = format!("a result that cannot be read: {why}");
                    return broken(self, why, kept);
                }
                Err(panic) => Err(panic),
            },
        };
        self.look_after_the_child(kind == Kind::LargeValue);
        result
    }

    /// A job is over, and its child was well.
    fn look_after_the_child(&mut self, answer_was_large: bool) {
        let Some(child) = &mut self.child else { return };
        if answer_was_large || self.frame[4] == Kind::LargeJob as u8 {
            child.memory.shed();
        }
        payload::shed(&mut self.large);
        let settings = &self.settings;
        let is_old = settings.max_jobs.is_some_and(|most| child.jobs >= most);
        let is_large = settings
            .memory_limit
            .is_some_and(|most| child.size() > Some(most));
        if is_old || is_large {
            let old = self.put(None);
            self.start_ahead();
            if let Some(old) = old {
                old.dismiss();
            }
        }
    }

    /// Ends the child of a job that has no answer, has the next one come, and says what
    /// it was.
    fn failed(&mut self, task: &'static str, fate: Fate, kept: &mut Kept) -> Unwound {
        let settings = Arc::clone(&self.settings);
        let Some(mut old) = self.put(None) else {
            let how = How::Lost("there is no process".into());
            let output = None;
            return Box::new(ProcessEnd { task, how, output });
        };
        let pid = old.pid();
        // How it ends is what is to be told, if it does that by itself.
        let is_gone = matches!(fate, Fate::Gone);
        if !is_gone {
            old.kill();
        }
        self.start_ahead();
        let status = if is_gone { old.parting(ENDING) } else { None };
        old.pipes
            .read_to_the_end(|stream, line| settings.output.take(task, stream, line, kept));
        let how = match (fate, status) {
            (Fate::Kill(reason), _) => How::Killed { pid, reason },
            (Fate::Broken(what), _) => How::Lost(format!(
                "process {pid} answered with {what}, and was killed; the task may have run"
            )),
            (Fate::Gone, Some(end)) => crashed(pid, end, kept),
            (Fate::Gone, None) => How::Lost(format!(
                "process {pid} closed its connection, and was killed; the task may have run"
            )),
        };
        let output = kept.all();
        Box::new(ProcessEnd { task, how, output })
    }
}

impl Drop for Driver {
    /// The thread ends, and its child with it.
    fn drop(&mut self) {
        if let Some(child) = self.put(None)
            && child.is_greeted
        {
            child.dismiss();
        }
    }
}

/// Sends what the socket takes now; what is left.
fn send<'a>(child: &mut Child, mut rest: &'a [u8]) -> Result<&'a [u8], Fate> {
    while !rest.is_empty() {
        match child.socket.write(rest) {
            Ok(len) => rest = &rest[len..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(Fate::Gone),
        }
    }
    Ok(rest)
}

fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|at| Instant::now() > at)
}

/// Whether a child has more memory than it may, of its own or shared.
fn is_large(settings: &Settings, child: &Child) -> bool {
    let size = || child.size().unwrap_or(0).max(child.memory.size());
    settings.memory_limit.is_some_and(|most| size() > most)
}

fn crashed(pid: u32, end: End, kept: &Kept) -> How {
    if kept.is_out_of_memory(end.signal()) {
        let reason = KillReason::Memory;
        return How::Killed { pid, reason };
    }
    How::Crashed(Crash {
        pid,
        signal: end.signal(),
        code: end.code(),
        last_words: kept.last_words(),
        stderr: kept.stderr(),
    })
}

/// Ends the closure of a job that has no value, past the panic hook.
pub(super) fn unwind(with: Unwound) -> ! {
    resume_unwind(with)
}
