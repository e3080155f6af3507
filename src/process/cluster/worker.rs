//! [`ClusterWorker`]: the worker's side.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use serde::Serialize;

use super::connections::{Connections, Incoming};
use super::engine::LAST;
use super::event::{ClusterError, ClusterMessage};
use super::link::MAX_MESSAGE;
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Lane, Port, RecvError, channel, receiving_methods};
use crate::process::serve::{socket_on_stdin, watch};
use crate::process::wire::descriptors::{Arrivals, Receiver};
use crate::process::wire::frame::{self, Enlist, Filled, Inbox, Kind, VERSION};
use crate::sync::{Arc, AtomicBool, AtomicU32, Mutex, OnceLock, Ordering, thread};
use crate::sys::fork::Generation;

/// Set for a worker, to what its socket on stdin is known by.
pub(super) const MARK: &str = "WINDLASS_WORKER";

/// Set once this process has become a worker, whose stdin tells nothing any more.
static ENLISTED: OnceLock<()> = OnceLock::new();

pub(super) fn is_worker() -> bool {
    ENLISTED.get().is_some() || socket_on_stdin(MARK).is_some()
}

/// A connection on its way to whoever takes it, with its number.
pub(super) type Handed = (u64, TcpStream);

/// A worker's side of a [`Cluster`](super::Cluster), from
/// [`Cluster::worker`](super::Cluster::worker).
///
/// [`incoming`](Self::incoming) gives connections until the primary wants no more of them
/// served here; then the program finishes those that it has, and returns from `main`.
/// Meanwhile messages go both ways: [`post`](Self::post), and
/// [`recv`](Self::recv) and the other ways to receive, or
/// [`MainLoop::on_message`], until the primary says so.
///
/// All of it may be done by several threads; clones are of the same worker. **Dropping the
/// last one** closes the way to the primary, which then expects the process to end. If the
/// primary is killed, this process is killed half a second later, whatever it does.
#[derive(Clone)]
pub struct ClusterWorker(Arc<Inner>);

pub(super) struct Inner {
    id: u64,
    address: SocketAddr,
    state: Arc<State>,
    messages: Port<Infallible, ClusterMessage>,
    /// Those that the primary hands over.
    pub(super) connections: Port<Infallible, Handed>,
    /// Who waits for a connection; the others wait for their turn.
    pub(super) turn: Mutex<()>,
    /// The one that all workers have, if the primary does not accept.
    pub(super) listener: Option<TcpListener>,
    /// Its other end is closed when there are to be no more connections.
    pub(super) stop: UnixStream,
    /// So often may it be looked for a connection after the word to stop. Relaxed: a count.
    late: AtomicU32,
    /// The process that this is in.
    made_in: Generation,
}

/// What the thread that reads has, too.
struct State {
    socket: UnixStream,
    /// Who writes has this.
    writing: Mutex<()>,
    /// Relaxed: it is only set once.
    is_listening: AtomicBool,
    /// Release, with an Acquire in who looks: `is_last` is set before it.
    is_disconnected: AtomicBool,
    /// All workers are to go: nobody else will serve what is left. Relaxed.
    is_last: AtomicBool,
}

impl State {
    fn send(&self, frame: &[u8]) -> io::Result<()> {
        let _mine = self.writing.lock();
        (&self.socket).write_all(frame)
    }
}

/// Becomes a worker.
pub(super) fn enlist() -> Result<ClusterWorker, ClusterError> {
    let Some(socket) = socket_on_stdin(MARK) else {
        return Err(ClusterError::NotWorker);
    };
    if ENLISTED.set(()).is_err() {
        return Err(ClusterError::NotWorker);
    }
    begin(socket).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => ClusterError::Primary(error.to_string()),
        _ => ClusterError::Start(error),
    })
}

