//! Hand CPU-bound work to a fixed crew of threads, and get the results back
//! without ever blocking the thread that must stay free.
//!
//! ```
//! use windlass::Pool;
//!
//! let pool = Pool::new()?; // one thread per core this process may use
//! let answer = pool.spawn(|| (1..=20u64).product::<u64>()); // never blocks
//! println!("20! = {}", answer.join()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The first rung: offload a closure
//! [`Pool::spawn`] gives a [`JoinHandle`]. A plain thread waits for it, a loop
//! of its own looks at it, async code awaits it on any executor.
//! [`Pool::execute`] is fire and forget. A [`Spawner`] is a cheap clone for
//! application state.
//!
//! ```
//! # pollster::block_on(async {
//! let pool = windlass::Pool::new()?;
//! let spawner = pool.spawner();
//! let n = spawner.spawn(|| "await me anywhere".len()).await?;
//! assert_eq!(n, 17);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # The second rung: come back to your loop
//! A [`MainLoop`] runs callbacks on this thread, like Node's: they may hold
//! `Rc` and `RefCell`, and are given the loop. It has timers and immediates,
//! runs by itself or once per frame, and fits into another loop by a waker or a
//! descriptor.
//!
//! ```
//! use std::time::Duration;
//! use windlass::{MainLoop, Pool};
//!
//! let pool = Pool::new()?;
//! let main = MainLoop::new();
//! let ticks = main.set_interval(Duration::from_millis(16), |_, _| print!("."));
//! main.on_complete(pool.spawn(|| (1..=20u64).product::<u64>()), move |main, result| {
//!     println!("20! = {}", result.unwrap());
//!     main.clear(ticks);
//! });
//! main.run(); // returns when nothing keeps it alive
//! # Ok::<(), windlass::BuildError>(())
//! ```
//!
//! # The third rung: talk to a worker
//! A [`Worker`] handles messages one at a time, in order, with a state of its
//! own; it costs about as much as a job, not a thread. [`channel`] gives two
//! [`Port`]s, [`Pool::broadcast`] is one to many, and a job that talks while it
//! runs is made by [`Pool::job`].
//!
//! ```
//! use windlass::{Parent, Pool};
//!
//! let pool = Pool::new()?;
//! let mut sum = 0;
//! let worker = pool.worker(move |n: u64, parent: &Parent<u64>| {
//!     sum += n;
//!     let _ = parent.post(sum); // an error means that nobody is left to receive it
//! });
//! worker.post(40)?;
//! worker.post(2)?;
//! worker.close(); // no more mail; it drains, then exits
//! assert_eq!(worker.iter()?.collect::<Vec<_>>(), [40, 42]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The fourth rung: share memory
//! A [`SharedBuffer`] is read by all of its owners, or split into disjoint parts
//! that are written without a lock and come back as one. A [`SharedArray`] is
//! atomics with JavaScript's operations, `wait` and `notify` included.
//!
//! ```
//! use windlass::{Pool, SharedBuffer};
//!
//! let pool = Pool::new()?;
//! let (parts, whole) = SharedBuffer::from(vec![0_u8; 1000]).split(pool.num_threads())?;
//! for mut part in parts {
//!     pool.execute(move || part.fill(7));
//! }
//! assert_eq!(whole.wait().into_vec(), [7; 1000]); // the same allocation
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The fifth rung: steer a job
//! [`Pool::job`] says more about a job than its closure: a [`CancelToken`], a
//! deadline until which it must start, a timeout while it runs, a [`Priority`]. A job asks
//! [`checkpoint`] whether it is to stop. [`Pool::metrics`] tells what has become of the
//! jobs. A [`JobSet`] is awaited and cancelled
//! together; [`Pool::limit`], [`Pool::serial`] and [`Pool::latest`] are parts of a
//! pool for jobs that must not have all of it. How many jobs may wait is bounded by
//! [`PoolBuilder::queue_capacity`]; what more come are rejected, shed
//! ([`WhenFull`]), given back ([`Pool::try_spawn`]) or made to wait
//! ([`Pool::spawn_async`]).
//!
//! ```
//! use std::time::Duration;
//! use windlass::{CancelToken, Pool, checkpoint};
//!
//! let pool = Pool::new()?;
//! let request = CancelToken::new();
//! let job = pool.job().cancel_with(&request).timeout(Duration::from_secs(5)).spawn(|| {
//!     for _step in 0..1000 {
//!         checkpoint()?;
//!     }
//!     Ok::<_, windlass::Cancelled>("done")
//! });
//! assert_eq!(job.join()??, "done");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The sixth rung: split one job over the cores
//! [`join`] runs two closures, on two threads if another one has nothing to do, and costs
//! two nanoseconds if none has; [`join_all`] is for more. [`par_map`], [`par_reduce`] and
//! [`par_chunks_mut`] work through slices, and [`Pool::scope`] is
//! [`std::thread::scope`] on the pool. All of it borrows.
//!
//! ```
//! let pool = windlass::Pool::new()?;
//! let words = ["heave", "away", "haul"];
//! let lengths = pool.par_map(&words, |word| word.len());
//! let (longest, total) = pool.join(|| lengths.iter().max(), || lengths.iter().sum::<usize>());
//! assert_eq!((longest, total), (Some(&5), 13));
//! # Ok::<(), windlass::BuildError>(())
//! ```
//!
//! And pour items through the pool:
//! [`Pool::map`] is `Iterator::map` on all cores: results in order or as they come,
//! the source pulled no further ahead than it may be. [`Pool::map_stream`] is the same
//! for async code, and [`Pool::transform_read`] is for the blocks of a reader.
//!
//! ```
//! use windlass::Pool;
//!
//! let pool = Pool::new()?;
//! let digits = pool.map(1_u64.., |n| n.pow(3).to_string().len()).look_ahead(16);
//! assert_eq!(digits.take_while(|&len| len < 7).count(), 99);
//! # Ok::<(), windlass::BuildError>(())
//! ```
//!
//! # The seventh rung: where a crash cannot hurt
//! With the feature `process`, on unix: the module `process` runs jobs in processes of
//! their own. They can be killed, when their time is over, when they are cancelled or
//! when they have too much memory; and a crash of theirs is an error of one job. A worker
//! in a process of its own is there too, and `Cluster`: worker processes behind one port.
//!
//! # What is promised
//! * **The main loop never blocks.** The calls that wait are few and named:
//!   `join`, `scope`, `recv`, `wait` and their like with a time limit, iterating over
//!   messages or a map, `shutdown_timeout`, `MainLoop::run`, `turn_for`, and dropping the
//!   [`Pool`].
//! * **Every accepted job runs, or its handle says why not.** Nothing is
//!   dropped silently: see [`PoolBuilder::on_reject`].
//! * **A panic is a value.** It reaches that job's handle and nothing else; a
//!   pool thread outlives every panic. (With `panic = "abort"` the process ends
//!   at the first one, as always.) What cannot be caught ends the process too:
//!   a stack overflow, and a panic while unwinding.
//! * **A job's captures are dropped before its handle resolves**, unless a
//!   deadline or a timeout is what resolves it.
//! * **Cancel is exact before the start**: see [`JoinHandle::cancel`].
//! * **A wait never runs work it does not depend on**, so that a lock held
//!   across `join` cannot deadlock through the pool.
//! * **Order.** On a pool of one thread, jobs from one outside thread start in
//!   the order they were spawned (a job claimed by its waiter excepted).
//!   Messages arrive in order, and all of a worker's before its exit.
//! * **Fair.** No job waits for ever behind others, nested or not; a worker with
//!   much mail takes turns with the rest.
//! * **Quiet.** An idle pool uses no CPU.
//! * **A fork is told.** In a child process, where the pool's threads are not,
//!   nothing waits for them, and the parent does not notice: see [`Pool`](Pool#fork).

