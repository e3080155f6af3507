//! The queue under every port and every worker: one word.
//!
//! Producers push onto a linked list with one compare-exchange; the consumer
//! takes the whole list at once and turns it round (as Linux's `llist` does).
//! The word is the newest node's address with three flags in its low bits, so
//! that a push learns in the same step whether the queue is closed and whether
//! the consumer has to be told. `port.md` has the protocol and its proof.
//!
//! An empty queue owns no memory, and is 8 bytes.
//!
//! # Safety
//! - A node is made by `push` with `magazine::put`. Until its exchange succeeds
//!   it belongs to the pusher; from then on to the list.
//! - Whoever exchanges the address for null owns the whole list, alone: that
//!   is `take`, and nothing else removes nodes. A [`Batch`] is such a list, and
//!   gives each node back to `magazine::take` once.
//! - A `next` is written before the exchange that publishes its node (Release),
//!   and read after the exchange that took it (Acquire).
//! - There is no ABA: nobody pops single nodes from the shared list, and an
//!   address that was reused is the newest node all the same.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crate::magazine;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{AtomicPtr, Mutex, Ordering};
use crate::util::discard;

/// No more pushes.
const CLOSED: usize = 1;
/// The consumer found nothing, and wants to be told. Only with an empty list.
const WAITING: usize = 2;
/// The consumer was called for something that is not in the queue.
const CALLED: usize = 4;

const FLAGS: usize = CLOSED | WAITING | CALLED;

/// A message on its way. The alignment leaves room for the flags.
#[repr(align(8))]
struct Node<T> {
    /// The one that was pushed before it.
    next: *mut Node<T>,
    message: T,
}

/// A queue of many producers and one consumer at a time; unbounded.
///
/// # Memory ordering
/// Every change of the word is AcqRel: a push publishes its node to the `take`
/// that finds it, `wait` publishes what the consumer did before it to the push
/// that clears WAITING, and `close` and `call` publish what was done before
/// them to the consumer that sees the flag.
pub(crate) struct Queue<T> {
    word: AtomicPtr<Node<T>>,
    /// It sends `T`s and gives none of them out by reference.
    sends: PhantomData<Mutex<T>>,
}

/// What [`Queue::wait`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wait {
    /// Nothing: whoever changes that will be told to tell the consumer.
    Waiting,
    /// Something to look at.
    Arrived,
    /// Nothing, and nothing will come.
    Closed,
}

impl<T> Queue<T> {
    /// An empty queue whose consumer is awake.
    pub(crate) fn new() -> Self {
        Self::with_flags(0)
    }

    /// An empty queue whose consumer waits.
    pub(crate) fn waiting() -> Self {
        Self::with_flags(WAITING)
    }

    fn with_flags(flags: usize) -> Self {
        Self {
            word: AtomicPtr::new(ptr::without_provenance_mut(flags)),
            sends: PhantomData,
        }
    }

    /// Appends a message; `Ok(true)` if the caller has to tell the consumer.
    /// Gives the message back if the queue is closed. Lock-free.
    #[inline]
    pub(crate) fn push(&self, message: T) -> Result<bool, T> {
        let mut word = self.word.load(Ordering::Relaxed);
        if flags(word) & CLOSED != 0 {
            return Err(message);
        }
        let block = magazine::put(Node {
            next: ptr::null_mut(),
            message,
        });
        let node = block.as_ptr();
        loop {
            let flags = flags(word);
            if flags & CLOSED != 0 {
                // SAFETY: `put` gave it, and it was never published.
                let node = unsafe { magazine::take(block) };
                return Err(node.message);
            }
            // SAFETY: the node is not published yet.
            unsafe { (*node).next = node_of(word) };
            let new = node.map_addr(|address| address | (flags & !WAITING));
            match self.exchange(word, new) {
                Ok(()) => return Ok(flags & WAITING != 0),
                Err(now) => word = now,
            }
        }
    }

