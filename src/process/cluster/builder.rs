//! [`ClusterBuilder`]: what a cluster is to be.

use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use super::engine::Engine;
use super::event::ClusterError;
use super::handle::Cluster;
use super::remote::Shared;
use super::worker;
use crate::config;
use crate::process::program::{Program, Wanted, program_settings, test_args};
use crate::util::limits::MAX_THREADS;

/// Who gives the connections out; Node's `schedulingPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheduling {
    /// The primary accepts, and hands each connection to the worker that has the next turn.
    /// A worker that takes none is passed over.
    #[default]
    RoundRobin,
    /// All workers have the listener, and each accepts when it wants to: less work for each
    /// connection, and no say in who gets how many.
    Shared,
}

/// What is set once for a cluster.
pub(super) struct Settings {
    pub(super) address: SocketAddr,
    pub(super) program: Program,
    /// For the worker in this place.
    pub(super) env_of: Vec<(usize, OsString, OsString)>,
    pub(super) scheduling: Scheduling,
    pub(super) workers: usize,
    pub(super) restart: bool,
    /// The waits before a restart: the first and the longest.
    pub(super) backoff: [Duration; 2],
    pub(super) min_uptime: Duration,
    pub(super) max_quick_deaths: u32,
    pub(super) start_timeout: Duration,
    pub(super) grace: Duration,
    /// In bytes.
    pub(super) memory_limit: Option<u64>,
}

/// Says what a [`Cluster`] is to be, and starts it.
///
/// ```no_run
/// # use std::time::Duration;
/// # use windlass::process::{Cluster, Scheduling};
/// let cluster = Cluster::builder()
///     .workers(4)
///     .scheduling(Scheduling::Shared)
///     .grace(Duration::from_secs(30))
///     .memory_limit(512 * 1024 * 1024)
///     .listen("127.0.0.1:8080")?;
/// # drop(cluster);
/// # Ok::<(), windlass::process::ClusterError>(())
/// ```
#[must_use = "a builder does nothing until `listen`"]
pub struct ClusterBuilder {
    wanted: Wanted,
    workers: Option<usize>,
    settings: Settings,
}

