//! What one thread of the pool does: pick, run, search, sleep.

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use super::absence::Aside;
use super::halves::Halves;
use super::orders::Order;
use super::roster::KEEP_ALIVE;
use super::seats::Seat;
use super::shelf::Shelf;
use super::time_slice::TimeSlice;
use super::{Queues, Scheduler};
use crate::job::{Reason, Slot};
use crate::metrics::ThreadStats;
use crate::port::Batch;
use crate::sync::deque::Steal;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, Ordering, Parker, fence, spin_loop};

/// Of this many picks, one starts at the inbox and one takes the LIFO's oldest
/// job. A prime, as in Go's scheduler and tokio's, so that it does not fall
/// into step with a program's own pattern.
pub(super) const FAIR_EVERY: u32 = 61;

/// The pick of those that takes the LIFO's oldest job; the other one is 0.
const OLDEST: u32 = FAIR_EVERY / 2;

/// A pool thread's own part of the pool.
pub(crate) struct PoolThread {
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) index: usize,
    pub(super) queues: Queues,
    /// What is meant for this thread alone, taken off its seat.
    pub(super) calls: RefCell<Batch<Slot>>,
    /// Counts picks, modulo [`FAIR_EVERY`].
    picks: Cell<u32>,
    /// Where the next round over the siblings begins.
    victim: Cell<usize>,
    pub(super) time_slice: TimeSlice,
    pub(super) stats: Arc<ThreadStats>,
    /// Set when the thread begins to live.
    pub(super) parker: OnceCell<Arc<Parker>>,
    /// Waits of this thread inside a job: the one it parks in, and those around it.
    pub(super) absences: Cell<u32>,
    /// Counts picks of a pool with lanes.
    pub(super) turns: Cell<u32>,
    /// The joins that it is in.
    pub(super) halves: Halves,
    /// Its seat's.
    pub(super) shelf: Arc<CachePadded<Shelf>>,
    /// What it parks on while it waits for a half. Not `parker`: what wakes that one has
    /// taken this thread off the stack of sleepers.
    pub(super) rejoin: OnceCell<Arc<Parker>>,
    /// The thread is off the roster.
    pub(super) is_gone: Cell<bool>,
}

impl PoolThread {
    pub(super) fn new(scheduler: Arc<Scheduler>, index: usize, queues: Queues) -> Self {
        let stats = Arc::clone(&scheduler.seats[index].stats);
        let shelf = Arc::clone(&scheduler.seats[index].shelf);
        Self {
            stats,
            scheduler,
            index,
            queues,
            calls: RefCell::default(),
            picks: Cell::new(0),
            victim: Cell::new(index + 1),
            time_slice: TimeSlice::new(),
            parker: OnceCell::new(),
            absences: Cell::new(0),
            turns: Cell::new(0),
            halves: Halves::new(),
            shelf,
            rejoin: OnceCell::new(),
            is_gone: Cell::new(false),
        }
    }

    /// Runs jobs until the pool is closed and empty, or the thread is to leave; or, in
    /// the fork, until one of them has forked.
    pub(super) fn work(&self) {
        // The start hook may have forked.
        if self.scheduler.is_forked() {
            return;
        }
        // As one that was woken: others may rely on there being another one.
        match self.wait_for_work(false) {
            Some(slot) => self.run_found(slot),
            None => return,
        }
        // Asked before each look at the queues, which are not this process's then.
        while !self.scheduler.is_forked() {
            let mut lies = false;
            if self.scheduler.orders.are_none() {
                if let Some(slot) = self.pick() {
                    self.time_slice.at_work();
                    self.run(slot);
                    continue;
                }
            } else {
                match self.stand_aside() {
                    Aside::Leaves => return,
                    Aside::Lies => lies = true,
                    Aside::No => {
                        if let Some(slot) = self.pick_under_orders() {
                            self.time_slice.at_work();
                            self.run_found(slot);
                            continue;
                        }
                    }
                }
            }
            match self.wait_for_work(lies) {
                Some(slot) => self.run_found(slot),
                None => return,
            }
        }
    }

    /// Runs one job; a panic that no handle will see goes to the hook.
    #[inline(always)]
    fn run(&self, slot: Slot) {
        if self.scheduler.is_bounded() {
            self.run_counted(slot);
        } else {
            self.run_uncounted(slot);
        }
    }

    /// As [`PoolThread::run`], where it matters less: apart, so that the other one is
    /// inlined where it matters.
    #[cold]
    fn run_found(&self, slot: Slot) {
        self.run(slot);
    }

    /// As [`PoolThread::run`], in a pool whose queue has a bound.
    #[cold]
    #[inline(never)]
    fn run_counted(&self, slot: Slot) {
        self.scheduler.left(&slot);
        self.run_uncounted(slot);
    }

    #[inline(always)]
    fn run_uncounted(&self, slot: Slot) {
        if self.scheduler.is_discarding() && !slot.is_part() {
            self.scheduler.refuse(slot, Reason::Cancelled);
            return;
        }
        let result = match slot.stamped_at() {
            None => slot.run(),
            Some(handed_over) => self.run_timed(slot, handed_over),
        };
        self.stats.count_end();
        if let Err(payload) = result {
            self.scheduler.report_panic(payload);
        }
    }