mod broadcast;
mod buffer;
mod builder;
mod cancel;
#[cfg(doctest)]
mod compile_fail;
#[cfg(doctest)]
mod compile_fail_messages;
mod config;
mod crew;
mod each_thread;
mod environment;
mod error;
mod handle;
mod job;
mod job_builder;
mod job_set;
mod magazine;
mod main_loop;
mod map;
mod metrics;
mod parallel;
mod pool;
mod pool_bounds;
mod pool_map;
mod pool_parallel;
mod port;
mod priority;
#[cfg(all(unix, feature = "process"))]
pub mod process;
mod progress;
mod scheduler;
mod spawn_async;
mod spawner;
mod sync;
mod sys;
#[cfg(feature = "thread-priority")]
mod thread_priority;
mod timer;
mod try_spawn;
mod util;
mod view;
mod worker;

/// The README's programs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from-node.md")]
mod coming_from_node {}
#[cfg(doctest)]
#[doc = include_str!("../docs/with-rayon.md")]
mod with_rayon {}
#[cfg(all(doctest, unix, feature = "process"))]
#[doc = include_str!("../docs/processes.md")]
mod processes {}

pub use self::broadcast::Broadcast;
pub use self::buffer::{
    Part, SharedArray, SharedBuffer, SharedInteger, SplitError, ViewError, WaitAsync, WaitOutcome,
    Whole,
};
pub use self::builder::PoolBuilder;
pub use self::cancel::{
    CancelGuard, CancelToken, Cancelled, WaitForCancel, checkpoint, is_cancelled,
};
pub use self::crew::Shortfall;
pub use self::each_thread::ThreadState;
pub use self::error::{BuildError, JoinError, ResizeError, StillRunning, TrySpawnError};
pub use self::handle::{CancelHandle, JoinHandle};
pub use self::job_builder::JobBuilder;
pub use self::job_set::{JobSet, JoinNext};
#[cfg(unix)]
pub use self::main_loop::Pollable;
pub use self::main_loop::{KeepAlive, MainLoop, MessageSource, Remote, SourceId};
pub use self::map::{Map, MapResults, MapStream, TransformRead, TransformStream};
pub use self::metrics::{Histogram, JobTimes, Metrics, ThreadMetrics};
pub use self::parallel::{
    JoinAll, Scope, ScopedHandle, ScopedMap, join, join_all, par_chunks, par_chunks_mut, par_map,
    par_reduce,
};
pub use self::pool::{Pool, Shutdown, current_thread_index};
pub use self::port::{
    Closed, Iter, MessageStream, Port, PostError, PostFuture, RecvError, RecvFuture,
    bounded_channel, channel,
};
pub use self::priority::Priority;
pub use self::progress::{Progress, ProgressBuilder, ProgressHandle};
pub use self::scheduler::{RejectedJob, Stall, WhenFull};
pub use self::spawn_async::SpawnAsync;
pub use self::spawner::Spawner;
#[cfg(feature = "thread-priority")]
pub use self::thread_priority::ThreadPriority;
pub use self::view::{Keyed, Latest, Limit, ViewBuilder, ViewMetrics};
pub use self::worker::{
    BoxError, CurrentWorker, DedicatedBuilder, Exit, ExitSource, Exited, Parent, Restart, Worker,
    WorkerBuilder, WorkerError, WorkerId, current_worker, is_main_thread,
};

