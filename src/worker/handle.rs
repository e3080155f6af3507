//! [`Worker`]: the owner's end.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use super::actor::Actor;
use super::core::{AnyWorker, WorkerId};
use super::exit::{Delivered, Exit, Exited, WorkerError};
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{
    Claim, Lane, PostError, PostFuture, Rank, RecvError, Room, Target, receiving_methods,
};
use crate::sync::Arc;

/// A handler of messages with a state of its own, run by a pool one message at a
/// time: the counterpart of Node's `Worker`, at the price of a few hundred bytes
/// and no thread.
///
/// Messages are posted to it ([`post`](Self::post)), handled in order, and
/// answered through its [`Parent`](super::Parent); the answers are received here
/// like from a [`Port`](crate::Port): by [`recv`](Self::recv),
/// [`recv_async`](Self::recv_async), or
/// [`MainLoop::on_message`](crate::MainLoop::on_message). A worker that has mail
/// takes its turns among the pool's jobs, 64 messages at a time.
///
/// ```
/// use windlass::{Parent, Pool, Worker};
///
/// let pool = Pool::new()?;
/// // A function of messages ...
/// let square = pool.worker(|n: u64, parent: &Parent<u64>| {
///     let _ = parent.post(n * n);
/// });
/// square.post(12)?;
/// assert_eq!(square.recv()?, 144);
/// // ... or one with a state, which its start closure makes on the pool.
/// let total = Worker::builder(&pool).name("total").spawn(|parent| {
///     let mut sum = 0;
///     move |n: u64| {
///         sum += n;
///         let _ = parent.post(sum);
///     }
/// });
/// total.post(30)?;
/// total.post(12)?;
/// assert_eq!((total.recv()?, total.recv()?), (30, 42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How it ends
/// [`close`](Self::close), and **dropping the `Worker`**: no more mail; what is
/// in the mailbox is handled, then it exits. [`terminate`](Self::terminate): it
/// exits after the message in hand. A panic or an `Err` in its handler: it exits
/// with that error, or starts again under a
/// [`Restart`](super::Restart) policy. The end of its pool. Its state is dropped
/// on the pool, before it counts as ended; mail that it did not handle is
/// dropped, too. What it posted can still be received.
///
/// An error is told once, to whoever observes: [`exited`](Self::exited),
/// [`MainLoop::on_error`](crate::MainLoop::on_error),
/// [`MainLoop::on_exit`](crate::MainLoop::on_exit). If nobody does, it becomes
/// the error of the worker in whose handler this one was started; at the top it
/// goes to [`on_panic`](crate::PoolBuilder::on_panic).
#[must_use = "dropping a worker closes it"]
pub struct Worker<In: Send + 'static, Out: Send + 'static> {
    pub(super) actor: Arc<Actor<In>>,
    pub(super) outbox: Arc<Lane<Out>>,
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// Posts a message. Never blocks.
    ///
    /// # Errors
    /// Gives the message back if the worker is closed or has ended, or if its
    /// [mailbox](super::WorkerBuilder::mailbox) is full.
    pub fn post(&self, message: In) -> Result<(), PostError<In>> {
        self.actor.post(message)
    }

    /// Posts a message as soon as there is room in the mailbox.
    ///
    /// # Errors
    /// Gives the message back if the worker is closed or has ended, also while
    /// it waits.
    pub fn post_async(&self, message: In) -> PostFuture<'_, In> {
        PostFuture::new(self, message)
    }

    receiving_methods!(Out);

    /// No more mail: what is in the mailbox is handled, then the worker exits.
    /// A second time does nothing; never blocks.
    pub fn close(&self) {
        self.any().close();
    }

    /// Ends the worker after the message in hand: what else is in the mailbox is
    /// dropped. It is cooperative, since no thread can be stopped from outside: a
    /// handler that works for long should ask
    /// [`Parent::is_terminating`](super::Parent::is_terminating). Never blocks;
    /// what it gives tells when the worker has ended, and may be dropped.
    pub fn terminate(&self) -> Exited {
        self.any().terminate();
        self.exited()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.actor.core().exit().is_none()
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.actor.core().id
    }

    /// Its name, if it was given one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.actor.core().name.as_deref()
    }

    /// How often it was started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.actor.core().restarts()
    }

    /// Ready once it has ended, with how.
    pub fn exited(&self) -> Exited {
        Exited::new(self.any())
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        self.actor.core().exit().cloned()
    }

    /// What it failed with, if it has.
    #[must_use]
    pub fn error(&self) -> Option<WorkerError> {
        self.exit()?.error().cloned()
    }

    fn any(&self) -> Arc<dyn AnyWorker> {
        Arc::clone(&self.actor) as Arc<dyn AnyWorker>
    }

    fn lane(&self) -> &Arc<Lane<Out>> {
        &self.outbox
    }
}

impl<In: Send + 'static, Out: Send + 'static> Target<In> for Worker<In, Out> {
    fn post_let_in(&self, message: In) -> Result<(), PostError<In>> {
        self.actor.post_let_in(message)
    }

