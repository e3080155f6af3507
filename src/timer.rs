//! The thread that keeps time for jobs: started with the first that has a limit,
//! gone with the last.
//!
//! It only resolves cells: what a job captured is dropped by a pool thread, when
//! the job's turn comes, so that one slow `Drop` does not make others late.
//!
//! # How it is told
//! Entries come in through a queue that says, in the step that enters one,
//! whether the thread has to be told ([`Queue`]). Whoever is to tell it finds its
//! parker, and unparks it, or finds none, and starts it. (That may be in vain: the
//! thread woke by itself and took the entry.) There is never more than one thread,
//! because starting it sets `runs`, and who finds that set leaves the entry to the
//! thread that is there or just coming. A thread that is about to end clears
//! `runs` and *then* looks once more; if there is something, it has to set `runs`
//! again, or finds that somebody has started another one. Fences on both sides:
//! either that look sees the entry, or who entered it sees `runs` cleared.
//!
//! # In a fork
//! The thread is not in a fork of its process, although all else says that it is. So
//! the first who needs a timer there makes a new one; the old one is touched by who
//! has it, to no effect, and by nobody else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::job::{CancelEnd, current_end};
use crate::port::{Queue, Wait};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, Parker, fence, thread};
use crate::sys::fork::Generation;
use crate::util::report;

/// So many limits may be kept before those of jobs that are over are cleared.
const FEW: usize = 64;

/// What is to happen when time is over.
#[derive(Clone, Copy)]
enum Limit {
    /// A job that has not started never does.
    Deadline,
    /// A job that runs is resolved, and asked to stop.
    Timeout,
}

struct Entry {
    at: Instant,
    limit: Limit,
    job: CancelEnd,
}

/// Belongs to a job that has a limit, and goes when its closure does: as long as
/// there is one, the thread has a reason to wait.
pub(crate) struct Timed(Arc<Timer>);

struct Timer {
    inbox: Queue<Entry>,
    /// How many [`Timed`] there are.
    timed: AtomicUsize,
    /// Set while there is a thread that is not about to end.
    runs: AtomicBool,
    /// The parker of that thread.
    parker: ArcSwapOption<Parker>,
    /// The process that the thread is in.
    made_in: Generation,
}

impl Timed {
    pub(crate) fn new() -> Self {
        let timer = timer();
        // Relaxed: the thread hears of it by the entry that follows, whose push
        // (Release) has the thread's `take` (Acquire) for a partner.
        timer.timed.fetch_add(1, Ordering::Relaxed);
        Self(timer)
    }

    /// The job expires if it has not started by then. There is a [`Timed`] of it.
    pub(crate) fn deadline(at: Instant, job: CancelEnd) {
        timer().enter(Entry {
            at,
            limit: Limit::Deadline,
            job,
        });
    }

    /// The job that runs here is timed out after so long.
    pub(crate) fn limit_current(&self, limit: Duration) {
        // Too far away to be a point in time is no limit.
        if let Some(at) = Instant::now().checked_add(limit)
            && let Some(job) = current_end()
        {
            self.0.enter(Entry {
                at,
                limit: Limit::Timeout,
                job,
            });
        }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let timer = &self.0;
        // Release, with the thread's Acquire: the job is over for it then.
        if timer.timed.fetch_sub(1, Ordering::Release) == 1 {
            // Partner: the fence before the thread counts. Either it counts none,
            // or it has left its parker here.
            fence(Ordering::SeqCst);
            if let Some(parker) = &*timer.parker.load() {
                parker.unpark();
            }
        }
    }
}

/// The timer of this process.
///
/// It is replaced without a lock, which might be somebody's who is not in this fork.
fn timer() -> Arc<Timer> {
    static TIMER: ArcSwapOption<Timer> = ArcSwapOption::const_empty();
    loop {
        let timer = TIMER.load();
        if let Some(timer) = &*timer
            && !timer.made_in.is_past()
        {
            return Arc::clone(timer);
        }
        TIMER.compare_and_swap(&timer, Some(Arc::new(Timer::new())));
    }
}

impl Timer {
    fn new() -> Self {
        Self {
            inbox: Queue::waiting(),
            timed: AtomicUsize::new(0),
            runs: AtomicBool::new(false),
            parker: ArcSwapOption::empty(),
            made_in: Generation::current(),
        }
    }

    fn enter(self: &Arc<Self>, entry: Entry) {
        // The queue is never closed.
        if !matches!(self.inbox.push(entry), Ok(true)) {
            return;
        }
        match &*self.parker.load() {
            Some(parker) => parker.unpark(),
            None => {
                // Partner: the fence in `keep_time`.
                fence(Ordering::SeqCst);
                if self.set_runs() {
                    self.start();
                }
            }
        }
    }

    /// Whether this call set `runs`.
    fn set_runs(&self) -> bool {
        !self.runs.swap(true, Ordering::AcqRel)
    }

    #[cold]
    fn start(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let thread = thread::Builder::new().name("windlass-timer".into());
        let Err(error) = thread.spawn(move || this.keep_time()) else {
            return;
        };
        report(format_args!(
            "windlass: the timer thread could not be started: {error}"
        ));
        self.runs.store(false, Ordering::Release);
        // Nobody keeps these limits (a deadline is looked at when the job's turn
        // comes); the next one tries again.
        while self.inbox.wait() == Wait::Arrived {
            drop(self.inbox.take());
        }
    }

    fn keep_time(&self) {
        let parker = Arc::new(Parker::new(thread::current()));
        let mut agenda = Agenda::default();
        self.parker.store(Some(Arc::clone(&parker)));
        loop {
            let mut arrived = self.inbox.take();
            while let Some(entry) = arrived.pop() {
                agenda.enter(entry);
            }
            agenda.fire(Instant::now());
            // Partner: the fence in `Timed`'s drop.
            fence(Ordering::SeqCst);
            if self.timed.load(Ordering::Acquire) == 0 {
                agenda.clear();
            }
            let next = agenda.next();
            if next.is_none() {
                self.parker.store(None);
                self.runs.store(false, Ordering::Release);
                // Partner: the fence in `enter`.
                fence(Ordering::SeqCst);
                if self.inbox.wait() != Wait::Arrived || !self.set_runs() {
                    return;
                }
                self.parker.store(Some(Arc::clone(&parker)));
            } else if self.inbox.wait() != Wait::Arrived {
                parker.park_until(next);
            }
        }
    }
}

/// The limits that are still to come.
#[derive(Default)]
struct Agenda {
    /// By time, and in the order in which they came.
    entries: BTreeMap<(Instant, u64), (Limit, CancelEnd)>,
    entered: u64,
    /// How many were left when those of jobs that are over were last cleared.
    kept: usize,
}

impl Agenda {
    fn enter(&mut self, entry: Entry) {
        let Entry { at, limit, job } = entry;
        self.entered += 1;
        self.entries.insert((at, self.entered), (limit, job));
        if self.entries.len() > 2 * self.kept.max(FEW) {
            self.entries.retain(|_, (_, job)| !job.is_resolved());
            self.kept = self.entries.len();
        }
    }

    fn fire(&mut self, now: Instant) {
        while let Some(first) = self.entries.first_entry()
            && first.key().0 <= now
        {
            let (limit, job) = first.remove();
            match limit {
                Limit::Deadline => job.expire(),
                Limit::Timeout => job.time_out(),
            };
        }
    }

    fn next(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(&(at, _), _)| at)
    }

    fn clear(&mut self) {
        // The jobs are over, and so is what they were to be told.
        self.entries.clear();
    }
}
