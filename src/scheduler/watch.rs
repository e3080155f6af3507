//! Jobs that run for too long are reported, if the pool was told how long that is.
//!
//! A thread of its own looks at the others, a few times in the time that a job may
//! run: one that works and has not ended a job since it was first seen in this one is
//! at the same job still. So the threads note nothing per job, and no clock is read
//! for it; the price is that a job is reported up to a quarter of that time late. While
//! nobody works, the watcher sleeps, and the first one that begins to work wakes it.

use std::time::{Duration, Instant};

use super::seats::Seat;
use super::{Scheduler, Stall, current};
use crate::sync::{Arc, AtomicBool, Ordering, Parker, fence};

/// How often it looks in the time that a job may run.
const LOOKS: u32 = 4;

/// The watcher's part of a pool.
pub(super) struct Watch {
    limit: Duration,
    parker: Arc<Parker>,
    /// It sleeps until somebody works.
    resting: AtomicBool,
}

/// What the watcher knows of one thread.
#[derive(Clone, Copy)]
struct Seen {
    /// How many jobs it had ended then.
    ended: u64,
    since: Instant,
    is_reported: bool,
}

impl Watch {
    /// Somebody begins to work.
    pub(super) fn rouse(&self) {
        // Partner: the fence in `watch`. Either that sees who works, or this that it
        // rests.
        fence(Ordering::SeqCst);
        if self.resting.load(Ordering::Relaxed) && self.resting.swap(false, Ordering::AcqRel) {
            self.parker.unpark();
        }
    }

    /// The pool is over.
    pub(super) fn end(&self) {
        self.parker.unpark();
    }
}

impl Scheduler {
    /// The calling thread is the watcher: reports jobs that run for longer than
    /// `limit` until the pool is over.
    pub(crate) fn watch(&self, limit: Duration, parker: Arc<Parker>) {
        let watch = self.watch.get_or_init(|| Watch {
            limit,
            parker,
            resting: AtomicBool::new(false),
        });
        // Partner: the fence in `exit_if_over`.
        fence(Ordering::SeqCst);
        let pause = (limit / LOOKS).max(Duration::from_millis(1));
        let mut seen = Vec::new();
        while !self.idle.load().has_exited() {
            if self.look_at_all(watch, &mut seen) {
                // Too far away to be a point in time: looked at when it is woken.
                watch.parker.park_until(Instant::now().checked_add(pause));
                continue;
            }
            watch.resting.store(true, Ordering::Release);
            // Partner: the fence in `rouse`.
            fence(Ordering::SeqCst);
            if !self.is_anybody_working() && !self.idle.load().has_exited() {
                watch.parker.park();
            }
            watch.resting.store(false, Ordering::Release);
        }
    }

    /// Whether anybody works; reports who is at the same job for too long.
    fn look_at_all(&self, watch: &Watch, seen: &mut Vec<Option<Seen>>) -> bool {
        let now = Instant::now();
        seen.resize(self.seats.len(), None);
        for (index, seat) in self.seats.iter().enumerate() {
            let place = &mut seen[index];
            let ended = seat.stats.ended();
            if !seat.stats.is_working() {
                *place = None;
                continue;
            }
            let entry = match place {
                Some(entry) if entry.ended == ended => entry,
                place => place.insert(Seen {
                    ended,
                    since: now,
                    is_reported: false,
                }),
            };
            let age = now.duration_since(entry.since);
            if age >= watch.limit && !entry.is_reported {
                entry.is_reported = true;
                self.report_stall(Stall::job(index, seat.thread_name(), seat.job(), age));
            }
        }
        seen.iter().any(Option::is_some)
    }

    fn is_anybody_working(&self) -> bool {
        self.seats.iter().any(|seat| seat.stats.is_working())
    }

    pub(super) fn report_stall(&self, stall: Stall) {
        self.counters.count_stall();
        self.run_hook(|hooks| (hooks.on_stall)(stall));
    }
}

impl Seat {
    fn thread_name(&self) -> String {
        let parker = self.parker.load();
        let name = parker.as_ref().and_then(|parker| parker.thread_name());
        name.unwrap_or_default().to_owned()
    }

    /// The name of the job that runs here, if it has one.
    fn job(&self) -> Option<Arc<str>> {
        self.job.lock().clone()
    }
}

/// Says, while it is there, that the job that runs here has a name.
pub(crate) struct NamedJob {
    /// The job that waits for this one, or has run it in its place.
    outer: Option<Arc<str>>,
}

impl NamedJob {
    pub(crate) fn enter(name: Arc<str>) -> Self {
        Self {
            outer: current::swap_job(Some(name)),
        }
    }
}

impl Drop for NamedJob {
    fn drop(&mut self) {
        current::swap_job(self.outer.take());
    }
}
