//! [`Incoming`] and [`Connections`]: the ways in which a worker takes connections.

use std::fmt;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::accept::Acceptor;
use super::worker::{Handed, Inner};
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Lane, MessageStream, PostFuture, RecvError};
use crate::sync::{Arc, thread};
use crate::util::discard;

/// Connections, one after another; of
/// [`ClusterWorker::incoming`](super::ClusterWorker::incoming).
#[must_use = "iterators do nothing unless advanced"]
pub struct Incoming<'a> {
    worker: &'a Inner,
    acceptor: Acceptor,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(worker: &'a Inner) -> Self {
        let acceptor = Acceptor::default();
        Self { worker, acceptor }
    }
}

impl Iterator for Incoming<'_> {
    type Item = TcpStream;

    /// # Panics
    /// If this worker's connections come to a [`Connections`].
    fn next(&mut self) -> Option<TcpStream> {
        let Self { worker, acceptor } = self;
        if let Some(listener) = &worker.listener {
            return acceptor.next(worker, listener, || true);
        }
        let handed = {
            let _turn = worker.turn.lock();
            worker.connections.recv()
        };
        match handed {
            Ok(handed) => Some(worker.take(handed)),
            Err(error) if error.is_closed() => None,
            Err(error) => panic!("this worker's connections: {error}"),
        }
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

/// Connections for a program that does not wait for them; of
/// [`ClusterWorker::connections`](super::ClusterWorker::connections).
///
/// ```no_run
/// use std::io::Write;
/// use windlass::MainLoop;
/// use windlass::process::Cluster;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let worker = Cluster::worker()?;
/// let main = MainLoop::new();
/// main.on_message(&worker.connections()?, |_main, mut stream| {
///     let _ = stream.write_all(b"hello\n");
/// })?;
/// main.run(); // until the primary wants this worker to end
/// # Ok(())
/// # }
/// ```
///
/// There is one receiver at a time: this, or [`Incoming`]s. The streams are blocking ones;
/// an async runtime wants [`set_nonblocking`](TcpStream::set_nonblocking) first.
///
/// With [`Scheduling::Shared`](super::Scheduling::Shared) a thread accepts them, which is two
/// connections ahead of who receives: they are closed if this, the stream and the listener
/// are dropped before the end.
pub struct Connections(Arc<Source>);

struct Source {
    lane: Arc<Lane<Handed>>,
    worker: Arc<Inner>,
}

impl Connections {
    pub(super) fn new(worker: &Arc<Inner>) -> io::Result<Self> {
        let lane = match &worker.listener {
            None => Arc::clone(worker.connections.lane()),
            Some(listener) => accept_ahead(listener.try_clone()?, worker)?,
        };
        let worker = Arc::clone(worker);
        Ok(Self(Arc::new(Source { lane, worker })))
    }

    /// The same as a [`Stream`], on any executor. It ends when the primary says so, or is
    /// gone.
    ///
    /// # Errors
    /// [`is_taken`](RecvError::is_taken) if somebody else receives.
    pub fn stream(&self) -> Result<ConnectionStream, RecvError> {
        Ok(ConnectionStream {
            stream: MessageStream::new(&self.0.lane)?,
            source: Arc::clone(&self.0),
        })
    }
}

/// Has a thread accept connections, as long as they can be put where they are received.
fn accept_ahead(listener: TcpListener, worker: &Arc<Inner>) -> io::Result<Arc<Lane<Handed>>> {
    let lane = Arc::new(Lane::bounded(1));
    let (to, worker) = (Arc::clone(&lane), Arc::clone(worker));
    let accept = move || {
        let are_wanted = || !to.is_closed();
        let mut acceptor = Acceptor::default();
        while let Some(stream) = acceptor.next(&worker, &listener, are_wanted) {
            discard(PostFuture::new(&*to, (0, stream)).wait());
        }
        to.close();
    };
    let builder = thread::Builder::new().name("windlass-accept".into());
    builder.stack_size(64 * 1024).spawn(accept)?;
    Ok(lane)
}

impl Source {
    fn take(&self, handed: Handed) -> TcpStream {
        match self.worker.listener {
            Some(_) => handed.1,
            None => self.worker.take(handed),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // Nobody can come to receive what the thread accepts.
        if self.worker.listener.is_some() {
            self.lane.close();
        }
    }
}

impl Sealed for Connections {}

impl MessageSource for Connections {
    type Message = TcpStream;

    fn attach(
        &self,
        main: &MainLoop,
        mut callback: impl FnMut(&MainLoop, TcpStream) + 'static,
    ) -> Result<SourceId, RecvError> {
        let source = Arc::clone(&self.0);
        main.listen(&self.0.lane, move |main, handed| {
            callback(main, source.take(handed));
        })
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// Connections as a [`Stream`]; of [`Connections::stream`].
#[must_use = "streams do nothing unless polled"]
pub struct ConnectionStream {
    stream: MessageStream<Handed>,
    source: Arc<Source>,
}

impl Stream for ConnectionStream {
    type Item = TcpStream;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TcpStream>> {
        let handed = Pin::new(&mut self.stream).poll_next(cx);
        handed.map(|handed| Some(self.source.take(handed?)))
    }
}

impl fmt::Debug for ConnectionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionStream").finish_non_exhaustive()
    }
}
