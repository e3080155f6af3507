//! How workers come to be.

use std::fmt;
use std::marker::PhantomData;

use super::actor::Actor;
use super::body::{Body, Fault, Handler, OnRestart, Restart, Restarts, Start};
use super::core::{AnyWorker, Core, Host};
use super::current::current;
use super::exit::BoxError;
use super::handle::Worker;
use super::parent::Parent;
use crate::port::{Lane, PostError};
use crate::scheduler::{Resident, Scheduler, Sweep};
use crate::spawner::Spawner;
use crate::sync::{Arc, Weak};

impl Spawner {
    /// Starts a worker that is a function of messages; see [`Worker`]. Never
    /// blocks, and costs about as much as a job.
    ///
    /// On a pool that is gone the worker has ended at birth
    /// ([`Exit::is_pool_closed`](crate::Exit::is_pool_closed)), and posts come
    /// back.
    pub fn worker<In, Out, H>(&self, mut handler: H) -> Worker<In, Out>
    where
        In: Send + 'static,
        Out: Send + 'static,
        H: FnMut(In, &Parent<Out>) + Send + 'static,
    {
        self.ready_worker(move |message, parent| {
            handler(message, parent);
            Ok(())
        })
    }

    /// As [`worker`](Self::worker), for a handler that can fail: an `Err` ends
    /// the worker as a panic does. Any error goes through `?`.
    ///
    /// ```
    /// use windlass::{BoxError, Parent, Pool};
    ///
    /// let pool = Pool::new()?;
    /// let parse = pool.try_worker(|text: &str, parent: &Parent<i32>| -> Result<(), BoxError> {
    ///     parent.post(text.parse()?)?;
    ///     Ok(())
    /// });
    /// let exited = parse.exited();
    /// parse.post("42")?;
    /// parse.post("forty-two")?;
    /// assert_eq!(parse.recv()?, 42);
    /// let exit = exited.wait();
    /// assert!(exit.error().unwrap().to_string().contains("invalid digit"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_worker<In, Out, H>(&self, mut handler: H) -> Worker<In, Out>
    where
        In: Send + 'static,
        Out: Send + 'static,
        H: FnMut(In, &Parent<Out>) -> Result<(), BoxError> + Send + 'static,
    {
        self.ready_worker(move |message, parent| {
            handler(message, parent).map_err(|error| fault(error, parent))
        })
    }

    fn ready_worker<In, Out, H>(&self, mut handler: H) -> Worker<In, Out>
    where
        In: Send + 'static,
        Out: Send + 'static,
        H: FnMut(In, &Parent<Out>) -> Result<(), Fault> + Send + 'static,
    {
        let host = Host::Pool(Arc::clone(&self.scheduler));
        let worker = build(None, host, Lane::mailbox(None));
        let parent = parent_of(&worker);
        let handler: Handler<In> = Box::new(move |message| handler(message, &parent));
        worker.actor.embody(Body::of(handler));
        settle(&self.scheduler, &worker.actor);
        worker
    }
}

/// Says what a worker is to be, and starts it; see [`Worker::builder`].
#[must_use = "a builder does nothing until `spawn`"]
pub struct WorkerBuilder<In, Out> {
    spawner: Spawner,
    settings: Settings,
    messages: PhantomData<fn(In) -> Out>,
}

/// What workers on a pool and on a thread of their own have in common.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) name: Option<Box<str>>,
    pub(super) mailbox: Option<usize>,
    restart: Restart,
    on_restart: Option<OnRestart>,
}

impl<In: Send + 'static, Out: Send + 'static> Worker<In, Out> {
    /// What a worker on this pool is to be. Takes a [`Pool`](crate::Pool) or a
    /// [`Spawner`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::{Pool, Restart, Worker};
    ///
    /// let pool = Pool::new()?;
    /// let divide = Worker::builder(&pool)
    ///     .name("divide")
    ///     .mailbox(16)
    ///     .restart(Restart::up_to(3, Duration::from_secs(60)))
    ///     .spawn(|parent| {
    ///         let mut done = 0; // fresh after a restart
    ///         move |(a, b): (i32, i32)| {
    ///             let _ = parent.post((a / b, done));
    ///             done += 1;
    ///         }
    ///     });
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// for pair in [(6, 3), (8, 2), (1, 0), (9, 3)] {
    ///     divide.post(pair)?;
    /// }
    /// let answers: Vec<_> = (0..3).map(|_| divide.recv().unwrap()).collect();
    /// assert_eq!(answers, [(2, 0), (4, 1), (3, 0)]);
    /// assert_eq!(divide.restarts(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(pool: &impl AsRef<Spawner>) -> WorkerBuilder<In, Out> {
        WorkerBuilder {
            spawner: pool.as_ref().clone(),
            settings: Settings::default(),
            messages: PhantomData,
        }
    }
}