/// Runs `f`, which waits for something that the pool cannot see (a lock, a channel of
/// another library, a file, another process), and lets another thread of the pool run
/// in this one's place meanwhile. Outside a pool's jobs it just runs `f`.
///
/// A pool is to run [`num_threads`](Pool::num_threads) threads at once. A thread that
/// waits for a handle, a message, room or a buffer does not count as one, without any
/// doing; for what else a job waits for, this says so. If no thread sleeps that could
/// take the place, one is started, up to
/// [`max_substitutes`](PoolBuilder::max_substitutes) of them; past that, and if the
/// operating system gives no thread, the wait costs the pool a thread. When `f`
/// returns, one thread too many may run, until one of them has ended its job.
///
/// A wait that is over within microseconds is better left alone: telling the pool of
/// it takes some hundred nanoseconds, and a wake-up if work waits.
///
/// # Panics
/// If `f` does.
///
/// ```
/// use std::sync::mpsc;
/// use windlass::{Pool, blocking};
///
/// let pool = Pool::builder().num_threads(1).build()?;
/// let (tell, told) = mpsc::channel();
/// let waits = pool.spawn(move || blocking(|| told.recv()));
/// let tells = pool.spawn(move || tell.send("one thread is enough for both"));
/// assert!(waits.join()?.is_ok());
/// # tells.join()??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    sync::absence::absent(f)
}

/// Asks the operating system for a short time slice for this thread, so that it
/// runs at once when it wakes, even with every core busy; whether the request
/// was taken. For a main loop that is not a [`MainLoop`], which asks by itself.
///
/// It is a hint for threads that wake often and work little, and gives up no
/// share of the processor. Linux honours it since 6.12 and ignores it before;
/// elsewhere, and for threads under a scheduling policy of somebody's choice,
/// nothing is done and the answer is `false`.
///
/// ```
/// windlass::request_short_slice();
/// // ... the program's own loop ...
/// ```
pub fn request_short_slice() -> bool {
    sys::slice::short()
}
