//! A ledger of what a pool is given: a line for each thing that must be
//! accounted for. The soak's, and that of tests/fuzz.rs.
//!
//! A line is written by what is captured, returned and panicked with ([`tokens`]);
//! at the end each must go together ([`audit`]). What does not is a fault
//! ([`tally`]). Who may wait for whom is in [`place`], who may be in a view at once
//! in [`views`], what workers do in [`staff`], what a pool counts itself in [`counts`].
//!
//! All counts are Relaxed, so that the ledger brings no order of its own: what
//! is read when a handle resolves must be visible because the library says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

use windlass::JoinError;

pub(crate) mod audit;
pub(crate) mod counts;
pub(crate) mod place;
pub(crate) mod staff;
pub(crate) mod tally;
pub(crate) mod tokens;
pub(crate) mod views;

use tally::{Fault, found};
use tokens::{Payload, Product, Tag, quiet};

/// What a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A job without a handle.
    Executed,
    /// A job with one.
    Spawned,
    /// A job of a set, whose handle is the set's.
    Member,
    /// A message.
    Letter,
    /// What a worker, a shared closure or a callback holds.
    Held,
}

/// What is known of it beforehand; or-ed into `facts`.
pub(crate) mod fact {
    pub(crate) const PANICS: u32 = 1;
    /// A capture panics when it is dropped.
    pub(crate) const CAPTURE_BOMB: u32 = 1 << 1;
    pub(crate) const RESULT_BOMB: u32 = 1 << 2;
    /// A capture spawns when it is dropped.
    pub(crate) const MEDDLES: u32 = 1 << 3;
    pub(crate) const DEADLINE: u32 = 1 << 4;
    pub(crate) const TIMEOUT: u32 = 1 << 5;
    /// Somebody may cancel it: entered before anybody tries.
    pub(crate) const MAY_CANCEL: u32 = 1 << 6;
    /// It must not start: a cancelling call said so.
    pub(crate) const NEVER: u32 = 1 << 7;
    /// A cancelling call said that it was too late.
    pub(crate) const TOO_LATE: u32 = 1 << 8;
    /// Its waiter is in the same serial view.
    pub(crate) const SELF_WAIT: u32 = 1 << 9;
    /// A message that came back to who posted it, or a closure.
    pub(crate) const CAME_BACK: u32 = 1 << 10;
    /// A job of a view, for which the pool's queue has no bound.
    pub(crate) const IN_VIEW: u32 = 1 << 11;
}

/// How its handle resolved; 0 is not at all.
pub(crate) const OUTCOMES: [&str; 9] = [
    "nothing",
    "a value",
    "a panic",
    "cancelled",
    "expired",
    "timed out",
    "closed",
    "deadlock",
    "rejected",
];
pub(crate) const VALUE: u32 = 1;
pub(crate) const PANIC: u32 = 2;
pub(crate) const CANCELLED: u32 = 3;
pub(crate) const EXPIRED: u32 = 4;
pub(crate) const TIMED_OUT: u32 = 5;
pub(crate) const CLOSED: u32 = 6;
pub(crate) const DEADLOCK: u32 = 7;
pub(crate) const REJECTED: u32 = 8;

/// One line.
#[derive(Default)]
pub(crate) struct Line {
    pub(crate) kind: AtomicU32,
    pub(crate) facts: AtomicU32,
    /// Its body began, ended (in whatever way); or the message was received.
    pub(crate) ran: AtomicU32,
    pub(crate) left: AtomicU32,
    /// What it captured was dropped.
    pub(crate) dropped: AtomicU32,
    /// It was dropped or run by `on_reject`.
    pub(crate) rejected: AtomicU32,
    pub(crate) results_made: AtomicU32,
    pub(crate) results_dropped: AtomicU32,
    pub(crate) panics_made: AtomicU32,
    pub(crate) panics_dropped: AtomicU32,
    /// `on_panic` was given a panic of it.
    pub(crate) hooked: AtomicU32,
    /// Its handle told somebody.
    pub(crate) told: AtomicU32,
    pub(crate) outcome: AtomicU32,
    /// The view it is in, plus one.
    pub(crate) view: AtomicU32,
    /// The line that its body waits for, plus one.
    pub(crate) waits: AtomicU32,
}

pub(crate) struct Ledger {
    pub(crate) round: u64,
    lines: Box<[Line]>,
    opened: AtomicUsize,
    /// The pool's end may have begun.
    pub(crate) closing: AtomicBool,
    /// The number of threads changes, so that one may leave without its call.
    pub(crate) resizing: AtomicBool,
    /// Its queue has a bound, so that there may be no room for a job.
    pub(crate) bounded: AtomicBool,
    /// Its backlog may be thrown away.
    pub(crate) discarding: AtomicBool,
    pub(crate) rejects: AtomicUsize,
}

impl Ledger {
    /// A book with so many lines.
    pub(crate) fn new(round: u64, lines: usize) -> Arc<Self> {
        Arc::new(Self {
            round,
            lines: (0..lines).map(|_| Line::default()).collect(),
            opened: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            resizing: AtomicBool::new(false),
            bounded: AtomicBool::new(false),
            discarding: AtomicBool::new(false),
            rejects: AtomicUsize::new(0),
        })
    }

