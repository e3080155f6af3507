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
//! to ([`Order::Dismiss`]), if the others are enough. A thread that sleeps cannot be
//! told apart from the others on the stack: so one above the target sleeps for
//! [`KEEP_ALIVE`] at most, and then has all of them look.
//!
//! The numbers change under the lock, and no user's code runs under it. Nothing that
//! hands jobs over takes it.

use std::io;
use std::time::Duration;

use super::orders::Order;
use super::{PoolThread, Queues, Scheduler, Stall};
use crate::job::Reason;
use crate::metrics::JobTimes;
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
    /// The queues of the seats that are vacant, by index.
    vacant: ModelledMutex<Vec<Option<Queues>>>,
    enlist: Box<Enlist>,
    /// There was no substitute to be had since the last one was. Relaxed: for reports.
    is_short: ReportFlag,
}

impl Roster {
    pub(super) fn new(max_substitutes: usize, enlist: Box<Enlist>) -> Self {
        Self {
            target: AtomicUsize::new(0),
            aboard: AtomicUsize::new(0),
            max_substitutes,
            vacant: ModelledMutex::new(Vec::new()),
            enlist,
            is_short: ReportFlag::new(false),
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
            result = self.enlist(count).map(drop);
        }
        let lock = self.roster.vacant.lock();
        self.set_target(self.roster.aboard().min(count));
        drop(lock);
        result
    }

    /// Changes the number of threads that are to run at once.
    ///
    /// With an error nothing has changed.
    pub(crate) fn resize(self: &Arc<Self>, count: usize) -> Result<(), io::Error> {
        let mut result = Ok(());
        if count > self.num_threads() {
            // Those who wait need their substitutes.
            let absent = self.idle.load().absent().min(self.roster.max_substitutes);
            let wanted = (count + absent).min(MAX_THREADS);
            while result.is_ok() && self.roster.aboard() < wanted {
                result = self.enlist(wanted).map(drop);
            }
        }
        if result.is_ok() {
            let lock = self.roster.vacant.lock();
            self.set_target(count);
            drop(lock);
        }
        self.dismiss();
        result
    }

    /// A thread waits inside a job, and none is asleep that could run in its place:
    /// starts one, if there may be more and the system gives one.
    #[cold]
    pub(super) fn enlist_substitute(self: &Arc<Self>, index: usize) {
        if self.roster.max_substitutes == 0 {
            return;
        }
        let most = self.num_threads() + self.roster.max_substitutes;
        self.orders.clear(Order::Dismiss);
        if let Ok(true) = self.enlist(most) {
            self.counters.count_substitute();
        } else if !self.roster.is_short.swap(true, Ordering::Relaxed) {
            // The pool has a thread less for as long as the wait lasts. Said once, until
            // there is a substitute again.
            let thread = thread::current();
            let name = thread.name().unwrap_or_default().to_owned();
            self.report_stall(Stall::no_substitute(index, name));
        }
    }

    /// Whether the thread of seat `index` is there for nobody who waits: it has no
    /// reason to sleep for ever.
    pub(super) fn is_spare(&self, index: usize) -> bool {
        // A model has no clock.
        let excess = self.roster.aboard().saturating_sub(self.num_threads());
        !cfg!(loom) && index >= self.num_threads() && excess > self.idle.load().absent()
    }

    /// Has those threads leave that are beyond the target and not needed.
    pub(super) fn dismiss(&self) {
        if self.roster.aboard() > self.num_threads() {
            self.orders.give(Order::Crowded);
            self.orders.give(Order::Dismiss);
        }
        self.wake_all();
    }

    /// Takes the thread of seat `index` off the roster, if it is to leave; the
    /// caller is that thread, between two jobs.
    pub(super) fn strike_off(&self, index: usize) -> bool {
        let lock = self.roster.vacant.lock();
        let (target, aboard) = (self.num_threads(), self.roster.aboard());
        let idle = self.idle.load();
        // One that sleeps, or that runs although it is one too many, will do.
        let is_needed = idle.nobody_sleeps() && !self.idle.is_crowded(idle);
        if index < target || aboard <= target || is_needed || idle.is_closed() {
            return false;
        }
        self.set_aboard(aboard - 1);
        if aboard - 1 == target {
            self.orders.clear(Order::Dismiss);
        }
        self.seats[index].vacant.store(true, Ordering::Relaxed);
        drop(lock);
        // Partner: the fence in `call_each`. Either that sees a vacant seat, or
        // this its call.
        fence(Ordering::SeqCst);
        self.refuse_calls(index, Reason::Closed);
        // One thread less runs.
        self.notice();
        if !self.work_visible() {
            self.exit_if_over();
        }
        true
    }

    /// The thread of seat `index` is gone; somebody else may sit there, and goes on
    /// with its queues.
    pub(super) fn vacate(&self, index: usize, queues: Queues) {
        self.roster.vacant.lock()[index] = Some(queues);
    }

    /// Starts one thread, unless there are `most` already; whether it did.
    fn enlist(self: &Arc<Self>, most: usize) -> io::Result<bool> {
        let (index, queues) = {
            let mut vacant = self.roster.vacant.lock();
            let aboard = self.roster.aboard();
            if aboard >= most {
                return Ok(false);
            }
            let found = vacant.iter_mut().enumerate();
            let found = found
                .filter_map(|(index, queues)| Some((index, queues.take()?)))
                .next();
            let found = match found {
                Some(found) => found,
                None if vacant.len() == MAX_THREADS => {
                    return Err(io::Error::other("a pool has at most 4095 threads"));
                }
                None => {
                    vacant.push(None);
                    (
                        vacant.len() - 1,
                        self.seats.add(self.times != JobTimes::Off),
                    )
                }
            };
            self.roster.is_short.store(false, Ordering::Relaxed);
            self.set_aboard(aboard + 1);
            self.seats[found.0].vacant.store(false, Ordering::Relaxed);
            found
        };
        let thread = PoolThread::new(Arc::clone(self), index, queues);
        let berth = Arc::new(Mutex::new(Some(thread)));
        let started = (self.roster.enlist)(index, &berth);
        if started.is_err()
            && let Some(thread) = berth.lock().take()
        {
            let mut vacant = self.roster.vacant.lock();
            self.set_aboard(self.roster.aboard() - 1);
            self.seats[index].vacant.store(true, Ordering::Relaxed);
            vacant[index] = Some(thread.queues);
            drop(vacant);
            self.refuse_calls(index, Reason::Closed);
            self.exit_if_over();
        }
        started.map(|()| true)
    }

    /// Under the lock.
    pub(super) fn set_target(&self, target: usize) {
        self.roster.target.store(target, Ordering::Relaxed);
        self.idle.set_excess(self.roster.aboard() - target);
    }

    /// Under the lock.
    fn set_aboard(&self, aboard: usize) {
        self.roster.aboard.store(aboard, Ordering::Relaxed);
        let target = self.roster.target();
        self.idle.set_excess(aboard.saturating_sub(target));
    }
}
