//! [`Port`]: one end of a two-way channel.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::PostError;
use super::bell::Waiting;
use super::lane::{Claim, Lane};
use super::post::PostFuture;
use super::receive::receiving_methods;
use crate::sync::Arc;

/// Two ports that are each other's other end: what is posted on one is received
/// on the other. Unbounded; see [`bounded_channel`].
///
/// ```
/// let (here, there) = windlass::channel::<&str, usize>();
/// std::thread::spawn(move || {
///     for text in there.iter().unwrap() {
///         there.post(text.len()).unwrap();
///     }
/// });
/// here.post("how long?")?;
/// assert_eq!(here.recv()?, 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn channel<A, B>() -> (Port<A, B>, Port<B, A>) {
    connect(Lane::unbounded(), Lane::unbounded())
}

/// As [`channel`], with room for `capacity` messages in each direction: `post`
/// gives the message back when there is none, `post_async` waits for it.
///
/// # Panics
/// If `capacity` is zero.
#[track_caller]
pub fn bounded_channel<A, B>(capacity: usize) -> (Port<A, B>, Port<B, A>) {
    connect(Lane::bounded(capacity), Lane::bounded(capacity))
}

fn connect<A, B>(there: Lane<A>, back: Lane<B>) -> (Port<A, B>, Port<B, A>) {
    let (there, back) = (Arc::new(there), Arc::new(back));
    let port = Port {
        outgoing: Arc::clone(&there),
        incoming: Arc::clone(&back),
    };
    let other = Port {
        outgoing: back,
        incoming: there,
    };
    (port, other)
}

/// One end of a two-way channel: it posts `S` and receives `R`.
///
/// * A main loop listens: [`MainLoop::on_message`](crate::MainLoop::on_message).
/// * A thread waits: [`recv`](Self::recv), [`iter`](Self::iter).
/// * Async code: [`recv_async`](Self::recv_async), [`stream`](Self::stream).
/// * A loop of its own looks: [`try_recv`](Self::try_recv).
///
/// Messages arrive in the order in which they were posted, once each, and wait
/// until somebody receives. They have one receiver at a time: a second one gets
/// [`is_taken`](crate::RecvError::is_taken).
///
/// **Closing** either end closes both: nothing can be posted any more, and what
/// was posted before can still be received. **Dropping** a port closes it, and
/// drops what it has not received, unless a listener or a stream of it is still
/// receiving: that one gets the rest.
///
/// A port can be sent anywhere, over another port too. Sent over its *own*
/// channel it can be received by nobody, and is as good as leaked: the other end
/// hears nothing more, until it closes the channel itself.
#[must_use = "dropping a port closes the channel"]
pub struct Port<S, R> {
    outgoing: Arc<Lane<S>>,
    incoming: Arc<Lane<R>>,
}

impl<S, R> Port<S, R> {
    /// Posts a message. Never blocks.
    ///
    /// # Errors
    /// Gives the message back if the channel is closed, or if there is no room.
    pub fn post(&self, message: S) -> Result<(), PostError<S>> {
        self.outgoing.post(message)
    }

    /// Posts a message as soon as there is room (at once if the channel is not
    /// bounded).
    ///
    /// # Errors
    /// Gives the message back if the channel is closed, also while it waits.
    pub fn post_async(&self, message: S) -> PostFuture<'_, S>
    where
        S: Send,
    {
        PostFuture::new(&*self.outgoing, message)
    }

    receiving_methods!(R);

    /// Closes both directions. What was posted before can still be received, on
    /// both ends. A second time does nothing; never blocks.
    pub fn close(&self) {
        self.outgoing.close();
        self.incoming.close();
    }

    /// Whether either end has closed the channel. There may be messages left to
    /// receive all the same.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.incoming.is_closed()
    }

    /// Ready once the channel is closed and what was posted to this end has been
    /// received; without waiting for the latter if nobody receives at the
    /// moment. It is what Node's `close` event is.
    ///
    /// ```
    /// use windlass::{MainLoop, channel};
    ///
    /// let main = MainLoop::new();
    /// let (port, other) = channel::<(), &str>();
    /// main.on_message(&port, |_main, text| println!("{text}"))?;
    /// main.on_complete(port.closed(), |_main, ()| println!("closed, after the messages"));
    /// other.post("first")?;
    /// other.close();
    /// main.run();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<R> {
        Closed {
            incoming: Arc::clone(&self.incoming),
            waiting: Waiting::alone(),
        }
    }

    pub(crate) fn lane(&self) -> &Arc<Lane<R>> {
        &self.incoming
    }
}

impl<S, R> Drop for Port<S, R> {
    fn drop(&mut self) {
        self.close();
        // Nobody can come to receive it any more.
        if let Ok(mut claim) = Claim::new(&*self.incoming) {
            claim.discard_all();
        }
    }
}

// User code never runs with anything of a port half done.
impl<S, R> UnwindSafe for Port<S, R> {}
impl<S, R> RefUnwindSafe for Port<S, R> {}

impl<S, R> fmt::Debug for Port<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Ready once a port is closed and has been emptied; see [`Port::closed`].
#[must_use = "futures do nothing unless polled"]
pub struct Closed<R> {
    incoming: Arc<Lane<R>>,
    waiting: Waiting,
}

impl<R> Future for Closed<R> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.incoming.poll_over(&mut this.waiting, cx.waker())
    }
}

impl<R> Drop for Closed<R> {
    fn drop(&mut self) {
        self.incoming.leave(&mut self.waiting);
    }
}

impl<R> Unpin for Closed<R> {}

impl<R> fmt::Debug for Closed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
