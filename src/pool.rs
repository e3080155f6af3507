//! [`Pool`]: the owner of the threads.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::broadcast::Broadcast;
use crate::crew::{Crew, Shortfall};
use crate::each_thread::ThreadState;
use crate::environment::{Environment, environment_methods};
use crate::error::{BuildError, ResizeError, StillRunning};
use crate::handle::JoinHandle;
use crate::job_builder::JobBuilder;
use crate::metrics::Metrics;
use crate::scheduler::current_index;
use crate::spawner::Spawner;
use crate::sync::Arc;
use crate::view::{Keyed, Latest, Limit, ViewBuilder};
use crate::worker::{BoxError, Parent, Worker};

/// A fixed crew of threads that hauls CPU-bound work, and their owner.
///
/// There is one `Pool` per crew: it is `Send + Sync`, to be kept in an `Arc` or
/// in application state, and not `Clone`. Threads that only hand jobs over take
/// a [`Spawner`].
///
/// **Dropping it** finishes what was accepted and waits for the threads to end.
/// On one of its own threads (in a job, in a hook) it cannot wait for itself:
/// there the threads are left to finish by themselves.
///
/// # Fork
/// After a `fork` of the process (unix) the child has the pool and none of its
/// threads. It is told so at once, by whatever it asks, and waits for none of them:
/// - The pool is closed. A job is refused, and gives
///   [`is_forked`](crate::JoinError::is_forked).
/// - A handle from before the fork gives the same, unless its job had ended by then
///   or is cancelled here. So do a [`JobSet`](crate::JobSet) and a job of a view.
/// - A worker counts as ended ([`Exit::is_forked`](crate::Exit::is_forked)): posts
///   come back, and what it had posted can be received.
/// - Shutting the pool down and dropping it do nothing. What lies in its queues is
///   leaked with all it captured.
/// - A [`MainLoop`](crate::MainLoop) polls each of its futures once more. (Another
///   executor does not: a future of before the fork is told when it is polled.)
///
/// The parent goes on as if nothing had happened. The child may build a new pool and
/// use all of it, in so far as it may do so at all: some other thread may have held a
/// lock at the fork, in the program or in a library, which nobody will let go of. (The
/// standard library takes one for a moment whenever a thread starts or ends.)
/// For that reason most programs call nothing but `exec` in the child.
///
/// A *job* that forks should do that too, or `_exit`. In the child its thread is not
/// one of the pool's any more. If the job returns there, the thread runs nothing else
/// of the pool, not even [`on_thread_stop`](crate::PoolBuilder::on_thread_stop), and
/// ends; with the last thread the process does.
///
/// Not everything that waits, waits for the pool: a [channel](crate::channel), a
/// [`Broadcast`], [`Whole::wait`](crate::Whole::wait) and
/// [`SharedArray::wait`](crate::SharedArray::wait) wait in the child for whoever has
/// the other end, which may be nobody. A fork that does not go through the C library
/// is not noticed.
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// let sum = pool.spawn(|| (1..=100u64).sum::<u64>());
/// assert_eq!(sum.join()?, 5050);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool {
    spawner: Spawner,
    crew: Arc<Crew>,
    shortfall: Option<Shortfall>,
}

impl Pool {
    /// A pool with one thread per core that this process may use (cgroup quota
    /// and CPU affinity count), or as many as the environment variable
    /// `WINDLASS_NUM_THREADS` says.
    ///
    /// # Errors
    /// If the variable is set to something else than a number of threads, or
    /// if not a single thread could be started.
    pub fn new() -> Result<Self, BuildError> {
        Self::builder().build()
    }

    pub(crate) fn from_crew(crew: Crew, shortfall: Option<Shortfall>) -> Self {
        let spawner = Spawner {
            scheduler: Arc::clone(crew.scheduler()),
        };
        Self {
            spawner,
            crew: Arc::new(crew),
            shortfall,
        }
    }

