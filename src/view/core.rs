//! What is behind all views: a queue, places, turns. The module's prose tells how
//! they go together.

use std::task::Waker;

use super::ViewMetrics;
use super::keyed::Entry;
use crate::error::{TrySpawnError, Why};
use crate::handle::{Help, JoinHandle};
use crate::job::{Reason, Slot, Turn, new_cell};
use crate::port::{Queue, Room};
use crate::priority::Priority;
use crate::scheduler::Scheduler;
use crate::sync::absence::{self, Host};
use crate::sync::deque::{Injector, Steal};
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, AtomicUsize, Ordering, ReportCounter, fence, spin_loop};

/// What clones of a view share.
pub(super) struct View {
    scheduler: Arc<Scheduler>,
    /// The view that this one is a part of.
    outer: Option<Arc<View>>,
    priority: Priority,
    places: usize,
    /// How many jobs may wait.
    room: Option<Room>,
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
    finished: ReportCounter,
    /// What is to be forgotten of it when it goes.
    _entry: Option<Entry>,
}

impl View {
    pub(super) fn new(
        scheduler: Arc<Scheduler>,
        outer: Option<Arc<Self>>,
        priority: Priority,
        places: usize,
        room: Option<Room>,
    ) -> Self {
        Self {
            scheduler,
            outer,
            priority,
            places,
            room,
            queue: Injector::new(),
            pending: AtomicUsize::new(0),
            unbegun: AtomicUsize::new(0),
            surplus: AtomicUsize::new(0),
            waiters: Queue::new(),
            finished: ReportCounter::new(0),
            _entry: None,
        }
    }

    /// As one that is in a table, and takes itself out.
    pub(super) fn entered(self, entry: Entry) -> Self {
        Self {
            _entry: Some(entry),
            ..self
        }
    }

