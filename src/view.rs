//! Views: a part of a pool, for jobs that must not have all of it.
//!
//! # How a view works
//! A view has a queue of its own and a number of *places*. A *turn* of it, an entry
//! in the pool's queues, takes one job from the view's queue and runs it. There
//! are always as many turns, waiting or running, as there are jobs that have not
//! ended, but never more than places:
//!
//! - who hands a job over pushes it, counts it, and starts a turn if there were
//!   fewer jobs than places;
//! - who has run a job counts it off, and starts another turn if there were more
//!   jobs than places.
//!
//! Each count is one read-modify-write, so each job pays for its own turn or finds
//! that a later end will. A turn runs one job and goes to the back of the pool's
//! queues: views share the threads fairly with everything else.
//!
//! # Waiting
//! A pool thread that waits for a job of a view may not simply run it: it would
//! take a place that is not there. It may take over a turn that nobody has begun,
//! and does, until its job has ended: what waits in front of that job is what the
//! waiter depends on. If there is none, it parks, and is woken when the next turn is
//! started, because all the other threads may be waiting too. A job that waits for another one of its *own* view gives its
//! place back meanwhile, and takes it again without asking, so that for a moment
//! one more may run. With a single place that would break the order which such
//! views are for, and is an error at once.

use std::cell::RefCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::task::Waker;

use arc_swap::ArcSwapOption;

use crate::handle::{CancelHandle, Help, JoinHandle, WouldDeadlock};
use crate::job::{Reason, Slot, Turn, new_cell};
use crate::port::Queue;
use crate::scheduler::Scheduler;
use crate::spawner::Spawner;
use crate::sync::deque::{Injector, Steal};
use crate::sync::{Arc, AtomicUsize, Ordering, fence, spin_loop, thread_local};

/// A part of a pool: at most so many of its jobs run at once, and the rest of the
/// threads stay free for others. They start in the order in which they were
/// handed over.
///
/// Clones are the same view. It costs no thread, and as much as a worker; dropping
/// it changes nothing for its jobs.
///
/// A job that waits for another one of the same view (by
/// [`JoinHandle::join`]) gives its place back meanwhile. In a view of one place
/// that is an error ([`is_deadlock`](crate::JoinError::is_deadlock)): the other
/// one may only start when this one has ended.
///
/// ```
/// use windlass::Pool;
///
/// let pool = Pool::new()?;
/// let images = pool.limit(2); // never more than two threads for these
/// let jobs: Vec<_> = (0..10).map(|n| images.spawn(move || n * n)).collect();
/// let sum: i32 = jobs.into_iter().map(|job| job.join().unwrap()).sum();
/// assert_eq!(sum, 285);
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Limit {
    view: Arc<View>,
}

/// Jobs of which only the newest is worth the while: a new one takes the place of
/// one that waits, and asks one that runs to stop.
///
/// For what a program shows: a preview, a search as you type. One job runs at a
/// time. The handle of a job that was replaced gives
/// [`is_cancelled`](crate::JoinError::is_cancelled).
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let preview = pool.latest();
/// let stale: Vec<_> = (0..100).map(|n| preview.spawn(move || n)).collect();
/// let newest = preview.spawn(|| "the newest");
/// assert_eq!(newest.join()?, "the newest");
/// # drop(stale);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Latest {
    view: Arc<View>,
    newest: Arc<ArcSwapOption<CancelHandle>>,
}

impl Spawner {
    /// See [`Pool::limit`](crate::Pool::limit).
    ///
    /// # Panics
    /// If `places` is zero.
    #[must_use]
    #[track_caller]
    pub fn limit(&self, places: usize) -> Limit {
        assert!(places > 0, "limit(0): a view needs a place to run its jobs");
        Limit {
            view: Arc::new(View::new(Arc::clone(&self.scheduler), places)),
        }
    }

    /// See [`Pool::serial`](crate::Pool::serial).
    #[must_use]
    pub fn serial(&self) -> Limit {
        self.limit(1)
    }

    /// See [`Pool::latest`](crate::Pool::latest).
    #[must_use]
    pub fn latest(&self) -> Latest {
        Latest {
            view: Arc::new(View::new(Arc::clone(&self.scheduler), 1)),
            newest: Arc::default(),
        }
    }
}

impl Limit {
    /// Hands `f` over, as [`Pool::spawn`](crate::Pool::spawn) does.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        View::spawn(&self.view, f)
    }

    /// Hands `f` over, fire and forget, as
    /// [`Pool::execute`](crate::Pool::execute) does.
    pub fn execute<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        View::submit(&self.view, Slot::detached(f));
    }

    /// How many of its jobs may run at once.
    #[must_use]
    pub fn places(&self) -> usize {
        self.view.places
    }

    /// How many of its jobs wait or run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.view.pending.load(Ordering::Relaxed)
    }

    /// Whether none of its jobs waits or runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Latest {
    /// Hands `f` over in place of what waits.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = View::spawn(&self.view, f);
        let older = self.newest.swap(Some(Arc::new(handle.cancel_handle())));
        if let Some(older) = older {
            older.cancel();
        }
        handle
    }

    /// Cancels what waits, and asks what runs to stop.
    pub fn cancel(&self) {
        if let Some(newest) = self.newest.swap(None) {
            newest.cancel();
        }
    }
}

/// What clones of a view share.
struct View {
    scheduler: Arc<Scheduler>,
    places: usize,
    queue: Injector<Slot>,
    /// Jobs that were handed over and have not ended.
    ///
    /// # Memory ordering
    /// AcqRel, so that what one job of a view of one place did is visible to the
    /// next, whoever runs it.
    pending: AtomicUsize,
    /// Turns that nobody has begun.
    unbegun: AtomicUsize,
    /// Jobs that came back from a wait to a place that was taken.
    surplus: AtomicUsize,
    /// Threads of the pool that wait for a job of this view, and found no turn to
    /// take over. Their wakers are this crate's own.
    waiters: Queue<Waker>,
}

