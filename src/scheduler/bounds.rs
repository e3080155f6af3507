//! The bound on a pool's queues: how many jobs may wait, who is let in, and who is
//! thrown out for whom.
//!
//! # What is counted
//! A *place* is that of one job that waits: let in, and neither started nor
//! cancelled nor refused. Turns of workers and views, and calls of single threads,
//! have none. Places are counted by a [`Room`]: who finds none waits for one in
//! order, or is turned away.
//!
//! * A fire-and-forget job's place is given back by who takes its slot out of the
//!   queues ([`Scheduler::left`]).
//! * A job with a handle may lose its closure while its slot is still in a queue: it
//!   was cancelled, or claimed by who waits for it. So it has a [`Permit`] beside
//!   its closure, which is dropped first thing when the closure runs, or with the
//!   captures. That gives the place back, and leaves the slot behind as a tombstone.
//!
//! # Tombstones
//! They are 64 bytes each, and lie in the queues until a thread comes to them. So
//! that a pool whose threads are all stuck cannot be made to grow by spawning and
//! cancelling, `n` of them are free in a pool of capacity `n`, and each one beyond
//! that keeps its place until one of them is gone. `dead` counts them: up when a
//! permit is dropped, down when the slot of a job with a handle leaves the queues
//! (also if it was none: then the closure is about to run, and counts it up again).
//! It may be -1 for a moment, if the second comes first. The invariants, with `live`
//! for the jobs that wait:
//!
//! * places taken = `live` + max(0, `dead` - `n`), and no more than `n`;
//! * slots in the queues = `live` + `dead`, and so no more than 2 `n`.
//!
//! Each step of `dead` is one read-modify-write, which says by itself whether a
//! place comes or goes with it: from `n` or more upwards a place is kept, from above
//! `n` downwards one is given back.
//!
//! # Shedding
//! Under [`WhenFull::DropOldest`] who finds no room takes the oldest job that waits
//! out of the queues, and its place. It takes its own place before the other's is
//! given back ([`Room::enter_over`]), because that would else go to who waits for
//! one. So there may be more places taken than there are for a moment, but never
//! more jobs in the queues: the other one is out of them by then.
//!
//! A turn is nobody's victim, nor is a part of a job that has begun. It goes back into
//! the queues, behind the others; meanwhile a [`Hand`] keeps the threads of a closed
//! pool from leaving.

use super::Scheduler;
use super::closing::Hand;
use crate::job::{Place, Reason, Slot, Victim};
use crate::port::Room;
use crate::sync::deque::{Injector, Steal};
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, AtomicUsize, Ordering, spin_loop};

/// So many turns are put back at most for one job that is let in.
const TURNS: usize = 64;

/// So often somebody who finds nobody to throw out looks again.
const ROUNDS: usize = if cfg!(loom) { 1 } else { 16 };

/// What becomes of `spawn` and `execute` when as many jobs wait as may; see
/// [`PoolBuilder::when_full`](crate::PoolBuilder::when_full).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The new job is rejected: its handle gives
    /// [`is_rejected`](crate::JoinError::is_rejected), and its closure is dropped by
    /// its caller; without a handle it goes to
    /// [`on_reject`](crate::PoolBuilder::on_reject), on the caller's thread.
    #[default]
    RejectNewest,
    /// The new job takes the place of the one that has waited longest, as far as
    /// can be told in a pool that is at work; *that* one is rejected, and its
    /// captures are dropped by the new job's caller.
    ///
    /// The oldest are looked for first among those of low
    /// [priority](crate::Priority), then among the normal jobs that threads have taken
    /// to themselves, those that came from outside and those that jobs handed over, and
    /// last among those of high priority. If the threads are faster than the search, the new job is
    /// let in, or, after a few rounds, rejected after all.
    DropOldest,
}

/// The bound of one pool.
pub(crate) struct Bounds {
    room: Room,
    when_full: WhenFull,
    /// Slots of jobs that were claimed elsewhere: wraps around below zero.
    dead: AtomicUsize,
}

/// A place in the queues of a job with a handle. Dropping it gives it back.
pub(crate) struct Permit(Arc<Bounds>);

impl Bounds {
    pub(crate) fn new(capacity: usize, when_full: WhenFull) -> Self {
        Self {
            room: Room::new(capacity),
            when_full,
            dead: AtomicUsize::new(0),
        }
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// For who was let in, with a job that has a handle.
    pub(crate) fn permit(self: &Arc<Self>) -> Permit {
        Permit(Arc::clone(self))
    }

    /// A slot has left the queues, or does not enter them after all. The caller
    /// runs or refuses it next. (Never inline: pools without a bound pay nothing
    /// but the question.)
    #[inline(never)]
    pub(super) fn left(&self, slot: &Slot) {
        match slot.place() {
            Place::None => {}
            Place::Slot => self.room.leave(),
            Place::Closure => {
                // AcqRel: a place goes to somebody else, as in `Room`.
                let before = self.dead.fetch_sub(1, Ordering::AcqRel);
                if self.is_beyond(before.wrapping_sub(1)) {
                    self.room.leave();
                }
            }
        }
    }

    /// Whether one more tombstone than there are so many keeps its place.
    fn is_beyond(&self, dead: usize) -> bool {
        // What has wrapped around is below zero.
        let below_zero = dead > usize::MAX / 2;
        !below_zero && dead >= self.room.capacity()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let bounds = &*self.0;
        let before = bounds.dead.fetch_add(1, Ordering::AcqRel);
        if !bounds.is_beyond(before) {
            bounds.room.leave();
        }
    }
}

impl Scheduler {
    /// Whether there is a bound: all that others pay for it.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.bounds.is_some()
    }

