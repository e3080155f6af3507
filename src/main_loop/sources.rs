//! The table of everything the loop waits for, and who keeps it alive.
//!
//! The table is plain data: no method here runs or drops anything of the
//! user's. What is taken out is handed to the caller, who drops it once the
//! table is no longer borrowed, because its `Drop` may call the loop.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::{Duration, Instant};

use super::completion::{Finished, PendingFuture};
use super::id::{IdHasher, SourceId};
use super::listener::Listener;
use super::{MainLoop, Once, Repeated};

/// The table of sources.
#[derive(Default)]
pub(super) struct Sources {
    entries: HashMap<SourceId, Entry, BuildHasherDefault<IdHasher>>,
    /// The timers that will fire, in the order in which they will.
    pub(super) timers: BTreeSet<(Instant, SourceId)>,
    /// Immediates in order; one that was cleared stays until it is reached.
    immediates: VecDeque<SourceId>,
    /// How many immediates were ever taken off the front of the queue.
    immediates_taken: u64,
    /// How many entries keep the loop alive.
    refs: usize,
    /// The time of the last turn that looked at the clock. No timer is set to
    /// this or earlier, so no turn runs a timer that was set during it.
    pub(super) clock: Option<Instant>,
}

struct Entry {
    /// Set if the entry is counted in `refs`.
    keeps_alive: bool,
    source: Source,
}

/// What the loop waits for. An `Option` is empty while what it holds runs.
pub(super) enum Source {
    /// Fires once. No deadline: never.
    Timeout {
        deadline: Option<Instant>,
        callback: Box<Once>,
    },
    /// Fires again and again. No deadline: never again.
    Interval {
        deadline: Option<Instant>,
        period: Duration,
        callback: Option<Box<Repeated>>,
    },
    /// Runs next turn.
    Immediate { callback: Box<Once> },
    /// A future that was pending; `woken` if it was woken while it was polled.
    Pending {
        future: Option<PendingFuture>,
        woken: bool,
    },
    /// Has each message of a port; `woken` if there was news while it was out.
    Listener {
        listener: Option<Box<dyn Listener>>,
        woken: bool,
    },
    /// A future that was ready when it was registered; runs next turn.
    Finished { callback: Finished },
}

/// What became of a future or a listener that was to be put back.
pub(super) enum PutBack<T> {
    /// It waits for its waker.
    Waiting,
    /// It was woken while it was out, and has to be looked at again.
    Woken,
    /// It was cleared while it was out.
    Cleared(T),
}

impl<T> PutBack<T> {
    fn there(woken: &mut bool) -> Self {
        if std::mem::take(woken) {
            Self::Woken
        } else {
            Self::Waiting
        }
    }
}

impl Sources {
    /// Enters `source` and gives it its name.
    pub(super) fn insert(&mut self, source: Source) -> SourceId {
        let id = SourceId::fresh();
        match &source {
            Source::Timeout {
                deadline: Some(deadline),
                ..
            }
            | Source::Interval {
                deadline: Some(deadline),
                ..
            } => {
                self.timers.insert((*deadline, id));
            }
            Source::Immediate { .. } => self.immediates.push_back(id),
            _ => {}
        }
        self.entries.insert(
            id,
            Entry {
                keeps_alive: true,
                source,
            },
        );
        self.refs += 1;
        id
    }

    /// Takes `id` out of the table, whatever it is.
    pub(super) fn remove(&mut self, id: SourceId) -> Option<Source> {
        let entry = self.entries.remove(&id)?;
        self.refs -= usize::from(entry.keeps_alive);
        if let Source::Timeout {
            deadline: Some(deadline),
            ..
        }
        | Source::Interval {
            deadline: Some(deadline),
            ..
        } = &entry.source
        {
            self.timers.remove(&(*deadline, id));
        }
        Some(entry.source)
    }