    /// Lets go of a tombstone that was in a queue.
    pub(super) fn let_go(&self, slot: Slot) {
        self.scheduler.left(&slot);
        slot.let_go();
    }

    /// The next job that is at hand, in the order of the module's prose.
    ///
    /// Tombstones are let go of and do not count as picks: a job that joins or
    /// cancels what it spawned leaves any number of them, and if they used the
    /// picks up, the next job from outside would pile its own on top.
    ///
    /// Inlined always: it is most of what a thread does between two jobs.
    #[inline(always)]
    pub(super) fn pick(&self) -> Option<Slot> {
        let picks = (self.picks.get() + 1) % FAIR_EVERY;
        loop {
            // No `or_else`: it is not inlined here, and a slot is long.
            let slot = if picks == 0 || picks == OLDEST {
                self.pick_fairly(picks)?
            } else if let Some(slot) = self.queues.lifo.pop() {
                slot
            } else if let Some(slot) = self.queues.inbox.pop() {
                slot
            } else {
                self.refill()?
            };
            if !slot.is_tombstone() {
                self.picks.set(picks);
                return Some(slot);
            }
            self.let_go(slot);
        }
    }

    /// The picks that do not begin with the LIFO's newest job.
    #[cold]
    fn pick_fairly(&self, picks: u32) -> Option<Slot> {
        if picks == OLDEST {
            self.pick_oldest_nested().or_else(|| self.pick_outside())
        } else {
            self.pick_call()
                .or_else(|| self.pick_outside())
                .or_else(|| self.queues.lifo.pop())
        }
    }

    /// As [`PoolThread::pick`], of a pool that has been told something.
    #[cold]
    fn pick_under_orders(&self) -> Option<Slot> {
        if self.scheduler.orders.has(Order::Lanes) {
            self.pick_by_priority()
        } else {
            self.pick()
        }
    }

    /// Lets go of tombstones on top of this thread's LIFO: a job that joins or
    /// cancels its children one after another claims each, and would leave them
    /// all there until it ends.
    pub(super) fn clear_tombstones(&self) {
        while let Some(slot) = self.queues.lifo.pop() {
            if !slot.is_tombstone() {
                self.queues.lifo.push(slot);
                // It was in no queue for a moment.
                self.notice_batch();
                return;
            }
            self.let_go(slot);
        }
    }

    /// The next job from outside: the inbox's oldest, refilled if it is empty.
    pub(super) fn pick_outside(&self) -> Option<Slot> {
        self.queues.inbox.pop().or_else(|| self.refill())
    }

    /// The oldest job of this thread's LIFO, from the thieves' end.
    fn pick_oldest_nested(&self) -> Option<Slot> {
        loop {
            match self.scheduler.seats[self.index].lifo.steal() {
                Steal::Success(slot) => return Some(slot),
                Steal::Empty => return None,
                Steal::Retry => spin_loop(),
            }
        }
    }

    /// Puts a job behind everything that waits now: behind a batch from the
    /// injector too, which would else wait for as long as the inbox is never
    /// empty.
    pub(super) fn push_behind(&self, slot: Slot) {
        let injector = &self.scheduler.injector;
        while !injector.is_empty() && injector.steal_batch(&self.queues.inbox) == Steal::Retry {
            spin_loop();
        }
        self.queues.inbox.push(slot);
        self.notice_batch();
    }

    /// Moves a batch from the injector to the inbox, and takes the first of it.
    fn refill(&self) -> Option<Slot> {
        while !self.scheduler.injector.is_empty() {
            match self
                .scheduler
                .injector
                .steal_batch_and_pop(&self.queues.inbox)
            {
                Steal::Success(slot) => {
                    self.notice_batch();
                    return Some(slot);
                }
                Steal::Empty => return None,
                Steal::Retry => spin_loop(),
            }
        }
        None
    }

    /// Takes half of a sibling's jobs, oldest first: outside jobs before nested
    /// ones.
    pub(super) fn steal(&self) -> Option<Slot> {
        let seats = &self.scheduler.seats;
        let first = self.victim.get();
        loop {
            let mut contended = false;
            for offset in 0..seats.len() {
                let victim = (first + offset) % seats.len();
                if victim == self.index {
                    continue;
                }
                let seat = &seats[victim];
                let found = match seat.inbox.steal_batch_and_pop(&self.queues.inbox) {
                    Steal::Empty => seat.lifo.steal_batch_and_pop(&self.queues.lifo),
                    other => other,
                };
                // Those after the jobs: nobody but their owner runs what is left of them
                // here, and the jobs may wait for it.
                let found = match found {
                    Steal::Empty => self.take_half(seat),
                    other => other,
                };
                match found {
                    Steal::Success(slot) => {
                        // Where there was more than one, there may be more.
                        self.victim.set(victim);
                        self.stats.count_steal();
                        self.notice_batch();
                        return Some(slot);
                    }
                    Steal::Retry => contended = true,
                    Steal::Empty => {}
                }
            }
            if !contended {
                return None;
            }
            spin_loop();
        }
    }

