//! One direction of a channel: a queue, its bound, and who is to be told.

use std::ops::Deref;
use std::task::{Poll, Waker};

use super::bell::{Bell, Rank, Waiting};
use super::queue::{Batch, Queue, Wait};
use super::room::Room;
use super::{PostError, RecvError};
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, WakerSlot, fence};
use crate::sys::fork::Generation;
use crate::util::{catch, discard};

/// What producers and the consumer of one direction share.
///
/// # Memory ordering
/// `claimed` is taken with Acquire and given back with Release, which carries
/// `batch` from one consumer to the next. Who closes writes the queue's word and
/// reads `claimed`; who gives the claim back writes `claimed` and reads the
/// word: a SeqCst fence in between on both sides, so that one of them finds that
/// it is over and rings.
pub(crate) struct Lane<T> {
    queue: Queue<T>,
    /// What the last consumer took out of the queue and did not use. Locked by
    /// who has the claim, and so never waited for.
    batch: Mutex<Batch<T>>,
    /// Somebody receives.
    claimed: AtomicBool,
    /// Wakes the consumer.
    waker: WakerSlot,
    /// A consumer has had everything there ever will be.
    emptied: AtomicBool,
    /// Rung when the lane may have become [over](Lane::poll_over).
    bell: Bell,
    room: Option<Box<Room>>,
    /// The process that it was made in.
    made_in: Generation,
    /// Those on its other end are in that process only.
    ends_with_process: bool,
}

impl<T> Lane<T> {
    pub(crate) fn unbounded() -> Self {
        Self::new(Queue::new(), None)
    }

    /// # Panics
    /// If `capacity` is zero.
    #[track_caller]
    pub(crate) fn bounded(capacity: usize) -> Self {
        Self::new(Queue::new(), Some(bound(capacity)))
    }

    /// A lane out of a job or a worker. In a fork of this process, where these are
    /// not, it is closed.
    pub(crate) fn outbox() -> Self {
        Self {
            ends_with_process: true,
            ..Self::unbounded()
        }
    }

    /// A lane to a process, bounded if there is a bound. In a fork of this one it is closed:
    /// that the other process belongs to is not there.
    ///
    /// # Panics
    /// If the bound is zero.
    #[cfg(all(unix, feature = "process"))]
    #[track_caller]
    pub(crate) fn to_process(capacity: Option<usize>) -> Self {
        Self {
            ends_with_process: true,
            ..Self::new(Queue::new(), capacity.map(bound))
        }
    }

    /// A lane whose consumer waits from the start, bounded if there is a bound.
    ///
    /// # Panics
    /// If the bound is zero.
    #[track_caller]
    pub(crate) fn mailbox(capacity: Option<usize>) -> Self {
        Self::new(Queue::waiting(), capacity.map(bound))
    }

    fn new(queue: Queue<T>, room: Option<Box<Room>>) -> Self {
        Self {
            queue,
            batch: Mutex::default(),
            claimed: AtomicBool::new(false),
            waker: WakerSlot::new(),
            emptied: AtomicBool::new(false),
            bell: Bell::default(),
            room,
            made_in: Generation::current(),
            ends_with_process: false,
        }
    }

    /// Puts a message in; `Ok(true)` if the caller has to tell the consumer.
    #[inline]
    pub(crate) fn push(&self, message: T) -> Result<bool, PostError<T>> {
        if self.room.as_ref().is_some_and(|room| !room.enter()) {
            return Err(if self.is_closed() {
                PostError::closed(message)
            } else {
                PostError::full(message, self.capacity())
            });
        }
        self.push_let_in(message)
    }

    /// As [`Lane::push`], by who has taken the room for it.
    #[inline]
    pub(crate) fn push_let_in(&self, message: T) -> Result<bool, PostError<T>> {
        self.queue.push(message).map_err(|message| {
            if let Some(room) = &self.room {
                room.leave();
            }
            PostError::closed(message)
        })
    }

    /// Puts a message in, and wakes the consumer if it waits.
    #[inline]
    pub(crate) fn post(&self, message: T) -> Result<(), PostError<T>> {
        if self.push(message)? {
            self.wake();
        }
        Ok(())
    }

    /// As [`Lane::post`], by who has taken the room for it.
    pub(super) fn post_let_in(&self, message: T) -> Result<(), PostError<T>> {
        if self.push_let_in(message)? {
            self.wake();
        }
        Ok(())
    }

    /// Refuses messages from here on. What was accepted can be received.
    pub(crate) fn close(&self) {
        if self.shut() {
            self.wake();
        }
    }

    /// As [`Lane::close`]; `true` if the caller has to tell the consumer.
    pub(crate) fn shut(&self) -> bool {
        let tell = self.queue.close();
        if let Some(room) = &self.room {
            room.call_all();
        }
        if !broken(Mutant::EndUnseen) {
            // Partner: the fence in `Claim::drop`.
            fence(Ordering::SeqCst);
        }
        if self.is_over() {
            self.bell.ring();
        }
        tell
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed() || self.is_cut_off()
    }