    /// The bound, if there is one.
    #[inline]
    pub(crate) fn bounds(&self) -> Option<&Arc<Bounds>> {
        self.bounds.as_ref()
    }

    /// Takes a place for a job, if there is one and nobody waits for it. Never waits.
    ///
    /// # Errors
    /// If the pool is closed, or full.
    pub(crate) fn try_let_in(&self, bounds: &Bounds) -> Result<(), Reason> {
        if !self.is_open_here() {
            Err(self.why_refused())
        } else if bounds.room.enter() {
            Ok(())
        } else {
            Err(Reason::Rejected)
        }
    }

    /// As [`Scheduler::try_let_in`], by throwing another job out if the pool is to
    /// do so. Never waits.
    ///
    /// # Errors
    /// As [`Scheduler::try_let_in`].
    pub(crate) fn let_in(&self, bounds: &Bounds) -> Result<Option<ThrownOut<'_>>, Reason> {
        match self.try_let_in(bounds) {
            Err(Reason::Rejected) if bounds.when_full == WhenFull::DropOldest => self.shed(bounds),
            result => result.map(|()| None),
        }
    }

    /// A slot has left the queues; see [`Bounds::left`].
    #[inline]
    pub(crate) fn left(&self, slot: &Slot) {
        if let Some(bounds) = &self.bounds {
            bounds.left(slot);
        }
    }

    /// Takes the place of the oldest job that waits.
    #[cold]
    fn shed(&self, bounds: &Bounds) -> Result<Option<ThrownOut<'_>>, Reason> {
        let (mut turns, mut rounds) = (0, 0);
        while turns < TURNS && rounds < ROUNDS {
            match self.take_oldest() {
                Found::Turn => turns += 1,
                Found::Nothing => {
                    rounds += 1;
                    spin_loop();
                }
                Found::Tombstone(slot) => {
                    bounds.left(&slot);
                    // It only lets go.
                    drop(slot);
                }
                Found::Job(slot) => {
                    bounds.room.enter_over();
                    bounds.left(&slot);
                    if let Ok(victim) = slot.claim_to_refuse(Reason::Rejected) {
                        return Ok(Some(ThrownOut {
                            scheduler: self,
                            victim: Some(victim),
                        }));
                    }
                    // It was claimed meanwhile, and whoever did that gives its place
                    // back.
                    if !broken(Mutant::LatePlaceKept) {
                        bounds.room.leave();
                    }
                }
            }
            if bounds.room.enter() {
                return Ok(None);
            }
        }
        Err(Reason::Rejected)
    }

    /// Takes the oldest job out of the queues.
    pub(super) fn take_oldest(&self) -> Found {
        let _hand = Hand::reach_in(self);
        let Some(slot) = self.steal_oldest() else {
            return Found::Nothing;
        };
        if slot.is_tombstone() {
            Found::Tombstone(slot)
        } else if slot.place() == Place::None {
            self.injector.push(slot);
            self.notice();
            Found::Turn
        } else {
            Found::Job(slot)
        }
    }

    fn steal_oldest(&self) -> Option<Slot> {
        let steal = |steal: &dyn Fn() -> Steal<Slot>| {
            loop {
                match steal() {
                    Steal::Success(slot) => return Some(slot),
                    Steal::Empty => return None,
                    Steal::Retry => spin_loop(),
                }
            }
        };
        let seats = &self.seats;
        let lanes = |lanes: [&Injector<Slot>; 2]| {
            lanes.into_iter().find_map(|lane| steal(&|| lane.steal()))
        };
        let inboxes = || seats.iter().find_map(|seat| steal(&|| seat.inbox.steal()));
        let lifos = || seats.iter().find_map(|seat| steal(&|| seat.lifo.steal()));
        lanes(self.lanes.low())
            .or_else(inboxes)
            .or_else(|| steal(&|| self.injector.steal()))
            .or_else(lifos)
            .or_else(|| lanes(self.lanes.high()))
    }
}

/// A job that was thrown out for another one. Dropping this tells it so: its captures
/// are dropped, or the hook is called. That is the users' code, and may take its time or
/// wait for the pool; so it comes after the other job has been handed over.
#[must_use = "the other job is to be handed over first"]
pub(crate) struct ThrownOut<'a> {
    scheduler: &'a Scheduler,
    victim: Option<Victim>,
}

impl Drop for ThrownOut<'_> {
    fn drop(&mut self) {
        if let Some(victim) = self.victim.take() {
            self.scheduler.refuse_victim(victim, Reason::Rejected);
        }
    }
}

/// What was found in the queues.
pub(super) enum Found {
    Nothing,
    /// It was put back.
    Turn,
    Tombstone(Slot),
    Job(Slot),
}