    pub(super) fn spawn<F, T>(this: &Arc<Self>, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, end) = new_cell(f);
        Self::submit(this, Slot::with_handle(job));
        JoinHandle::of_view(end, Arc::clone(this) as Arc<dyn Help>)
    }

    /// Hands a job over, or refuses it if there is no room for it.
    pub(super) fn submit(this: &Arc<Self>, slot: Slot) {
        let is_open = this.scheduler.is_open_here();
        if is_open && this.room.as_ref().is_some_and(|room| !room.enter()) {
            this.scheduler.refuse(slot, Reason::Rejected);
        } else {
            this.submit_let_in(slot);
        }
    }

    /// Takes room for a job, and says what to do with it then: `hand_over` it.
    ///
    /// # Errors
    /// Gives it back if there is no room, or the pool is closed.
    pub(super) fn try_submit<F, R>(
        self: &Arc<Self>,
        f: F,
        hand_over: impl FnOnce(F) -> R,
    ) -> Result<R, TrySpawnError<F>> {
        if !self.scheduler.is_open_here() {
            return Err(TrySpawnError::new(Why::Closed, f));
        }
        match &self.room {
            Some(room) if !room.enter() => {
                let capacity = room.capacity();
                Err(TrySpawnError::new(Why::Full { capacity }, f))
            }
            _ => Ok(hand_over(f)),
        }
    }

    /// Hands over a job that there is room for.
    pub(super) fn submit_let_in(self: &Arc<Self>, mut slot: Slot) {
        self.scheduler.stamp(&mut slot);
        if let Err(slot) = self.accept(slot) {
            self.left(&slot);
            self.scheduler.refuse(slot, self.scheduler.why_refused());
        }
    }

    /// A job or a turn has left the queue, or does not enter it after all.
    fn left(&self, slot: &Slot) {
        if let Some(room) = &self.room
            && slot.is_job()
        {
            room.leave();
        }
    }

    /// Takes a job, or the turn of a view that is a part of this one; `Err` gives it
    /// back if the pool takes no more.
    fn accept(self: &Arc<Self>, slot: Slot) -> Result<(), Slot> {
        if !self.scheduler.is_open_here() {
            return Err(slot);
        }
        // First the job, then the count: whoever counts it finds it.
        self.queue.push(slot);
        if self.count_on() {
            self.start();
        }
        Ok(())
    }

    /// Hands a turn to the pool, or to the view that this is a part of. If that takes
    /// no more, refuses jobs until none is left that nobody else sees to.
    pub(super) fn start(self: &Arc<Self>) {
        self.unbegun.fetch_add(1, Ordering::AcqRel);
        while self.hand_turn_over().is_err() {
            if self.scheduler.is_forked() || !self.begin() {
                // What waits is the other process's, or a waiter has taken the turn
                // over.
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

    fn hand_turn_over(self: &Arc<Self>) -> Result<(), Slot> {
        let turn = Slot::turn(Arc::clone(self) as Arc<dyn Turn>);
        match &self.outer {
            Some(outer) => outer.accept(turn),
            None => self.scheduler.submit_behind(turn, self.priority),
        }
    }

    /// There is a turn to be taken over: all threads of the pool may be waiting,
    /// and nobody else come to it.
    fn tell_waiters(&self) {
        // Partner: the fence in `wait_for_turn`. Either this sees the waiter, or that
        // one the turn.
        fence(Ordering::SeqCst);
        let mut waiters = self.waiters.take();
        while let Some(waiter) = waiters.pop() {
            waiter.wake();
        }
    }

    /// Leaves `waker` to be woken when there is a turn to be taken over; `false` if
    /// there is one already.
    pub(super) fn wait_for_turn(&self, waker: &Waker) -> bool {
        // The queue is never closed.
        let _ = self.waiters.push(waker.clone());
        // Partner: the fence in `tell_waiters`.
        fence(Ordering::SeqCst);
        self.unbegun.load(Ordering::Relaxed) == 0
    }

    /// Takes a turn that nobody has begun.
    pub(super) fn begin(&self) -> bool {
        self.unbegun
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
            .is_ok()
    }

    /// Runs one job; the caller has begun a turn.
    pub(super) fn serve(self: &Arc<Self>) {
        let slot = self.next();
        let host = Arc::clone(self) as Arc<dyn Host>;
        absence::as_guest(host, || self.scheduler.run_here(slot));
        if self.count_off() {
            self.start();
        }
    }

    /// The oldest job. There is one for each turn that was begun.
    fn next(&self) -> Slot {
        loop {
            match self.queue.steal() {
                Steal::Success(slot) => {
                    self.left(&slot);
                    return slot;
                }
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

    /// There is a job more; whether there is a place for it.
    fn count_on(&self) -> bool {
        self.pending.fetch_add(1, Ordering::AcqRel) < self.places
    }

    /// A job has ended; whether its place is to go to another one.
    fn count_off(&self) -> bool {
        self.finished.fetch_add(1, Ordering::Relaxed);
        self.give_place_back()
    }

    /// A job that runs waits, or has ended; whether its place is to go to another one.
    pub(super) fn give_place_back(&self) -> bool {
        let before = if broken(Mutant::PlaceSeenEarly) {
            let seen = self.pending();
            self.pending.fetch_sub(1, Ordering::AcqRel);
            seen
        } else {
            self.pending.fetch_sub(1, Ordering::AcqRel)
        };
        before > self.places && !self.give_up_surplus()
    }

    /// A job has waited: takes its place again, or another one's.
    pub(super) fn take_place_again(&self) {
        if !self.count_on() {
            // One more runs than there are places, until the next one ends.
            self.surplus.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn give_up_surplus(&self) -> bool {
        self.surplus
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
            .is_ok()
    }

    pub(super) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    pub(super) fn outer(&self) -> Option<&Arc<Self>> {
        self.outer.as_ref()
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    pub(super) fn metrics(&self) -> ViewMetrics {
        let (queued, pending) = (self.queue.len(), self.pending());
        ViewMetrics {
            queued,
            running: pending.saturating_sub(queued),
            finished: self.finished.load(Ordering::Relaxed),
        }
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
