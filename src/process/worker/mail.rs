//! [`Mail`]: how the messages to a process worker are read, in its child.
//!
//! Who waits for one with `recv` reads the socket itself: no thread stands between, which
//! would have to be woken first, and then wake. As soon as anybody wants messages in another
//! way (as a future, for a main loop, by a look), a thread reads from there on, and puts them
//! into a lane, from which all ways of receiving are the usual ones. It is a few messages
//! ahead and no more, so that a parent with a bounded mailbox feels that nobody reads.
//!
//! | who has the reader | then |
//! |---|---|
//! | nobody: `Here` | `recv` takes it out; who wants the lane gives it to a thread |
//! | a `recv`: `Out` | it puts it back, or gives it to a thread if that was wanted meanwhile; who receives in another way is told that somebody else does, for the `recv` has the lane's claim |
//! | the thread, or nobody any more: `Gone` | all receive from the lane |

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::de::DeserializeOwned;

use crate::port::{Claim, Lane, PostFuture, RecvError, receive};
use crate::process::serve::NONSENSE;
use crate::process::wire::descriptors::{Arrivals, Receiver};
use crate::process::wire::frame::{Filled, Frame, Inbox, Kind};
use crate::process::wire::patience::Patience;
use crate::process::wire::source::Source;
use crate::sync::{Arc, Mutex, thread};
use crate::util::{catch, discard};

/// So many messages the thread reads ahead.
const AHEAD: usize = 16;

/// See the [module](self).
pub(crate) struct Mail<In> {
    lane: Arc<Lane<In>>,
    place: Mutex<Place>,
    /// [`Reader::next`], of messages that can be read.
    next: Next<In>,
}

/// The next message; `None` if no more come.
type Next<In> = fn(&mut Reader) -> Result<Option<In>, String>;

/// Where the reader is.
enum Place {
    Here(Reader),
    Out { is_thread_wanted: bool },
    Gone,
}

/// What reads messages off the socket.
pub(crate) struct Reader {
    pub(crate) socket: UnixStream,
    pub(crate) inbox: Inbox,
    pub(crate) arrivals: Arrivals,
    pub(crate) patience: Patience,
}

impl<In: DeserializeOwned + Send + 'static> Mail<In> {
    pub(crate) fn new(reader: Reader) -> Self {
        Self {
            lane: Arc::new(Lane::bounded(AHEAD)),
            place: Mutex::new(Place::Here(reader)),
            next: Reader::next,
        }
    }
}

impl<In> Mail<In> {
    /// Whether the end was read.
    pub(crate) fn is_over(&self) -> bool {
        self.lane.is_closed()
    }
}

impl<In: Send + 'static> Mail<In> {
    /// Waits for the next message.
    pub(crate) fn recv(&self) -> Result<In, RecvError> {
        // Nobody else receives meanwhile.
        let claim = Claim::new(&*self.lane)?;
        let place = {
            let out = Place::Out {
                is_thread_wanted: false,
            };
            let mut place = self.place.lock();
            match *place {
                Place::Here(_) => std::mem::replace(&mut *place, out),
                _ => Place::Gone,
            }
        };
        let Place::Here(mut reader) = place else {
            drop(claim);
            return receive::recv(&self.lane);
        };
        reader.look();
        match (self.next)(&mut reader) {
            Ok(Some(message)) => {
                self.put_back(reader);
                Ok(message)
            }
            Ok(None) => {
                *self.place.lock() = Place::Gone;
                self.lane.close();
                Err(RecvError::closed())
            }
            Err(error) => end(&error),
        }
    }

    /// The lane that a thread puts messages into from here on.
    pub(crate) fn lane(&self) -> &Arc<Lane<In>> {
        let mut place = self.place.lock();
        match &mut *place {
            Place::Here(_) => {
                let here = std::mem::replace(&mut *place, Place::Gone);
                drop(place);
                if let Place::Here(reader) = here {
                    self.read_ahead(reader);
                }
            }
            Place::Out { is_thread_wanted } => *is_thread_wanted = true,
            Place::Gone => {}
        }
        &self.lane
    }

    fn put_back(&self, reader: Reader) {
        let mut place = self.place.lock();
        match *place {
            Place::Out {
                is_thread_wanted: true,
            } => {
                *place = Place::Gone;
                drop(place);
                self.read_ahead(reader);
            }
            _ => *place = Place::Here(reader),
        }
    }

    fn read_ahead(&self, mut reader: Reader) {
        let (lane, next) = (Arc::clone(&self.lane), self.next);
        let read = move || {
            loop {
                match next(&mut reader) {
                    Ok(Some(message)) => discard(PostFuture::new(&*lane, message).wait()),
                    Ok(None) => return lane.close(),
                    Err(error) => end(&error),
                }
            }
        };
        let builder = thread::Builder::new().name("windlass-mail".into());
        if let Err(error) = builder.spawn(read) {
            end(&format!("no thread to read its messages: {error}"));
        }
    }
}

/// This worker cannot go on.
fn end(why: &str) -> ! {
    let _ = writeln!(io::stderr(), "windlass: this worker ends: {why}");
    process::exit(NONSENSE)
}

impl Reader {
    /// Looks for a message for a moment, so that it need not be waited for asleep.
    fn look(&mut self) {
        if self.inbox.is_empty() {
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            let mut has_come = || poll(&mut fds, Some(&Timespec::default())) != Ok(0);
            self.patience.look(|| has_come().then_some(()));
        }
    }

    /// Waits for the next message; `None` if no more come, or the parent is gone.
    fn next<In: DeserializeOwned>(&mut self) -> Result<Option<In>, String> {
        loop {
            let frame = self.inbox.take().map_err(|error| error.to_string())?;
            if let Some(frame) = frame {
                return message(&frame, &mut self.arrivals);
            }
            self.arrivals.check()?;
            let receiver = Receiver {
                socket: &self.socket,
                arrivals: &mut self.arrivals,
            };
            match self.inbox.fill(receiver) {
                Ok(Filled::End) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }
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
