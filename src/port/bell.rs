//! Something that ends, and who wants to know.

use std::task::{Poll, Waker};

use crate::sync::ModelledMutex;
use crate::sync::mutant::{Mutant, broken};
use crate::util::{catch, discard};

/// Who of a group (any number) is told before whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    First(usize),
    /// Not before all of the group's first have been told, or have left.
    Last(usize),
    /// Of no group.
    Alone,
}

/// Who is to be told when a condition has come true.
///
/// The condition is the caller's, and is asked for under the lock; whoever makes
/// it true rings after that. So a waiter either sees it, or is in the list when
/// the bell is rung. The condition may become false again: who was woken asks
/// again.
///
/// # First and last
/// One of the first rank is *due* from the moment it enters until it is told, which
/// is when its poll is ready, or leaves. While one is due, the last of its group do
/// not see the condition. That it was woken is not enough: a loop looks at those who
/// were woken in its own order, and the last may be about to ask by itself. Who ends
/// the group's being due wakes its last.
///
/// So the last of a group wait for somebody to poll its first, which is for the group
/// to see to: a main loop polls what was woken. No group waits for another, whose
/// loop may not be running. A place that is forgotten holds up its group for ever.
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
    /// The group of each of the first rank that is due.
    due: Vec<usize>,
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
    /// Of the first rank, and in the list of those who are due.
    due: bool,
}

impl Waiting {
    /// A place of no group.
    pub(crate) fn alone() -> Self {
        Self {
            rank: Rank::Alone,
            key: None,
            due: false,
        }
    }
}

impl Bell {
    /// A place of that rank. One of the first is due from here on.
    pub(crate) fn enter(&self, rank: Rank) -> Waiting {
        let mut waiting = Waiting {
            rank,
            ..Waiting::alone()
        };
        if let Rank::First(group) = rank {
            self.0.lock().get_or_insert_default().due.push(group);
            waiting.due = true;
        }
        waiting
    }

    /// Wakes everybody who waits.
    pub(crate) fn ring(&self) {
        let Some(mut waiting) = self.take() else {
            return;
        };
        // Else the last would look in vain first, and be told a turn later.
        waiting.sort_by_key(|entry| matches!(entry.rank, Rank::Last(_)));
        waiting.into_iter().for_each(wake);
    }

    /// Ready if `happened`; otherwise `waker` is woken when that may have changed.
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
        let ready = happened() && !list.holds_up(waiting.rank);
        let (freed, unused) = if ready {
            (list.settle(waiting), Some(waker))
        } else {
            list.insert(waiting, waker);
            (Vec::new(), None)
        };
        drop(state);
        freed.into_iter().for_each(wake);
        drop((old, unused));
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Nobody waits at this place any more.
    pub(crate) fn leave(&self, waiting: &mut Waiting) {
        if waiting.key.is_none() && !waiting.due {
            return;
        }
        let mut state = self.0.lock();
        let Some(list) = state.as_mut() else {
            return;
        };
        let old = list.remove(waiting);
        let freed = list.settle(waiting);
        drop(state);
        freed.into_iter().for_each(wake);
        drop(old);
    }

    /// Takes the list; `None` if nobody ever waited.
    fn take(&self) -> Option<Vec<Entry>> {
        let mut state = self.0.lock();
        Some(std::mem::take(&mut state.as_mut()?.waiting))
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

    /// Whether one of the same group has to be told first.
    fn holds_up(&self, rank: Rank) -> bool {
        match rank {
            Rank::Last(group) => self.due.contains(&group) && !broken(Mutant::LastUnheld),
            Rank::First(_) | Rank::Alone => false,
        }
    }

    /// This one is due no more. Whom that lets go: they have to ask again, for the
    /// bell may have been rung before.
    fn settle(&mut self, waiting: &mut Waiting) -> Vec<Entry> {
        let Rank::First(group) = waiting.rank else {
            return Vec::new();
        };
        if !std::mem::take(&mut waiting.due) {
            return Vec::new();
        }
        if let Some(at) = self.due.iter().position(|&due| due == group) {
            self.due.swap_remove(at);
        }
        if self.due.contains(&group) || broken(Mutant::LastLeftWaiting) {
            return Vec::new();
        }
        let is_freed = |entry: &mut Entry| entry.rank == Rank::Last(group);
        self.waiting.extract_if(.., is_freed).collect()
    }
}

fn wake(entry: Entry) {
    discard(catch(|| entry.waker.wake()));
}
