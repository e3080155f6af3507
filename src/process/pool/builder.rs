//! [`ProcessPoolBuilder`]: what a process pool is to be.

use std::fmt;
use std::time::Duration;

use super::driver::Settings;
use super::handle::ProcessPool;
use crate::builder::PoolBuilder;
use crate::error::{How, KillReason, ProcessEnd, StartError};
use crate::metrics::JobTimes;
use crate::process::output::Output;
use crate::process::program::{Starts, Wanted, program_settings, test_args};
use crate::process::serve;
use crate::process::tasks::Tasks;
use crate::process::wire::source::STACK;
use crate::scheduler::WhenFull;
use crate::sync::AtomicU32;
use crate::util::limits::MAX_THREADS;
use crate::util::{payload_message, report_past_locks};

/// How long a child may take to say hello.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How many starts in a row may go wrong.
const MAX_START_FAILURES: u32 = 3;

/// The longest argument or result, in bytes.
const MAX_PAYLOAD: u64 = 1 << 30;

/// Says what a [`ProcessPool`] is to be, and builds it.
///
/// ```no_run
/// # use windlass::process::{Output, ProcessPool, Tasks};
/// # let tasks = Tasks::new();
/// let procs = ProcessPool::builder(tasks)
///     .num_children(4)
///     .memory_limit(512 * 1024 * 1024)
///     .max_jobs(1000)
///     .output(Output::Collect(64 * 1024))
///     .build()?;
/// # Ok::<(), windlass::process::StartError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct ProcessPoolBuilder {
    pool: PoolBuilder,
    children: Option<usize>,
    tasks: Tasks,
    wanted: Wanted,
    output: Output,
    max_start_failures: u32,
    start_timeout: Duration,
    memory_limit: Option<u64>,
    max_jobs: Option<u64>,
    max_payload: u64,
}

impl ProcessPoolBuilder {
    pub(super) fn new(tasks: Tasks) -> Self {
        let pool = PoolBuilder::new()
            .thread_name(|index| format!("windlass-proc-{index}"))
            .stack_size(STACK)
            // A thread more would be a child more.
            .max_substitutes(0)
            .on_panic(|payload| tell(&*payload));
        Self {
            pool,
            children: None,
            tasks,
            wanted: Wanted::default(),
            output: Output::default(),
            max_start_failures: MAX_START_FAILURES,
            start_timeout: START_TIMEOUT,
            memory_limit: None,
            max_jobs: None,
            max_payload: MAX_PAYLOAD,
        }
    }

    /// How many children, 1 to 4095. Default: as many as a [`Pool`](crate::Pool) has
    /// threads.
    pub fn num_children(mut self, children: usize) -> Self {
        self.children = Some(children);
        self
    }

    program_settings!(
        "the children",
        ". Another one has to know the same [`Tasks`], in the same order.",
        "none, whatever this process was given."
    );

    /// For tests: `main` is the test harness's, so the children run the test of this
    /// full name (`module::name`) and nothing else. That test is to be
    ///
    /// ```text
    /// #[test]
    /// fn child() {
    ///     let _ = tasks().serve_if_child(); // elsewhere than in a child it does nothing
    /// }
    /// ```
    ///
    /// and all others call `.test_child("child")`.
    pub fn test_child(mut self, name: &str) -> Self {
        self.wanted.args = Some(test_args(name));
        self
    }

    /// What becomes of what the tasks write to stdout and stderr. Default:
    /// [`Output::Inherit`].
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// The most memory that a child may have, in bytes: of what is in memory, all of it,
    /// the program included (some megabytes). If it has more while a job runs, it is
    /// killed, and the job's handle gives [`is_killed`](crate::JoinError::is_killed) with
    /// [`KillReason::Memory`]; if it has more after one, it is replaced. Default: no
    /// limit.
    ///
    /// What it shares with this process, for arguments and results beyond 256 KiB, is counted
    /// apart, with the same limit.
    ///
    /// It is looked at every few milliseconds, and so a job may come to have somewhat
    /// more. That takes one more descriptor for each child. On Linux, with `/proc`; elsewhere
    /// there is no limit. (A job that the system refuses memory ends with the same reason,
    /// with a limit or without.)
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// A child that has run so many jobs is replaced. Default: never. Against leaks.
    pub fn max_jobs(mut self, jobs: u64) -> Self {
        self.max_jobs = Some(jobs);
        self
    }

