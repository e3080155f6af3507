//! Workers on threads of their own, for code that blocks.

use std::fmt;
use std::io;
use std::marker::PhantomData;

use super::actor::{Actor, After};
use super::body::{Restart, Start};
use super::builder::{Settings, only_start, setting_methods, started, sure_start, unsure_start};
use super::core::{AnyWorker, Host};
use super::exit::BoxError;
use super::handle::Worker;
use super::parent::Parent;
use crate::port::Lane;
use crate::sync::{Arc, OnceLock, Parker, thread};
use crate::sys::fork::Generation;

/// Says what a worker on a thread of its own is to be, and starts it; see
/// [`Worker::dedicated`].
#[must_use = "a builder does nothing until `spawn`"]
pub struct DedicatedBuilder<In, Out> {
    settings: Settings,
    stack_size: Option<usize>,
    messages: PhantomData<fn(In) -> Out>,
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// What a worker on a thread of its own is to be: for code that blocks, as on
    /// files, sockets, other processes or
    /// [`SharedArray::wait`](crate::SharedArray::wait), and would take a pool
    /// thread away from everybody else.
    ///
    /// It is the same object as a worker on a pool in all else. Its thread ends
    /// with it; a program whose `main` returns does not wait for it.
    ///
    /// ```
    /// use windlass::Worker;
    ///
    /// let files = Worker::dedicated().name("files").spawn(|parent| {
    ///     move |path: &str| {
    ///         let _ = parent.post(std::fs::read_to_string(path).map(|text| text.len()));
    ///     }
    /// })?;
    /// files.post("Cargo.toml")?;
    /// assert!(files.recv()?? > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dedicated() -> DedicatedBuilder<In, Out> {
        DedicatedBuilder {
            settings: Settings::default(),
            stack_size: None,
            messages: PhantomData,
        }
    }
}

impl<In: Send + 'static, Out: Send + 'static> DedicatedBuilder<In, Out> {
    setting_methods!();

    /// The size of its stack in bytes. Default: the standard library's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Starts the thread and the worker; as
    /// [`WorkerBuilder::spawn`](super::WorkerBuilder::spawn).
    ///
    /// # Errors
    /// If the operating system does not start the thread.
    ///
    /// # Panics
    /// If the name contains a NUL byte, or the mailbox was given a capacity of
    /// zero.
    #[track_caller]
    pub fn spawn<S, H>(self, start: S) -> io::Result<Worker<In, Out>>
    where
        S: Fn(Parent<Out>) -> H + Send + 'static,
        H: FnMut(In) + Send + 'static,
    {
        self.spawn_start(sure_start(start))
    }

    /// As [`WorkerBuilder::spawn_once`](super::WorkerBuilder::spawn_once), on a
    /// thread of its own.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_once<S, H>(mut self, start: S) -> io::Result<Worker<In, Out>>
    where
        S: FnOnce(Parent<Out>) -> H + Send + 'static,
        H: FnMut(In) + Send + 'static,
    {
        self.settings.set_restart(Restart::never());
        self.spawn_start(only_start(start))
    }

    /// As [`spawn`](Self::spawn), for a start closure and a handler that can
    /// fail.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn try_spawn<S, H>(self, start: S) -> io::Result<Worker<In, Out>>
    where
        S: Fn(Parent<Out>) -> Result<H, BoxError> + Send + 'static,
        H: FnMut(In) -> Result<(), BoxError> + Send + 'static,
    {
        self.spawn_start(unsure_start(start))
    }

    #[track_caller]
    fn spawn_start(
        self,
        start: impl FnOnce(Parent<Out>) -> Start<In>,
    ) -> io::Result<Worker<In, Out>> {
        // The worker is made after this, and notes it.
        let _ = Generation::watched();
        // Before there is a thread: it panics over a wrong capacity.
        let mailbox = Lane::mailbox(self.settings.mailbox);
        let name = self.settings.name.as_deref().unwrap_or("windlass-worker");
        let mut builder = thread::Builder::new().name(name.to_owned());
        if let Some(bytes) = self.stack_size {
            builder = builder.stack_size(bytes);
        }
        // The worker knows its thread, and the thread its worker.
        let place = Arc::new(OnceLock::<(Arc<Actor<In>>, Arc<Parker>)>::new());
        let thread = builder.spawn({
            let place = Arc::clone(&place);
            move || {
                let (actor, parker) = place.wait();
                live(actor, parker);
            }
        })?;
        let parker = Arc::new(Parker::new(thread.thread().clone()));
        let worker = started(
            self.settings,
            mailbox,
            Host::Thread(Arc::clone(&parker)),
            start,
        );
        let placed = place.set((Arc::clone(&worker.actor), parker));
        assert!(placed.is_ok(), "a place is filled once");
        Arc::clone(&worker.actor).call();
        Ok(worker)
    }
}

/// The whole life of a worker's own thread.
fn live<In: Send + 'static>(actor: &Arc<Actor<In>>, parker: &Parker) {
    loop {
        // Whoever has the turn unparks this thread.
        parker.park();
        loop {
            match actor.turn() {
                After::Idle => break,
                After::Again => {}
                After::Over => return,
            }
        }
    }
}

impl<In, Out> fmt::Debug for DedicatedBuilder<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedicatedBuilder")
            .field("settings", &self.settings)
            .field("stack_size", &self.stack_size)
            .finish_non_exhaustive()
    }
}
