//! The operating system's side of a pool: its threads, started and awaited.

use std::cell::Cell;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{fmt, io, mem};

use crate::config;
use crate::error::{ResizeError, StillRunning};
use crate::metrics::JobTimes;
use crate::scheduler::{Berth, Bounds, Hooks, Scheduler};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Arc, Mutex, OnceLock, Parker, block_until, thread_local};
use crate::sys::fork::Generation;
use crate::util::{catch, discard, report};

/// Threads that were to be started and were not.
#[derive(Debug)]
pub struct Shortfall {
    requested: usize,
    started: usize,
    error: io::Error,
}

impl Shortfall {
    /// How many threads the pool was to have.
    #[must_use]
    pub fn requested(&self) -> usize {
        self.requested
    }

    /// How many it has.
    #[must_use]
    pub fn started(&self) -> usize {
        self.started
    }

    /// What the operating system said to the first one it did not start.
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requested,
            started,
            error,
        } = self;
        write!(
            f,
            "only {started} of {requested} threads could be started: {error}"
        )
    }
}

/// What all threads of a pool have in common.
pub(crate) struct Settings {
    pub(crate) name: Box<dyn Fn(usize) -> String + Send + Sync>,
    /// In bytes.
    pub(crate) stack_size: Option<usize>,
    /// How many threads there may be in place of others that wait.
    pub(crate) max_substitutes: usize,
    pub(crate) times: JobTimes,
    /// For how long a job may run before it is reported.
    pub(crate) stall_after: Option<Duration>,
    #[cfg(feature = "thread-priority")]
    pub(crate) priority: Option<crate::thread_priority::ThreadPriority>,
}

impl Settings {
    /// Sets what a thread sets itself.
    fn apply(&self) {
        #[cfg(feature = "thread-priority")]
        if let Some(priority) = self.priority
            && let Err(error) = priority.apply()
        {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            report(format_args!(
                "windlass: {name} has no {priority:?}, the system refused it: {error}"
            ));
        }
    }

    /// The name of a thread that is started late: when there is nobody to be told
    /// that it is not possible.
    fn late_name(&self, index: usize) -> String {
        let name = catch(|| (self.name)(index)).ok();
        let name = name.and_then(|name| config::thread_name(index, name).ok());
        name.unwrap_or_else(|| format!("windlass-{index}"))
    }
}

/// The threads of one pool.
pub(crate) struct Crew {
    scheduler: Arc<Scheduler>,
    quarters: Arc<Quarters>,
}

/// What the threads of a pool and those who wait for them share.
struct Quarters {
    settings: Settings,
    /// Set when it is known how many threads the pool begins with: they wait for
    /// that.
    gate: OnceLock<()>,
    members: Mutex<Vec<Member>>,
    gangway: Gangway,
    /// One of them has taken the handles out and joins them; the others wait here.
    joining: Mutex<()>,
    /// The process that they are in.
    made_in: Generation,
}

/// One thread that was started.
struct Member {
    index: usize,
    name: String,
    handle: JoinHandle<()>,
}

/// Where the threads leave, and others wait for them.
struct Gangway(Mutex<Leaving>);

#[derive(Default)]
struct Leaving {
    /// The seats of the threads that are not done with jobs and hooks.
    aboard: Vec<usize>,
    waiting: Vec<Waker>,
}

thread_local! {
    /// The pool whose thread this is, by its address, 0 for none: for a thread that
    /// asks in its last destructors too.
    static ABOARD: Cell<usize> = const { Cell::new(0) };
}