    /// A new line, and what is to be captured for it; `None` if the book is full.
    pub(crate) fn open(self: &Arc<Self>, kind: Kind, facts: u32) -> Option<(Tag, Job)> {
        let id = self.opened.fetch_add(1, Relaxed);
        let line = self.lines.get(id)?;
        line.kind.store(kind as u32, Relaxed);
        line.facts.store(facts, Relaxed);
        let job = Job {
            ledger: Arc::clone(self),
            id,
        };
        Some((Tag::new(job.clone()), job))
    }

    /// Whether there is room for much more.
    pub(crate) fn has_room(&self) -> bool {
        self.opened.load(Relaxed) < self.lines.len() * 3 / 4
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &Line)> {
        let opened = self.opened.load(Relaxed).min(self.lines.len());
        self.lines[..opened].iter().enumerate()
    }
}

impl Line {
    pub(crate) fn has(&self, facts: u32) -> bool {
        self.facts.load(Relaxed) & facts != 0
    }

    pub(crate) fn kind(&self) -> Kind {
        let kind = self.kind.load(Relaxed);
        let all = [Kind::Executed, Kind::Spawned, Kind::Member, Kind::Letter];
        all.get(kind as usize).copied().unwrap_or(Kind::Held)
    }
}

/// One line, by its place.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) id: usize,
}

impl Job {
    pub(crate) fn line(&self) -> &Line {
        &self.ledger.lines[self.id]
    }

    pub(crate) fn add(&self, facts: u32) {
        self.line().facts.fetch_or(facts, Relaxed);
    }

    pub(crate) fn fault(&self, fault: Fault, text: &str) {
        let (round, id) = (self.ledger.round, self.id);
        found(fault, || {
            format!("round {round}, {:?} {id}: {text}", self.line().kind())
        });
    }

    /// Counts one up that may only become one.
    pub(crate) fn once(&self, count: impl Fn(&Line) -> &AtomicU32, what: &str) {
        if count(self.line()).fetch_add(1, Relaxed) > 0 {
            self.fault(Fault::Duplicated, what);
        }
    }

    /// What the job has to return.
    pub(crate) fn value(&self) -> u64 {
        scramble(self.ledger.round << 32 | self.id as u64)
    }

    /// Enters what the job's handle gave.
    pub(crate) fn judge(&self, result: Result<Product, JoinError>) {
        self.once(|line| &line.told, "its handle told twice");
        let outcome = match result {
            Ok(product) => {
                if product.job().id != self.id || product.value() != self.value() {
                    self.fault(Fault::Wrong, "the result is not its own");
                }
                quiet(|| drop(product));
                VALUE
            }
            Err(error) => self.outcome(error),
        };
        let line = self.line();
        line.outcome.store(outcome, Relaxed);
        let is_early = matches!(outcome, EXPIRED | TIMED_OUT | DEADLOCK);
        if !is_early && line.dropped.load(Relaxed) != 1 {
            self.fault(Fault::Wrong, "resolved before its captures were dropped");
        }
        if outcome == CLOSED && !self.ledger.closing.load(Relaxed) {
            self.fault(Fault::Wrong, "closed, by a pool that was not");
        }
    }

    fn outcome(&self, error: JoinError) -> u32 {
        if error.is_panic() {
            match error.into_panic().downcast::<Payload>() {
                Ok(payload) if payload.job().id == self.id => {}
                Ok(_) => self.fault(Fault::Wrong, "was given the panic of another one"),
                Err(other) => {
                    let text = other.downcast_ref::<String>().cloned().unwrap_or_default();
                    self.fault(Fault::Wrong, &format!("a panic nobody meant: {text}"));
                }
            }
            return PANIC;
        }
        let ways = [
            (error.is_cancelled(), CANCELLED),
            (error.is_expired(), EXPIRED),
            (error.is_timed_out(), TIMED_OUT),
            (error.is_closed(), CLOSED),
            (error.is_deadlock(), DEADLOCK),
            (error.is_rejected(), REJECTED),
        ];
        let mut told = ways.iter().filter(|(is, _)| *is).map(|(_, way)| *way);
        let (first, second) = (told.next(), told.next());
        if first.is_none() || second.is_some() {
            self.fault(Fault::Wrong, "an error that is none of them, or two");
        }
        first.unwrap_or(0)
    }

    /// Whether there may have been no room for it.
    pub(crate) fn may_be_rejected(&self) -> bool {
        self.ledger.bounded.load(Relaxed) && !self.line().has(fact::IN_VIEW)
    }

    /// Enters a closure that came back, and drops it: it is whole.
    pub(crate) fn took_back<F>(&self, closure: F) {
        if self.line().dropped.load(Relaxed) != 0 {
            self.fault(Fault::Wrong, "it came back without its captures");
        }
        self.add(fact::CAME_BACK);
        quiet(|| drop(closure));
        if self.line().dropped.load(Relaxed) != 1 {
            self.fault(Fault::Lost, "it came back, and is not all there is of it");
        }
    }

    /// Enters what a cancelling call said.
    pub(crate) fn enter_cancel(&self, cancelled: bool) {
        self.add(if cancelled {
            fact::NEVER
        } else {
            fact::TOO_LATE
        });
    }
}

/// A number that nobody gets right by chance.
pub(crate) fn scramble(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}
