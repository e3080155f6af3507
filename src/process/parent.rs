//! [`ProcessParent`]: a process worker, as it sees itself.
//!
//! The body runs on the child's main thread. What it posts is written by who posts it:
//! the parent reads whatever it does else, and so a message is on its way even if the
//! child crashes right after it. A thread reads what comes; it is a few messages ahead of
//! the body and no more, so that a parent with a bounded mailbox feels that nobody reads.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::descriptors::{self, Arrivals, Receiver};
use super::frame::{self, Filled, Frame, Inbox, Kind};
use super::payload;
use super::serve::{NONSENSE, head_of};
use super::source::Source;
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Lane, PostError, PostFuture, RecvError, receiving_methods};
use crate::sync::{Arc, Mutex, thread};
use crate::util::{catch, discard, payload_message};

/// So many messages are read ahead of the body.
const AHEAD: usize = 16;

/// Buffers beyond this are not kept for the next message, in bytes.
const KEPT: usize = 1024 * 1024;

/// A child's way to its parent.
pub(super) struct Line {
    pub(super) socket: UnixStream,
    pub(super) inbox: Inbox,
    pub(super) arrivals: Arrivals,
    pub(super) max_payload: u64,
}

/// The way from a process worker to the process that started it: what
/// [`ProcessWorker`](super::ProcessWorker) is there. It receives `In` and posts `Out`;
/// see [`Tasks::with_worker`](super::Tasks::with_worker).
///
/// It is received from as from a [`Port`](crate::Port), also by a
/// [`MainLoop`] of the child's own. Clones are of the same way, for other threads of the
/// child.
pub struct ProcessParent<In, Out> {
    inbox: Arc<Lane<In>>,
    way: Arc<Way>,
    posts: std::marker::PhantomData<fn(Out)>,
}

/// Where frames are written to.
struct Way {
    /// Locked for as long as a whole frame is written.
    socket: Mutex<UnixStream>,
    /// A buffer that was used before.
    spare: Mutex<Vec<u8>>,
    max_payload: u64,
}

impl<In: Send + 'static, Out: Serialize + Send + 'static> ProcessParent<In, Out> {
    /// Posts a message to the parent. When it returns the message was handed to the
    /// system, and arrives whatever becomes of this process.
    ///
    /// It waits while the parent is behind with reading, which it does whether or not
    /// anybody there receives.
    ///
    /// # Errors
    /// Gives the message back if the parent is gone.
    ///
    /// # Panics
    /// If the message cannot be written: its `Serialize` fails, or it is longer than
    /// [`max_payload`](super::ProcessWorkerBuilder::max_payload).
    pub fn post(&self, message: Out) -> Result<(), PostError<Out>> {
        let mut bytes = std::mem::take(&mut *self.way.spare.lock());
        frame::begin(&mut bytes, Kind::Posted, 0);
        let along = match payload::write_message(&message, &mut bytes, self.way.max_payload) {
            Ok(along) => along,
            Err(error) => panic!("a message to the parent could not be written: {error}"),
        };
        let sent = self.way.send(&bytes, &along);
        if bytes.capacity() <= KEPT {
            *self.way.spare.lock() = bytes;
        }
        sent.map_err(|_| PostError::closed(message))
    }
}

impl<In: Send + 'static, Out: 'static> ProcessParent<In, Out> {
    receiving_methods!(In);

    /// Whether the parent may still post. Once it has disconnected, what it posted
    /// before can be received, and this end can still post.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.inbox.is_closed()
    }

    fn lane(&self) -> &Arc<Lane<In>> {
        &self.inbox
    }
}

impl Way {
    fn send(&self, frame: &[u8], along: &[OwnedFd]) -> io::Result<()> {
        descriptors::send_all(&self.socket.lock(), frame, along)
    }
}

/// The life of a worker; what its process is to end with.
pub(super) fn live<In, Out>(body: &impl Fn(&ProcessParent<In, Out>), line: Line) -> i32
where
    In: DeserializeOwned + Send + 'static,
    Out: Serialize + Send + 'static,
{
    let Ok(reads) = line.socket.try_clone() else {
        return NONSENSE;
    };
    let inbox = Arc::new(Lane::bounded(AHEAD));
    let way = Arc::new(Way {
        socket: Mutex::new(line.socket),
        spare: Mutex::default(),
        max_payload: line.max_payload,
    });
    let to = Arc::clone(&inbox);
    let builder = thread::Builder::new().name("windlass-mail".into());
    let reader = builder.spawn(move || {
        if let Err(error) = read(&reads, line.inbox, line.arrivals, &to) {
            let _ = writeln!(io::stderr(), "windlass: this worker ends: {error}");
            process::exit(NONSENSE);
        }
    });
    if reader.is_err() {
        return NONSENSE;
    }
    let parent = ProcessParent {
        inbox,
        way: Arc::clone(&way),
        posts: std::marker::PhantomData,
    };
    let ran = catch(|| body(&parent));
    // What it wrote is there before its end is.
    let _ = io::stdout().flush();
    let Err(panic) = ran else {
        return 0;
    };
    let text = payload_message(&*panic).map_or(&[][..], head_of);
    let _ = way.send(&frame::small(Kind::Panic, 0, text), &[]);
    discard(panic);
    // As a program ends whose `main` panics.
    101
}

/// Reads messages until there are no more.
fn read<In: DeserializeOwned + Send + 'static>(
    socket: &UnixStream,
    mut inbox: Inbox,
    mut arrivals: Arrivals,
    to: &Arc<Lane<In>>,
) -> Result<(), String> {
    loop {
        while let Some(frame) = inbox.take().map_err(|error| error.to_string())? {
            match message(&frame, &mut arrivals)? {
                Some(message) => discard(PostFuture::new(&**to, message).wait()),
                None => {
                    to.close();
                    return Ok(());
                }
            }
        }
        arrivals.check()?;
        let receiver = Receiver {
            socket,
            arrivals: &mut arrivals,
        };
        match inbox.fill(receiver) {
            Ok(Filled::End) | Err(_) => break,
            Ok(_) => {}
        }
    }
    // The parent is gone, without a word.
    to.close();
    Ok(())
}

/// The message of a frame; `None` if it says that no more come.
fn message<In: DeserializeOwned>(
    frame: &Frame<'_>,
    arrivals: &mut Arrivals,
) -> Result<Option<In>, String> {
    match frame.kind {
        Kind::Post => {}
        Kind::Disconnect => return Ok(None),
        kind => return Err(format!("the parent said {kind:?} to a worker")),
    }
    let read = arrivals.take(frame.job).and_then(|came| {
        let read = catch(|| Source::InFrame(frame.payload).read_with(came).map(Some));
        read.unwrap_or_else(|panic| {
            discard(panic);
            Err("it panicked".into())
        })
    });
    read.map_err(|error| format!("a message could not be read: {error}"))
}

impl<In, Out> Clone for ProcessParent<In, Out> {
    fn clone(&self) -> Self {
        Self {
            inbox: Arc::clone(&self.inbox),
            way: Arc::clone(&self.way),
            posts: std::marker::PhantomData,
        }
    }
}

impl<In, Out> fmt::Debug for ProcessParent<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessParent")
            .field("is_connected", &!self.inbox.is_closed())
            .finish_non_exhaustive()
    }
}

impl<In, Out> Sealed for ProcessParent<In, Out> {}

impl<In: 'static, Out> MessageSource for ProcessParent<In, Out> {
    type Message = In;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, In) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(&self.inbox, callback)
    }
}
