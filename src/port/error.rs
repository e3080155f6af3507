//! What can go wrong with a message.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::sync::Mutex;

/// A message that could not be posted: it comes back in the error.
///
/// It is `Sync` even if the message is not, so that `?` carries it into
/// `anyhow` and `Box<dyn Error + Send + Sync>`.
///
/// ```
/// let (port, other) = windlass::bounded_channel::<&str, ()>(1);
/// port.post("first").unwrap();
/// let error = port.post("second").unwrap_err();
/// assert!(error.is_full());
/// assert_eq!(error.into_inner(), "second");
/// drop(other);
/// assert!(port.post("third").unwrap_err().is_closed());
/// ```
pub struct PostError<T> {
    reason: Reason,
    // Nobody locks it: the mutex makes the error `Sync`.
    message: Mutex<T>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Closed,
    Full { capacity: usize },
}

impl<T> PostError<T> {
    pub(crate) fn closed(message: T) -> Self {
        Self::new(Reason::Closed, message)
    }

    pub(crate) fn full(message: T, capacity: usize) -> Self {
        Self::new(Reason::Full { capacity }, message)
    }

    fn new(reason: Reason, message: T) -> Self {
        Self {
            reason,
            message: Mutex::new(message),
        }
    }

    /// Whether nobody will ever receive it: the other side is closed, the worker
    /// or the main loop is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reason == Reason::Closed
    }

    /// Whether there was no room for it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !self.is_closed()
    }

    /// The message. Dropping the error drops it.
    pub fn into_inner(self) -> T {
        self.message.into_inner()
    }
}

impl<T> fmt::Display for PostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Closed => f.write_str("nobody is left to receive the message"),
            Reason::Full { capacity: 1 } => {
                f.write_str("a message waits already, and 1 is the bound")
            }
            Reason::Full { capacity } => {
                write!(f, "{capacity} messages wait already, and that is the bound")
            }
        }
    }
}

impl<T> fmt::Debug for PostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostError({self})")
    }
}

impl<T> std::error::Error for PostError<T> {}

// The message can only be taken out whole.
impl<T> UnwindSafe for PostError<T> {}
impl<T> RefUnwindSafe for PostError<T> {}

/// Why no message was received. Opaque; ask the predicates.
///
/// ```
/// use std::time::Duration;
///
/// let (port, other) = windlass::channel::<(), ()>();
/// assert!(port.try_recv().unwrap_err().is_empty());
/// assert!(port.recv_timeout(Duration::from_millis(1)).unwrap_err().is_timeout());
/// drop(other);
/// assert!(port.recv().unwrap_err().is_closed());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.sentence())]
pub struct RecvError(NoMessage);

#[derive(Clone, Copy, PartialEq, Eq)]
enum NoMessage {
    Closed,
    Empty,
    Timeout,
    Taken,
}

impl RecvError {
    pub(crate) fn closed() -> Self {
        Self(NoMessage::Closed)
    }

    pub(crate) fn empty() -> Self {
        Self(NoMessage::Empty)
    }

    pub(crate) fn timeout() -> Self {
        Self(NoMessage::Timeout)
    }

    pub(crate) fn taken() -> Self {
        Self(NoMessage::Taken)
    }

    /// Whether everything was received and nothing more will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0 == NoMessage::Closed
    }

    /// Whether there is no message yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == NoMessage::Empty
    }

    /// Whether no message came in time.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0 == NoMessage::Timeout
    }

    /// Whether somebody else receives here: a listener, a stream, or another
    /// thread. Messages have one receiver at a time.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.0 == NoMessage::Taken
    }
}

impl NoMessage {
    fn sentence(self) -> &'static str {
        match self {
            Self::Closed => "everything was received, and nothing more will come",
            Self::Empty => "no message has come yet",
            Self::Timeout => "no message came in time",
            Self::Taken => {
                "somebody else receives here already (a listener, a stream or another thread)"
            }
        }
    }
}

impl fmt::Debug for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvError({self})")
    }
}