    fn is_closed(&self) -> bool {
        self.actor.mailbox.is_closed() || self.actor.core.is_forked()
    }

    fn room(&self) -> Option<&Room> {
        self.actor.mailbox.room()
    }
}

impl<In: Send + 'static, Out: Send + 'static> Drop for Worker<In, Out> {
    fn drop(&mut self) {
        self.actor.core().abandon();
        self.close();
        // Nobody can come to receive it any more, but who does already.
        if let Ok(mut claim) = Claim::new(&*self.outbox) {
            claim.discard_all();
        }
    }
}

// User code never runs with anything of a worker half done.
impl<In: Send + 'static, Out: Send + 'static> UnwindSafe for Worker<In, Out> {}
impl<In: Send + 'static, Out: Send + 'static> RefUnwindSafe for Worker<In, Out> {}

impl<In: Send + 'static, Out: Send + 'static> fmt::Debug for Worker<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("exit", &self.exit())
            .finish_non_exhaustive()
    }
}

impl<In: Send + 'static, Out: Send + 'static> Sealed for Worker<In, Out> {}

impl<In: Send + 'static, Out: Send + 'static> MessageSource for Worker<In, Out> {
    type Message = Out;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, Out) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(&self.outbox, callback)
    }
}

/// What has an exit that a main loop can be told of: a [`Worker`], and with the feature
/// `process` a `ProcessWorker`.
///
/// It is there to be named in bounds; it cannot be implemented elsewhere.
pub trait ExitSource: Sealed {
    /// How it ends.
    type Exit: 'static;

    /// What [`MainLoop::on_exit`] does.
    #[doc(hidden)]
    fn attach_exit(
        &self,
        main: &MainLoop,
        callback: impl FnOnce(&MainLoop, Self::Exit) + 'static,
    ) -> SourceId;
}

impl<In: Send + 'static, Out: Send + 'static> ExitSource for Worker<In, Out> {
    type Exit = Exit;

    fn attach_exit(
        &self,
        main: &MainLoop,
        callback: impl FnOnce(&MainLoop, Exit) + 'static,
    ) -> SourceId {
        let rank = Rank::Last(main.number());
        main.on_complete(Delivered::new(self.any(), rank), callback)
    }
}

/// What points to a worker serves as well, as it would if there were no trait.
macro_rules! through {
    ($($pointer:ty),*) => {
        $(
            impl<W: Sealed + ?Sized> Sealed for $pointer {}

            impl<W: ExitSource> ExitSource for $pointer {
                type Exit = W::Exit;

                fn attach_exit(
                    &self,
                    main: &MainLoop,
                    callback: impl FnOnce(&MainLoop, W::Exit) + 'static,
                ) -> SourceId {
                    W::attach_exit(self, main, callback)
                }
            }
        )*
    };
}

through!(&W, Box<W>, Rc<W>, Arc<W>);

impl MainLoop {
    /// Has `callback` run on this thread when `worker` has ended, after every
    /// message of its own that a listener or stream receives, and after every
    /// [`MainLoop::on_error`] for it on this loop. Runs once; keeps the loop alive
    /// until then.
    ///
    /// It also counts as handling the worker's error.
    ///
    /// ```
    /// use windlass::{MainLoop, Parent, Pool};
    ///
    /// let pool = Pool::new()?;
    /// let main = MainLoop::new();
    /// let worker = pool.worker(|n: u32, parent: &Parent<u32>| {
    ///     assert!(n < 2, "too much");
    ///     let _ = parent.post(n);
    /// });
    /// main.on_message(&worker, |_, n| println!("{n}"))?;
    /// main.on_error(&worker, |_, error| println!("{error}"));
    /// main.on_exit(&worker, |_, exit| println!("code {}", exit.code()));
    /// for n in 0..4 {
    ///     worker.post(n)?;
    /// }
    /// main.run(); // 0, 1, "worker 1 panicked: too much", "code 1"
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_exit<W: ExitSource>(
        &self,
        worker: &W,
        callback: impl FnOnce(&MainLoop, W::Exit) + 'static,
    ) -> SourceId {
        worker.attach_exit(self, callback)
    }

    /// Has `callback` run on this thread if `worker` ends with an error: after
    /// its messages, and before its exit is told on this loop, whichever was asked
    /// for first. Runs once or never; keeps the loop alive until the worker has
    /// ended.
    ///
    /// A failure that a restart follows is not told here; see
    /// [`WorkerBuilder::on_restart`](crate::WorkerBuilder::on_restart).
    pub fn on_error<In: Send + 'static, Out: Send + 'static>(
        &self,
        worker: &Worker<In, Out>,
        callback: impl FnOnce(&MainLoop, WorkerError) + 'static,
    ) -> SourceId {
        let rank = Rank::First(self.number());
        self.on_complete(Delivered::new(worker.any(), rank), move |main, exit| {
            if let Some(error) = exit.error() {
                callback(main, error.clone());
            }
        })
    }
}
