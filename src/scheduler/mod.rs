//! The scheduler: who runs which job when, who sleeps, who is woken.
//!
//! | file | what it is |
//! |---|---|
//! | [`submit`] | a job comes in, from outside or from inside a job |
//! | [`pool_thread`] | what one thread of the pool does: pick, run, search, sleep |
//! | [`search`] | how long a thread without work looks for some before it sleeps |
//! | [`time_slice`] | when a thread asks for which time slice |
//! | [`idle`] | the idle word: sleepers, searcher, closing |
//! | [`orders`] | what a thread asks between two jobs |
//! | [`lanes`] | jobs of other priorities than normal |
//! | [`halves`] | joins: a thread's stack of second halves; told in `halves.md` |
//! | [`shelf`] | where it shows some of them to the others |
//! | [`seats`] | what others may touch of each thread |
//! | [`roster`] | threads join the pool and leave it |
//! | [`absence`] | a thread waits inside a job, and another runs in its place |
//! | [`bounds`] | how many jobs may wait, and what happens when more come |
//! | [`calls`] | jobs for one particular thread, or for each |
//! | [`residents`] | what must be told of the pool's end without being a job |
//! | [`states`] | values that each thread has one of |
//! | [`closing`] | closing, throwing the backlog away, the last thread out |
//! | [`report`] | what the pool has done, and how long its jobs take |
//! | [`watch`], [`stall`] | jobs that run for too long are reported |
//! | [`current`] | which pool thread this is |
//! | [`fork`] | a pool in a fork of its process |
//! | [`hooks`] | what users hang in: thread start and stop, panics, rejected jobs |
//!
//! `sleep.md` explains the sleep and wake protocol to a newcomer and ends in a
//! proof sketch, and `halves.md` does so for joins; `models.rs` and
//! `half_models.rs` run the real code under loom.
//!
//! ```text
//!   outside threads                       pool thread                 siblings
//!   ---------------                ---------------------------      -----------
//!   execute, spawn ---> injector ---batch---> inbox (FIFO) --oldest half--->
//!                                             LIFO         --oldest half--->
//!   inside a job: execute, spawn -----------^
//! ```
//!
//! Jobs of high or low priority wait in lanes of their own ([`lanes`]); the rest of
//! this is of normal ones. A thread picks from its LIFO, its inbox, the injector, its siblings, in this
//! order. Of every 61 picks one starts at the inbox and one takes the LIFO's
//! oldest job, so that neither end of the queues waits for ever.

mod absence;
mod bounds;
mod calls;
mod closing;
mod current;
mod fork;
mod halves;
mod hooks;
mod idle;
mod lanes;
mod orders;
mod pool_thread;
mod report;
mod residents;
mod roster;
mod search;
mod seats;
mod shelf;
mod stall;
mod states;
mod submit;
mod time_slice;
mod watch;

#[cfg(all(test, loom))]
mod half_models;
#[cfg(all(test, loom))]
pub(crate) mod models;

use std::time::Instant;

use crossbeam_utils::CachePadded;

use self::closing::Hands;
use self::idle::IdleWord;
use self::lanes::Lanes;
use self::orders::Orders;
use self::residents::Residents;
use self::roster::Roster;
use self::search::SpinBudget;
use self::seats::Seats;
use self::watch::Watch;
use crate::environment::Environment;
use crate::job::Slot;
use crate::metrics::{Counters, JobTimes};
use crate::port::Hub;
use crate::sync::deque::{Injector, Worker};
use crate::sync::{Arc, OnceLock, Ordering};
use crate::sys::fork::Generation;

pub use self::bounds::WhenFull;
pub(crate) use self::bounds::{Bounds, Permit, ThrownOut};
pub(crate) use self::current::{
    PoolId, clear_tombstones, count_claimed, current_index, current_is_discarding,
    current_scheduler,
};
pub(crate) use self::halves::{is_in_demand, join};
pub(crate) use self::hooks::Hooks;
pub use self::hooks::RejectedJob;
pub(crate) use self::pool_thread::PoolThread;
pub(crate) use self::residents::{Resident, Sweep};
pub(crate) use self::roster::{Berth, Enlist};
pub use self::stall::Stall;
pub(crate) use self::states::{StateKey, forget_state};
pub(crate) use self::watch::NamedJob;

/// What the threads of one pool, and everybody who hands it jobs, share.
///
/// The fields that change are padded apart from each other and from those that
/// only shutting down changes.
pub(crate) struct Scheduler {
    /// Jobs from outside the pool.
    injector: CachePadded<Injector<Slot>>,
    lanes: Lanes,
    idle: CachePadded<IdleWord>,
    spin: CachePadded<SpinBudget>,
    seats: Seats,
    orders: Orders,
    /// How many jobs may wait; `None` if nobody counts them.
    bounds: Option<Arc<Bounds>>,
    hands: Hands,
    hooks: Hooks,
    counters: Counters,
    residents: Residents,
    environment: Environment,
    hub: Hub,
    roster: Roster,
    times: JobTimes,
    /// Set by the watcher, if there is one.
    watch: OnceLock<Watch>,
    /// When the pool was built.
    born: Instant,
    /// The process that its threads are in.
    made_in: Generation,
}

/// A thread's own ends of its queues.
pub(crate) struct Queues {
    /// Nested spawns: the newest first.
    lifo: Worker<Slot>,
    /// A batch from the injector: the oldest first.
    inbox: Worker<Slot>,
}

impl Queues {
    fn new() -> Self {
        Self {
            lifo: Worker::new_lifo(),
            inbox: Worker::new_fifo(),
        }
    }
}

impl Scheduler {
    /// A scheduler without threads; `enlist` is what starts one.
    pub(crate) fn new(
        hooks: Hooks,
        bounds: Option<Bounds>,
        times: JobTimes,
        max_substitutes: usize,
        enlist: Box<Enlist>,
    ) -> Arc<Self> {
        Arc::new(Self {
            injector: CachePadded::new(Injector::new()),
            lanes: Lanes::new(),
            idle: CachePadded::new(IdleWord::new()),
            spin: CachePadded::new(SpinBudget::new()),
            seats: Seats::new(),
            orders: Orders::new(),
            bounds: bounds.map(Arc::new),
            hands: Hands::new(),
            hooks,
            counters: Counters::default(),
            residents: Residents::new(),
            environment: Environment::new(),
            hub: Hub::new(),
            roster: Roster::new(max_substitutes, enlist),
            times,
            watch: OnceLock::new(),
            born: Instant::now(),
            made_in: Generation::watched(),
        })
    }

    /// Whether the thread sleeps, as far as anybody can know from outside.
    pub(crate) fn is_asleep(&self, index: usize) -> bool {
        // Relaxed: for reports only.
        self.seats[index].asleep.load(Ordering::Relaxed)
    }

    /// What later workers of this pool inherit.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The pool's broadcast channels.
    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether any queue holds a job that a thread could take.
    ///
    /// Only exact after a SeqCst fence, and then in the sense of `sleep.md`:
    /// a job pushed before its submitter's fence is seen if that fence came
    /// first.
    fn work_visible(&self) -> bool {
        !self.injector.is_empty()
            || self.seats.iter().any(|seat| {
                !seat.inbox.is_empty() || !seat.lifo.is_empty() || !seat.shelf.is_empty()
            })
            || self.lanes_visible()
    }
}