impl Crew {
    /// Starts `count` threads. If only some start, those are the crew, and what
    /// kept the first of the others away comes along; if none does, nothing stays
    /// behind.
    pub(crate) fn start(
        count: usize,
        settings: Settings,
        hooks: Hooks,
        bounds: Option<Bounds>,
    ) -> Result<(Self, Option<Shortfall>), io::Error> {
        let (max_substitutes, times) = (settings.max_substitutes, settings.times);
        let quarters = Arc::new(Quarters {
            settings,
            gate: OnceLock::new(),
            members: Mutex::default(),
            gangway: Gangway(Mutex::default()),
            joining: Mutex::default(),
            made_in: Generation::watched(),
        });
        let enlist = {
            let quarters = Arc::clone(&quarters);
            move |index, berth: &Berth| quarters.start_thread(index, berth)
        };
        let scheduler = Scheduler::new(hooks, bounds, times, max_substitutes, Box::new(enlist));
        let manned = scheduler.man(count);
        let started = scheduler.num_threads();
        let shortfall = match manned {
            Err(error) if started == 0 => return Err(error),
            Err(error) => Some(Shortfall {
                requested: count,
                started,
                error,
            }),
            Ok(()) => None,
        };
        if let Some(limit) = quarters.settings.stall_after {
            quarters.start_watcher(&scheduler, limit);
        }
        assert!(quarters.gate.set(()).is_ok(), "the gate is opened once");
        let crew = Self {
            scheduler,
            quarters,
        };
        Ok((crew, shortfall))
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// Changes the number of threads.
    pub(crate) fn resize(&self, count: usize) -> Result<(), ResizeError> {
        config::resize(count)?;
        if self.scheduler.is_closed() {
            return Err(ResizeError::Closed);
        }
        let resized = self.scheduler.resize(count);
        resized.map_err(|source| ResizeError::Threads {
            requested: count,
            source,
        })
    }

    /// Whether the calling thread is of this crew, and so cannot wait for it: in
    /// a job, in a hook, or in the destructor of a thread-local.
    fn is_aboard(&self) -> bool {
        ABOARD.with(Cell::get) == self.quarters.address()
    }

    /// Waits until all threads have ended, their thread-local destructors
    /// included, or until `timeout` is over. A thread of the crew does not wait
    /// at all: it is one of those that have not ended. In a fork there is none to
    /// wait for.
    pub(crate) fn join(&self, timeout: Option<Duration>) -> Result<(), StillRunning> {
        if self.scheduler.is_forked() {
            return Ok(());
        }
        // Too far away to be a point in time is no deadline.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if !self.is_aboard() {
            let all_gone = block_until(deadline, |waker| self.quarters.gangway.poll(waker));
            if all_gone.is_some() {
                self.join_threads();
                return Ok(());
            }
        }
        let at_work: Vec<usize> = {
            let leaving = self.quarters.gangway.0.lock();
            let aboard = leaving.aboard.iter().copied();
            aboard
                .filter(|&index| !self.scheduler.is_asleep(index))
                .collect()
        };
        let members = self.quarters.members.lock();
        let names = members
            .iter()
            .filter(|member| at_work.contains(&member.index) && !has_ended(&member.handle))
            .map(|member| member.name.clone());
        Err(StillRunning::new(names.collect()))
    }

    /// Ready once all threads have ended.
    pub(crate) fn poll_join(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.scheduler.is_forked() {
            return Poll::Ready(());
        }
        let gone = self.quarters.gangway.poll(cx.waker());
        if gone.is_ready() {
            self.join_threads();
        }
        gone
    }

    /// All threads have passed the gangway; what is left of them is their
    /// thread-local destructors.
    fn join_threads(&self) {
        if self.is_aboard() {
            return;
        }
        // Held meanwhile, so that a second waiter does not return before the
        // first one is through.
        let joining = self.quarters.joining.lock();
        let members = mem::take(&mut *self.quarters.members.lock());
        for member in members {
            // It catches all panics; one from a thread-local destructor aborts
            // the process before it gets here.
            let _ = member.handle.join();
        }
        drop(joining);
    }
}

