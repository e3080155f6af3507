//! How much fits into something bounded, and who waits for room.
//!
//! `used` counts what was let in and has not left. Who finds no room is turned
//! away, or leaves a ticket in the list. Room is *handed over*: whoever makes some
//! lets the longest waiting ticket in on its behalf, and only then wakes who left
//! it; and while a ticket is in the list, nobody else is let in. So those who wait
//! are served in the order in which they came, and newcomers do not overtake them.
//! Who gives up waiting takes its ticket out, or, if that was let in meanwhile,
//! makes room again.
//!
//! The list has a lock, which is held for one push or one pop, and which only
//! who leaves a ticket waits for. Who makes room *tries* the lock: if somebody
//! holds it, that one looks again after letting it go. So a thread that
//! receives never waits for a thread that posts.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use crate::sync::{
    Arc, AtomicU32, AtomicUsize, ModelledMutex, Ordering, WakerSlot, fence,
    mutant::{Mutant, broken},
};
use crate::util::{catch, discard};

/// There are tickets in the list. Set and cleared under the lock.
const WAITING: usize = 1 << 0;

/// All who wait are to be called, without being let in.
const CALL: usize = 1 << 1;

/// What is used is counted above the flags.
const ONE: usize = 1 << 2;

/// The bound of a lane, or of a pool's queues.
///
/// # Memory ordering
/// `used` and the flags are one word, so that who makes room and who begins to
/// wait cannot miss each other: of their two steps one comes second, and sees the
/// other. Who finds the lock taken leaves what is to be done to who has it: the
/// first changes the word and then tries the lock, the second lets the lock go and
/// then reads the word. A SeqCst fence stands between the two steps of each, so
/// that at least one sees the other.
pub(crate) struct Room {
    capacity: usize,
    word: AtomicUsize,
    tickets: ModelledMutex<VecDeque<Arc<Ticket>>>,
}

/// One party that waits for room. Its state changes from `IDLE` and from `LISTED`
/// under the list's lock only, and from `GRANTED` by who left it.
pub(crate) struct Ticket {
    waker: WakerSlot,
    state: AtomicU32,
}

/// Not in the list.
const IDLE: u32 = 0;
/// In the list.
const LISTED: u32 = 1;
/// Let in: the room is that of who left the ticket.
const GRANTED: u32 = 2;