    /// Hands `f` over and gives the way back to its result.
    ///
    /// Never blocks, never runs `f` here. May be called from any thread and from
    /// inside a job. On a closed pool the handle gives
    /// [`is_closed`](crate::JoinError::is_closed), and `f` is dropped here. If the
    /// queue has a bound and is full, see
    /// [`when_full`](crate::PoolBuilder::when_full).
    ///
    /// A panic in `f` reaches the handle and nothing else.
    #[inline]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawner.spawn(f)
    }

    /// Hands `f` over, fire and forget: no handle, and nothing boxed if `f`
    /// captures at most 56 bytes. (The queue itself takes a block of memory for
    /// every 63 jobs from outside.)
    ///
    /// Never blocks, never runs `f` here. A panic in `f` reaches
    /// [`on_panic`](crate::PoolBuilder::on_panic); on a closed pool, or when a
    /// bounded queue is full, `f` itself reaches
    /// [`on_reject`](crate::PoolBuilder::on_reject).
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use std::sync::Arc;
    ///
    /// let warm = Arc::new(AtomicU32::new(0));
    /// let pool = windlass::Pool::new()?;
    /// for _ in 0..3 {
    ///     let warm = Arc::clone(&warm);
    ///     pool.execute(move || { warm.fetch_add(1, Ordering::Relaxed); });
    /// }
    /// drop(pool); // finishes what was accepted
    /// assert_eq!(warm.load(Ordering::Relaxed), 3);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    #[inline]
    pub fn execute<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        self.spawner.execute(f);
    }

    /// A cheap clone through which any thread hands jobs over.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Starts a worker that is a function of messages; see [`Worker`]. Never
    /// blocks, and costs about as much as a job.
    ///
    /// ```
    /// use windlass::{Parent, Pool};
    ///
    /// let pool = Pool::new()?;
    /// let square = pool.worker(|n: u64, parent: &Parent<u64>| {
    ///     let _ = parent.post(n * n);
    /// });
    /// square.post(12)?;
    /// assert_eq!(square.recv()?, 144);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker<In, Out, H>(&self, handler: H) -> Worker<In, Out>
    where
        In: Send + 'static,
        Out: Send + 'static,
        H: FnMut(In, &Parent<Out>) + Send + 'static,
    {
        self.spawner.worker(handler)
    }

    /// As [`worker`](Self::worker), for a handler that can fail. See
    /// [`Spawner::try_worker`].
    pub fn try_worker<In, Out, H>(&self, handler: H) -> Worker<In, Out>
    where
        In: Send + 'static,
        Out: Send + 'static,
        H: FnMut(In, &Parent<Out>) -> Result<(), BoxError> + Send + 'static,
    {
        self.spawner.try_worker(handler)
    }

    /// A job with more to say about it than a closure: one that reports
    /// progress.
    pub fn job(&self) -> JobBuilder {
        self.spawner.job()
    }

    /// A view of the pool for jobs of which no more than `places` are to run at
    /// once; see [`Limit`]. Clone it for all who hand such jobs over.
    ///
    /// # Panics
    /// If `places` is zero.
    #[must_use]
    #[track_caller]
    pub fn limit(&self, places: usize) -> Limit {
        self.spawner.limit(places)
    }

    /// A view of the pool for jobs that run one after another, in the order in
    /// which they were handed over: each sees what the one before it did. See
    /// [`Limit`].
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// let pool = windlass::Pool::new()?;
    /// let log = pool.serial();
    /// let lines = Arc::new(Mutex::new(Vec::new()));
    /// for n in 0..100 {
    ///     let lines = Arc::clone(&lines);
    ///     log.execute(move || lines.lock().unwrap().push(n));
    /// }
    /// log.spawn(|| ()).join()?; // the last
    /// assert!(lines.lock().unwrap().iter().copied().eq(0..100));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn serial(&self) -> Limit {
        self.spawner.serial()
    }

    /// A part of the pool with more to say about it: jobs that come first or last, parts
    /// of parts. See [`ViewBuilder`].
    pub fn view(&self) -> ViewBuilder {
        self.spawner.view()
    }

    /// A view of the pool for jobs that run one after another for each key; see
    /// [`Keyed`].
    #[must_use]
    pub fn keyed<K>(&self) -> Keyed<K> {
        self.spawner.keyed()
    }

    /// A view of the pool for jobs of which only the newest is worth the while;
    /// see [`Latest`].
    #[must_use]
    pub fn latest(&self) -> Latest {
        self.spawner.latest()
    }

    /// Joins the pool's channel of that name; see [`Broadcast`]. Never blocks.
    pub fn broadcast<T: Clone + Send + 'static>(&self, name: &str) -> Broadcast<T> {
        self.spawner.broadcast(name)
    }

    /// Runs `f` once on every pool thread, with the thread's index; the handles
    /// are in the order of the threads. Never blocks: a busy thread comes to it
    /// within 61 jobs.
    ///
    /// Inside a job, `join` on the handle of another thread waits for that thread
    /// to come to it: two jobs that wait for each other's threads in this way
    /// wait for ever. Await the handles, or join them outside.
    ///
    /// ```
    /// let pool = windlass::Pool::builder().num_threads(2).build()?;
    /// let handles = pool.on_each_thread(|index| index * 10);
    /// let results: Result<Vec<_>, _> = handles.into_iter().map(|handle| handle.join()).collect();
    /// assert_eq!(results?, [0, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_each_thread<F, T>(&self, f: F) -> Vec<JoinHandle<T>>
    where
        F: Fn(usize) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.spawner.on_each_thread(f)
    }

    /// A value that each pool thread has one of, made by `init` when the thread
    /// first asks for it; see [`ThreadState`].
    pub fn thread_state<T: 'static>(
        &self,
        init: impl Fn() -> T + Send + Sync + 'static,
    ) -> ThreadState<T> {
        self.spawner.thread_state(init)
    }

    environment_methods!("the pool");

    fn environment(&self) -> &Environment {
        self.spawner.scheduler.environment()
    }

    /// How many threads the pool has.
    #[must_use]
    pub fn num_threads(&self) -> usize {
        self.spawner.num_threads()
    }

    /// Changes how many threads the pool has, 1 to 4095, while it works; a server
    /// does it when its share of the machine changes.
    ///
    /// More threads are started here. Of fewer, those that are too many leave after
    /// the job they are in; this does not wait for them, and what waits in their
    /// queues goes to the others. Only what [`on_each_thread`](Self::on_each_thread)
    /// gave them and they have not begun is refused as closed.
    ///
    /// # Errors
    /// If the number is not possible, the pool is closed, or the operating system
    /// does not start all the threads; then the pool has as many as before.
    ///
    /// ```
    /// let pool = windlass::Pool::builder().num_threads(1).build()?;
    /// pool.set_num_threads(4)?;
    /// assert_eq!(pool.num_threads(), 4);
    /// assert_eq!(pool.spawn(|| 6 * 7).join()?, 42);
    /// pool.set_num_threads(2)?;
    /// assert!(pool.set_num_threads(0).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_num_threads(&self, threads: usize) -> Result<(), ResizeError> {
        self.crew.resize(threads)
    }

    /// How many threads there are at this moment: [`num_threads`](Self::num_threads),
    /// and those that run in place of others which wait (see
    /// [`blocking`](crate::blocking)), or have not left yet.
    #[must_use]
    pub fn threads_aboard(&self) -> usize {
        self.crew.scheduler().threads_aboard()
    }

    /// The threads that could not be started, if there were any; the pool works
    /// with those that were.
    #[must_use]
    pub fn shortfall(&self) -> Option<&Shortfall> {
        self.shortfall.as_ref()
    }

    /// What the pool has done and is doing: how many jobs wait, run and have ended, and
    /// how, and if [asked for](crate::PoolBuilder::job_times) how long they waited and
    /// ran. Takes microseconds, and holds nobody up.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.spawner.metrics()
    }

    /// How many panics went to [`on_panic`](crate::PoolBuilder::on_panic): those
    /// that no handle saw.
    #[must_use]
    pub fn panic_count(&self) -> u64 {
        self.spawner.scheduler.counters().unhandled()
    }

    /// How many fire-and-forget jobs went to
    /// [`on_reject`](crate::PoolBuilder::on_reject).
    #[must_use]
    pub fn rejected_count(&self) -> u64 {
        self.spawner.scheduler.counters().undelivered()
    }

    /// Whether the pool was shut down, or this process is a [fork](Self#fork). Once
    /// `true`, it stays so.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.spawner.is_closed()
    }

    /// Closes the pool now, and gives a future that is ready once everything
    /// accepted is finished and the threads have ended, their thread-local
    /// destructors included.
    ///
    /// Jobs from outside are refused from here on; jobs that still run may
    /// spawn, and what they spawn is finished too. Dropping the future changes
    /// nothing about that. A second shutdown waits for the same end.
    ///
    /// Awaiting it inside one of the pool's own jobs or hooks never ends.
    ///
    /// ```
    /// # pollster::block_on(async {
    /// let pool = windlass::Pool::new()?;
    /// let answer = pool.spawn(|| 6 * 7);
    /// pool.shutdown().await;
    /// assert!(answer.is_finished());
    /// assert!(pool.spawn(|| ()).await.unwrap_err().is_closed());
    /// # Ok::<(), windlass::BuildError>(()) }).unwrap();
    /// ```
    pub fn shutdown(&self) -> Shutdown {
        self.crew.scheduler().close();
        Shutdown {
            crew: Arc::clone(&self.crew),
        }
    }

    /// Closes the pool as [`shutdown`](Self::shutdown) does, and waits for the
    /// end for at most `timeout` (`Duration::MAX`: for ever).
    ///
    /// Inside one of the pool's own jobs or hooks it does not wait: that thread
    /// has not ended.
    ///
    /// # Errors
    /// Names the threads that are still at work when time runs out. They go on.
    pub fn shutdown_timeout(&self, timeout: Duration) -> Result<(), StillRunning> {
        self.crew.scheduler().close();
        self.crew.join(Some(timeout))
    }

    /// Closes the pool and throws its backlog away: handles of jobs that have
    /// not started give [`is_cancelled`](crate::JoinError::is_cancelled),
    /// fire-and-forget jobs go to
    /// [`on_reject`](crate::PoolBuilder::on_reject). Captures are dropped here.
    /// Jobs that run go on, but what they spawn from now on is refused as closed.
    ///
    /// Does not wait for the jobs that run: follow it with
    /// [`shutdown_timeout`](Self::shutdown_timeout), or drop the pool.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let pool = windlass::Pool::builder().num_threads(1).build()?;
    /// let (started, running) = mpsc::channel();
    /// let (go, wait) = mpsc::channel::<()>();
    /// let first = pool.spawn(move || { started.send(()).unwrap(); wait.recv().is_err() });
    /// running.recv()?;
    /// let second = pool.spawn(|| ());
    /// pool.shutdown_now();
    /// assert!(second.join().unwrap_err().is_cancelled());
    /// drop(go);
    /// assert!(first.join()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_now(&self) {
        self.crew.scheduler().discard_backlog();
    }
}

