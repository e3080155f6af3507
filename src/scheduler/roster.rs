//! Who is aboard: threads join the pool and leave it.
//!
//! A pool is to run a number of threads at once, its *target*. It may have more of
//! them *aboard*, since a thread that waits inside a job does not run (see
//! [`super::absence`]), and since the target can be lowered under jobs that run.
//! The difference is the *excess*, kept beside the idle word.
//!
//! | event | target | aboard | who looks then |
//! |---|---|---|---|
//! | a thread is enlisted | | + 1 | the new thread, for work |
//! | the target is raised | + | + if need be | `notice`: sleepers may run now |
//! | the target is lowered | - | | `Crowded`, `Dismiss`: threads between two jobs |
//! | a thread is struck off | | - 1 | `notice`: a sleeper may have to run in its place |
//!
//! A seat below the target is never given up, so that the threads of a pool that
//! waits for nothing are those from 0 up. A thread above it leaves when it is told
//! to ([`Order::Dismiss`]), if there are more than those that are to run and those
//! that wait. A thread that sleeps cannot be told apart from the others on the
//! stack: so one above the target looks every [`KEEP_ALIVE`] whether it is one too
//! many, and if so has all of them look.
//!
//! A thread that was struck off has its stop hook before it. Whoever wants its seat
//! back meanwhile gets that very thread: it lives once more. So nobody waits for a
//! user's hook, and no two threads ever have one index.
//!
//! The numbers change under the lock, and no user's code runs under it. Nothing that
//! hands jobs over takes it.

use std::io;
use std::time::Duration;

use super::orders::Order;
use super::{PoolThread, Queues, Scheduler, Stall, current};
use crate::job::{Reason, Slot};
use crate::metrics::JobTimes;
use crate::port::Batch;
use crate::sync::{Arc, AtomicUsize, ModelledMutex, Mutex, Ordering, ReportFlag, fence, thread};
use crate::util::limits::MAX_THREADS;

/// How long a thread that nobody needs sleeps before it leaves.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Where a thread that was just started finds who it is. Taken back if it was not.
pub(crate) type Berth = Arc<Mutex<Option<PoolThread>>>;

/// Starts the thread of a seat, whose body takes the berth's [`PoolThread`].
pub(crate) type Enlist = dyn Fn(usize, &Berth) -> io::Result<()> + Send + Sync;

/// Who is aboard.
pub(super) struct Roster {
    /// How many threads are to run at once. Written under the lock; Relaxed.
    target: AtomicUsize,
    /// How many there are. Written under the lock; Relaxed.
    aboard: AtomicUsize,
    /// How many there may be beyond the target.
    max_substitutes: usize,
    /// Who sits where, by index.
    places: ModelledMutex<Vec<Place>>,
    enlist: Box<Enlist>,
    /// There was no substitute to be had since the last one was. Relaxed: for reports.
    said_short: ReportFlag,
}

/// A seat, as the roster sees it.
enum Place {
    /// A thread sits here, or is on its way to it.
    Taken,
    /// The thread was struck off, and is not through with its stop hook. It has the
    /// queues.
    Left,
    Vacant(Queues),
}

impl Roster {
    pub(super) fn new(max_substitutes: usize, enlist: Box<Enlist>) -> Self {
        Self {
            target: AtomicUsize::new(0),
            aboard: AtomicUsize::new(0),
            max_substitutes,
            places: ModelledMutex::new(Vec::new()),
            enlist,
            said_short: ReportFlag::new(false),
        }
    }

    pub(super) fn target(&self) -> usize {
        self.target.load(Ordering::Relaxed)
    }

    pub(super) fn aboard(&self) -> usize {
        self.aboard.load(Ordering::Relaxed)
    }
}

impl Scheduler {
    /// How many threads the pool is to run at once.
    pub(crate) fn num_threads(&self) -> usize {
        self.roster.target()
    }

    /// How many threads there are: those, and substitutes for some that wait.
    pub(crate) fn threads_aboard(&self) -> usize {
        self.roster.aboard()
    }

    /// Starts threads until there are `count`, which becomes the target; with an
    /// error, the target is what could be had.
    pub(crate) fn man(self: &Arc<Self>, count: usize) -> Result<(), io::Error> {
        let mut result = Ok(());
        while result.is_ok() && self.roster.aboard() < count {
            result = self.enlist(count, count).map(drop);
        }
        let lock = self.roster.places.lock();
        self.set_target(self.roster.aboard().min(count));
        drop(lock);
        result
    }