fn begin(socket: UnixStream) -> io::Result<ClusterWorker> {
    // Whatever reads stdin from here on finds it empty.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let mut reader = Reader {
        inbox: Inbox::new(MAX_MESSAGE),
        arrivals: Arrivals::single(),
    };
    let enlist = loop {
        if let Some((kind, _)) = reader.inbox.next().map_err(nonsense)? {
            let frame = reader.inbox.take().map_err(nonsense)?;
            let Some(frame) = frame.filter(|_| kind == Kind::Enlist) else {
                break None;
            };
            // Looked at first: what comes after it may be of another form.
            let version = frame.payload.first_chunk().copied();
            if version.is_some_and(|version| u32::from_le_bytes(version) != VERSION) {
                return Err(nonsense("it is another build of the program"));
            }
            break Enlist::read(frame.payload).map(|enlist| (enlist, frame.job));
        }
        if reader.fill(&socket).map_err(nonsense)? == Filled::End {
            return Err(nonsense("it is gone"));
        }
    };
    let (enlist, listeners) = enlist.ok_or_else(|| nonsense("it did not begin as it should"))?;
    let listener = match listeners {
        0 => None,
        _ => {
            let listener = reader.arrivals.next();
            let lost = || io::Error::other("this process has no descriptor left for the listener");
            Some(TcpListener::from(listener.ok_or_else(lost)?))
        }
    };
    // Before there are threads: a fork is told from here on.
    let made_in = Generation::watched();
    watch(socket.try_clone()?, enlist.parent)?;
    let (stop, stops) = UnixStream::pair()?;
    let state = Arc::new(State {
        socket,
        writing: Mutex::default(),
        is_listening: AtomicBool::new(false),
        is_disconnected: AtomicBool::new(false),
        is_last: AtomicBool::new(false),
    });
    let (messages, to_messages) = channel();
    let (connections, to_connections) = channel();
    let link = Link {
        id: enlist.id,
        state: state.clone(),
        reader,
        messages: to_messages,
        connections: to_connections,
        _stops: stops,
    };
    let builder = thread::Builder::new().name("windlass-cluster".into());
    builder.spawn(move || link.run())?;
    let online = frame::small(Kind::Online, 0, &VERSION.to_le_bytes());
    state.send(&online).map_err(nonsense)?;
    Ok(ClusterWorker(Arc::new(Inner {
        id: enlist.id,
        address: enlist.address,
        state,
        messages,
        connections,
        turn: Mutex::default(),
        listener,
        stop,
        late: AtomicU32::new(LAST),
        made_in,
    })))
}

fn nonsense(what: impl fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_string())
}

struct Reader {
    inbox: Inbox,
    arrivals: Arrivals,
}

impl Reader {
    fn fill(&mut self, socket: &UnixStream) -> io::Result<Filled> {
        self.inbox.fill(Receiver {
            socket,
            arrivals: &mut self.arrivals,
        })
    }
}

/// The thread that reads what the primary says.
struct Link {
    id: u64,
    state: Arc<State>,
    reader: Reader,
    messages: Port<ClusterMessage, Infallible>,
    connections: Port<Handed, Infallible>,
    /// Closed when this is dropped, like the ports.
    _stops: UnixStream,
}

impl Link {
    fn run(mut self) {
        // However it ends: nothing more will come. If the primary is gone, the process is
        // about to be.
        if let Err(error) = self.read_all()
            && error.kind() == ErrorKind::InvalidData
        {
            let id = self.id;
            let _ = writeln!(
                io::stderr(),
                "windlass: worker {id} ends: the primary: {error}"
            );
        }
        self.state.is_disconnected.store(true, Ordering::Release);
    }

    fn read_all(&mut self) -> io::Result<()> {
        loop {
            while let Some(frame) = self.reader.inbox.take().map_err(nonsense)? {
                match frame.kind {
                    Kind::Post => {
                        let message = ClusterMessage(frame.payload.to_vec());
                        // Who does not receive has dropped the port.
                        let _ = self.messages.post(message);
                    }
                    Kind::Connection => {
                        let number = frame.job;
                        let Some(stream) = self.reader.arrivals.next() else {
                            // This process has no descriptor left for it; another may have.
                            self.state.send(&frame::small(Kind::Refused, number, b""))?;
                            continue;
                        };
                        // What nobody takes goes to another worker when this one is gone.
                        let _ = self.connections.post((number, TcpStream::from(stream)));
                    }
                    Kind::Disconnect => {
                        let is_last = frame.payload == [1];
                        self.state.is_last.store(is_last, Ordering::Relaxed);
                        // The last that it says.
                        return Ok(());
                    }
                    kind => return Err(nonsense(format!("it said {kind:?}"))),
                }
            }
            if self.reader.fill(&self.state.socket)? == Filled::End {
                return Ok(());
            }
        }
    }
}