    /// The source called `id`.
    pub(super) fn get_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        self.entries.get_mut(&id).map(|entry| &mut entry.source)
    }

    /// Puts an interval's callback back; gives it back if it was cleared.
    pub(super) fn put_back_interval(
        &mut self,
        id: SourceId,
        callback: Box<Repeated>,
    ) -> Option<Box<Repeated>> {
        match self.get_mut(id) {
            Some(Source::Interval { callback: slot, .. }) => slot.replace(callback),
            _ => Some(callback),
        }
    }

    /// Puts a future back that is still pending.
    pub(super) fn put_back_future(
        &mut self,
        id: SourceId,
        pending: PendingFuture,
    ) -> PutBack<PendingFuture> {
        match self.get_mut(id) {
            Some(Source::Pending { future, woken }) => {
                *future = Some(pending);
                PutBack::there(woken)
            }
            _ => PutBack::Cleared(pending),
        }
    }

    /// Puts a listener back whose messages have been delivered.
    pub(super) fn put_back_listener(
        &mut self,
        id: SourceId,
        idle: Box<dyn Listener>,
    ) -> PutBack<Box<dyn Listener>> {
        match self.get_mut(id) {
            Some(Source::Listener { listener, woken }) => {
                *listener = Some(idle);
                PutBack::there(woken)
            }
            _ => PutBack::Cleared(idle),
        }
    }

    /// The futures and listeners, in the order in which they were registered.
    pub(super) fn waiting(&self) -> Vec<SourceId> {
        let wait =
            |source: &Source| matches!(source, Source::Pending { .. } | Source::Listener { .. });
        let entries = self.entries.iter().filter(|(_, entry)| wait(&entry.source));
        let mut ids: Vec<_> = entries.map(|(&id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// Whether `id` is still registered.
    pub(super) fn contains(&self, id: SourceId) -> bool {
        self.entries.contains_key(&id)
    }

    /// Where the queue of immediates ends, counted from the loop's beginning.
    pub(super) fn immediates_end(&self) -> u64 {
        self.immediates_taken + self.immediates.len() as u64
    }

    /// Takes the oldest immediate that was queued before `end`.
    pub(super) fn pop_immediate(&mut self, end: u64) -> Option<(SourceId, Box<Once>)> {
        while self.immediates_taken < end {
            let id = self.immediates.pop_front()?;
            self.immediates_taken += 1;
            if let Some(Source::Immediate { callback }) = self.remove(id) {
                return Some((id, callback));
            }
        }
        None
    }

    /// Whether an immediate is waiting. Forgets cleared ones on the way.
    pub(super) fn has_immediate(&mut self) -> bool {
        while let Some(id) = self.immediates.front() {
            if self.entries.contains_key(id) {
                return true;
            }
            self.immediates.pop_front();
            self.immediates_taken += 1;
        }
        false
    }

    /// When the earliest timer is due.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(deadline, _)| deadline)
    }

    /// Whether a source keeps the loop alive.
    pub(super) fn has_refs(&self) -> bool {
        self.refs != 0
    }

    /// How many sources there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes everything out, in the order in which it was registered.
    pub(super) fn take_all(&mut self) -> Vec<Source> {
        let mut entries: Vec<_> = std::mem::take(self).entries.into_iter().collect();
        entries.sort_unstable_by_key(|&(id, _)| id);
        entries.into_iter().map(|(_, entry)| entry.source).collect()
    }

    fn set_keeps_alive(&mut self, id: SourceId, keeps_alive: bool) {
        if let Some(entry) = self.entries.get_mut(&id) {
            self.refs -= usize::from(entry.keeps_alive);
            self.refs += usize::from(keeps_alive);
            entry.keeps_alive = keeps_alive;
        }
    }
}

impl MainLoop {
    /// Removes a source: a timer, an immediate, a completion or a listener. Its callback
    /// does not run after this, not even later in the same turn.
    ///
    /// An `id` that is finished, was cleared or belongs to another loop is
    /// ignored. A timer may clear itself in its own callback. What the
    /// callback and the future hold is dropped before this returns, except
    /// what is running at the moment: that is dropped when it has ended.
    /// Never blocks.
    ///
    /// Clearing a completion drops its future: for a pool's handle that means
    /// whatever dropping the handle means. What a listener has not had yet stays
    /// where it is, for the next one.
    ///
    /// # Panics
    /// If a `Drop` of what the source held panics; the source is gone anyway.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// let mut left = 3;
    /// main.set_interval(Duration::from_millis(1), move |main, id| {
    ///     left -= 1;
    ///     if left == 0 { main.clear(id) }
    /// });
    /// main.run();
    /// ```
    pub fn clear(&self, id: SourceId) {
        let removed = self.sources.borrow_mut().remove(id);
        if let Some(source) = removed {
            if matches!(source, Source::Timeout { .. } | Source::Interval { .. }) {
                self.timers_changed();
            }
            drop(source);
        }
    }

    /// Lets [`MainLoop::run`] return although this source is still there.
    ///
    /// The source stays registered and fires if the loop runs for another
    /// reason. An `id` that names nothing here is ignored. Never blocks.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// let heartbeat = main.set_interval(Duration::from_secs(1), |_, _| println!("still here"));
    /// main.unref(heartbeat);
    /// main.run(); // returns at once
    /// ```
    pub fn unref(&self, id: SourceId) {
        self.sources.borrow_mut().set_keeps_alive(id, false);
    }

    /// Undoes [`MainLoop::unref`], however often that was called.
    ///
    /// An `id` that names nothing here is ignored. Never blocks.
    pub fn re_ref(&self, id: SourceId) {
        self.sources.borrow_mut().set_keeps_alive(id, true);
    }

    /// Whether this source keeps the loop alive; `false` if `id` names nothing
    /// here. Never blocks.
    pub fn has_ref(&self, id: SourceId) -> bool {
        self.sources
            .borrow()
            .entries
            .get(&id)
            .is_some_and(|entry| entry.keeps_alive)
    }
}
