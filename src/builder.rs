//! [`PoolBuilder`]: what a pool is to be.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::config;
use crate::crew::{Crew, Settings};
use crate::error::BuildError;
use crate::metrics::JobTimes;
use crate::pool::Pool;
use crate::scheduler::{Bounds, Hooks, RejectedJob, Stall, WhenFull};
#[cfg(feature = "thread-priority")]
use crate::thread_priority::ThreadPriority;

/// Says what a [`Pool`] is to be, and builds it.
///
/// ```
/// let pool = windlass::Pool::builder()
///     .num_threads(2)
///     .thread_name(|index| format!("haul-{index}"))
///     .stack_size(8 * 1024 * 1024)
///     .build()?;
/// let name = pool.spawn(|| std::thread::current().name().map(String::from));
/// assert!(name.join()?.unwrap().starts_with("haul-"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    num_threads: Option<usize>,
    threads: Settings,
    hooks: Hooks,
    queue_capacity: Option<usize>,
    when_full: WhenFull,
}

/// How many substitutes there may be: as in Java's ForkJoinPool.
const MAX_SUBSTITUTES: usize = 256;

impl Pool {
    /// What the pool is to be.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }
}

impl PoolBuilder {
    /// All defaults; see [`Pool::new`].
    pub fn new() -> Self {
        Self {
            num_threads: None,
            threads: Settings {
                name: Box::new(|index| format!("windlass-{index}")),
                stack_size: None,
                max_substitutes: MAX_SUBSTITUTES,
                times: JobTimes::Off,
                stall_after: None,
                #[cfg(feature = "thread-priority")]
                priority: None,
            },
            hooks: Hooks::default(),
            queue_capacity: None,
            when_full: WhenFull::default(),
        }
    }

    /// How many threads, 1 to 4095. Default: the environment variable
    /// `WINDLASS_NUM_THREADS`, else one per core that this process may use.
    pub fn num_threads(mut self, threads: usize) -> Self {
        self.num_threads = Some(threads);
        self
    }

    /// What to call the thread of an index. Default: `windlass-0` and so on.
    /// (Linux shows the first 15 bytes.)
    ///
    /// It is asked again for threads that are started later; those are called as by
    /// default if it panics then, or gives a name that is not possible.
    pub fn thread_name(mut self, name: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        self.threads.name = Box::new(name);
        self
    }

    /// How many threads there may be beyond [`num_threads`](Self::num_threads), in
    /// place of others that wait inside a job: see [`blocking`](crate::blocking).
    /// Default: 256. With 0 a thread that waits is a thread less.
    ///
    /// Threads and substitutes are 4095 at most. A substitute is started by a thread
    /// that begins to wait, or takes a job while others wait, if none sleeps that
    /// could run in its place; it has a name and an index as the others have, from
    /// `num_threads` up, and leaves when it was not needed for five seconds.
    pub fn max_substitutes(mut self, threads: usize) -> Self {
        self.threads.max_substitutes = threads;
        self
    }

