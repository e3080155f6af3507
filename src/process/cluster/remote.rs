//! [`ClusterRemote`]: what a cluster is steered with, and what it has in common with the
//! engine.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::event::{ClusterError, ClusterMessage};
use super::places::later;
use crate::process::signal::Signal;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::sys::fork::Generation;

/// A worker that is there; what [`Cluster::workers`](super::Cluster::workers) gives.
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

/// Steers a [`Cluster`](super::Cluster) from anywhere; of
/// [`Cluster::remote`](super::Cluster::remote). Clones are of the same cluster, and keep
/// nothing alive.
///
/// The methods are those of the `Cluster`.
#[derive(Clone)]
pub struct ClusterRemote {
    shared: Arc<Shared>,
    address: SocketAddr,
    made_in: Generation,
}

impl ClusterRemote {
    /// As [`Cluster::local_addr`](super::Cluster::local_addr).
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// As [`Cluster::workers`](super::Cluster::workers).
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        // In a fork the lock may be held for ever.
        match self.is_forked() {
            true => Vec::new(),
            false => self.shared.workers.lock().clone(),
        }
    }

    /// As [`Cluster::post`](super::Cluster::post).
    ///
    /// # Errors
    /// If the value cannot be written, or there is no such worker any more.
    pub fn post<T: Serialize + ?Sized>(&self, id: u64, message: &T) -> Result<(), ClusterError> {
        let message = ClusterMessage::write(message)?;
        self.to(id, Command::Post(id, message))
    }

    /// As [`Cluster::broadcast`](super::Cluster::broadcast).
    ///
    /// # Errors
    /// If the value cannot be written, or the cluster has ended.
    pub fn broadcast<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), ClusterError> {
        let message = ClusterMessage::write(message)?;
        self.command(Command::Broadcast(message))
    }

    /// As [`Cluster::disconnect`](super::Cluster::disconnect).
    ///
    /// # Errors
    /// If there is no such worker any more.
    pub fn disconnect(&self, id: u64) -> Result<(), ClusterError> {
        self.to(id, Command::Disconnect(id))
    }

    /// As [`Cluster::kill`](super::Cluster::kill).
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

    /// As [`Cluster::rolling_restart`](super::Cluster::rolling_restart).
    ///
    /// # Errors
    /// If the cluster has ended.
    pub fn rolling_restart(&self) -> Result<(), ClusterError> {
        self.command(Command::Restart)
    }

    /// As [`Cluster::stop`](super::Cluster::stop).
    ///
    /// # Errors
    /// If the cluster has ended.
    pub fn stop(&self, limit: Duration) -> Result<(), ClusterError> {
        self.command(Command::Stop(later(Instant::now(), limit)))
    }

    pub(super) fn new(shared: Arc<Shared>, address: SocketAddr) -> Self {
        Self {
            shared,
            address,
            made_in: Generation::watched(),
        }
    }

    /// Whether this process is a fork of the primary.
    pub(super) fn is_forked(&self) -> bool {
        self.made_in.is_past()
    }

    fn is_over(&self) -> bool {
        self.is_forked() || self.shared.is_over.load(Ordering::Relaxed)
    }

    /// To be dropped when the engine has ended, however it did.
    pub(super) fn over(&self) -> Over {
        Over(Arc::clone(&self.shared))
    }

    fn to(&self, id: u64, command: Command) -> Result<(), ClusterError> {
        if self.is_over() {
            return Err(ClusterError::Ended);
        }
        let is_there = self.shared.workers.lock().iter().any(|it| it.id == id);
        match is_there {
            true => self.command(command),
            false => Err(ClusterError::NoWorker(id)),
        }
    }

    fn command(&self, command: Command) -> Result<(), ClusterError> {
        if self.is_over() {
            return Err(ClusterError::Ended);
        }
        self.shared.push(command);
        Ok(())
    }
}

impl fmt::Debug for ClusterRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterRemote")
            .field("workers", &self.workers())
            .finish_non_exhaustive()
    }
}

/// What a cluster can be told.
pub(super) enum Command {
    Post(u64, ClusterMessage),
    Broadcast(ClusterMessage),
    Signal(u64, Signal),
    Disconnect(u64),
    Restart,
    Stop(Instant),
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

    fn push(&self, command: Command) {
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

/// Says that the engine has ended, however it did.
pub(super) struct Over(Arc<Shared>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        self.0.workers.lock().clear();
    }
}