impl Quarters {
    /// Starts the thread of a seat.
    fn start_thread(self: &Arc<Self>, index: usize, berth: &Berth) -> io::Result<()> {
        // The first ones were checked.
        let name = self.settings.late_name(index);
        self.forget_those_gone();
        let body = {
            let (this, berth) = (Arc::clone(self), Arc::clone(berth));
            move || {
                this.settings.apply();
                this.gate.wait();
                ABOARD.with(|aboard| aboard.set(this.address()));
                let thread = berth.lock().take();
                if let Some(thread) = thread {
                    thread.live();
                }
                // In a fork nobody waits there, and it may be locked for ever.
                if !this.made_in.is_past() {
                    this.gangway.leave(index);
                }
            }
        };
        self.gangway.0.lock().aboard.push(index);
        match spawn_thread(name.clone(), self.settings.stack_size, body) {
            Ok(handle) => {
                let member = Member {
                    index,
                    name,
                    handle,
                };
                self.members.lock().push(member);
                Ok(())
            }
            Err(error) => {
                self.gangway.leave(index);
                Err(error)
            }
        }
    }

    /// Starts the thread that watches the others. It does not pass the gangway: it
    /// ends when they have.
    fn start_watcher(&self, scheduler: &Arc<Scheduler>, limit: Duration) {
        let name = String::from("windlass-watch");
        let body = {
            let scheduler = Arc::clone(scheduler);
            move || {
                let parker = Arc::new(Parker::new(thread::current()));
                scheduler.watch(limit, parker);
            }
        };
        match spawn_thread(name.clone(), None, body) {
            Ok(handle) => self.members.lock().push(Member {
                index: usize::MAX,
                name,
                handle,
            }),
            Err(error) => report(format_args!(
                "windlass: {name} could not be started: {error}"
            )),
        }
    }

    /// Joins the threads that have left by themselves.
    fn forget_those_gone(&self) {
        let gone: Vec<_> = {
            let mut members = self.members.lock();
            let gone = members.extract_if(.., |member| has_ended(&member.handle));
            gone.collect()
        };
        for member in gone {
            // As in `join_threads`.
            let _ = member.handle.join();
        }
    }

    fn address(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if self.scheduler.is_forked() {
            // To detach a thread that is not in this process would be to touch its
            // stack, which may be unmapped, or another thread's by now.
            match self.quarters.members.try_lock() {
                Some(mut members) => mem::forget(mem::take(&mut *members)),
                None => mem::forget(Arc::clone(&self.quarters)),
            }
        }
    }
}

impl Gangway {
    fn leave(&self, index: usize) {
        let waiting = {
            let mut leaving = self.0.lock();
            // Once: the seat may be taken again by now.
            let place = leaving.aboard.iter().position(|&seat| seat == index);
            leaving.aboard.remove(place.expect("who leaves was aboard"));
            if leaving.aboard.is_empty() {
                mem::take(&mut leaving.waiting)
            } else {
                Vec::new()
            }
        };
        for waker in waiting {
            discard(catch(|| waker.wake()));
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<()> {
        // Cloned and dropped outside the lock: a waker's code is not ours.
        let mut new = Some(waker.clone());
        let mut leaving = self.0.lock();
        if leaving.aboard.is_empty() {
            return Poll::Ready(());
        }
        if !leaving.waiting.iter().any(|known| known.will_wake(waker)) {
            leaving.waiting.extend(new.take());
        }
        drop(leaving);
        Poll::Pending
    }
}

/// Starts one thread.
fn spawn_thread(
    name: String,
    stack_size: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut builder = thread::Builder::new().name(name);
    if let Some(bytes) = stack_size {
        builder = builder.stack_size(bytes);
    }
    builder.spawn(body)
}

/// Whether the thread is over, its thread-local destructors included. (The models
/// start their threads themselves.)
fn has_ended(handle: &JoinHandle<()>) -> bool {
    #[cfg(not(loom))]
    return handle.is_finished();
    #[cfg(loom)]
    {
        let _ = handle;
        false
    }
}