impl Room {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            word: AtomicUsize::new(0),
            tickets: ModelledMutex::new(VecDeque::new()),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes room for one, if there is some and nobody waits for it. Never waits.
    pub(crate) fn enter(&self) -> bool {
        self.word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let nobody_waits = word & WAITING == 0 || broken(Mutant::Overtakes);
                (nobody_waits && self.has_room(word)).then_some(word + ONE)
            })
            .is_ok()
    }

    /// Takes room for one whether there is some or not: for who sees to it that
    /// another one leaves.
    pub(crate) fn enter_over(&self) {
        self.word.fetch_add(ONE, Ordering::AcqRel);
    }

    /// Gives the room of one back: to who waits for it, if anybody does. Never
    /// waits.
    pub(crate) fn leave(&self) {
        if self.word.fetch_sub(ONE, Ordering::AcqRel) & WAITING != 0 {
            self.hand_over();
        }
    }

    /// Calls all who wait, to see for themselves whether there is still something
    /// to wait for. The caller has made that known before. Never waits.
    pub(crate) fn call_all(&self) {
        // Partner: the fence in `hand_over`, after a ticket was listed and before
        // who left it asks whether it is over.
        fence(Ordering::SeqCst);
        let called = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word & WAITING != 0).then_some(word | CALL)
            });
        if called.is_ok() {
            self.hand_over();
        }
    }

    /// Takes room for one, or leaves `waker` to be woken when there is some:
    /// `true` once the room is the caller's, `false` once `is_over` says that
    /// nobody is to wait any more. `place` is empty at first, and the caller's
    /// place in the list from then on; it has to be [given up](Self::give_up) if
    /// this is not polled until it is ready.
    pub(crate) fn poll_enter(
        &self,
        place: &mut Option<Arc<Ticket>>,
        waker: &Waker,
        is_over: impl Fn() -> bool,
    ) -> Poll<bool> {
        if place.is_none() {
            if self.enter() {
                return Poll::Ready(true);
            }
            if is_over() {
                return Poll::Ready(false);
            }
        }
        let ticket = Arc::clone(place.get_or_insert_with(Ticket::new));
        // Before the looks: whoever changes what they see wakes this one.
        ticket.waker.register(waker);
        loop {
            if ticket.take_grant() {
                *place = None;
                return Poll::Ready(true);
            }
            if is_over() {
                self.give_up(place);
                return Poll::Ready(false);
            }
            if !self.list(&ticket) {
                return Poll::Pending;
            }
        }
    }

    /// Ends a wait that [`Room::poll_enter`] began: the next one moves up.
    pub(crate) fn give_up(&self, place: &mut Option<Arc<Ticket>>) {
        let Some(ticket) = place.take() else { return };
        if ticket.state.load(Ordering::Acquire) == LISTED {
            let mut tickets = self.tickets.lock();
            if let Some(at) = tickets.iter().position(|it| Arc::ptr_eq(it, &ticket)) {
                tickets.remove(at);
                if tickets.is_empty() {
                    self.word.fetch_and(!(WAITING | CALL), Ordering::AcqRel);
                }
            }
            drop(tickets);
            // Somebody may have found the lock taken.
            self.hand_over();
        }
        if ticket.take_grant() && !broken(Mutant::GrantKept) {
            self.leave();
        }
    }

    fn has_room(&self, word: usize) -> bool {
        word / ONE < self.capacity
    }

    /// Puts `ticket` into the list and lets in whom there is room for; `false` if
    /// it was there already.
    fn list(&self, ticket: &Arc<Ticket>) -> bool {
        if ticket.state.load(Ordering::Acquire) != IDLE {
            // If it is let in just now, its waker is woken.
            return false;
        }
        let mut tickets = self.tickets.lock();
        // The word first: so a model can look between it and the lock's end, which
        // is no step of its own there.
        self.word.fetch_or(WAITING, Ordering::AcqRel);
        ticket.state.store(LISTED, Ordering::Release);
        tickets.push_back(Arc::clone(ticket));
        drop(tickets);
        self.hand_over();
        true
    }

    /// Lets in as many of those who wait as there is room for, longest first, or
    /// calls them all.
    fn hand_over(&self) {
        loop {
            if !broken(Mutant::RoomFence) {
                fence(Ordering::SeqCst);
            }
            let word = self.word.load(Ordering::Relaxed);
            if word & WAITING == 0 || word & CALL == 0 && !self.has_room(word) {
                return;
            }
            // Whoever holds it comes through here after letting it go.
            let Some(mut tickets) = self.tickets.try_lock() else {
                return;
            };
            let (next, called) = self.take_next(&mut tickets);
            drop(tickets);
            for ticket in next.into_iter().chain(called) {
                discard(catch(|| ticket.waker.wake()));
            }
        }
    }

    /// The next one, which is let in, or all, if they are called.
    fn take_next(
        &self,
        tickets: &mut VecDeque<Arc<Ticket>>,
    ) -> (Option<Arc<Ticket>>, VecDeque<Arc<Ticket>>) {
        let is_last = tickets.len() == 1;
        let step = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                if word & WAITING == 0 {
                    None
                } else if word & CALL != 0 {
                    Some(word & !(WAITING | CALL))
                } else if self.has_room(word) {
                    let word = word + ONE;
                    Some(if is_last { word & !WAITING } else { word })
                } else {
                    None
                }
            });
        match step {
            Err(_) => (None, VecDeque::new()),
            Ok(word) if word & CALL != 0 => {
                let called = std::mem::take(tickets);
                for ticket in &called {
                    ticket.state.store(IDLE, Ordering::Release);
                }
                (None, called)
            }
            Ok(_) => {
                let next = tickets.pop_front();
                if let Some(ticket) = &next {
                    ticket.state.store(GRANTED, Ordering::Release);
                }
                (next, VecDeque::new())
            }
        }
    }
}

impl Ticket {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            waker: WakerSlot::new(),
            state: AtomicU32::new(IDLE),
        })
    }

    /// Whether it was let in; once.
    fn take_grant(&self) -> bool {
        // Acquire: what the one that made room did is visible now.
        let granted = self.state.load(Ordering::Acquire) == GRANTED;
        if granted {
            // Nobody else changes it from here.
            self.state.store(IDLE, Ordering::Relaxed);
        }
        granted
    }
}
