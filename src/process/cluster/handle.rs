//! [`Cluster`]: what the primary's program holds.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::builder::ClusterBuilder;
use super::engine::Engine;
use super::event::{ClusterError, ClusterEvent, ClusterMessage};
use super::worker::{self, ClusterWorker};
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Lane, Port, RecvError, receiving_methods};
use crate::process::signal::Signal;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, thread};
use crate::sys::fork::Generation;

/// The end at which events come out.
pub(super) type Events = Port<Infallible, ClusterEvent>;

/// What a handle can have done.
pub(super) enum Command {
    Post(u64, ClusterMessage),
    Broadcast(ClusterMessage),
    Signal(u64, Signal),
    Disconnect(u64),
    Restart,
    Stop(Instant),
}

/// A worker that is there; what [`Cluster::workers`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Counts up from 1; none is given twice.
    pub id: u64,
    /// Its process.
    pub pid: u32,
    /// Which of the `workers(n)` it is, from 0; see
    /// [`env_of`](super::ClusterBuilder::env_of).
    pub place: usize,
    /// Whether it takes connections, and was not told to go.
    pub is_listening: bool,
}

/// What the handle and the engine have in common.
pub(super) struct Shared {
    commands: Mutex<Vec<Command>>,
    workers: Mutex<Vec<WorkerStatus>>,
    wake: UnixStream,
    /// Relaxed: whoever misses it posts what nobody takes.
    is_over: AtomicBool,
}

impl Shared {
    pub(super) fn new() -> io::Result<(Arc<Self>, UnixStream)> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Self {
            commands: Mutex::default(),
            workers: Mutex::default(),
            wake,
            is_over: AtomicBool::new(false),
        };
        Ok((Arc::new(shared), woken))
    }

    fn command(&self, command: Command) {
        self.commands.lock().push(command);
        // If there is no room, it was woken often enough.
        let _ = (&self.wake).write(&[1]);
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock())
    }

    pub(super) fn publish(&self, workers: impl Iterator<Item = WorkerStatus>) {
        let mut published = self.workers.lock();
        published.clear();
        published.extend(workers);
    }
}

/// Processes that serve one port: the primary's side.
///
/// The primary listens and starts the workers, which are this program started again. The
/// same `main` serves both, as in Node:
///
/// ```no_run
/// use std::io::Write;
/// use windlass::process::{Cluster, ClusterError};
///
/// fn main() -> Result<(), ClusterError> {
///     if Cluster::is_primary() {
///         let cluster = Cluster::builder().workers(4).listen("127.0.0.1:8080")?;
///         return cluster.run(); // until it is stopped, or no worker can be kept alive
///     }
///     let worker = Cluster::worker()?;
///     for mut stream in worker.incoming() {
///         let _ = write!(stream, "hello from worker {}\n", worker.id());
///     }
///     Ok(()) // told to go, and drained: the process ends
/// }
/// ```
///
/// What happens to the workers comes as [`ClusterEvent`]s, by the ways a
/// [`Port`] has, or to a [`MainLoop`] by
/// [`on_message`](MainLoop::on_message). They wait until somebody receives them, without a
/// bound; who does not care calls [`run`](Self::run).
///
/// **Dropping it** stops the cluster as [`stop`](Self::stop) does with the builder's
/// [`grace`](ClusterBuilder::grace), and waits until all workers are gone. In a fork of
/// this process it does nothing. If the primary is killed, the workers end within a second.
#[must_use = "dropping a cluster stops it"]
pub struct Cluster {
    /// Until `run`.
    events: Option<Events>,
    thread: Option<thread::JoinHandle<Result<(), ClusterError>>>,
    shared: Arc<Shared>,
    address: SocketAddr,
    grace: Duration,
    made_in: Generation,
}

