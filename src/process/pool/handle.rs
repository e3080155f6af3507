//! [`ProcessPool`]: child processes, each driven by a thread of an inner pool.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use super::builder::ProcessPoolBuilder;
use super::driver::{Driver, Limits, Settings, unwind};
use super::job::ProcessJob;
use crate::each_thread::ThreadState;
use crate::error::{How, ProcessEnd, StartError, StillRunning, TrySpawnError};
use crate::handle::JoinHandle;
use crate::metrics::Metrics;
use crate::pool::{Pool, Shutdown};
use crate::process::task::Task;
use crate::process::tasks::Tasks;
use crate::sync::{Arc, Mutex, Ordering};

/// A fixed number of child processes that run [`Task`]s, and their owner: where a crash,
/// a runaway or a leak harms the one job that it is of, and nothing else.
///
/// It is a [`Pool`] with a process behind each thread, and so the same handles, queue,
/// priorities, deadlines and metrics. A job runs in one process at a time and a process
/// runs one job at a time. What it adds:
///
/// - **A job can be killed.** [`timeout`](ProcessJob::timeout) and cancelling a running
///   job end its process ([`is_killed`](crate::JoinError::is_killed)), within a few
///   milliseconds, whatever it is doing. So does
///   [`memory_limit`](ProcessPoolBuilder::memory_limit).
/// - **A crash is a value.** Signal, exit code and last words are in the error
///   ([`crash`](crate::JoinError::crash)). A panic is a panic, as on a thread.
/// - **The next child is started at once**, before the job's handle is told. No job is
///   run again by itself: it may have done half of its work.
///
/// Children are copies of this very program, started anew (not forked): see
/// [`Tasks::serve_if_child`]. They end when the pool does, and within a second if this
/// process dies. Only the child itself is killed: processes that a task has started are
/// its own to end. They hear the terminal's signals, as this process does: Ctrl-C ends
/// jobs that do not handle it, as a crash by `SIGINT`.
///
/// Arguments and results are written with serde in the format postcard; for many bytes
/// use [`Bytes`](crate::process::Bytes).
///
/// **Dropping it** finishes what was accepted and waits, as for a [`Pool`]: for ever if
/// a job without a timeout never ends; [`shutdown_now`](Self::shutdown_now) kills those.
/// In a fork of this process it is closed, and its children are the other process's.
///
/// ```no_run
/// use std::time::Duration;
/// use serde::{Deserialize, Serialize};
/// use windlass::process::{ProcessPool, Task, TaskContext, Tasks};
///
/// #[derive(Serialize, Deserialize)]
/// struct Untrusted { program: String }
///
/// impl Task for Untrusted {
///     const NAME: &'static str = "untrusted";
///     type Output = usize;
///
///     fn run(self, _cx: &TaskContext) -> usize {
///         if self.program.is_empty() { std::process::abort() }
///         self.program.len()
///     }
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let tasks = Tasks::new().with::<Untrusted>().serve_if_child();
///     let procs = ProcessPool::new(tasks)?;
///     let honest = procs.submit(Untrusted { program: "1 + 1".into() });
///     let bad = procs.job().timeout(Duration::from_secs(1)).submit(Untrusted { program: "".into() });
///     assert!(bad.join().unwrap_err().is_crashed());
///     assert_eq!(honest.join()?, 5);
///     Ok(())
/// }
/// ```
pub struct ProcessPool {
    // Before the state: its threads drop their drivers when they end.
    pool: Pool,
    state: ThreadState<RefCell<Driver>>,
    settings: Arc<Settings>,
}

impl ProcessPool {
    /// One child per core that this process may use (or as many as the environment
    /// variable `WINDLASS_NUM_THREADS` says), all started: see
    /// [`build`](ProcessPoolBuilder::build).
    ///
    /// # Errors
    /// If children cannot be started.
    pub fn new(tasks: Tasks) -> Result<Self, StartError> {
        Self::builder(tasks).build()
    }

    /// What the pool is to be.
    pub fn builder(tasks: Tasks) -> ProcessPoolBuilder {
        ProcessPoolBuilder::new(tasks)
    }

    pub(super) fn from_parts(pool: Pool, settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let of_drivers = Arc::clone(&settings);
        let state = pool.thread_state(move || {
            let index = crate::pool::current_thread_index().unwrap_or(0);
            RefCell::new(Driver::new(&of_drivers, index))
        });
        Self {
            pool,
            state,
            settings,
        }
    }

