//! The operating system's side of a pool: its threads, started and awaited.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{fmt, io};

use crate::error::StillRunning;
use crate::scheduler::{Hooks, PoolThread, Queues, Scheduler};
use crate::sync::thread::{self, JoinHandle, ThreadId};
use crate::sync::{Arc, Mutex, OnceLock, block_until};

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
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings {
    /// In bytes.
    pub(crate) stack_size: Option<usize>,
    #[cfg(feature = "thread-priority")]
    pub(crate) priority: Option<crate::priority::ThreadPriority>,
}

impl Settings {
    /// Sets what a thread sets itself.
    fn apply(self) {
        #[cfg(feature = "thread-priority")]
        if let Some(priority) = self.priority
            && let Err(error) = priority.apply()
        {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default();
            eprintln!("windlass: {name} has no {priority:?}, the system refused it: {error}");
        }
    }
}

/// The threads of one pool.
pub(crate) struct Crew {
    scheduler: Arc<Scheduler>,
    names: Vec<String>,
    /// Who is of the crew: for a thread that asks in its last destructors too.
    ids: Vec<ThreadId>,
    /// What is left to join; each thread is taken out by whoever joins it.
    threads: Mutex<Vec<JoinHandle<()>>>,
    gangway: Arc<Gangway>,
}

/// Where the threads leave, and others wait for them.
struct Gangway(Mutex<Leaving>);

#[derive(Default)]
struct Leaving {
    /// By index, whether the thread is done with jobs and hooks.
    gone: Vec<bool>,
    waiting: Vec<Waker>,
}

impl Crew {
    /// Starts a thread per name. If some start, those are the crew, and what
    /// kept the first of the others away comes along; if none does, nothing
    /// stays behind.
    pub(crate) fn start(
        names: Vec<String>,
        settings: Settings,
        hooks: Hooks,
    ) -> Result<(Self, Option<Shortfall>), io::Error> {
        let requested = names.len();
        let gangway = Arc::new(Gangway(Mutex::default()));
        let mut started = Vec::new();
        let mut failure = None;
        // A thread gets its place once it is known how many there are.
        for (index, name) in names.iter().enumerate() {
            let place = Arc::new(OnceLock::<Mutex<Option<PoolThread>>>::new());
            let body = {
                let (place, gangway) = (Arc::clone(&place), Arc::clone(&gangway));
                move || {
                    settings.apply();
                    let thread = place.wait().lock().take();
                    if let Some(thread) = thread {
                        thread.live();
                    }
                    gangway.leave(index);
                }
            };
            match spawn_thread(name.clone(), settings.stack_size, body) {
                Ok(handle) => started.push((handle, place)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let shortfall = match failure {
            Some(error) if started.is_empty() => return Err(error),
            Some(error) => Some(Shortfall {
                requested,
                started: started.len(),
                error,
            }),
            None => None,
        };

        gangway.0.lock().gone = vec![false; started.len()];
        let threads = started
            .iter()
            .map(|(handle, _)| (handle.thread().clone(), Queues::new()));
        let (scheduler, places) = Scheduler::new(threads.collect(), hooks);
        let ids = started
            .iter()
            .map(|(handle, _)| handle.thread().id())
            .collect();
        let mut handles = Vec::with_capacity(started.len());
        for ((handle, place), thread) in started.into_iter().zip(places) {
            assert!(
                place.set(Mutex::new(Some(thread))).is_ok(),
                "a place is filled once"
            );
            handles.push(handle);
        }
        let threads = Mutex::new(handles);
        let crew = Self {
            scheduler,
            names,
            ids,
            threads,
            gangway,
        };
        Ok((crew, shortfall))
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// Whether the calling thread is of this crew, and so cannot wait for it: in
    /// a job, in a hook, or in the destructor of a thread-local.
    fn is_aboard(&self) -> bool {
        self.ids.contains(&thread::current().id())
    }

    /// Waits until all threads have ended, their thread-local destructors
    /// included, or until `timeout` is over. A thread of the crew does not wait
    /// at all: it is one of those that have not ended.
    pub(crate) fn join(&self, timeout: Option<Duration>) -> Result<(), StillRunning> {
        // Too far away to be a point in time is no deadline.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if !self.is_aboard() {
            let all_gone = block_until(deadline, |waker| self.gangway.poll(waker));
            if all_gone.is_some() {
                self.join_threads();
                return Ok(());
            }
        }
        let gone = self.gangway.0.lock().gone.clone();
        let at_work = gone
            .iter()
            .enumerate()
            .filter(|&(index, &gone)| !gone && !self.scheduler.is_asleep(index))
            .map(|(index, _)| self.names[index].clone());
        Err(StillRunning::new(at_work.collect()))
    }

    /// Ready once all threads have ended.
    pub(crate) fn poll_join(&self, cx: &mut Context<'_>) -> Poll<()> {
        let gone = self.gangway.poll(cx.waker());
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
        let mut threads = self.threads.lock();
        for thread in threads.drain(..) {
            // It catches all panics; one from a thread-local destructor aborts
            // the process before it gets here.
            let _ = thread.join();
        }
    }
}

impl Gangway {
    fn leave(&self, index: usize) {
        let waiting = {
            let mut leaving = self.0.lock();
            leaving.gone[index] = true;
            if leaving.all_gone() {
                std::mem::take(&mut leaving.waiting)
            } else {
                Vec::new()
            }
        };
        for waker in waiting {
            crate::util::discard(crate::util::catch(|| waker.wake()));
        }
    }

    fn poll(&self, waker: &Waker) -> Poll<()> {
        // Cloned and dropped outside the lock: a waker's code is not ours.
        let mut new = Some(waker.clone());
        let mut leaving = self.0.lock();
        if leaving.all_gone() {
            return Poll::Ready(());
        }
        if !leaving.waiting.iter().any(|known| known.will_wake(waker)) {
            leaving.waiting.extend(new.take());
        }
        drop(leaving);
        Poll::Pending
    }
}

impl Leaving {
    fn all_gone(&self) -> bool {
        self.gone.iter().all(|&gone| gone)
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