    /// Changes the number of threads that are to run at once.
    ///
    /// With an error nothing has changed.
    pub(crate) fn resize(self: &Arc<Self>, count: usize) -> Result<(), io::Error> {
        // Those that were to leave may be wanted again.
        self.orders.clear(Order::Dismiss);
        let result = loop {
            let wanted = if count > self.num_threads() {
                // Those who wait need their substitutes.
                let absent = self.idle.load().absent().min(self.roster.max_substitutes);
                (count + absent).min(MAX_THREADS)
            } else {
                count
            };
            match self.enlist(wanted, count) {
                Err(error) => break Err(error),
                Ok(true) => {}
                // Threads may have left in between, for somebody else's target.
                Ok(false) if self.set_target_if_manned(count) => break Ok(()),
                Ok(false) => {}
            }
        };
        self.dismiss();
        result
    }

    /// Threads wait inside a job, none is asleep that could run in place of one, and
    /// fewer run than are to: starts one, if there may be more and the system gives
    /// one. For whoever begins to wait, and whoever was asleep and takes a job.
    ///
    /// So there is a sleeper for whoever hands the next job over, without which a
    /// main loop would have to start a thread.
    pub(super) fn substitute_if_short(self: &Arc<Self>) {
        let idle = self.idle.load();
        if idle.nobody_sleeps() && self.idle.is_short(idle) {
            self.enlist_substitute();
        }
    }

    #[cold]
    fn enlist_substitute(self: &Arc<Self>) {
        // One for each who waits: several may come here for the same one.
        let (absent, max) = (self.idle.load().absent(), self.roster.max_substitutes);
        let most = self.num_threads() + absent.min(max);
        let is_missing = match self.enlist_up_to(most) {
            Ok(true) => {
                self.counters.count_substitute();
                false
            }
            Ok(false) => absent > max,
            Err(_) => true,
        };
        // The pool has a thread less for as long as the wait lasts. Said once, until
        // there is a substitute again.
        if is_missing && max > 0 && !self.roster.said_short.swap(true, Ordering::Relaxed) {
            let thread = thread::current();
            let name = thread.name().unwrap_or_default().to_owned();
            let index = current::current_index().unwrap_or_default();
            self.report_stall(Stall::no_substitute(index, name));
        }
    }

    /// Starts one thread, unless there are so many already; whether it did.
    fn enlist_up_to(self: &Arc<Self>, most: usize) -> io::Result<bool> {
        if self.roster.aboard() < most {
            self.enlist(most, 0)
        } else {
            Ok(false)
        }
    }

    /// Whether the thread of seat `index` is one that leaves if nobody needs it.
    pub(super) fn is_beyond(&self, index: usize) -> bool {
        index >= self.num_threads()
    }

    /// Whether there are more threads than those that are to run and those that wait.
    pub(super) fn has_spares(&self) -> bool {
        let excess = self.roster.aboard().saturating_sub(self.num_threads());
        excess > self.idle.load().absent()
    }

    /// Has those threads leave that are beyond the target and not needed.
    pub(super) fn dismiss(&self) {
        if self.roster.aboard() > self.num_threads() {
            self.orders.give(Order::Crowded);
            self.orders.give(Order::Dismiss);
        }
        // Partner: the fence in `PoolThread::sleep`. Whoever falls asleep sees the new
        // number and the order, or is woken here.
        fence(Ordering::SeqCst);
        self.wake_all();
    }

    /// Whether the thread of seat `index` was told to leave, as far as it can see.
    pub(super) fn is_dismissed(&self, index: usize) -> bool {
        self.orders.has(Order::Dismiss)
            && self.is_beyond(index)
            && self.has_spares()
            && !self.is_closed()
    }

