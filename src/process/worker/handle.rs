//! [`ProcessWorker`]: the owner's end of a worker in a process.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::ProcessWorkerBuilder;
use super::exit::{Core, Delivered, ProcessExit, ProcessExited};
use crate::error::StartError;
use crate::main_loop::listener::sealed::Sealed;
use crate::main_loop::{MainLoop, MessageSource, SourceId};
use crate::port::{Claim, Lane, PostError, PostFuture, RecvError, receiving_methods};
use crate::process::signal::Signal;
use crate::process::tasks::Tasks;
use crate::sync::Arc;
use crate::worker::ExitSource;

/// A worker in a process of its own, which messages are posted to and received from: the
/// counterpart of Node's `child_process.fork`.
///
/// To its owner it is a [`Worker`](crate::Worker): the same methods and the same events,
/// but that it can be killed, and that its messages are written down by serde.
/// [`Tasks::with_worker`] says what it does.
///
/// ```no_run
/// use windlass::MainLoop;
/// use windlass::process::{ProcessParent, ProcessWorker, Tasks};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let tasks = Tasks::new()
///         .with_worker("square", |parent: &ProcessParent<u64, u64>| {
///             while let Ok(n) = parent.recv() {
///                 let _ = parent.post(n * n);
///             }
///         })
///         .serve_if_child(); // the child goes no further than this line
///
///     let worker = ProcessWorker::<u64, u64>::start(&tasks, "square")?;
///     worker.post(12)?;
///     assert_eq!(worker.recv()?, 144);
///
///     let main = MainLoop::new();
///     main.on_message(&worker, |_main, n| println!("{n}"))?;
///     main.on_exit(&worker, |_main, exit| println!("{:?} {:?}", exit.code(), exit.signal()));
///     worker.post(9)?;
///     worker.disconnect(); // no more mail; it has had everything, then it ends
///     main.run(); // 81, Some(0) None
///     Ok(())
/// }
/// ```
///
/// # How it ends
/// Its body returns (the code is 0) or panics (101), or calls `exit`; it crashes; it is
/// [killed](Self::kill). What it had posted by then arrives, and comes before its exit:
/// that of a crash, too. Mail that it did not handle is dropped.
///
/// [`disconnect`](Self::disconnect), and **dropping the `ProcessWorker`**: no more mail;
/// what was posted reaches it, and then it receives
/// [`is_closed`](crate::RecvError::is_closed). After a drop it is killed if it goes on for
/// longer than its [`grace`](crate::process::ProcessWorkerBuilder::grace); nobody waits for
/// that.
///
/// It hears the terminal's signals, as this process does: Ctrl-C ends it if it does not
/// handle that. With the process that started it a worker ends too, however that ends, after half a
/// second at most: so wait for [`exited`](Self::exited) before the end of `main` if it is
/// to finish.
///
/// # Sockets and files
/// A message may have some in it, as a [`Descriptor`](crate::process::Descriptor) each,
/// both ways: a connection that is accepted here is answered there.
///
/// # What it costs
/// A process, a thread in this one that sleeps, and six descriptors. A message is written
/// down and read again, and passes that thread each way. All go through a socket: of 16 MiB
/// some milliseconds, as long as with a [`Task`](crate::process::Task)'s arguments.
#[must_use = "dropping a worker disconnects it"]
pub struct ProcessWorker<In: Send + 'static, Out: Send + 'static> {
    pub(super) core: Arc<Core>,
    pub(super) mailbox: Arc<Lane<In>>,
    pub(super) outbox: Arc<Lane<Out>>,
}

impl<In, Out> ProcessWorker<In, Out>
where
    In: Serialize + Send + 'static,
    Out: DeserializeOwned + Send + 'static,
{
    /// Starts the worker of that name, which is among `tasks`, all else as it comes.
    ///
    /// Takes the millisecond in which the system starts a process, and does not wait
    /// until it says hello: a child that never does ends with an exit that says so.
    ///
    /// # Errors
    /// As [`ProcessWorkerBuilder::start`].
    pub fn start(tasks: &Tasks, name: &str) -> Result<Self, StartError> {
        Self::builder(tasks, name).start()
    }

    /// What the worker of that name is to be.
    pub fn builder(tasks: &Tasks, name: &str) -> ProcessWorkerBuilder<In, Out> {
        ProcessWorkerBuilder::new(tasks, name)
    }
}