    /// Takes everything that has arrived, oldest first. Wait-free if nothing
    /// has.
    #[inline]
    pub(crate) fn take(&self) -> Batch<T> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if node_of(word).is_null() {
                return Batch::default();
            }
            match self.exchange(word, ptr::without_provenance_mut(flags(word))) {
                Ok(()) => return Batch::oldest_first(node_of(word)),
                Err(now) => word = now,
            }
        }
    }

    /// Asks to be told of the next change, unless there is something to look at
    /// already. For the consumer.
    #[inline]
    pub(crate) fn wait(&self) -> Wait {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let flags = flags(word);
            if !node_of(word).is_null() || flags & CALLED != 0 {
                return Wait::Arrived;
            }
            if flags & CLOSED != 0 {
                return Wait::Closed;
            }
            if flags & WAITING != 0 {
                return Wait::Waiting;
            }
            let waiting = ptr::without_provenance_mut(flags | WAITING);
            if broken(Mutant::WaitUnseen) {
                self.word.store(waiting, Ordering::Release);
                return Wait::Waiting;
            }
            match self.exchange(word, waiting) {
                Ok(()) => return Wait::Waiting,
                Err(now) => word = now,
            }
        }
    }

    /// Refuses messages from here on; those that were accepted stay. `true` if
    /// the caller has to tell the consumer.
    pub(crate) fn close(&self) -> bool {
        self.set(CLOSED)
    }

    /// Sees to it that the consumer looks around, although there is no message;
    /// `true` if the caller has to tell it.
    pub(crate) fn call(&self) -> bool {
        self.set(CALLED)
    }

    /// Whether the consumer was called since it last asked. For the consumer.
    pub(crate) fn take_call(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while flags(word) & CALLED != 0 {
            match self.exchange(word, word.map_addr(|address| address & !CALLED)) {
                Ok(()) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Whether messages are refused.
    pub(crate) fn is_closed(&self) -> bool {
        flags(self.word.load(Ordering::Acquire)) & CLOSED != 0
    }

    /// Whether nothing has arrived since the last `take`.
    pub(crate) fn is_empty(&self) -> bool {
        node_of(self.word.load(Ordering::Acquire)).is_null()
    }

    /// Sets a flag and ends the consumer's waiting; whether it waited.
    fn set(&self, flag: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let new = word.map_addr(|address| (address | flag) & !WAITING);
            match self.exchange(word, new) {
                Ok(()) => return flags(word) & WAITING != 0,
                Err(now) => word = now,
            }
        }
    }

    #[inline]
    fn exchange(&self, from: *mut Node<T>, to: *mut Node<T>) -> Result<(), *mut Node<T>> {
        self.word
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// A list that was taken out of a queue: the oldest message first. What is left
/// when it is dropped is dropped with it; what a message's `Drop` panics with
/// is discarded.
pub(crate) struct Batch<T> {
    head: *mut Node<T>,
    /// The newest; meaningless if there is none.
    tail: *mut Node<T>,
    len: usize,
}

// SAFETY: it owns its nodes, and they own their messages.
unsafe impl<T: Send> Send for Batch<T> {}

impl<T> Batch<T> {
    /// Turns a list that was taken round.
    #[inline]
    fn oldest_first(mut newest: *mut Node<T>) -> Self {
        let mut batch = Self {
            tail: newest,
            ..Self::default()
        };
        while !newest.is_null() {
            // SAFETY: the list is the caller's alone.
            let next = unsafe { &mut (*newest).next };
            let older = std::mem::replace(next, batch.head);
            batch.head = newest;
            batch.len += 1;
            newest = older;
        }
        batch
    }

    /// Puts a batch that was taken later behind this one.
    pub(crate) fn append(&mut self, mut newer: Self) {
        if newer.head.is_null() {
            return;
        }
        if self.head.is_null() {
            std::mem::swap(self, &mut newer);
            return;
        }
        // SAFETY: both lists are the caller's, and this one is not empty.
        unsafe { (*self.tail).next = newer.head };
        self.tail = newer.tail;
        self.len += newer.len;
        newer.head = ptr::null_mut();
    }

    /// How many messages are left.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The oldest message.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let head = NonNull::new(self.head)?;
        // SAFETY: the list is this value's, and the node leaves it here.
        let node = unsafe { magazine::take(head) };
        self.head = node.next;
        self.len -= 1;
        Some(node.message)
    }
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self {
            head: ptr::null_mut(),
            tail: ptr::null_mut(),
            len: 0,
        }
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        while let Some(message) = self.pop() {
            discard(message);
        }
    }
}

#[inline]
fn flags<T>(word: *mut Node<T>) -> usize {
    word.addr() & FLAGS
}

#[inline]
fn node_of<T>(word: *mut Node<T>) -> *mut Node<T> {
    word.map_addr(|address| address & !FLAGS)
}

const _: () = assert!(align_of::<Node<u8>>() > FLAGS);
