//! Who waits for the elements of one array, in the order in which they came.
//!
//! Threads and futures are in one list: each is a [`Waker`] under a key of
//! (element, ticket). Being in the list is being asleep: a notification takes
//! the key out, and whoever finds its key gone has been notified.
//!
//! # No lost wake-up
//! A waiter takes the lock, counts itself in `waiting`, and compares the value
//! only then; a notifier has stored the new value, and looks at `waiting` only
//! then. With a SeqCst fence between the two steps on each side, one of them
//! sees the other:
//!
//! * the waiter sees the new value, and does not wait; or
//! * the notifier sees a waiter, and takes the lock, which it gets when the
//!   waiter is in the list. (Or it gets it before the waiter does; then the
//!   waiter sees the value, by the lock.)
//!
//! So a notification that nobody waits for costs a fence and a load, and no
//! lock.
//!
//! # What runs under the lock
//! A comparison of integers, and a few steps in a tree. Wakers are woken, cloned
//! and dropped outside; a notification to many takes them in batches.

use std::collections::BTreeMap;
use std::task::{Poll, Waker};

use crate::sync::mutant::{Mutant, broken};
use crate::sync::{AtomicUsize, ModelledMutex, Ordering, fence};
use crate::util::{catch, discard};

/// How many wakers are taken out under the lock at a time.
const BATCH: usize = 16;

/// One array's waiters.
pub(super) struct WaitList {
    /// How many there are, or one more while somebody makes up its mind. Written
    /// under the lock only.
    waiting: AtomicUsize,
    line: ModelledMutex<Line>,
}

#[derive(Default)]
struct Line {
    next: u64,
    waiters: BTreeMap<Key, Waker>,
}

/// Where a waiter stands: at which element, and behind whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    element: usize,
    ticket: u64,
}

impl WaitList {
    pub(super) fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            line: ModelledMutex::new(Line::default()),
        }
    }

    /// Waits for `element`, if it still has the value: in one step, as
    /// notifications see it. `None` if it has not.
    pub(super) fn join(
        &self,
        element: usize,
        waker: &Waker,
        has_the_value: impl Fn() -> bool,
    ) -> Option<Key> {
        // Spares the lock.
        if !has_the_value() {
            return None;
        }
        let waker = waker.clone();
        let mut unused = None;
        let mut line = self.line.lock();
        self.waiting
            .store(line.waiters.len() + 1, Ordering::Relaxed);
        if !broken(Mutant::WaitFence) {
            // The partner is the fence in `notify`.
            fence(Ordering::SeqCst);
        }
        let key = if broken(Mutant::WaitComparesEarly) || has_the_value() {
            Some(line.push(element, waker))
        } else {
            self.waiting.store(line.waiters.len(), Ordering::Relaxed);
            unused = Some(waker);
            None
        };
        drop(line);
        drop(unused);
        key
    }

    /// Whether the waiter was notified; if not, `waker` will be woken for it,
    /// instead of the one it left before.
    pub(super) fn poll(&self, key: Key, waker: &Waker) -> Poll<()> {
        {
            let line = self.line.lock();
            match line.waiters.get(&key) {
                None => return Poll::Ready(()),
                // Compares two pointers; no code of the waker's runs.
                Some(left) if left.will_wake(waker) => return Poll::Pending,
                Some(_) => {}
            }
        }
        let mut waker = waker.clone();
        let mut line = self.line.lock();
        let poll = match line.waiters.get_mut(&key) {
            None => Poll::Ready(()),
            Some(left) => {
                std::mem::swap(left, &mut waker);
                Poll::Pending
            }
        };
        drop(line);
        // And only now the waker that was left before.
        drop(waker);
        poll
    }

    /// Stops waiting; `false` if the waiter had been notified before.
    pub(super) fn leave(&self, key: Key) -> bool {
        let mut line = self.line.lock();
        let waker = line.waiters.remove(&key);
        self.waiting.store(line.waiters.len(), Ordering::Relaxed);
        drop(line);
        let was_waiting = waker.is_some();
        discard(waker);
        was_waiting
    }

    /// How many wait, for whichever element; out of date at once.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Wakes those who wait for `element`, the first `most` of them; how many.
    pub(super) fn notify(&self, element: usize, most: usize) -> usize {
        if !broken(Mutant::NotifyFence) {
            // The partner is the fence in `join`.
            fence(Ordering::SeqCst);
        }
        if most == 0 || self.waiting.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let mut woken = 0;
        // Who is woken here and comes back at once must not be woken again.
        let mut newest = None;
        loop {
            let wanted = BATCH.min(most - woken);
            let mut batch = [const { None }; BATCH];
            let mut line = self.line.lock();
            let newest = *newest.get_or_insert(line.next);
            let mut found = 0;
            while found < wanted
                && let Some(waker) = line.first(element, newest)
            {
                batch[found] = Some(waker);
                found += 1;
            }
            self.waiting.store(line.waiters.len(), Ordering::Relaxed);
            drop(line);
            woken += found;
            for waker in batch.into_iter().flatten() {
                // One that panics must not keep the others asleep.
                if let Err(payload) = catch(|| waker.wake()) {
                    discard(payload);
                }
            }
            if found < BATCH || woken == most {
                return woken;
            }
        }
    }
}

impl Line {
    /// Puts a waiter behind all others.
    fn push(&mut self, element: usize, waker: Waker) -> Key {
        let ticket = self.next;
        self.next += 1;
        let key = Key { element, ticket };
        self.waiters.insert(key, waker);
        key
    }

    /// Takes out the oldest one of those who wait for `element` with a ticket
    /// below `newest`.
    fn first(&mut self, element: usize, newest: u64) -> Option<Waker> {
        let from = Key { element, ticket: 0 };
        let to = Key {
            element,
            ticket: newest,
        };
        let (&key, _) = self.waiters.range(from..to).next()?;
        self.waiters.remove(&key)
    }
}