/// The settings, for a builder with a field of that name.
macro_rules! setting_methods {
    () => {
        /// What to call it, in errors and by [`Worker::name`]. Need not be
        /// unique.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.settings.name = Some(name.into().into_boxed_str());
            self
        }

        /// How many messages may wait: `post` gives one more back, `post_async`
        /// waits. Default: any number.
        ///
        /// # Panics
        /// `spawn` does if `capacity` is zero.
        pub fn mailbox(mut self, capacity: usize) -> Self {
            self.settings.mailbox = Some(capacity);
            self
        }

        /// What to do when its handler fails. Default: it ends.
        pub fn restart(mut self, policy: $crate::worker::Restart) -> Self {
            self.settings.set_restart(policy);
            self
        }

        /// Is told of each failure that a restart follows, on the thread where
        /// it happened. A panic in it is reported and harms nobody.
        pub fn on_restart(
            mut self,
            hook: impl Fn(&$crate::worker::WorkerError) + Send + 'static,
        ) -> Self {
            self.settings.set_on_restart(Box::new(hook));
            self
        }
    };
}
pub(super) use setting_methods;

impl<In: Send + 'static, Out: Send + 'static> WorkerBuilder<In, Out> {
    setting_methods!();

    /// Starts the worker. `start` is its module scope: it runs on the pool,
    /// before the first message, and gives the handler with its state; after a
    /// failure it runs again if the restart policy says so. What it captures is
    /// what Node calls `workerData`.
    ///
    /// Never blocks.
    ///
    /// # Panics
    /// If the mailbox was given a capacity of zero.
    #[track_caller]
    pub fn spawn<S, H>(self, start: S) -> Worker<In, Out>
    where
        S: Fn(Parent<Out>) -> H + Send + 'static,
        H: FnMut(In) + Send + 'static,
    {
        self.spawn_start(sure_start(start))
    }

    /// As [`spawn`](Self::spawn), for a start closure that can run only once:
    /// it may move what it captured into the handler, as a
    /// [`Port`](crate::Port), a file or a connection. Such a worker cannot start
    /// again: with its first failure it ends, whatever
    /// [`restart`](Self::restart) was told.
    ///
    /// ```
    /// use windlass::{Parent, Pool, Worker, channel};
    ///
    /// let pool = Pool::new()?;
    /// let (log, lines) = channel::<String, ()>();
    /// let worker = Worker::builder(&pool)
    ///     .name("log")
    ///     .spawn_once(move |_: Parent<()>| move |n: u32| log.post(n.to_string()).unwrap());
    /// worker.post(42)?;
    /// assert_eq!(lines.recv()?, "42");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If the mailbox was given a capacity of zero.
    #[track_caller]
    pub fn spawn_once<S, H>(mut self, start: S) -> Worker<In, Out>
    where
        S: FnOnce(Parent<Out>) -> H + Send + 'static,
        H: FnMut(In) + Send + 'static,
    {
        self.settings.set_restart(Restart::never());
        self.spawn_start(only_start(start))
    }

    /// As [`spawn`](Self::spawn), for a start closure and a handler that can
    /// fail: an `Err` is a failure as a panic is. Any error goes through `?`.
    ///
    /// ```
    /// use windlass::{Pool, Worker};
    ///
    /// let pool = Pool::new()?;
    /// let worker = Worker::builder(&pool).try_spawn(|parent| {
    ///     let base: u32 = "40".parse()?;
    ///     Ok(move |text: &str| {
    ///         parent.post(base + text.parse::<u32>()?)?;
    ///         Ok(())
    ///     })
    /// });
    /// worker.post("2")?;
    /// assert_eq!(worker.recv()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_spawn<S, H>(self, start: S) -> Worker<In, Out>
    where
        S: Fn(Parent<Out>) -> Result<H, BoxError> + Send + 'static,
        H: FnMut(In) -> Result<(), BoxError> + Send + 'static,
    {
        self.spawn_start(unsure_start(start))
    }

    #[track_caller]
    fn spawn_start(self, start: impl FnOnce(Parent<Out>) -> Start<In>) -> Worker<In, Out> {
        let scheduler = self.spawner.scheduler;
        let host = Host::Pool(Arc::clone(&scheduler));
        let mailbox = Lane::mailbox(self.settings.mailbox);
        let worker = started(self.settings, mailbox, host, start);
        if settle(&scheduler, &worker.actor) {
            // It was born idle; who calls it has the turn, and hands it over.
            Arc::clone(&worker.actor).call();
        }
        worker
    }
}