    /// The size of each thread's stack in bytes, at least 16384. Default: the
    /// standard library's (2 MiB, or what `RUST_MIN_STACK` says).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.threads.stack_size = Some(bytes);
        self
    }

    /// How the operating system is to treat the threads when others want the
    /// same processors. Default: as ordinary ones. If the system refuses it, the
    /// threads work all the same, and a line on stderr says so.
    ///
    /// ```
    /// let pool = windlass::Pool::builder()
    ///     .thread_priority(windlass::ThreadPriority::Nice(10))
    ///     .build()?;
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    #[cfg(feature = "thread-priority")]
    pub fn thread_priority(mut self, priority: ThreadPriority) -> Self {
        self.threads.priority = Some(priority);
        self
    }

    /// How many jobs may wait, at least 1: handed over, from outside or by jobs, and
    /// neither started nor cancelled nor refused. Default: as many as there is
    /// memory for; and then nothing is counted, which costs less.
    ///
    /// When so many wait, the queue is full:
    /// [`spawn`](Pool::spawn) and [`execute`](Pool::execute) do what
    /// [`when_full`](Self::when_full) says, [`try_spawn`](Pool::try_spawn) and
    /// [`try_execute`](Pool::try_execute) give the closure back, and
    /// [`spawn_async`](Pool::spawn_async) waits for room.
    ///
    /// Jobs of [views](crate::Limit) wait with their view, and messages with their
    /// worker: they do not count, nor does
    /// [`on_each_thread`](Pool::on_each_thread). A job that was cancelled frees its
    /// place at once, but 64 bytes of it stay until a thread comes to them. They do
    /// not count either, unless a flood of them is about to fill the memory instead:
    /// the queue is also full when it holds twice as many entries as jobs may wait.
    ///
    /// ```
    /// let pool = windlass::Pool::builder().num_threads(1).queue_capacity(1).build()?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let (started, running) = std::sync::mpsc::channel();
    /// pool.execute(move || { started.send(()).unwrap(); drop(wait.recv()) });
    /// running.recv()?; // the thread is busy, and nothing waits
    /// let first = pool.spawn(|| "there was room");
    /// let second = pool.spawn(|| "there was none");
    /// assert!(second.join().unwrap_err().is_rejected());
    /// drop(go);
    /// assert_eq!(first.join()?, "there was room");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn queue_capacity(mut self, jobs: usize) -> Self {
        self.queue_capacity = Some(jobs);
        self
    }

    /// What becomes of [`spawn`](Pool::spawn) and [`execute`](Pool::execute) when
    /// the queue is full. Default: [`WhenFull::RejectNewest`]. Means nothing without
    /// a [`queue_capacity`](Self::queue_capacity).
    ///
    /// ```
    /// use windlass::{Pool, WhenFull};
    ///
    /// let pool = Pool::builder()
    ///     .num_threads(1)
    ///     .queue_capacity(1)
    ///     .when_full(WhenFull::DropOldest)
    ///     .build()?;
    /// let (go, wait) = std::sync::mpsc::channel::<()>();
    /// let (started, running) = std::sync::mpsc::channel();
    /// pool.execute(move || { started.send(()).unwrap(); drop(wait.recv()) });
    /// running.recv()?;
    /// let stale = pool.spawn(|| "stale");
    /// let fresh = pool.spawn(|| "fresh");
    /// assert!(stale.join().unwrap_err().is_rejected());
    /// drop(go);
    /// assert_eq!(fresh.join()?, "fresh");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Runs on each thread before its first job, with the thread's index. A
    /// panic in it is caught and printed; the thread works all the same.
    pub fn on_thread_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.on_thread_start = Box::new(hook);
        self
    }

    /// Runs on each thread after its last job, with the thread's index: when the
    /// pool is closed, or when the thread leaves because there are to be
    /// [fewer](Pool::set_num_threads), or was a substitute. A panic in it is caught and printed.
    pub fn on_thread_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.on_thread_stop = Box::new(hook);
        self
    }

    /// Gets each panic that no handle will see: of a fire-and-forget job, of a
    /// job whose handle was dropped before it ended, of a result's `Drop`, of a
    /// waker. Runs on the thread where it happened; a panic in it is caught.
    /// Default: one line on stderr.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (sender, panics) = mpsc::channel();
    /// let pool = windlass::Pool::builder()
    ///     .on_panic(move |payload| sender.send(payload).unwrap())
    ///     .build()?;
    /// pool.execute(|| panic!("adrift"));
    /// assert_eq!(*panics.recv()?.downcast::<&str>().unwrap(), "adrift");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_panic(
        mut self,
        hook: impl Fn(Box<dyn Any + Send + 'static>) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.on_panic = Box::new(hook);
        self
    }

    /// Gets each fire-and-forget job that is not going to run: handed over
    /// after the pool was closed or while its queue was full (then the hook runs on
    /// the thread that did), thrown out of a full queue for a newer one, or
    /// thrown away by [`Pool::shutdown_now`]. A panic in it is caught. Default:
    /// one line on stderr, and the closure is dropped.
    pub fn on_reject(mut self, hook: impl Fn(RejectedJob) + Send + Sync + 'static) -> Self {
        self.hooks.on_reject = Box::new(hook);
        self
    }

    /// Of which jobs to take the time, for [`Pool::metrics`]. Default: of none, which
    /// costs nothing.
    pub fn job_times(mut self, times: JobTimes) -> Self {
        self.threads.times = times;
        self
    }

    /// Has jobs reported to [`on_stall`](Self::on_stall) that run for longer than this,
    /// each once, within a quarter of the time after it is over. Such a job may be
    /// slow, or wait for something that never comes; it runs on.
    ///
    /// A thread more, `windlass-watch`, looks a few times in that time while any job
    /// runs, and sleeps while none does.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (sender, stalls) = mpsc::channel();
    /// let pool = windlass::Pool::builder()
    ///     .stall_after(Duration::from_millis(20))
    ///     .on_stall(move |stall| sender.send(stall).unwrap())
    ///     .build()?;
    /// let (go, wait) = mpsc::channel::<()>();
    /// let slow = pool.job().name("thumbnail").spawn(move || wait.recv().is_err());
    /// let stall = stalls.recv()?; // the job "thumbnail" has been running for 20.3ms on windlass-0
    /// assert_eq!(stall.job_name(), Some("thumbnail"));
    /// # drop(go);
    /// # slow.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stall_after(mut self, limit: Duration) -> Self {
        self.threads.stall_after = Some(limit);
        self
    }

    /// Gets each report of a job that runs for longer than
    /// [`stall_after`](Self::stall_after), and of a thread that waits inside a job and
    /// finds no substitute (see [`max_substitutes`](Self::max_substitutes)), the latter
    /// once until there is one again. A panic in it is caught. Default: one line on
    /// stderr.
    pub fn on_stall(mut self, hook: impl Fn(Stall) + Send + Sync + 'static) -> Self {
        self.hooks.on_stall = Box::new(hook);
        self
    }

    /// Starts the threads.
    ///
    /// If the operating system starts only some of them, the pool works with
    /// those, and [`Pool::shortfall`] says so.
    ///
    /// # Errors
    /// If a setting is not possible (the error names its value), or if not a
    /// single thread could be started.
    pub fn build(self) -> Result<Pool, BuildError> {
        let num_threads = config::num_threads(self.num_threads)?;
        let threads = self.threads;
        config::stack_size(threads.stack_size)?;
        #[cfg(feature = "thread-priority")]
        threads.priority.map_or(Ok(()), ThreadPriority::check)?;
        let when_full = self.when_full;
        let bounds = config::queue_capacity(self.queue_capacity)?
            .map(|capacity| Bounds::new(capacity, when_full));
        for index in 0..num_threads {
            config::thread_name(index, (threads.name)(index))?;
        }
        let (crew, shortfall) =
            Crew::start(num_threads, threads, self.hooks, bounds).map_err(|source| {
                BuildError::NoThreads {
                    requested: num_threads,
                    source,
                }
            })?;
        Ok(Pool::from_crew(crew, shortfall))
    }
}

impl Default for PoolBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("num_threads", &self.num_threads)
            .field("stack_size", &self.threads.stack_size)
            .field("queue_capacity", &self.queue_capacity)
            .field("when_full", &self.when_full)
            .finish_non_exhaustive()
    }
}