    /// Takes the thread of seat `index` off the roster, if it is to leave; the
    /// caller is that thread, between two jobs, goes on with
    /// [`Scheduler::make_up_for_one`], and refuses the calls that are given back.
    pub(super) fn strike_off(&self, index: usize) -> Option<Batch<Slot>> {
        if !self.has_spares() {
            // As with `Crowded`: who gave the order changed the numbers before.
            self.orders.clear(Order::Dismiss);
            if !self.has_spares() {
                return None;
            }
            self.orders.give(Order::Dismiss);
        }
        if !self.is_beyond(index) {
            return None;
        }
        let mut places = self.roster.places.lock();
        if !self.is_beyond(index) || !self.has_spares() || self.is_closed() {
            return None;
        }
        places[index] = Place::Left;
        self.set_aboard(self.roster.aboard() - 1);
        let seat = &self.seats[index];
        seat.vacant.store(true, Ordering::Relaxed);
        // Partner: the fence in `call`. Either that sees a vacant seat, or this its
        // calls.
        fence(Ordering::SeqCst);
        // Under the lock: later ones are for who sits here next.
        Some(seat.calls.take())
    }

    /// A thread left that may have been awake.
    pub(super) fn make_up_for_one(self: &Arc<Self>) {
        // Its fence is the partner of that in `leaves`: whoever begins to wait sees
        // that there is one less, or is seen here.
        self.notice();
        self.substitute_if_short();
        if !self.work_visible() {
            self.exit_if_over();
        }
    }

    /// The thread of seat `index` is through with its hook: somebody else may sit
    /// there, and goes on with its queues. If the seat was taken meanwhile, the thread
    /// is to sit down again itself.
    pub(super) fn vacate(&self, index: usize, queues: Queues) -> Option<Queues> {
        let place = &mut self.roster.places.lock()[index];
        if let Place::Taken = place {
            return Some(queues);
        }
        *place = Place::Vacant(queues);
        None
    }

    /// Starts one thread, unless there are `most` already and the `first` seats are
    /// taken; whether it did.
    fn enlist(self: &Arc<Self>, most: usize, first: usize) -> io::Result<bool> {
        let (index, queues) = {
            let mut places = self.roster.places.lock();
            let aboard = self.roster.aboard();
            if aboard >= most && are_taken(&places, first) {
                return Ok(false);
            }
            let index = places.iter().position(|place| !place.is_taken());
            let index = index.unwrap_or(places.len());
            if index == MAX_THREADS {
                return Err(io::Error::other("a pool has at most 4095 threads"));
            }
            if index == places.len() {
                let queues = self.seats.add(self.times != JobTimes::Off);
                places.push(Place::Vacant(queues));
            }
            self.roster.said_short.store(false, Ordering::Relaxed);
            self.set_aboard(aboard + 1);
            self.seats[index].vacant.store(false, Ordering::Relaxed);
            match std::mem::replace(&mut places[index], Place::Taken) {
                Place::Vacant(queues) => (index, queues),
                // The thread that has them lives once more.
                _ => return Ok(true),
            }
        };
        let thread = PoolThread::new(Arc::clone(self), index, queues);
        let berth = Arc::new(Mutex::new(Some(thread)));
        let started = (self.roster.enlist)(index, &berth);
        if started.is_err()
            && let Some(thread) = berth.lock().take()
        {
            let mut places = self.roster.places.lock();
            self.set_aboard(self.roster.aboard() - 1);
            self.seats[index].vacant.store(true, Ordering::Relaxed);
            places[index] = Place::Vacant(thread.queues);
            drop(places);
            // It was counted as one that runs.
            self.notice();
            self.refuse_calls(index, Reason::Closed);
            self.exit_if_over();
        }
        started.map(|()| true)
    }

    /// Sets the target, if there is a thread in each seat below it; whether so.
    fn set_target_if_manned(&self, target: usize) -> bool {
        let places = self.roster.places.lock();
        let manned = are_taken(&places, target);
        if manned {
            self.set_target(target);
        }
        manned
    }

    /// Under the lock.
    pub(super) fn set_target(&self, target: usize) {
        self.roster.target.store(target, Ordering::Relaxed);
        let aboard = self.roster.aboard();
        self.idle.set_excess(aboard.saturating_sub(target));
    }

    /// Under the lock.
    fn set_aboard(&self, aboard: usize) {
        self.roster.aboard.store(aboard, Ordering::Relaxed);
        let target = self.roster.target();
        self.idle.set_excess(aboard.saturating_sub(target));
    }
}

impl Place {
    fn is_taken(&self) -> bool {
        matches!(self, Self::Taken)
    }
}

/// Whether somebody sits on each of the first `count` seats.
fn are_taken(places: &[Place], count: usize) -> bool {
    places.len() >= count && places[..count].iter().all(Place::is_taken)
}
