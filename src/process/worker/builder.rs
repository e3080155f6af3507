//! [`ProcessWorkerBuilder`]: what a process worker is to be.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::alarm::Alarm;
use super::ceiling::Ceiling;
use super::exit::Core;
use super::handle::ProcessWorker;
use super::keeper::{Keeper, Orders};
use crate::error::StartError;
use crate::port::{Claim, Lane};
use crate::process::child::{Child, Purpose};
use crate::process::output::Output;
use crate::process::program::{Wanted, program_settings, test_args};
use crate::process::serve;
use crate::process::tasks::Tasks;
use crate::process::wire::source::STACK;
use crate::sync::{Arc, thread};
use crate::sys::fork::Generation;

/// How long a child may take to say hello.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a child may go on after its handle was dropped.
const GRACE: Duration = Duration::from_secs(5);

/// The longest message, in bytes.
const MAX_PAYLOAD: u64 = 1 << 30;

/// Says what a [`ProcessWorker`] is to be, and starts it.
///
/// ```no_run
/// # use std::time::Duration;
/// # use windlass::process::{Output, ProcessWorker, Tasks};
/// # let tasks = Tasks::new();
/// let worker = ProcessWorker::<String, u64>::builder(&tasks, "count")
///     .mailbox(100)
///     .env("RUST_BACKTRACE", "1")
///     .output(Output::Collect(64 * 1024))
///     .grace(Duration::from_secs(1))
///     .memory_limit(512 * 1024 * 1024)
///     .start()?;
/// # let _ = worker;
/// # Ok::<(), windlass::process::StartError>(())
/// ```
#[must_use = "a builder does nothing until `start`"]
pub struct ProcessWorkerBuilder<In, Out> {
    tasks: Tasks,
    name: String,
    mailbox: Option<usize>,
    wanted: Wanted,
    output: Output,
    start_timeout: Duration,
    grace: Duration,
    max_payload: u64,
    memory_limit: Option<u64>,
    messages: PhantomData<fn(In) -> Out>,
}