impl Cluster {
    /// Says what a cluster is to be; [`ClusterBuilder::listen`] starts it.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
    }

    /// Whether this process is no worker.
    #[must_use]
    pub fn is_primary() -> bool {
        !worker::is_worker()
    }

    /// Whether this process was started by a cluster.
    #[must_use]
    pub fn is_worker() -> bool {
        worker::is_worker()
    }

    /// The worker's side of the cluster, once in a worker's process.
    ///
    /// Afterwards the process's stdin is empty (`/dev/null`); stdout and stderr are the
    /// primary's.
    ///
    /// # Errors
    /// [`ClusterError::NotWorker`] elsewhere or a second time, and
    /// [`ClusterError::Primary`] if the primary is of another build, or gone.
    pub fn worker() -> Result<ClusterWorker, ClusterError> {
        worker::enlist()
    }

    pub(super) fn start(
        mut engine: Engine,
        events: Events,
        shared: Arc<Shared>,
        address: SocketAddr,
        grace: Duration,
    ) -> Result<Self, ClusterError> {
        let made_in = Generation::watched();
        engine.begin()?;
        let over = Over(shared.clone());
        let builder = thread::Builder::new().name("windlass-cluster".into());
        let thread = builder.spawn(move || {
            let _over = over;
            engine.run()
        });
        Ok(Self {
            events: Some(events),
            thread: Some(thread.map_err(ClusterError::Start)?),
            shared,
            address,
            grace,
            made_in,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Who is there now, by their ids; those that are on their way out as well.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.shared.workers.lock().clone()
    }

    /// Sends a message to a worker, which [receives](ClusterWorker::recv) it. Never blocks;
    /// what it does not read waits here, without a bound, and is lost if it dies. One that was
    /// told to go gets no more.
    ///
    /// # Errors
    /// If the value cannot be written, or there is no such worker any more.
    pub fn post<T: Serialize + ?Sized>(&self, id: u64, message: &T) -> Result<(), ClusterError> {
        let message = ClusterMessage::write(message)?;
        self.to(id, Command::Post(id, message))
    }

    /// The same to all workers that are there.
    ///
    /// # Errors
    /// If the value cannot be written, or the cluster has ended.
    pub fn broadcast<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), ClusterError> {
        let message = ClusterMessage::write(message)?;
        self.command(Command::Broadcast(message))
    }

    /// Has one worker drain and end; no other takes its place.
    ///
    /// # Errors
    /// If there is no such worker any more.
    pub fn disconnect(&self, id: u64) -> Result<(), ClusterError> {
        self.to(id, Command::Disconnect(id))
    }

    /// Sends a signal to one worker: [`Signal::KILL`], or a number. If it ends of it,
    /// another one takes its place.
    ///
    /// # Errors
    /// If there is no such worker any more, or no such signal.
    pub fn kill(&self, id: u64, signal: impl Into<Signal>) -> Result<(), ClusterError> {
        let signal = signal.into();
        match signal.known() {
            Some(_) => self.to(id, Command::Signal(id, signal)),
            None => Err(ClusterError::NoSignal(signal.number())),
        }
    }

    /// Exchanges all workers that are there now, one by one, and does not wait for it: a
    /// new one is started; once it listens, the old one is told to go, drains its
    /// connections and ends; then the next. No connection is refused or dropped.
    /// [`ClusterEvent::Restarted`] tells the end. If a new one dies, that is the end, and
    /// the old ones go on.
    ///
    /// # Errors
    /// If the cluster has ended.
    pub fn rolling_restart(&self) -> Result<(), ClusterError> {
        self.command(Command::Restart)
    }

    /// Has all workers drain and end, and does not wait for it; those that are there after
    /// `limit` are killed. A later call may shorten the time, not lengthen it.
    ///
    /// The port is closed at once. With [`Scheduling::Shared`](super::Scheduling::Shared) it
    /// is so when the last worker is gone, and connections that come in between are reset.
    ///
    /// # Errors
    /// If the cluster has ended.
    pub fn stop(&self, limit: Duration) -> Result<(), ClusterError> {
        let now = Instant::now();
        // Too far away to be a point in time is as good as a year.
        let far = now + Duration::from_secs(365 * 24 * 3600);
        self.command(Command::Stop(now.checked_add(limit).unwrap_or(far)))
    }

    /// A handle that other threads, or a signal's handler, steer the cluster with.
    #[must_use]
    pub fn remote(&self) -> ClusterRemote {
        ClusterRemote {
            shared: self.shared.clone(),
            made_in: self.made_in,
        }
    }

    /// Waits until the cluster has ended: until it was stopped, or has failed. Events that
    /// nobody has received are dropped.
    ///
    /// # Errors
    /// [`ClusterError::Workers`] if no worker could be kept alive.
    pub fn run(mut self) -> Result<(), ClusterError> {
        self.events = None;
        self.join()
    }

    fn join(&mut self) -> Result<(), ClusterError> {
        let Some(thread) = self.thread.take() else {
            return Err(ClusterError::Ended);
        };
        if self.made_in.is_past() {
            return Err(ClusterError::Ended);
        }
        thread.join().unwrap_or(Err(ClusterError::Ended))
    }

    fn to(&self, id: u64, command: Command) -> Result<(), ClusterError> {
        let is_there = self.shared.workers.lock().iter().any(|it| it.id == id);
        match is_there {
            true => self.command(command),
            false => Err(ClusterError::NoWorker(id)),
        }
    }

    fn command(&self, command: Command) -> Result<(), ClusterError> {
        command_to(&self.shared, self.made_in, command)
    }

    receiving_methods!(ClusterEvent);

    fn lane(&self) -> &Arc<Lane<ClusterEvent>> {
        let events = self.events.as_ref();
        events.expect("they are there until `run` takes all").lane()
    }
}

fn command_to(shared: &Shared, made_in: Generation, command: Command) -> Result<(), ClusterError> {
    if made_in.is_past() || shared.is_over.load(Ordering::Relaxed) {
        return Err(ClusterError::Ended);
    }
    shared.command(command);
    Ok(())
}

/// Steers a [`Cluster`] from anywhere; [`Cluster::remote`]. Clones are of the same
/// cluster, and keep nothing alive.
#[derive(Clone)]
pub struct ClusterRemote {
    shared: Arc<Shared>,
    made_in: Generation,
}

impl ClusterRemote {
    /// As [`Cluster::rolling_restart`].
    ///
    /// # Errors
    /// If the cluster has ended.
    pub fn rolling_restart(&self) -> Result<(), ClusterError> {
        command_to(&self.shared, self.made_in, Command::Restart)
    }

    /// As [`Cluster::stop`].
    ///
    /// # Errors
    /// If the cluster has ended.
    pub fn stop(&self, limit: Duration) -> Result<(), ClusterError> {
        let now = Instant::now();
        let far = now + Duration::from_secs(365 * 24 * 3600);
        let until = now.checked_add(limit).unwrap_or(far);
        command_to(&self.shared, self.made_in, Command::Stop(until))
    }
}

impl fmt::Debug for ClusterRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterRemote").finish_non_exhaustive()
    }
}

/// Says that the engine has ended, however it did.
struct Over(Arc<Shared>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        self.0.workers.lock().clear();
    }
}

impl Sealed for Cluster {}

impl MessageSource for Cluster {
    type Message = ClusterEvent;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, ClusterEvent) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(self.lane(), callback)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.made_in.is_past() && self.thread.is_some() {
            let _ = self.stop(self.grace);
            let _ = self.join();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("address", &self.address)
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}