impl ClusterWorker {
    /// This worker's number in the cluster.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Takes connections from now on: an iterator that waits for the next one, and ends
    /// when the primary says so (a restart, a disconnect, a stop) or is gone. Connections
    /// that were given to this worker before that come first.
    ///
    /// Several threads may each have an iterator; each connection comes out of one.
    pub fn incoming(&self) -> Incoming<'_> {
        self.0.listen();
        Incoming::new(&self.0)
    }

    /// The same for a program that does not wait: for a [`MainLoop`] by
    /// [`on_message`](MainLoop::on_message), or as a [stream](Connections::stream).
    ///
    /// # Errors
    /// [`ClusterError::Start`] if a thread cannot be had, which
    /// [`Scheduling::Shared`](super::Scheduling::Shared) needs for it.
    pub fn connections(&self) -> Result<Connections, ClusterError> {
        let connections = Connections::new(&self.0).map_err(ClusterError::Start)?;
        self.0.listen();
        Ok(connections)
    }

    /// Whether the primary wants this worker to end: that is the time to answer
    /// requests with `Connection: close`.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.0.is_disconnected()
    }

    /// Where the cluster listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.address
    }

    /// Sends a message to the primary, which gets it as a
    /// [`ClusterEvent::Message`](super::ClusterEvent::Message). Waits if the socket is
    /// full; the primary reads all the time.
    ///
    /// # Errors
    /// If the value cannot be written, or the primary is gone.
    pub fn post<T: Serialize + ?Sized>(&self, message: &T) -> Result<(), ClusterError> {
        let message = ClusterMessage::write(message)?;
        let frame = frame::small(Kind::Posted, 0, &message.0);
        let sent = self.0.state.send(&frame);
        sent.map_err(|error| ClusterError::Primary(error.to_string()))
    }

    receiving_methods!(ClusterMessage);

    fn lane(&self) -> &Arc<Lane<ClusterMessage>> {
        self.0.messages.lane()
    }
}

impl Inner {
    /// Tells the primary that this worker takes connections.
    fn listen(&self) {
        if !self.state.is_listening.swap(true, Ordering::Relaxed) {
            // If the primary is gone, the first that waits for one is told so.
            let _ = self.state.send(&frame::small(Kind::Listening, 0, b""));
        }
    }

    pub(super) fn is_disconnected(&self) -> bool {
        self.state.is_disconnected.load(Ordering::Acquire)
    }

    /// If it is disconnected: whether it is to serve what is left, because all workers are
    /// to go, and may once more.
    pub(super) fn may_take_late(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let relaxed = Ordering::Relaxed;
        let is_last = self.state.is_last.load(relaxed);
        is_last && self.late.fetch_update(relaxed, relaxed, one_less).is_ok()
    }

    /// The program has it: it is not to go to another worker any more.
    pub(super) fn take(&self, (number, stream): Handed) -> TcpStream {
        // If the primary is gone, nobody else will serve it either.
        let _ = self.state.send(&frame::small(Kind::Accepted, number, b""));
        stream
    }
}

#[cfg(test)]
impl Inner {
    /// A worker whose primary has just said that all are to go, and that may take so many.
    pub(super) fn at_a_stop(late: u32) -> Self {
        let (socket, _) = UnixStream::pair().unwrap();
        let (stop, _) = UnixStream::pair().unwrap();
        Self {
            id: 1,
            address: ([127, 0, 0, 1], 0).into(),
            state: Arc::new(State {
                socket,
                writing: Mutex::default(),
                is_listening: AtomicBool::new(true),
                is_disconnected: AtomicBool::new(true),
                is_last: AtomicBool::new(true),
            }),
            messages: channel().0,
            connections: channel().0,
            turn: Mutex::default(),
            listener: None,
            stop,
            late: AtomicU32::new(late),
            made_in: Generation::current(),
        }
    }
}

impl Sealed for ClusterWorker {}

impl MessageSource for ClusterWorker {
    type Message = ClusterMessage;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, ClusterMessage) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(self.lane(), callback)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // In a fork it is the other process's. The thread that watches the primary keeps its
        // own.
        if !self.made_in.is_past() {
            let _ = self.state.socket.shutdown(Shutdown::Write);
        }
    }
}

impl fmt::Debug for ClusterWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterWorker")
            .field("id", &self.id())
            .field("is_disconnected", &self.is_disconnected())
            .finish_non_exhaustive()
    }
}
