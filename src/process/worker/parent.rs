//! [`ProcessParent`]: a process worker, as it sees itself.
//!
//! The body runs on the child's main thread. What it posts is written by who posts it:
//! the parent reads whatever it does else, and so a message is on its way even if the
//! child crashes right after it. How it receives is told in [`mail`](super::mail).

use std::fmt;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::mail::{Mail, Reader};
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Lane, PostError, RecvError, receiving_methods};
use crate::process::serve::{NONSENSE, head_of};
use crate::process::wire::descriptors;
use crate::process::wire::frame::{self, Kind};
use crate::process::wire::payload;
use crate::sync::{Arc, Mutex};
use crate::util::{catch, discard, payload_message};

/// A child's way to its parent.
pub(crate) struct Line {
    pub(crate) reader: Reader,
    pub(crate) max_payload: u64,
}

/// The way from a process worker to the process that started it: what
/// [`ProcessWorker`](crate::process::ProcessWorker) is there. It receives `In` and posts `Out`;
/// see [`Tasks::with_worker`](crate::process::Tasks::with_worker).
///
/// It is received from as from a [`Port`](crate::Port), also by a
/// [`MainLoop`] of the child's own. Clones are of the same way, for other threads of the
/// child.
pub struct ProcessParent<In, Out> {
    mail: Arc<Mail<In>>,
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
    /// [`max_payload`](crate::process::ProcessWorkerBuilder::max_payload).
    pub fn post(&self, message: Out) -> Result<(), PostError<Out>> {
        let mut bytes = std::mem::take(&mut *self.way.spare.lock());
        frame::begin(&mut bytes, Kind::Posted, 0);
        let along = match payload::write_message(&message, &mut bytes, self.way.max_payload) {
            Ok(along) => along,
            Err(error) => panic!("a message to the parent could not be written: {error}"),
        };
        let sent = self.way.send(&bytes, &along);
        if bytes.capacity() <= frame::KEPT {
            *self.way.spare.lock() = bytes;
        }
        sent.map_err(|_| PostError::closed(message))
    }
}

impl<In: Send + 'static, Out: 'static> ProcessParent<In, Out> {
    /// Waits for the next message, as long as it takes.
    ///
    /// # Errors
    /// [`is_closed`](RecvError::is_closed) once everything was received and the parent has
    /// disconnected, or is gone; [`is_taken`](RecvError::is_taken) if somebody else
    /// receives.
    pub fn recv(&self) -> Result<In, RecvError> {
        self.mail.recv()
    }

    receiving_methods!(but recv: In);

    /// Whether the parent may still post. Once it has disconnected, what it posted
    /// before can be received, and this end can still post.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.lane().is_closed()
    }

    fn lane(&self) -> &Arc<Lane<In>> {
        self.mail.lane()
    }
}

impl Way {
    fn send(&self, frame: &[u8], along: &[OwnedFd]) -> io::Result<()> {
        descriptors::send_all(&self.socket.lock(), frame, along)
    }
}

/// The life of a worker; what its process is to end with.
pub(crate) fn live<In, Out>(body: &impl Fn(&ProcessParent<In, Out>), line: Line) -> i32
where
    In: DeserializeOwned + Send + 'static,
    Out: Serialize + Send + 'static,
{
    let Ok(socket) = line.reader.socket.try_clone() else {
        return NONSENSE;
    };
    let way = Arc::new(Way {
        socket: Mutex::new(socket),
        spare: Mutex::default(),
        max_payload: line.max_payload,
    });
    let parent = ProcessParent {
        mail: Arc::new(Mail::new(line.reader)),
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

impl<In, Out> Clone for ProcessParent<In, Out> {
    fn clone(&self) -> Self {
        Self {
            mail: Arc::clone(&self.mail),
            way: Arc::clone(&self.way),
            posts: std::marker::PhantomData,
        }
    }
}

impl<In, Out> fmt::Debug for ProcessParent<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessParent")
            .field("is_connected", &!self.mail.is_over())
            .finish_non_exhaustive()
    }
}

impl<In, Out> Sealed for ProcessParent<In, Out> {}

impl<In: Send + 'static, Out> MessageSource for ProcessParent<In, Out> {
    type Message = In;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, In) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(self.mail.lane(), callback)
    }
}