impl<In, Out> fmt::Debug for WorkerBuilder<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Settings {
    pub(super) fn set_restart(&mut self, policy: Restart) {
        self.restart = policy;
    }

    pub(super) fn set_on_restart(&mut self, hook: OnRestart) {
        self.on_restart = Some(hook);
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("mailbox", &self.mailbox)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}

/// An idle worker with a body that has to be started.
pub(super) fn started<In: Send + 'static, Out: Send + 'static>(
    settings: Settings,
    mailbox: Lane<In>,
    host: Host,
    start: impl FnOnce(Parent<Out>) -> Start<In>,
) -> Worker<In, Out> {
    let worker = build(settings.name, host, mailbox);
    let restarts = Restarts::new(settings.restart, settings.on_restart);
    let start = start(parent_of(&worker));
    worker.actor.embody(Body::from_start(start, restarts));
    worker
}

/// A start closure that cannot fail, for a parent.
pub(super) fn sure_start<In: 'static, Out: Send + 'static, S, H>(
    start: S,
) -> impl FnOnce(Parent<Out>) -> Start<In>
where
    S: Fn(Parent<Out>) -> H + Send + 'static,
    H: FnMut(In) + Send + 'static,
{
    move |parent| Box::new(move || Ok(sure_handler(start(parent.clone()))))
}

/// A start closure that runs once and cannot fail, for a parent.
pub(super) fn only_start<In: 'static, Out: Send + 'static, S, H>(
    start: S,
) -> impl FnOnce(Parent<Out>) -> Start<In>
where
    S: FnOnce(Parent<Out>) -> H + Send + 'static,
    H: FnMut(In) + Send + 'static,
{
    move |parent| {
        let mut once = Some((start, parent));
        Box::new(move || {
            let (start, parent) = once.take().expect("it has no restart policy");
            Ok(sure_handler(start(parent)))
        })
    }
}

fn sure_handler<In: 'static>(mut handler: impl FnMut(In) + Send + 'static) -> Handler<In> {
    Box::new(move |message| {
        handler(message);
        Ok(())
    })
}

/// A start closure that can fail, for a parent.
pub(super) fn unsure_start<In: 'static, Out: Send + 'static, S, H>(
    start: S,
) -> impl FnOnce(Parent<Out>) -> Start<In>
where
    S: Fn(Parent<Out>) -> Result<H, BoxError> + Send + 'static,
    H: FnMut(In) -> Result<(), BoxError> + Send + 'static,
{
    move |parent| {
        Box::new(move || {
            let mut handler = start(parent.clone()).map_err(|error| fault(error, &parent))?;
            let parent = parent.clone();
            Ok(Box::new(move |message| {
                handler(message).map_err(|error| fault(error, &parent))
            }))
        })
    }
}

/// A worker without a body.
fn build<In: Send + 'static, Out: Send + 'static>(
    name: Option<Box<str>>,
    host: Host,
    mailbox: Lane<In>,
) -> Worker<In, Out> {
    let outbox = Arc::new(Lane::outbox());
    let owner = current();
    let core = Core::new(name, host, owner.as_ref(), Arc::clone(&outbox) as _);
    let actor = Arc::new(Actor::new(core, mailbox));
    Worker { actor, outbox }
}

fn parent_of<In: Send + 'static, Out: Send + 'static>(worker: &Worker<In, Out>) -> Parent<Out> {
    Parent {
        outbox: Arc::clone(&worker.outbox),
        worker: Arc::clone(&worker.actor) as Arc<dyn AnyWorker>,
    }
}

/// Enters a new worker in the pool's register; `false` if the pool is gone, and
/// the worker with it.
fn settle<In: Send + 'static>(scheduler: &Arc<Scheduler>, actor: &Arc<Actor<In>>) -> bool {
    let weak = Arc::downgrade(actor) as Weak<dyn Resident>;
    match scheduler.enter_resident(weak) {
        Ok(Sweep::NotDue) => true,
        Ok(Sweep::Due) => {
            let spawner = Spawner {
                scheduler: Arc::clone(scheduler),
            };
            let scheduler = Arc::clone(scheduler);
            spawner.execute(move || scheduler.sweep_residents());
            true
        }
        Err(_) => {
            Arc::clone(actor).pool_ended();
            false
        }
    }
}

/// What an `Err` of a handler means.
fn fault<Out: 'static>(error: BoxError, parent: &Parent<Out>) -> Fault {
    let undelivered = error.downcast_ref::<PostError<Out>>();
    if undelivered.is_some_and(PostError::is_closed) && parent.owner_is_gone() {
        return Fault::OwnerGone;
    }
    Fault::Error(error)
}
