//! What do the pool's options cost?
//!
//! The flood of `spawn_flood`, on pools that count, time, watch and bound their
//! jobs. It matters to whoever would like to know what a server does, and fears
//! what the knowing costs. The others are here as in `spawn_flood`: none of them has
//! any of this.

use std::marker::PhantomData;
use std::time::Duration;

use windlass::{JobTimes, Pool, PoolBuilder, Priority};

use super::spawn_flood::flood;
use crate::libraries::{Execute, Library, Rayon, TokioBlocking, Windlass};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings, field};

pub const QUESTION: Question = Question {
    name: "options",
    about: "the flood of spawn_flood, by what a pool was told to do besides",
    figures: &[Figure::lower("options", "ns per job")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    field!(measure: Windlass, With<Sampled>, With<Timed>, With<Watched>, With<Bounded>, High,
        Rayon, TokioBlocking)
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let library = L::start(settings.threads);
    let jobs = settings.pick(1_000_000, 100_000);
    flood(&library, jobs / 10);
    Round::of([("options", flood(&library, jobs))])
}

/// windlass with an option.
struct With<O> {
    pool: Pool,
    option: PhantomData<O>,
}

trait Choice: Send + Sync + 'static {
    const NAME: &'static str;
    fn choose(builder: PoolBuilder) -> PoolBuilder;
}

impl<O: Choice> Library for With<O> {
    const NAME: &'static str = O::NAME;

    fn start(threads: usize) -> Self {
        let builder = O::choose(Pool::builder().num_threads(threads));
        Self {
            pool: builder.build().unwrap(),
            option: PhantomData,
        }
    }
}

impl<O: Choice> Execute for With<O> {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.pool.execute(f);
    }
}

struct Sampled;

impl Choice for Sampled {
    const NAME: &'static str = "windlass, one job in 32 timed";

    fn choose(builder: PoolBuilder) -> PoolBuilder {
        builder.job_times(JobTimes::Sampled)
    }
}

struct Timed;

impl Choice for Timed {
    const NAME: &'static str = "windlass, each job timed";

    fn choose(builder: PoolBuilder) -> PoolBuilder {
        builder.job_times(JobTimes::All)
    }
}

struct Watched;

impl Choice for Watched {
    const NAME: &'static str = "windlass, slow jobs reported";

    fn choose(builder: PoolBuilder) -> PoolBuilder {
        builder.stall_after(Duration::from_secs(1))
    }
}

struct Bounded;

impl Choice for Bounded {
    const NAME: &'static str = "windlass, bounded";

    fn choose(builder: PoolBuilder) -> PoolBuilder {
        // Nothing is rejected: what is measured is the counting.
        builder.queue_capacity(1 << 21)
    }
}

/// All jobs are of high priority.
struct High(Pool);

impl Library for High {
    const NAME: &'static str = "windlass, spawn at high priority";

    fn start(threads: usize) -> Self {
        Self(Pool::builder().num_threads(threads).build().unwrap())
    }
}

impl Execute for High {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        drop(self.0.job().priority(Priority::High).spawn(f));
    }
}
