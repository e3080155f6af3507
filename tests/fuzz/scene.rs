//! What all desks of a program share.

use std::cell::Cell;
use std::panic;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use windlass::{CancelToken, Pool, PoolBuilder, SharedArray, Spawner, ThreadState};

use super::program::Frame;
use crate::ledger::counts::{self, Readings, is_at_rest};
use crate::ledger::tally::{Fault, found};
use crate::ledger::tokens::{hooked, rejected};
use crate::ledger::views::{self, HANDS, VIEWS, View, views};
use crate::ledger::{Kind, Ledger};

/// So many lines may a program have.
const LINES: usize = 2048;

/// What the slots of [`Scene::numbers`] are for.
pub(super) const SUM: usize = 0;
pub(super) const BITS: usize = 1;
pub(super) const EXCHANGED: usize = 2;
pub(super) const AWAITED: usize = 3;

/// A value that each pool thread has one of.
pub(super) struct State {
    pub(super) uses: Cell<u64>,
    pub(super) thread: Option<usize>,
    _held: Arc<Ledger>,
}

pub(super) struct Scene {
    pub(super) ledger: Arc<Ledger>,
    /// `None` once somebody has dropped it.
    pool: Mutex<Option<Arc<Pool>>>,
    pub(super) spawner: Spawner,
    /// At first.
    pub(super) threads: usize,
    pub(super) capacity: Option<usize>,
    /// Whether a job may wait for another one by whatever means, as there will be
    /// a thread in its place.
    pub(super) jobs_may_wait: bool,
    pub(super) readings: Readings,
    pub(super) views: [View; VIEWS],
    pub(super) tokens: Mutex<Vec<CancelToken>>,
    pub(super) state: ThreadState<State>,
    pub(super) numbers: SharedArray<i64>,
    /// What has to be in the slots.
    pub(super) sum: AtomicI64,
    pub(super) bits: AtomicI64,
    /// Values that went into `EXCHANGED`, and came out of it.
    pub(super) put: AtomicI64,
    pub(super) got: AtomicI64,
    /// The row of the call that each hand makes, for the report of a hang.
    pub(super) at: [AtomicUsize; HANDS],
    /// Names for what is told apart by names.
    pub(super) names: AtomicU64,
}

impl Scene {
    pub(super) fn new(frame: &Frame) -> Arc<Self> {
        let ledger = Ledger::new(0, LINES);
        let (rejects, held) = (Arc::clone(&ledger), ledger.open(Kind::Held, 0));
        let hook_panics = frame.hook_panics;
        ledger.bounded.store(frame.capacity.is_some(), Relaxed);
        let pool = settings(Pool::builder(), frame)
            .on_reject(move |job| rejected(&rejects, job))
            .on_panic(move |payload| {
                let _held = &held;
                hooked(&*payload);
                if hook_panics {
                    // A hook that fails harms nobody.
                    panic::resume_unwind(payload);
                }
            })
            .build()
            .expect("a pool of a few threads");
        let of_states = Arc::clone(&ledger);
        Arc::new(Self {
            spawner: pool.spawner(),
            threads: frame.threads,
            capacity: frame.capacity,
            jobs_may_wait: frame.substitutes.is_none(),
            readings: Readings::default(),
            views: views(&pool),
            tokens: Mutex::new((0..4).map(|_| CancelToken::new()).collect()),
            state: pool.thread_state(move || State {
                uses: Cell::new(0),
                thread: windlass::current_thread_index(),
                _held: Arc::clone(&of_states),
            }),
            numbers: SharedArray::new(4),
            sum: AtomicI64::new(0),
            bits: AtomicI64::new(0),
            put: AtomicI64::new(0),
            got: AtomicI64::new(0),
            at: Default::default(),
            names: AtomicU64::new(0),
            pool: Mutex::new(Some(Arc::new(pool))),
            ledger,
        })
    }

    /// The pool, while there is one.
    pub(super) fn pool(&self) -> Option<Arc<Pool>> {
        self.pool.lock().unwrap().clone()
    }

    /// The pool, to be dropped by who takes it.
    pub(super) fn take_pool(&self) -> Option<Arc<Pool>> {
        self.pool.lock().unwrap().take()
    }

    /// From here on jobs may be refused.
    pub(super) fn closes(&self) {
        self.ledger.closing.store(true, Relaxed);
    }

    /// From here on they may be thrown away too.
    pub(super) fn discards(&self) {
        self.closes();
        self.ledger.discarding.store(true, Relaxed);
    }

    /// The spawner of the pool whose thread this is, or the pool's own.
    pub(super) fn near(&self) -> Spawner {
        Spawner::current().unwrap_or_else(|| self.spawner.clone())
    }

    pub(super) fn token(&self, at: u8) -> CancelToken {
        let tokens = self.tokens.lock().unwrap();
        tokens[usize::from(at) % tokens.len()].clone()
    }

    pub(super) fn views_are_empty(&self) -> bool {
        self.views.iter().all(View::is_empty)
    }

    /// The pool has ended: its counts and those of its views are right.
    pub(super) fn check_counts(&self) {
        crate::common::until(|| is_at_rest(&self.readings.read(&self.spawner)));
        counts::check(&self.readings.read(&self.spawner), &self.ledger);
        views::check(&self.views);
    }

    /// All that was done to the array is in it.
    pub(super) fn check_numbers(&self) {
        let exchanged = self.put.load(Relaxed).wrapping_sub(self.got.load(Relaxed));
        let expected = [
            (SUM, self.sum.load(Relaxed)),
            (BITS, self.bits.load(Relaxed)),
            (EXCHANGED, exchanged),
        ];
        for (slot, value) in expected {
            let is = self.numbers.load(slot);
            if is != value {
                found(Fault::Lost, || {
                    format!("slot {slot} of the array is {is}, not {value}")
                });
            }
        }
    }
}

/// All that a program may say of its pool but the hooks.
fn settings(builder: PoolBuilder, frame: &Frame) -> PoolBuilder {
    let mut builder = builder
        .num_threads(frame.threads)
        .job_times(frame.times)
        .when_full(frame.when_full)
        .on_stall(|stall| drop(stall.to_string()));
    if let Some(capacity) = frame.capacity {
        builder = builder.queue_capacity(capacity);
    }
    if let Some(substitutes) = frame.substitutes {
        builder = builder.max_substitutes(substitutes);
    }
    if let Some(limit) = frame.stall_after {
        builder = builder.stall_after(limit);
    }
    builder
}
