//! [`Cluster`]: what the primary's program holds.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::builder::ClusterBuilder;
use super::engine::Engine;
use super::event::{ClusterError, ClusterEvent};
use super::remote::{ClusterRemote, Shared, WorkerStatus};
use super::worker::{self, ClusterWorker};
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Lane, Port, RecvError, receiving_methods};
use crate::process::signal::Signal;
use crate::sync::{Arc, thread};

/// The end at which events come out.
pub(super) type Events = Port<Infallible, ClusterEvent>;

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
    remote: ClusterRemote,
    grace: Duration,
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
    /// [`ClusterError::NotWorker`] elsewhere or a second time,
    /// [`ClusterError::Primary`] if the primary is of another build, or gone, and
    /// [`ClusterError::Start`] if this process can have no thread or no descriptor more.
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
        // Before anything is started: a fork is told from here on.
        let remote = ClusterRemote::new(shared, address);
        engine.begin()?;
        let over = remote.over();
        let builder = thread::Builder::new().name("windlass-cluster".into());
        let thread = builder.spawn(move || {
            let _over = over;
            engine.run()
        });
        Ok(Self {
            events: Some(events),
            thread: Some(thread.map_err(ClusterError::Start)?),
            remote,
            grace,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.remote.local_addr()
    }

    /// Who is there now, by their ids; those that are on their way out as well.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.remote.workers()
    }

    /// Sends a message to a worker, which [receives](ClusterWorker::recv) it. Never blocks;
    /// what it does not read waits here, without a bound, and is lost if it dies. One that was
    /// told to go gets no more.
    ///
    /// # Errors
    /// If the value cannot be written, or there is no such worker any more.
    pub fn post<T: Serialize + ?Sized>(&self, id: u64, message: &T) -> Result<(), ClusterError> {
        self.remote.post(id, message)
    }

    /// The same to all workers that are there.
    ///
    /// # Errors
    /// If the value cannot be written, or the cluster has ended.
    pub fn broadcast<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), ClusterError> {
        self.remote.broadcast(message)
    }

    /// Has one worker drain and end; no other takes its place. If it was about to be
    /// exchanged, the new one goes too, and the [`rolling_restart`](Self::rolling_restart)
    /// that it was for is over. One that was told to go before is on its way out already,
    /// and nothing changes.
    ///
    /// # Errors
    /// If there is no such worker any more.
    pub fn disconnect(&self, id: u64) -> Result<(), ClusterError> {
        self.remote.disconnect(id)
    }

    /// Sends a signal to one worker: [`Signal::KILL`], or a number. If it ends of it,
    /// another one takes its place.
    ///
    /// # Errors
    /// If there is no such worker any more, or no such signal.
    pub fn kill(&self, id: u64, signal: impl Into<Signal>) -> Result<(), ClusterError> {
        self.remote.kill(id, signal)
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
        self.remote.rolling_restart()
    }

    /// Has all workers drain and end, and does not wait for it; those that are there after
    /// `limit` are killed. A later call may shorten the time, not lengthen it.
    ///
    /// Connections that have come to the port are still served, up to 4096 (each worker's
    /// with [`Scheduling::Shared`](super::Scheduling::Shared)), and it is closed at once. When
    /// it is shared, it is so when the last worker is gone, and connections that come in
    /// between are reset.
    ///
    /// # Errors
    /// If the cluster has ended.
    pub fn stop(&self, limit: Duration) -> Result<(), ClusterError> {
        self.remote.stop(limit)
    }

    /// A handle that callbacks, other threads and whoever receives signals steer it with.
    #[must_use]
    pub fn remote(&self) -> ClusterRemote {
        self.remote.clone()
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
        if self.remote.is_forked() {
            return Err(ClusterError::Ended);
        }
        thread.join().unwrap_or(Err(ClusterError::Ended))
    }

    receiving_methods!(ClusterEvent);

    fn lane(&self) -> &Arc<Lane<ClusterEvent>> {
        let events = self.events.as_ref();
        events.expect("they are there until `run` takes all").lane()
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
        if !self.remote.is_forked() && self.thread.is_some() {
            let _ = self.stop(self.grace);
            let _ = self.join();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("address", &self.local_addr())
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}