impl AsRef<Spawner> for Pool {
    fn as_ref(&self) -> &Spawner {
        &self.spawner
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.crew.scheduler().close();
        // Aboard, the threads are left to finish by themselves.
        let _ = self.crew.join(None);
    }
}

// User code never runs with anything of the scheduler's half done.
impl UnwindSafe for Pool {}
impl RefUnwindSafe for Pool {}
impl UnwindSafe for Shutdown {}
impl RefUnwindSafe for Shutdown {}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("num_threads", &self.num_threads())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Ready once a closed pool's threads have ended; see [`Pool::shutdown`].
///
/// Dropping it leaves the pool closing.
#[must_use = "the pool is closing; await this to know when it is through"]
pub struct Shutdown {
    crew: Arc<Crew>,
}

impl Future for Shutdown {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.crew.poll_join(cx)
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").finish_non_exhaustive()
    }
}

/// The index of this thread in its pool, from 0; `None` if it is no pool thread.
/// Substitutes (see [`blocking`](crate::blocking)) count on from `num_threads`.
///
/// ```
/// assert_eq!(windlass::current_thread_index(), None);
/// let pool = windlass::Pool::builder().num_threads(1).build()?;
/// assert_eq!(pool.spawn(windlass::current_thread_index).join()?, Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn current_thread_index() -> Option<usize> {
    current_index()
}
