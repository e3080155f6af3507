//! Something that ends, and who wants to know.

use std::task::{Poll, Waker};

use crate::sync::ModelledMutex;
use crate::util::{catch, discard};

/// In what order those who wait are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    First,
    Last,
}

/// Who is to be told when a condition has come true.
///
/// The condition is the caller's, and is asked for under the lock; whoever makes
/// it true rings after that. So a waiter either sees it, or is in the list when
/// the bell is rung. The condition may become false again: who was woken asks
/// again.
///
/// The lock is held for one change of the list. It is the one lock that a main
/// loop and a pool thread share, and they do so at the end of something.
#[derive(Default)]
pub(crate) struct Bell(ModelledMutex<Option<Box<List>>>);

#[derive(Default)]
struct List {
    waiting: Vec<Entry>,
    /// Tells entries apart.
    next_key: u64,
    /// Those of the first rank are being woken. Until that is done the others do
    /// not see the condition, even if they ask by themselves.
    ringing: bool,
}

struct Entry {
    key: u64,
    rank: Rank,
    waker: Waker,
}

/// One party's place at one [`Bell`]. To be given back to [`Bell::leave`].
pub(crate) struct Waiting {
    rank: Rank,
    key: Option<u64>,
}

impl Waiting {
    pub(crate) fn new(rank: Rank) -> Self {
        Self { rank, key: None }
    }
}

impl Bell {
    /// Wakes everybody who waits, the first rank first.
    pub(crate) fn ring(&self) {
        let Some(early) = self.take(true) else {
            return;
        };
        let (first, last): (Vec<_>, Vec<_>) = early
            .into_iter()
            .partition(|entry| entry.rank == Rank::First);
        first.into_iter().for_each(wake);
        let late = self.take(false).unwrap_or_default();
        last.into_iter().chain(late).for_each(wake);
    }

    /// Ready if `happened`; otherwise `waker` is woken when the bell is rung.
    pub(crate) fn poll(
        &self,
        waiting: &mut Waiting,
        waker: &Waker,
        happened: impl Fn() -> bool,
    ) -> Poll<()> {
        // Cloned and dropped outside the lock: a waker's code is not ours.
        let waker = waker.clone();
        let mut state = self.0.lock();
        let list = state.get_or_insert_default();
        let old = list.remove(waiting);
        let ready = happened() && !(list.ringing && waiting.rank == Rank::Last);
        let unused = if ready {
            Some(waker)
        } else {
            list.insert(waiting, waker);
            None
        };
        drop(state);
        drop((old, unused));
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Nobody waits at this place any more.
    pub(crate) fn leave(&self, waiting: &mut Waiting) {
        if waiting.key.is_some() {
            let mut state = self.0.lock();
            let old = state.as_mut().and_then(|list| list.remove(waiting));
            drop(state);
            drop(old);
        }
    }

    /// Takes the list, and notes whether more are woken before the last rank;
    /// `None` if nobody ever waited.
    fn take(&self, ringing: bool) -> Option<Vec<Entry>> {
        let mut state = self.0.lock();
        let list = state.as_mut()?;
        list.ringing = ringing;
        Some(std::mem::take(&mut list.waiting))
    }
}

impl List {
    fn insert(&mut self, waiting: &mut Waiting, waker: Waker) {
        let key = self.next_key;
        self.next_key += 1;
        waiting.key = Some(key);
        self.waiting.push(Entry {
            key,
            rank: waiting.rank,
            waker,
        });
    }

    fn remove(&mut self, waiting: &mut Waiting) -> Option<Entry> {
        let key = waiting.key.take()?;
        let at = self.waiting.iter().position(|entry| entry.key == key)?;
        Some(self.waiting.remove(at))
    }
}

fn wake(entry: Entry) {
    discard(catch(|| entry.waker.wake()));
}
