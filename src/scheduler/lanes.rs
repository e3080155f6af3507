//! Jobs of other priorities than normal.
//!
//! They wait in lanes of their own, each an injector that all threads take from, one
//! job at a time: a batch in somebody's inbox would be out of the order of
//! priorities again. Nested ones go there too, not to their thread's LIFO, but have
//! an injector apart from that of outside jobs, so that no main loop ever waits for a
//! pool thread that was interrupted in the middle of a push.
//!
//! A pool in which all jobs are normal pays nothing: [`Order::Lanes`] is given with
//! the first job of another priority, and until then no thread looks here.
//!
//! # Who comes first
//! Of [`ROUND`] picks one begins with the low lane, every [`NORMAL_EVERY`]th with the
//! normal queues, and the others with the high lane; whoever begins, the rest follow
//! in the order of their priorities. Low jobs come after what a sibling could be
//! robbed of. So each kind has its share of a thread's picks, and none starves.

use crossbeam_utils::CachePadded;

use super::orders::Order;
use super::{PoolThread, Scheduler, current};
use crate::job::Slot;
use crate::priority::Priority;
use crate::sync::deque::{Injector, Steal};
use crate::sync::spin_loop;

/// Picks of a round, the first of which begins with the low lane. A prime, as
/// [`super::pool_thread::FAIR_EVERY`] is.
const ROUND: u32 = 61;

/// Of so many picks, one begins with the normal queues: seven in a round.
const NORMAL_EVERY: u32 = 8;

/// The pick of those [`NORMAL_EVERY`] that does.
const NORMAL_TURN: u32 = 4;

/// All lanes.
pub(super) struct Lanes {
    high: Lane,
    low: Lane,
}

/// The jobs of one priority.
struct Lane {
    outside: CachePadded<Injector<Slot>>,
    inside: CachePadded<Injector<Slot>>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            high: Lane::new(),
            low: Lane::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.high.is_empty() && self.low.is_empty()
    }

    /// The queues of low jobs.
    pub(super) fn low(&self) -> [&Injector<Slot>; 2] {
        [&self.low.outside, &self.low.inside]
    }

    /// The queues of high jobs.
    pub(super) fn high(&self) -> [&Injector<Slot>; 2] {
        [&self.high.outside, &self.high.inside]
    }

    /// All queues.
    pub(super) fn queues(&self) -> impl Iterator<Item = &Injector<Slot>> {
        self.low().into_iter().chain(self.high())
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            outside: CachePadded::new(Injector::new()),
            inside: CachePadded::new(Injector::new()),
        }
    }

    fn is_empty(&self) -> bool {
        self.outside.is_empty() && self.inside.is_empty()
    }

    fn push(&self, slot: Slot, from_inside: bool) {
        if from_inside {
            self.inside.push(slot);
        } else {
            self.outside.push(slot);
        }
    }

    /// The oldest job from outside or the oldest from inside: now this, now that
    /// first, as `turn` says.
    fn take(&self, turn: u32) -> Option<Slot> {
        let (first, second) = if turn.is_multiple_of(2) {
            (&self.outside, &self.inside)
        } else {
            (&self.inside, &self.outside)
        };
        take(first).or_else(|| take(second))
    }
}

fn take(queue: &Injector<Slot>) -> Option<Slot> {
    while !queue.is_empty() {
        match queue.steal() {
            Steal::Success(slot) => return Some(slot),
            Steal::Empty => return None,
            Steal::Retry => spin_loop(),
        }
    }
    None
}

impl Scheduler {
    /// As [`Scheduler::submit`], for a job of any priority.
    pub(crate) fn submit_at(&self, mut slot: Slot, priority: Priority) -> Result<bool, Slot> {
        let lane = match priority {
            Priority::Normal => return self.submit(slot),
            Priority::High => &self.lanes.high,
            Priority::Low => &self.lanes.low,
        };
        if !self.is_open_here() {
            return Err(slot);
        }
        self.stamp(&mut slot);
        // Before the push, whose fence is the sleepers' partner for both.
        if !self.orders.has(Order::Lanes) {
            self.orders.give(Order::Lanes);
        }
        lane.push(slot, current::of(self).is_some());
        Ok(self.notice())
    }

    /// Whether a lane holds a job; exact in the sense of
    /// [`Scheduler::work_visible`].
    pub(super) fn lanes_visible(&self) -> bool {
        self.orders.has(Order::Lanes) && !self.lanes.is_empty()
    }
}

impl PoolThread {
    /// The next job that is at hand, if there are lanes.
    pub(super) fn pick_by_priority(&self) -> Option<Slot> {
        let turn = (self.turns.get() + 1) % ROUND;
        self.turns.set(turn);
        loop {
            let slot = match turn {
                0 => self
                    .pick_call()
                    .or_else(|| self.pick_low())
                    .or_else(|| self.pick_high()),
                turn if turn % NORMAL_EVERY == NORMAL_TURN => None,
                _ => self.pick_high(),
            }
            .or_else(|| self.pick())
            .or_else(|| self.pick_high())
            .or_else(|| self.steal())
            .or_else(|| self.pick_low())?;
            if !slot.is_tombstone() {
                return Some(slot);
            }
            self.let_go(slot);
        }
    }

    pub(super) fn pick_high(&self) -> Option<Slot> {
        self.pick_lane(&self.scheduler.lanes.high)
    }

    pub(super) fn pick_low(&self) -> Option<Slot> {
        self.pick_lane(&self.scheduler.lanes.low)
    }

    fn pick_lane(&self, lane: &Lane) -> Option<Slot> {
        // A sleeper that was woken for a lane has seen the order.
        let has_lanes = self.scheduler.orders.has(Order::Lanes);
        has_lanes.then(|| lane.take(self.turns.get())).flatten()
    }
}