    /// Whether the other end is in another process, of which this is a fork.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.ends_with_process && self.made_in.is_past()
    }

    /// Whether somebody receives.
    pub(crate) fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Acquire)
    }

    /// A place for [`Lane::poll_over`] that has a rank.
    pub(crate) fn enter(&self, rank: Rank) -> Waiting {
        self.bell.enter(rank)
    }

    /// Ready once the lane is closed and whoever receives has had everything;
    /// it does not wait for somebody to come and receive. It may be over, and
    /// then not any more because somebody has come.
    pub(crate) fn poll_over(&self, waiting: &mut Waiting, waker: &Waker) -> Poll<()> {
        self.bell.poll(waiting, waker, || self.is_over())
    }

    /// Ends a wait that [`Lane::enter`] or [`Lane::poll_over`] began.
    pub(crate) fn leave(&self, waiting: &mut Waiting) {
        self.bell.leave(waiting);
    }

    fn is_over(&self) -> bool {
        self.is_closed()
            && (!self.claimed.load(Ordering::Acquire) || self.emptied.load(Ordering::Acquire))
    }

    /// A consumer has had everything there ever will be.
    fn set_emptied(&self) {
        if !self.emptied.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
    }

    pub(crate) fn queue(&self) -> &Queue<T> {
        &self.queue
    }

    pub(crate) fn room(&self) -> Option<&Room> {
        self.room.as_deref()
    }

    /// A message left the lane by another door than a claim.
    #[inline]
    pub(crate) fn make_room(&self) {
        if let Some(room) = &self.room {
            room.leave();
        }
    }

    /// The bound, or the largest number there is.
    fn capacity(&self) -> usize {
        self.room
            .as_ref()
            .map_or(usize::MAX, |room| room.capacity())
    }

    fn wake(&self) {
        // A waker's panic is not the poster's.
        if let Some(waker) = self.waker.take() {
            discard(catch(|| waker.wake()));
        }
    }
}

/// The bound of a lane.
///
/// # Panics
/// If `capacity` is zero.
#[track_caller]
fn bound(capacity: usize) -> Box<Room> {
    assert!(
        capacity != 0,
        "a capacity of 0 is not possible: a bounded channel or mailbox holds at least 1 message"
    );
    Box::new(Room::new(capacity))
}

/// The right to receive from a lane, which one party has at a time. Dropping it
/// leaves what has not been received for the next one.
pub(crate) struct Claim<T, L: Deref<Target = Lane<T>>> {
    lane: L,
    batch: Batch<T>,
}

/// A claim that keeps its lane alive.
pub(crate) type OwnedClaim<T> = Claim<T, Arc<Lane<T>>>;

impl<T, L: Deref<Target = Lane<T>>> Claim<T, L> {
    /// # Errors
    /// If somebody else receives.
    pub(crate) fn new(lane: L) -> Result<Self, RecvError> {
        if lane.claimed.swap(true, Ordering::Acquire) {
            return Err(RecvError::taken());
        }
        let batch = std::mem::take(&mut *lane.batch.lock());
        Ok(Self { lane, batch })
    }

    /// The next message, without waiting; `None` inside if the lane is over.
    #[inline]
    pub(crate) fn try_next(&mut self) -> Poll<Option<T>> {
        loop {
            if let Some(message) = self.batch.pop() {
                self.lane.make_room();
                return Poll::Ready(Some(message));
            }
            self.batch = self.lane.queue.take();
            if self.batch.len() == 0 {
                return if self.lane.is_closed() {
                    self.at_the_end()
                } else {
                    Poll::Pending
                };
            }
        }
    }

    /// The next message, or `waker` is woken when there is something new.
    pub(crate) fn poll_next(&mut self, waker: &Waker) -> Poll<Option<T>> {
        loop {
            if let Poll::Ready(next) = self.try_next() {
                return Poll::Ready(next);
            }
            // Before WAITING is set: whoever clears it wakes this one.
            self.lane.waker.register(waker);
            match self.lane.queue.wait() {
                Wait::Waiting => return Poll::Pending,
                Wait::Arrived | Wait::Closed => {}
            }
        }
    }

    /// Drops what has arrived; what a message's `Drop` panics with is discarded.
    pub(crate) fn discard_all(&mut self) {
        while let Poll::Ready(Some(message)) = self.try_next() {
            discard(message);
        }
    }

    /// How many messages are at hand: all that have arrived by now.
    pub(crate) fn at_hand(&mut self) -> usize {
        self.batch.append(self.lane.queue.take());
        self.batch.len()
    }

    /// With nothing at hand: `Some(true)` if nothing will come, `Some(false)` if
    /// something just has; else `waker` is woken when it does.
    pub(crate) fn poll_end(&mut self, waker: &Waker) -> Option<bool> {
        self.lane.waker.register(waker);
        match self.lane.queue.wait() {
            Wait::Waiting if !self.lane.is_cut_off() => None,
            Wait::Arrived => Some(false),
            Wait::Waiting | Wait::Closed => {
                self.lane.set_emptied();
                Some(true)
            }
        }
    }

    /// Whether a look would be worth it; touches nothing.
    pub(crate) fn is_worth_a_look(&self) -> bool {
        self.batch.len() != 0 || !self.lane.queue.is_empty() || self.lane.is_closed()
    }

    /// The lane is closed. Is it empty, too? A last message may have come
    /// before the end was seen.
    fn at_the_end(&mut self) -> Poll<Option<T>> {
        self.batch = self.lane.queue.take();
        if self.batch.len() != 0 {
            return self.try_next();
        }
        self.lane.set_emptied();
        Poll::Ready(None)
    }
}

impl<T, L: Deref<Target = Lane<T>>> Drop for Claim<T, L> {
    fn drop(&mut self) {
        *self.lane.batch.lock() = std::mem::take(&mut self.batch);
        self.lane.claimed.store(false, Ordering::Release);
        if !broken(Mutant::EndUnseen) {
            // Partner: the fence in `Lane::shut`.
            fence(Ordering::SeqCst);
        }
        if self.lane.is_over() {
            self.lane.bell.ring();
        }
    }
}