    /// Waits until each thread has a child that has said hello.
    pub(super) fn start_all(&self) -> Result<(), StartError> {
        let state = self.state.clone();
        let ready = self.pool.on_each_thread(move |_| {
            let ready = state.with(|driver| driver.borrow_mut().ready(None));
            ready.unwrap_or(Ok(())).map_err(|how| match how {
                How::StartFailed(reason) | How::Lost(reason) => reason,
                _ => "it was interrupted".into(),
            })
        });
        let mut result = Ok(());
        for handle in ready {
            let ready = handle.join();
            let ready = ready.unwrap_or_else(|error| Err(error.to_string()));
            result = result.and(ready);
        }
        result.map_err(|reason| StartError::Children { reason })
    }

    /// Hands a task over and gives the way back to its result. Never blocks: the task
    /// is written down on a thread of the pool, and dropped there.
    ///
    /// What may become of it is told by [`JoinError`](crate::JoinError): besides what
    /// there is on threads `is_killed`, `is_crashed`, `is_lost`, `is_start_failed`.
    pub fn submit<T: Task>(&self, task: T) -> JoinHandle<T::Output> {
        self.pool.spawn(self.closure(task))
    }

    /// As [`submit`](Self::submit) if there is room in the queue, and gives the task
    /// back if not.
    ///
    /// # Errors
    /// If [`queue_capacity`](ProcessPoolBuilder::queue_capacity) jobs wait, or the pool
    /// is closed.
    pub fn try_submit<T: Task>(&self, task: T) -> Result<JoinHandle<T::Output>, TrySpawnError<T>> {
        let place = Arc::new(Mutex::new(Some(task)));
        let taken = Arc::clone(&place);
        let state = self.state.clone();
        let tried = self.pool.try_spawn(move || {
            let task = taken.lock().take();
            drop(taken);
            let task = task.expect("it was accepted, and comes once");
            run(&state, task, Limits::default())
        });
        tried.map_err(|error| {
            let task = place.lock().take();
            error.map(|_| task.expect("nobody runs it"))
        })
    }

    /// Hands a task over as soon as there is room for it, as
    /// [`Pool::spawn_async`] does.
    pub fn submit_async<T: Task>(
        &self,
        task: T,
    ) -> impl Future<Output = JoinHandle<T::Output>> + Send + use<T> {
        self.pool.spawn_async(self.closure(task))
    }

    /// A job with more to say about it than its task: a timeout, a deadline, a
    /// priority.
    pub fn job(&self) -> ProcessJob {
        ProcessJob::new(self.pool.job(), self.state.clone())
    }

    fn closure<T: Task>(&self, task: T) -> impl FnOnce() -> T::Output + Send + use<T> {
        let state = self.state.clone();
        move || run(&state, task, Limits::default())
    }

    /// How many children there are: one of them may just be on its way.
    #[must_use]
    pub fn num_children(&self) -> usize {
        self.pool.num_threads()
    }

    /// The process numbers of the children that there are at this moment.
    #[must_use]
    pub fn child_ids(&self) -> Vec<u32> {
        let pids = self.settings.pids.iter();
        let pids = pids.map(|pid| pid.load(Ordering::Relaxed));
        pids.filter(|&pid| pid != 0).collect()
    }

    /// What the pool has done and is doing; see [`Pool::metrics`]. Jobs that were
    /// killed, crashed or lost count as panicked.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.pool.metrics()
    }

    /// Whether the pool was shut down, or this process is a fork.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Closes the pool; ready once everything accepted is finished and the children
    /// have ended. See [`Pool::shutdown`].
    pub fn shutdown(&self) -> Shutdown {
        self.pool.shutdown()
    }

    /// Closes the pool, and waits for the end for at most `timeout`; see
    /// [`Pool::shutdown_timeout`].
    ///
    /// # Errors
    /// Names the threads whose children are still at work. They go on.
    pub fn shutdown_timeout(&self, timeout: Duration) -> Result<(), StillRunning> {
        self.pool.shutdown_timeout(timeout)
    }

    /// Closes the pool, throws its backlog away, and **kills the jobs that run**: their
    /// handles give [`is_cancelled`](crate::JoinError::is_cancelled), as those of the
    /// backlog do. Does not wait; dropping the pool does.
    pub fn shutdown_now(&self) {
        self.pool.shutdown_now();
    }
}

/// Runs a task in this thread's child; what a job's closure does.
pub(super) fn run<T: Task>(
    state: &ThreadState<RefCell<Driver>>,
    task: T,
    limits: Limits,
) -> T::Output {
    let ran = state.with(|driver| match driver.try_borrow_mut() {
        Ok(mut driver) => Some(driver.run(task, limits)),
        // Writing another job's argument has come here.
        Err(_) => None,
    });
    match ran.flatten() {
        Some(Ok(value)) => value,
        Some(Err(with)) => unwind(with),
        None => unwind(Box::new(ProcessEnd {
            task: T::NAME,
            how: How::Lost("the thread that was to run it is in another job, which waits".into()),
            output: None,
        })),
    }
}

impl fmt::Debug for ProcessPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPool")
            .field("num_children", &self.num_children())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