impl<In, Out> ProcessWorkerBuilder<In, Out>
where
    In: Serialize + Send + 'static,
    Out: DeserializeOwned + Send + 'static,
{
    pub(super) fn new(tasks: &Tasks, name: &str) -> Self {
        Self {
            tasks: tasks.clone(),
            name: name.into(),
            mailbox: None,
            wanted: Wanted::default(),
            output: Output::default(),
            start_timeout: START_TIMEOUT,
            grace: GRACE,
            max_payload: MAX_PAYLOAD,
            memory_limit: None,
            messages: PhantomData,
        }
    }

    /// How many messages may wait here until the socket takes them (which does so while
    /// the child reads, and some hundred kilobytes or sixteen messages further): `post`
    /// gives one more back, `post_async` waits. Default: any number.
    ///
    /// # Panics
    /// `start` does if `capacity` is zero.
    pub fn mailbox(mut self, capacity: usize) -> Self {
        self.mailbox = Some(capacity);
        self
    }

    program_settings!(
        "the child",
        ". Another one has to know the same [`Tasks`], in the same order.",
        "none, whatever this process was given."
    );

    /// For tests: the child runs the test of this full name and nothing else. See
    /// [`ProcessPoolBuilder::test_child`](crate::process::ProcessPoolBuilder::test_child).
    pub fn test_child(mut self, name: &str) -> Self {
        self.wanted.args = Some(test_args(name));
        self
    }

    /// What becomes of what the child writes to stdout and stderr, each line with the
    /// worker's name. Default: [`Output::Inherit`].
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// How long the child may take from its start to its hello. Default: ten seconds.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = limit;
        self
    }

    /// How long the child may go on once the [`ProcessWorker`] was dropped; then it is
    /// killed. `Duration::MAX`: as long as it likes. Default: five seconds.
    pub fn grace(mut self, limit: Duration) -> Self {
        self.grace = limit;
        self
    }

    /// The longest message, either way, in bytes as it is written; a longer one ends the
    /// worker. At most 4 GiB. Default: 1 GiB.
    pub fn max_payload(mut self, bytes: u64) -> Self {
        self.max_payload = bytes;
        self
    }

    /// The most memory that the child may have, in bytes: of what is in memory, all of it,
    /// the program included (some megabytes), and not that of processes that it starts. If
    /// it has more, it is killed: [`ProcessExit::killed`](super::ProcessExit::killed) gives
    /// [`KillReason::Memory`](crate::process::KillReason::Memory), and
    /// [`problem`](super::ProcessExit::problem) how much it was. What it had posted before
    /// arrives. Default: no limit.
    ///
    /// It is looked at every ten milliseconds while messages pass, else every fifty; so it
    /// may come to have somewhat more. That takes one more descriptor, and the thread that
    /// looks after the child wakes for it, which it does not for an idle one without a
    /// limit. On Linux, with `/proc`; elsewhere there is no limit. (A child that the system
    /// refuses memory ends with the same reason, with a limit or without.)
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Starts the child, and does not wait for its hello.
    ///
    /// # Errors
    /// If there is no such worker, or the system does not start the process or the thread
    /// that looks after it. [`StartError::NotServing`] in a child whose `main` does not
    /// begin with [`serve_if_child`](Tasks::serve_if_child). In a child that serves, a
    /// worker may start workers.
    ///
    /// # Panics
    /// If the mailbox was given a capacity of zero.
    #[track_caller]
    pub fn start(self) -> Result<ProcessWorker<In, Out>, StartError> {
        if serve::parents_socket().is_some() {
            return Err(StartError::NotServing);
        }
        let number = self.tasks.number_of_worker::<In, Out>(&self.name);
        let Some((number, name)) = number else {
            return Err(StartError::UnknownWorker { name: self.name });
        };
        // Before there is a child: it panics over a wrong capacity.
        let mailbox = Arc::new(Lane::to_process(self.mailbox));
        let outbox = Arc::new(Lane::outbox());
        let program = self.wanted.program(Vec::new);
        let program = program.map_err(StartError::Program)?;
        // What is made after this notes which process it is in.
        let _ = Generation::watched();
        let failed = |what: &str, error| StartError::Children {
            reason: format!("{what}: {error}"),
        };
        let max_payload = self.max_payload.min(u64::from(u32::MAX) - 1024);
        let alarm = Alarm::new().map_err(|error| failed("no descriptors for it", error))?;
        let child = Child::start(&program, max_payload, Purpose::Worker).map_err(|error| {
            let path = program.path().display();
            failed(&format!("{path} could not be started"), error)
        })?;
        let ceiling = Ceiling::of(child.pid(), self.memory_limit)
            .map_err(|error| failed("its memory cannot be looked at", error))?;
        let core = Arc::new(Core::new(name, child.pid(), Arc::new(alarm)));
        let orders = Orders {
            number,
            hash: self.tasks.hash(),
            start_timeout: self.start_timeout,
            grace: self.grace,
            max_payload,
            output: self.output,
        };
        let mail = Claim::new(Arc::clone(&mailbox)).expect("nobody else has it yet");
        let worker = ProcessWorker {
            core: Arc::clone(&core),
            mailbox: Arc::clone(&mailbox),
            outbox: Arc::clone(&outbox),
        };
        let keeper = Keeper::new(orders, core, (child, ceiling), mailbox, mail, outbox);
        thread::Builder::new()
            .name("windlass-keeper".into())
            .stack_size(STACK)
            .spawn(move || keeper.live())
            .map_err(|error| failed("no thread to look after it", error))?;
        Ok(worker)
    }
}

impl<In, Out> fmt::Debug for ProcessWorkerBuilder<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessWorkerBuilder")
            .field("name", &self.name)
            .field("mailbox", &self.mailbox)
            .field("output", &self.output)
            .field("grace", &self.grace)
            .field("memory_limit", &self.memory_limit)
            .finish_non_exhaustive()
    }
}