impl<In: Send + 'static, Out: Send + 'static> ProcessWorker<In, Out> {
    /// Posts a message. Never blocks, whatever the child does: what it has not read waits
    /// in this process, any number of messages or as many as the
    /// [mailbox](crate::process::ProcessWorkerBuilder::mailbox) may have.
    ///
    /// It is written down on another thread. If it cannot be (its `Serialize` fails, or it
    /// is longer than [`max_payload`](crate::process::ProcessWorkerBuilder::max_payload)), the
    /// worker is ended with that as its [`problem`](ProcessExit::problem).
    ///
    /// # Errors
    /// Gives the message back if the worker is disconnected or has ended, or if its
    /// mailbox is full.
    pub fn post(&self, message: In) -> Result<(), PostError<In>> {
        if self.core.is_forked() {
            return Err(PostError::closed(message));
        }
        self.mailbox.post(message)
    }

    /// Posts a message as soon as there is room in the mailbox.
    ///
    /// # Errors
    /// Gives the message back if the worker is disconnected or has ended, also while it
    /// waits.
    pub fn post_async(&self, message: In) -> PostFuture<'_, In> {
        PostFuture::new(&*self.mailbox, message)
    }

    receiving_methods!(Out);

    /// No more mail: the child receives what was posted, and then that no more comes. It
    /// may still post. A second time does nothing; never blocks.
    pub fn disconnect(&self) {
        if !self.core.is_forked() {
            self.mailbox.close();
        }
    }

    /// The same, by the name that it has on a [`Worker`](crate::Worker).
    pub fn close(&self) {
        self.disconnect();
    }

    /// Sends the child a signal: [`Signal::TERM`], or a number. Whether it had not ended,
    /// as far as is known, and the number is a signal's. Never blocks; the signal is on its
    /// way when a thread of this process was woken.
    pub fn kill(&self, signal: impl Into<Signal>) -> bool {
        let signal = signal.into();
        let can = signal.known().is_some() && self.is_alive();
        if can {
            self.core.signal(signal);
        }
        can
    }

    /// Kills it with `SIGKILL`, whatever it does. Never blocks; what it gives tells when
    /// it has ended, and may be dropped.
    pub fn terminate(&self) -> ProcessExited {
        self.kill(Signal::KILL);
        self.exited()
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.exit().is_none()
    }

    /// Whether messages can be posted: it was not disconnected, and has not ended.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.mailbox.is_closed() && !self.core.is_forked()
    }

    /// The number of its process. Once it has ended it may be another one's.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.core.pid
    }

    /// Its name among the [`Tasks`].
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.name
    }

    /// Ready once it has ended, with how.
    pub fn exited(&self) -> ProcessExited {
        ProcessExited::new(&self.core)
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<ProcessExit> {
        self.core.exit()
    }

    fn lane(&self) -> &Arc<Lane<Out>> {
        &self.outbox
    }
}

impl<In: Send + 'static, Out: Send + 'static> Drop for ProcessWorker<In, Out> {
    fn drop(&mut self) {
        if !self.core.is_forked() {
            self.core.abandon();
            self.mailbox.close();
        }
        // Nobody can come to receive it any more, but who does already.
        if let Ok(mut claim) = Claim::new(&*self.outbox) {
            claim.discard_all();
        }
    }
}

// User code never runs with anything of a worker half done.
impl<In: Send + 'static, Out: Send + 'static> UnwindSafe for ProcessWorker<In, Out> {}
impl<In: Send + 'static, Out: Send + 'static> RefUnwindSafe for ProcessWorker<In, Out> {}

impl<In: Send + 'static, Out: Send + 'static> fmt::Debug for ProcessWorker<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessWorker")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("exit", &self.exit())
            .finish_non_exhaustive()
    }
}

impl<In: Send + 'static, Out: Send + 'static> Sealed for ProcessWorker<In, Out> {}

impl<In: Send + 'static, Out: Send + 'static> MessageSource for ProcessWorker<In, Out> {
    type Message = Out;

    fn attach(
        &self,
        main: &MainLoop,
        callback: impl FnMut(&MainLoop, Out) + 'static,
    ) -> Result<SourceId, RecvError> {
        main.listen(&self.outbox, callback)
    }
}

impl<In: Send + 'static, Out: Send + 'static> ExitSource for ProcessWorker<In, Out> {
    type Exit = ProcessExit;

    fn attach_exit(
        &self,
        main: &MainLoop,
        callback: impl FnOnce(&MainLoop, ProcessExit) + 'static,
    ) -> SourceId {
        main.on_complete(Delivered::new(&self.core, &self.outbox), callback)
    }
}