    /// After so many starts in a row that went wrong, jobs are refused
    /// ([`is_start_failed`](crate::JoinError::is_start_failed)), and one start is tried
    /// each second for a job that comes. Default: 3.
    pub fn max_start_failures(mut self, starts: u32) -> Self {
        self.max_start_failures = starts;
        self
    }

    /// How long a child may take from its start to its hello. Default: ten seconds.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = limit;
        self
    }

    /// The longest argument or result, in bytes as they are written; a longer one is not
    /// written, and the job's handle gives [`is_lost`](crate::JoinError::is_lost).
    /// Default: 1 GiB.
    pub fn max_payload(mut self, bytes: u64) -> Self {
        self.max_payload = bytes;
        self
    }

    /// How many jobs may wait; see [`PoolBuilder::queue_capacity`].
    pub fn queue_capacity(mut self, jobs: usize) -> Self {
        self.pool = self.pool.queue_capacity(jobs);
        self
    }

    /// What becomes of jobs when the queue is full; see [`PoolBuilder::when_full`].
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.pool = self.pool.when_full(when_full);
        self
    }

    /// Of which jobs to take the time; see [`PoolBuilder::job_times`].
    pub fn job_times(mut self, times: JobTimes) -> Self {
        self.pool = self.pool.job_times(times);
        self
    }

    /// Starts the children, all at once, and waits until each has said hello: some
    /// milliseconds.
    ///
    /// # Errors
    /// If a setting is not possible, or a child cannot be started; the error says what
    /// the last one that died had written. [`StartError::NotServing`] in a child whose
    /// `main` does not begin with [`serve_if_child`](Tasks::serve_if_child).
    pub fn build(self) -> Result<ProcessPool, StartError> {
        if serve::parents_socket().is_some() {
            return Err(StartError::NotServing);
        }
        let program = self.wanted.program(Vec::new);
        let program = program.map_err(StartError::Program)?;
        let pool = match self.children {
            Some(count) if !(1..=MAX_THREADS).contains(&count) => {
                return Err(StartError::ChildCount(count));
            }
            Some(count) => self.pool.num_threads(count),
            None => self.pool,
        };
        let pool = pool.build()?;
        let settings = Settings {
            hash: self.tasks.hash(),
            tasks: self.tasks,
            program,
            output: self.output,
            starts: Starts::new(self.max_start_failures),
            start_timeout: self.start_timeout,
            memory_limit: self.memory_limit,
            max_jobs: self.max_jobs,
            max_payload: self.max_payload,
            pids: (0..pool.num_threads()).map(|_| AtomicU32::new(0)).collect(),
        };
        let pool = ProcessPool::from_parts(pool, settings);
        pool.start_all()?;
        Ok(pool)
    }
}

/// What no handle saw. A job that was cancelled together with its handle is no news.
fn tell(payload: &(dyn std::any::Any + Send)) {
    match payload.downcast_ref::<ProcessEnd>() {
        Some(end) => {
            let has_not_started = matches!(end.how, How::Withdrawn | How::Expired);
            if !has_not_started && end.killed() != Some(KillReason::Cancelled) {
                report_past_locks(format_args!("windlass: nobody handled this: {end}"));
            }
        }
        None => {
            let text = payload_message(payload).unwrap_or("(no message)");
            report_past_locks(format_args!("windlass: nobody handled this: {text}"));
        }
    }
}

impl fmt::Debug for ProcessPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolBuilder")
            .field("pool", &self.pool)
            .field("children", &self.children)
            .field("tasks", &self.tasks)
            .field("program", &self.wanted)
            .field("output", &self.output)
            .field("memory_limit", &self.memory_limit)
            .field("max_jobs", &self.max_jobs)
            .finish_non_exhaustive()
    }
}
