//! The loop itself: its fields, its beginning and its end.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use crossbeam_channel::Receiver;

use super::remote::Remote;
use super::shared::{Event, Shared};
use super::sources::Sources;
use crate::sync::Arc;
use crate::sys::fork::Generation;
use crate::sys::slice;
use crate::util::discard;

/// A loop for the thread that must stay free: callbacks for whatever is
/// ready, one at a time, on this thread.
///
/// Callbacks may hold `Rc`, `RefCell` and anything else that belongs to the
/// thread, and are given the loop, so that they can register, clear and post
/// more. The loop knows nothing of a pool: it waits for any future.
///
/// It is driven in one of three ways, which may be mixed:
/// - [`MainLoop::run`] until nothing keeps it alive, as Node does;
/// - [`MainLoop::turn`] once per frame, or [`MainLoop::turn_for`];
/// - inside another loop, with [`MainLoop::set_waker`] and
///   [`MainLoop::next_deadline`], or (on unix) with a pollable descriptor.
///
/// # What a turn runs
/// What was ready when the turn began, and nothing else:
/// 1. the timers that were due, by deadline, equal ones by creation;
/// 2. completions, posted closures and ports with messages, in the order of
///    their arrival;
/// 3. immediates in the order in which they were set.
///
/// What a callback adds runs in a later turn, so nothing that feeds itself can
/// starve the rest. What an earlier callback of the turn cleared does not run.
///
/// # What keeps `run` from returning
///
/// | | keeps the loop alive |
/// |---|---|
/// | a timeout or an interval, even one that never fires | yes |
/// | an immediate | yes |
/// | a completion, until its callback has begun | yes |
/// | any of these after [`MainLoop::unref`] | no |
/// | a posted closure, until it has begun | yes |
/// | a [`KeepAlive`](crate::KeepAlive) guard | yes |
/// | a [`Remote`] | no |
/// | the waker and the descriptor of a host | no |
/// | a listener, until the other side is closed and everything was delivered | yes |
///
/// # Panics in callbacks
/// A callback's panic propagates out of `turn`, `turn_for` or `run`. The loop
/// remains whole: the rest of the callbacks run next turn, and an interval
/// that panicked stays registered.
///
/// # Turns within callbacks
/// A callback may call `turn`, `turn_for` and `run`. They run what is ready,
/// except the callbacks that are running; the outer turn then runs what is
/// left of its own. (`run` within an interval's callback waits for that
/// interval too, unless it is cleared or unref'd.)
///
/// # Drop
/// Dropping the loop drops every callback and future it has, and the posts it
/// has not run, on this thread; what their `Drop` panics with is discarded.
/// Wakers, remotes and guards that are left over become harmless.
///
/// ```
/// use std::cell::RefCell;
/// use std::rc::Rc;
/// use std::time::Duration;
/// use windlass::MainLoop;
///
/// let log = Rc::new(RefCell::new(Vec::new()));
/// let main = MainLoop::new();
/// main.on_complete(async { 42 }, {
///     let log = Rc::clone(&log);
///     move |main, answer| {
///         log.borrow_mut().push(answer);
///         main.set_timeout(Duration::from_millis(1), move |_, _| log.borrow_mut().push(43));
///     }
/// });
/// main.run();
/// assert_eq!(*log.borrow(), [42, 43]);
/// ```
pub struct MainLoop {
    pub(super) shared: Arc<Shared>,
    pub(super) inbox: Receiver<Event>,
    /// How many events were ever taken out of the inbox.
    pub(super) inbox_taken: Cell<u64>,
    pub(super) sources: RefCell<Sources>,
    /// The host's waker, to be registered again by each turn.
    pub(super) host_waker: RefCell<Option<Waker>>,
    /// How many turns are running, one within the other.
    pub(super) turns: Cell<usize>,
    /// The deadline the host's descriptor was last set to.
    pub(super) alarm_deadline: Cell<Option<Instant>>,
    /// The process whose threads wake the sources.
    pub(super) process: Cell<Generation>,
    /// The loop belongs to the thread that made it: the parker wakes no other.
    one_thread: PhantomData<Rc<()>>,
}

impl MainLoop {
    /// A loop with nothing to do, for the calling thread.
    ///
    /// Starts no thread and opens no descriptor. Never blocks.
    ///
    /// Asks the operating system for a short time slice for this thread, as
    /// [`request_short_slice`](crate::request_short_slice) does, and for the
    /// default one when the loop is dropped.
    pub fn new() -> Self {
        slice::short();
        let (shared, inbox) = Shared::new();
        Self {
            shared,
            inbox,
            inbox_taken: Cell::new(0),
            sources: RefCell::default(),
            host_waker: RefCell::new(None),
            turns: Cell::new(0),
            alarm_deadline: Cell::new(None),
            process: Cell::new(Generation::current()),
            one_thread: PhantomData,
        }
    }

    /// A handle with which any thread posts closures to this loop. Never
    /// blocks.
    pub fn remote(&self) -> Remote {
        Remote {
            shared: Arc::clone(&self.shared),
        }
    }

    /// A number that no other loop has as long as this one is there.
    pub(crate) fn number(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    /// Whether a turn is running.
    pub(super) fn in_turn(&self) -> bool {
        self.turns.get() != 0
    }

    /// Whether something keeps `run` from returning.
    pub(super) fn is_alive(&self) -> bool {
        self.sources.borrow().has_refs() || self.shared.is_held()
    }

    /// Whether a turn would find something to run. Reads the clock only if
    /// there are timers.
    pub(super) fn has_ready(&self) -> bool {
        let mut sources = self.sources.borrow_mut();
        !self.inbox.is_empty()
            || self.is_forked()
            || sources.has_immediate()
            || sources
                .first_deadline()
                .is_some_and(|deadline| deadline <= Instant::now())
    }
}

impl Default for MainLoop {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MainLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MainLoop")
            .field("sources", &self.sources.borrow().len())
            .field("inbox", &self.inbox.len())
            .field("alive", &self.is_alive())
            .finish_non_exhaustive()
    }
}

impl Drop for MainLoop {
    fn drop(&mut self) {
        // 1. Posts are refused from here on, so that a closure whose Drop
        //    posts the next one comes to an end.
        self.shared.close();
        // 2. The host hears no more of this loop.
        drop(self.shared.waker.take());
        drop(self.host_waker.take());
        // 3. The sources, one at a time: one that panics spares the others.
        let sources = self.sources.borrow_mut().take_all();
        for source in sources {
            discard(source);
        }
        // 4. What was posted and has not run. What comes in after this is
        //    dropped with the receiver, still on this thread.
        while let Ok(event) = self.inbox.try_recv() {
            drop(event);
        }
        // 5. The thread behind a portable descriptor, if there is one.
        if let Some(alarm) = self.shared.alarm() {
            alarm.close();
        }
        slice::normal();
    }
}
