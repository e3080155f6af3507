//! How much fits into a bounded lane, and who waits for room.
//!
//! `used` counts the messages that were accepted and not yet received. Who finds
//! no room gets the message back, or leaves a ticket in the list and tries again
//! when it is called.
//!
//! The list has a lock, which is held for one push or one pop, and which only
//! who leaves a ticket waits for. Who makes room *tries* the lock: if somebody
//! holds it, that one looks again after letting it go. So a thread that
//! receives never waits for a thread that posts.

use std::collections::VecDeque;

use crate::sync::{
    Arc, AtomicBool, AtomicUsize, ModelledMutex, Ordering, WakerSlot, fence,
    mutant::{Mutant, broken},
};
use crate::util::{catch, discard};

/// The bound of one lane.
///
/// # Memory ordering
/// Three parties look at each other across two words: who makes room writes
/// `used` and reads `waiting`; who waits writes `waiting` and reads `used`; who
/// lets the lock go reads both. A SeqCst fence stands between the write and the
/// read of each, so that of any two at least one sees the other.
pub(crate) struct Room {
    capacity: usize,
    used: AtomicUsize,
    /// Tickets in the list.
    waiting: AtomicUsize,
    /// No more posts: whoever waits is to find that out.
    closed: AtomicBool,
    tickets: ModelledMutex<VecDeque<Arc<Ticket>>>,
}

/// One party that waits for room.
pub(super) struct Ticket {
    waker: WakerSlot,
    /// Set while it is in the list.
    listed: AtomicBool,
    /// Set when nobody waits on it any more.
    abandoned: AtomicBool,
}

impl Room {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            tickets: ModelledMutex::new(VecDeque::new()),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes the room for one message, if there is any.
    pub(super) fn enter(&self) -> bool {
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                (used < self.capacity).then_some(used + 1)
            })
            .is_ok()
    }

    /// Gives the room of one message back, and calls who waits for it.
    pub(super) fn leave(&self) {
        self.used.fetch_sub(1, Ordering::AcqRel);
        self.call_waiting();
    }

    /// Nothing is accepted any more; everybody who waits is called.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.call_waiting();
    }

    /// Puts `ticket` into the list, unless it is there. The caller tries once
    /// more to enter after this, and then calls [`Room::call_waiting`].
    pub(super) fn list(&self, ticket: &Arc<Ticket>) {
        let mut tickets = self.tickets.lock();
        if !ticket.listed.swap(true, Ordering::AcqRel) {
            tickets.push_back(Arc::clone(ticket));
            self.waiting.fetch_add(1, Ordering::AcqRel);
        }
        drop(tickets);
        fence(Ordering::SeqCst);
    }

    /// Takes `ticket` out of the list, if it is there: nobody waits on it any
    /// more. The caller calls [`Room::call_waiting`] after this, since the room
    /// that it may have been called for goes to somebody else.
    pub(super) fn unlist(&self, ticket: &Arc<Ticket>) {
        ticket.abandoned.store(true, Ordering::Release);
        let mut tickets = self.tickets.lock();
        let before = tickets.len();
        tickets.retain(|other| !Arc::ptr_eq(other, ticket));
        let removed = before - tickets.len();
        self.waiting.fetch_sub(removed, Ordering::AcqRel);
        drop(tickets);
    }

    /// Calls as many of those who wait as there is room for, longest first.
    pub(super) fn call_waiting(&self) {
        let mut called = 0;
        loop {
            if !broken(Mutant::RoomFence) {
                fence(Ordering::SeqCst);
            }
            let everybody = self.closed.load(Ordering::Relaxed);
            let room = self
                .capacity
                .saturating_sub(self.used.load(Ordering::Relaxed));
            if self.waiting.load(Ordering::Relaxed) == 0 || (called >= room && !everybody) {
                return;
            }
            // Whoever holds it comes through here after letting it go.
            let Some(mut tickets) = self.tickets.try_lock() else {
                return;
            };
            let ticket = tickets.pop_front();
            drop(tickets);
            // Whoever has just taken the last one looks again after it.
            let Some(ticket) = ticket else {
                return;
            };
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            ticket.listed.store(false, Ordering::Release);
            if !ticket.abandoned.load(Ordering::Acquire) {
                called += 1;
                discard(catch(|| ticket.waker.wake()));
            }
        }
    }
}

impl Ticket {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            waker: WakerSlot::new(),
            listed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        })
    }

    /// Whom to wake when there is room.
    pub(super) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}