impl ClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            wanted: Wanted::default(),
            workers: None,
            settings: Settings {
                address: ([0, 0, 0, 0], 0).into(),
                program: Program::default(),
                env_of: Vec::new(),
                scheduling: Scheduling::default(),
                workers: 0,
                restart: true,
                backoff: [Duration::from_millis(50), Duration::from_secs(5)],
                min_uptime: Duration::from_secs(1),
                max_quick_deaths: 5,
                start_timeout: Duration::from_secs(30),
                grace: Duration::from_secs(10),
                memory_limit: None,
            },
        }
    }

    /// How many workers, 1 to 4095. Default: as many as a [`Pool`](crate::Pool) has threads.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Who gives the connections out. Default: [`Scheduling::RoundRobin`], as in Node.
    pub fn scheduling(mut self, scheduling: Scheduling) -> Self {
        self.settings.scheduling = scheduling;
        self
    }

    program_settings!(
        "the workers",
        ", even if another has taken its place on the disk since; a path makes a\n\
         [`rolling_restart`](Cluster::rolling_restart) start what is there then.",
        "those that this process was given, as in Node."
    );

    /// Sets a variable for one worker: the one in this place, counted from 0, and all who
    /// come to be in it by a restart.
    pub fn env_of(
        mut self,
        place: usize,
        key: impl Into<OsString>,
        value: impl Into<OsString>,
    ) -> Self {
        let variable = (place, key.into(), value.into());
        self.settings.env_of.push(variable);
        self
    }

    /// For tests: `main` is the test harness's, so the workers run the test of this full
    /// name (`module::name`) and nothing else. That test is to be what a worker does, if
    /// [`Cluster::is_worker`].
    pub fn test_child(mut self, name: &str) -> Self {
        self.wanted.args = Some(test_args(name));
        self
    }

    /// Whether a worker that has ended, whatever it was, is started again. Default: `true`.
    /// (Node leaves that to the program.) One that was
    /// [disconnected](Cluster::disconnect) is not.
    pub fn restart(mut self, restart: bool) -> Self {
        self.settings.restart = restart;
        self
    }

    /// How long to wait before a worker is started again that has died quickly: `first`,
    /// and twice as long each time, up to `longest`. Default: 50 ms to 5 s. One that had
    /// lived longer is replaced at once.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.backoff = [first, longest.max(first)];
        self
    }

    /// A worker that has ended sooner than this after it began to listen, or never did, has
    /// died quickly. Default: one second.
    pub fn min_uptime(mut self, uptime: Duration) -> Self {
        self.settings.min_uptime = uptime;
        self
    }

    /// After so many quick deaths in a row, and if no other worker is listening, the
    /// cluster [fails](super::ClusterEvent::Failed): at once, or if those that are still
    /// starting come to nothing either, before which no more are started. A restart that
    /// the system refuses counts as one. Default: 5.
    pub fn max_quick_deaths(mut self, deaths: u32) -> Self {
        self.settings.max_quick_deaths = deaths.max(1);
        self
    }

    /// How long a worker may take from its start until it
    /// [takes connections](super::ClusterWorker::incoming); then it is killed, and has died
    /// quickly. Default: thirty seconds.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.settings.start_timeout = limit;
        self
    }

    /// How long a worker that was told to go may take to drain; then it is killed. For
    /// [`rolling_restart`](Cluster::rolling_restart), [`disconnect`](Cluster::disconnect),
    /// the [`memory_limit`](Self::memory_limit), and the drop of the [`Cluster`]. Default: ten
    /// seconds.
    pub fn grace(mut self, limit: Duration) -> Self {
        self.settings.grace = limit;
        self
    }

    /// The most memory that a worker may have, in bytes: of what is in memory, all of it, the
    /// program included (some megabytes), and not that of processes that it starts. One that
    /// has more is replaced as [`rolling_restart`](Cluster::rolling_restart) replaces one,
    /// and one after another: the next is started in its place; once that listens, this one
    /// is told to go, drains its connections and ends, or is killed after the
    /// [`grace`](Self::grace). No connection is refused or dropped.
    /// [`ClusterEvent::Oversize`](super::ClusterEvent::Oversize) tells of it. This is against
    /// leaks, as pm2's `max_memory_restart`; against one request that eats all memory it is
    /// too slow. Default: no limit.
    ///
    /// It is looked at once a second, and only of workers that listen. That takes one more
    /// descriptor for each worker. On Linux, with `/proc`; elsewhere there is no limit.
    ///
    /// If a worker has too much as soon as it is looked at, as all have with a limit below the
    /// program's own size, the next replacement for size in its place has the waits of
    /// [`backoff`](Self::backoff): twice as long each time, up to the longest, until one was
    /// seen that has less. So such a limit costs a start every five seconds, and the events
    /// tell of it; it is no death for [`max_quick_deaths`](Self::max_quick_deaths), since the
    /// port is served all the while. If the one that is to take the place dies or cannot be
    /// started, this one goes on, and the next try has the same waits.
    ///
    /// ```no_run
    /// # use windlass::process::{Cluster, ClusterEvent};
    /// let cluster = Cluster::builder().memory_limit(512 << 20).listen("127.0.0.1:8080")?;
    /// for event in cluster.iter()? {
    ///     if let ClusterEvent::Oversize { id, bytes, .. } = event {
    ///         println!("worker {id} has {} MiB, and is replaced", bytes >> 20);
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.settings.memory_limit = Some(bytes);
        self
    }

    /// Listens, and starts the workers; does not wait for them. With port 0 the system
    /// chooses one, the same for all workers: [`Cluster::local_addr`].
    ///
    /// # Errors
    /// If the address cannot be listened on or a process cannot be started, and
    /// [`ClusterError::InWorker`] in a worker. What happens to the workers later is told by
    /// [events](super::ClusterEvent) and by [`Cluster::run`].
    pub fn listen(self, address: impl ToSocketAddrs) -> Result<Cluster, ClusterError> {
        if worker::is_worker() {
            return Err(ClusterError::InWorker);
        }
        let listener = TcpListener::bind(address).map_err(ClusterError::Listen)?;
        self.listen_on(listener)
    }

    /// The same with a listener that is there already, from a service manager for example.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub fn listen_on(self, listener: TcpListener) -> Result<Cluster, ClusterError> {
        if worker::is_worker() {
            return Err(ClusterError::InWorker);
        }
        let mut settings = self.settings;
        settings.workers = match self.workers {
            Some(count) if !(1..=MAX_THREADS).contains(&count) => {
                return Err(ClusterError::WorkerCount(count));
            }
            asked => config::num_threads(asked)?,
        };
        let args = || std::env::args_os().skip(1).collect();
        let program = self.wanted.program(args);
        settings.program = program.map_err(ClusterError::Start)?;
        let address = listener.local_addr().map_err(ClusterError::Listen)?;
        settings.address = address;
        listener
            .set_nonblocking(true)
            .map_err(ClusterError::Listen)?;
        let grace = settings.grace;
        let (shared, wake) = Shared::new().map_err(ClusterError::Start)?;
        let (engine, events) = Engine::new(settings, listener, shared.clone(), wake);
        Cluster::start(engine, events, shared, address, grace)
    }
}

impl fmt::Debug for ClusterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBuilder")
            .field("workers", &self.workers)
            .field("scheduling", &self.settings.scheduling)
            .field("program", &self.wanted)
            .field("restart", &self.settings.restart)
            .field("memory_limit", &self.settings.memory_limit)
            .finish_non_exhaustive()
    }
}