thread_local! {
    /// The views whose jobs run on this thread, the innermost last; by address.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl View {
    fn new(scheduler: Arc<Scheduler>, places: usize) -> Self {
        Self {
            scheduler,
            places,
            queue: Injector::new(),
            pending: AtomicUsize::new(0),
            unbegun: AtomicUsize::new(0),
            surplus: AtomicUsize::new(0),
            waiters: Queue::new(),
        }
    }

    fn spawn<F, T>(this: &Arc<Self>, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, end) = new_cell(f);
        Self::submit(this, Slot::with_handle(job));
        JoinHandle::of_view(end, Arc::clone(this) as Arc<dyn Help>)
    }

    fn submit(this: &Arc<Self>, slot: Slot) {
        if !this.scheduler.is_open_here() {
            return this.scheduler.refuse(slot, Reason::Closed);
        }
        // First the job, then the count: whoever counts it finds it.
        this.queue.push(slot);
        if this.pending.fetch_add(1, Ordering::AcqRel) < this.places {
            this.start();
        }
    }

    /// Hands a turn to the pool. If that takes no more, refuses jobs until none is
    /// left that nobody else sees to.
    fn start(self: &Arc<Self>) {
        self.unbegun.fetch_add(1, Ordering::AcqRel);
        while self
            .scheduler
            .submit_behind(Slot::turn(Arc::clone(self) as Arc<dyn Turn>))
            .is_err()
        {
            if !self.begin() {
                // A waiter has taken the turn over.
                return;
            }
            self.refuse_next();
            if !self.count_off() {
                return;
            }
            self.unbegun.fetch_add(1, Ordering::AcqRel);
        }
        self.tell_waiters();
    }

    /// There is a turn to be taken over: all threads of the pool may be waiting,
    /// and nobody else come to it.
    fn tell_waiters(&self) {
        // Partner: the fence in `help`. Either this sees the waiter, or that one
        // the turn.
        fence(Ordering::SeqCst);
        let mut waiters = self.waiters.take();
        while let Some(waiter) = waiters.pop() {
            waiter.wake();
        }
    }

    /// Takes a turn that nobody has begun.
    fn begin(&self) -> bool {
        self.unbegun
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
            .is_ok()
    }

    /// Runs one job; the caller has begun a turn.
    fn serve(self: &Arc<Self>) {
        let slot = self.next();
        INSIDE.with(|inside| inside.borrow_mut().push(self.address()));
        if self.scheduler.is_discarding() {
            self.scheduler.refuse(slot, Reason::Cancelled);
        } else if let Err(payload) = slot.run() {
            self.scheduler.report_panic(payload);
        }
        INSIDE.with(|inside| inside.borrow_mut().pop());
        if self.count_off() {
            self.start();
        }
    }

    /// The oldest job. There is one for each turn that was begun.
    fn next(&self) -> Slot {
        loop {
            match self.queue.steal() {
                Steal::Success(slot) => return slot,
                Steal::Empty | Steal::Retry => spin_loop(),
            }
        }
    }

    fn refuse_next(&self) {
        let reason = if self.scheduler.is_discarding() {
            Reason::Cancelled
        } else {
            Reason::Closed
        };
        self.scheduler.refuse(self.next(), reason);
    }

    /// A job has ended; whether its place is to go to another one.
    fn count_off(&self) -> bool {
        let before = self.pending.fetch_sub(1, Ordering::AcqRel);
        before > self.places && !self.give_up_surplus()
    }

    fn give_up_surplus(&self) -> bool {
        self.surplus
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
            .is_ok()
    }

    /// Whether a job of this view runs on this thread.
    fn is_inside(&self) -> bool {
        INSIDE.with(|inside| inside.borrow().contains(&self.address()))
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

impl Turn for View {
    fn run(self: Arc<Self>) {
        if self.begin() {
            self.serve();
        }
    }

    fn refuse(self: Arc<Self>) {
        if self.begin() {
            self.refuse_next();
            if self.count_off() {
                self.start();
            }
        }
    }
}

impl Help for View {
    fn begin_wait(self: Arc<Self>) -> Result<bool, WouldDeadlock> {
        if !self.scheduler.is_current() {
            return Ok(false);
        }
        let inside = self.is_inside();
        if inside && self.places == 1 {
            return Err(WouldDeadlock);
        }
        if inside && self.count_off() {
            self.start();
        }
        Ok(inside)
    }

    fn help(self: Arc<Self>, waker: &Waker, is_over: &dyn Fn() -> bool) {
        if !self.scheduler.is_current() {
            return;
        }
        loop {
            while !is_over() && self.begin() {
                self.serve();
            }
            if is_over() {
                return;
            }
            // The queue is never closed.
            let _ = self.waiters.push(waker.clone());
            // Partner: the fence in `tell_waiters`.
            fence(Ordering::SeqCst);
            if self.unbegun.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }

    fn end_wait(&self, gave_place: bool) {
        if gave_place && self.pending.fetch_add(1, Ordering::AcqRel) >= self.places {
            // Its place was taken: one more runs than there are places, until the
            // next one ends.
            self.surplus.fetch_add(1, Ordering::AcqRel);
        }
    }
}

// User code never runs with anything of a view half done.
impl UnwindSafe for Limit {}
impl RefUnwindSafe for Limit {}
impl UnwindSafe for Latest {}
impl RefUnwindSafe for Latest {}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("places", &self.places())
            .field("len", &self.len())
            .finish()
    }
}

impl fmt::Debug for Latest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").finish_non_exhaustive()
    }
}