    /// A second half that the seat's thread shows.
    fn take_half(&self, seat: &Seat) -> Steal<Slot> {
        // Whoever steals is in no job, and so in no join.
        debug_assert!(
            self.halves.is_empty(),
            "a thread in a join steals only halves"
        );
        let half = seat.shelf.take();
        half.map_or(Steal::Empty, |half| {
            Steal::Success(Slot::half(half, Some(self.index)))
        })
    }

    /// A batch was moved: if it left jobs here, somebody may have to be woken.
    ///
    /// Between the removal and the publication the jobs were in no queue, so
    /// that a sibling that fell asleep in between saw none of them: whoever
    /// moves a batch owes it the hand-shake anew, as if it had just come in.
    fn notice_batch(&self) {
        if broken(Mutant::BatchNotice) {
            return;
        }
        if !self.queues.inbox.is_empty() || !self.queues.lifo.is_empty() {
            self.scheduler.notice();
        }
    }

    /// Searches and sleeps until there is a job; `None` once the pool is over, or
    /// the thread is to leave. It may lie on the stack of sleepers already.
    #[cold]
    fn wait_for_work(&self, mut lies: bool) -> Option<Slot> {
        let scheduler = &self.scheduler;
        let mut credit = !lies && scheduler.idle.start_searching();
        let mut spin = scheduler.spin.start();
        self.stop_working(spin.idle_since());
        loop {
            if !lies {
                // Without the credit one look around is all: somebody else spins.
                let found = if credit {
                    self.search(&mut spin)
                } else {
                    self.look_around()
                };
                if let Some(slot) = found {
                    if slot.is_tombstone() {
                        self.let_go(slot);
                        continue;
                    }
                    self.start_working(spin.about_now());
                    if credit {
                        self.hand_search_on();
                    }
                    // It may have been the last sleeper.
                    scheduler.substitute_if_short();
                    return Some(slot);
                }
                self.time_slice.to_sleep();
                scheduler
                    .idle
                    .fall_asleep(&scheduler.seats, self.index, credit);
            }
            if !self.sleep() {
                return None;
            }
            if self.is_struck_off(true) {
                return None;
            }
            spin.woken(&scheduler.spin);
            (lies, credit) = (false, true);
        }
    }

    /// One look at everything. This thread's own queues are empty, unless it lay down
    /// while they were not.
    pub(super) fn look_around(&self) -> Option<Slot> {
        self.pick_call()
            .or_else(|| self.pick_high())
            .or_else(|| self.queues.lifo.pop())
            .or_else(|| self.pick_outside())
            .or_else(|| self.steal())
            .or_else(|| self.pick_low())
    }

    /// The searcher found something: gives the credit back, and wakes the next
    /// thread if there is more to find. Submitters that saw the credit taken
    /// have woken nobody, and rely on this look.
    fn hand_search_on(&self) {
        self.scheduler.idle.stop_searching();
        // Partner: the fence in `Scheduler::notice`.
        fence(Ordering::SeqCst);
        if !broken(Mutant::SearcherHandsOn) && self.scheduler.work_visible() {
            self.scheduler.wake_one();
        }
    }

    /// On the stack of sleepers: sleeps until a job is there to be found; `false`
    /// once the pool is over. Who is woken here has the searching credit.
    fn sleep(&self) -> bool {
        let scheduler = &*self.scheduler;
        if !broken(Mutant::SleepFence) {
            // Partner: the fence in `Scheduler::notice`.
            fence(Ordering::SeqCst);
        }
        if self.has_calls() || scheduler.is_dismissed(self.index) {
            // It came in too early for its submitter to see this thread on the
            // stack, and it must be this thread that is woken. First, because
            // waking one for visible work may wake another.
            scheduler.wake_all();
        } else if scheduler.work_visible() {
            // The same, but whoever is woken (often this thread) looks for it; if
            // somebody searches already, that one does.
            scheduler.wake_one();
        } else {
            scheduler.exit_if_over();
        }
        let seat = &scheduler.seats[self.index];
        seat.asleep.store(true, Ordering::Relaxed);
        self.stats.count_park();
        // A thread that was started too late is not unparked.
        if !scheduler.idle.load().has_exited() {
            self.park();
        }
        seat.asleep.store(false, Ordering::Relaxed);
        self.time_slice.awake();
        !scheduler.idle.load().has_exited()
    }

    /// Parks until this thread is taken off the stack of sleepers, or the pool is
    /// over.
    fn park(&self) {
        let scheduler = &*self.scheduler;
        let parker = self.parker.get().expect("a thread that sleeps lives");
        // Whoever waits may come back while this one sleeps. (A model has no clock.)
        while !cfg!(loom) && scheduler.is_beyond(self.index) {
            if parker.park_until(Some(Instant::now() + KEEP_ALIVE)) {
                return;
            }
            if scheduler.has_spares() {
                // Nobody can leave from the middle of the stack.
                scheduler.dismiss();
                break;
            }
        }
        parker.park();
    }
}
