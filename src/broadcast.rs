//! [`Broadcast`]: one says it, all others hear it.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Claim, Lane, Members, PostError, RecvError, receiving_methods};
use crate::spawner::Spawner;
use crate::sync::Arc;

/// A member of a channel by name: what it posts, every other member receives, as
/// with Node's `BroadcastChannel`.
///
/// Channels belong to a pool and are told apart by name and message type; any
/// thread may be a member. Each member receives what was posted after it joined,
/// what one member posted in that order, and never its own. It receives as a
/// [`Port`](crate::Port) does, and its messages wait without a bound.
///
/// **Dropping** it leaves the channel, as [`close`](Self::close) does.
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let here = pool.broadcast::<String>("news");
/// let there = pool.broadcast::<String>("news");
/// pool.execute(move || there.post("land in sight".into()).unwrap());
/// assert_eq!(here.recv()?, "land in sight");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a member leaves the channel"]
pub struct Broadcast<T: Clone + Send + 'static> {
    name: Box<str>,
    members: Arc<Members<T>>,
    lane: Arc<Lane<T>>,
}

impl Spawner {
    /// Joins the pool's channel of that name; see [`Broadcast`]. Never blocks.
    pub fn broadcast<T: Clone + Send + 'static>(&self, name: &str) -> Broadcast<T> {
        let members = self.scheduler.hub().channel(name);
        let lane = members.join();
        Broadcast {
            name: name.into(),
            members,
            lane,
        }
    }
}

impl<T: Clone + Send + 'static> Broadcast<T> {
    /// Posts a message to every other member. Never blocks.
    ///
    /// # Errors
    /// Gives the message back if this member is closed. (Nobody hearing it is no
    /// error.)
    ///
    /// # Panics
    /// If cloning the message does; some members have got it then.
    pub fn post(&self, message: T) -> Result<(), PostError<T>> {
        if self.is_closed() {
            return Err(PostError::closed(message));
        }
        let others = self.members.others(&self.lane);
        // The last one gets the message itself.
        if let Some((last, others)) = others.split_last() {
            for other in others {
                // Who has just left hears nothing.
                let _ = other.post(message.clone());
            }
            let _ = last.post(message);
        }
        Ok(())
    }

    receiving_methods!(T);

    /// Leaves the channel. What has arrived can still be received. A second time
    /// does nothing; never blocks.
    pub fn close(&self) {
        self.members.leave(&self.lane);
        self.lane.close();
    }

    /// Whether this member has left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lane.is_closed()
    }

    /// The channel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn lane(&self) -> &Arc<Lane<T>> {
        &self.lane
    }
}

impl<T: Clone + Send + 'static> Drop for Broadcast<T> {
    fn drop(&mut self) {
        self.close();
        // Nobody can come to receive it any more, but who does already.
        if let Ok(mut claim) = Claim::new(&*self.lane) {
            claim.discard_all();
        }
    }
}

impl<T: Clone + Send + 'static> Sealed for Broadcast<T> {}

impl<T: Clone + Send + 'static> MessageSource for Broadcast<T> {
    type Message = T;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, T) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(&self.lane, callback)
    }
}

// User code never runs with anything of a channel half done.
impl<T: Clone + Send + 'static> UnwindSafe for Broadcast<T> {}
impl<T: Clone + Send + 'static> RefUnwindSafe for Broadcast<T> {}

impl<T: Clone + Send + 'static> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast")
            .field("name", &self.name)
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
