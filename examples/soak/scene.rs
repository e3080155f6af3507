//! What all of one round share: the ledger, the way into the pool, its views,
//! and some tokens.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::{CancelToken, JobBuilder, JoinHandle, Pool, Priority, Spawner};

use crate::body::work;
use crate::ledger::counts::{self, Readings, is_at_rest};
use crate::ledger::place::Place;
use crate::ledger::tokens::{Product, Tag};
use crate::ledger::views::{self, LATEST, VIEWS, View, Way, views};
use crate::ledger::{Job, Kind, Ledger, fact};
use crate::random::Random;
use crate::room;

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Scene {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) spawner: Spawner,
    /// Of a pool that outlives the round.
    pub(crate) other: Spawner,
    pub(crate) views: [View; VIEWS],
    pub(crate) readings: Readings,
    /// Whether a job may wait for another one by whatever means, as there will be
    /// a thread in its place.
    pub(crate) jobs_may_wait: bool,
    pub(crate) tokens: Mutex<Vec<CancelToken>>,
    /// Steps that all hands took.
    pub(crate) steps: AtomicUsize,
}

/// Where a job is handed over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Pool,
    View(usize),
}

impl Scene {
    pub(crate) fn new(
        pool: &Pool,
        other: &Pool,
        ledger: &Arc<Ledger>,
        jobs_may_wait: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            ledger: Arc::clone(ledger),
            spawner: pool.spawner(),
            other: other.spawner(),
            views: views(pool),
            readings: Readings::default(),
            jobs_may_wait,
            tokens: Mutex::new((0..6).map(|_| CancelToken::new()).collect()),
            steps: AtomicUsize::new(0),
        })
    }

    /// A new line for a job with a body, and what it captures.
    pub(crate) fn open(&self, random: &mut Random, kind: Kind) -> Option<(Tag, Job)> {
        if !self.ledger.has_room() {
            return None;
        }
        let chances = [
            (fact::PANICS, 8),
            (fact::CAPTURE_BOMB, 4),
            (fact::RESULT_BOMB, 4),
            (fact::MEDDLES, 4),
        ];
        let mut facts = 0;
        for (fact, chance) in chances {
            facts |= if random.percent(chance) { fact } else { 0 };
        }
        let (mut tag, job) = self.ledger.open(kind, facts)?;
        if facts & fact::MEDDLES != 0 {
            tag.meddle(&self.spawner);
        }
        Some((tag, job))
    }

    /// Hands over a job without a handle.
    pub(crate) fn execute(self: &Arc<Self>, random: &mut Random, target: Target, place: Place) {
        // The view that keeps the newest gives handles only.
        let target = match target {
            Target::View(LATEST) => Target::Pool,
            other => other,
        };
        let Some((tag, job)) = self.open(random, Kind::Executed) else {
            return;
        };
        let run = self.closure(tag, random, target, place);
        match target {
            Target::View(at) => self.views[at].execute(move || drop(run())),
            Target::Pool if random.percent(50) => self.near().execute(move || drop(run())),
            Target::Pool if random.percent(20) => {
                if let Err(error) = self.near().try_execute(move || drop(run())) {
                    room::refused(&job, error);
                }
            }
            Target::Pool => {
                // Too large to lie in the queue.
                let ballast = [0_u64; 12];
                self.spawner.execute(move || {
                    let _large = &ballast;
                    drop(run());
                });
            }
        }
    }

    /// Hands over a job with a handle.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        random: &mut Random,
        target: Target,
        place: Place,
    ) -> Option<(JoinHandle<Product>, Job)> {
        let (tag, job) = self.open(random, Kind::Spawned)?;
        let handle = match target {
            Target::View(at) => {
                let run = self.closure(tag, random, target, place);
                self.views[at].spawn(&job, run)
            }
            Target::Pool if random.percent(25) => {
                let builder = self.steered(random, &job);
                builder.spawn(self.closure(tag, random, target, place))
            }
            Target::Pool if random.percent(20) => {
                let (waits, run) = (random.percent(50), self.closure(tag, random, target, place));
                return room::spawn(self, random, waits, run, job);
            }
            Target::Pool => self.near().spawn(self.closure(tag, random, target, place)),
        };
        Some((handle, job))
    }

    /// A job with limits of all lengths, and with tokens.
    pub(crate) fn steered(&self, random: &mut Random, job: &Job) -> JobBuilder {
        let mut builder = self.near().job();
        let lengths = |random: &mut Random| {
            let short = random.micros(300);
            random.pick(&[Duration::ZERO, short, short, HOUR, Duration::MAX])
        };
        if random.percent(40) {
            let limit = lengths(random);
            job.add(if limit < HOUR { fact::DEADLINE } else { 0 });
            builder = builder.deadline(limit);
        }
        if random.percent(40) {
            let limit = lengths(random);
            job.add(if limit < HOUR { fact::TIMEOUT } else { 0 });
            builder = builder.timeout(limit);
        }
        if random.percent(40) {
            builder = builder.priority(random.pick(&[Priority::Low, Priority::High]));
        }
        if random.percent(20) {
            builder = builder.name(format!("job {}", job.id));
        }
        for _ in 0..random.below(3) {
            let token = self.token(random);
            job.add(fact::MAY_CANCEL);
            if token.is_cancelled() {
                job.add(fact::NEVER);
            }
            builder = builder.cancel_with(&token);
        }
        builder
    }

    fn closure(
        self: &Arc<Self>,
        tag: Tag,
        random: &mut Random,
        target: Target,
        place: Place,
    ) -> impl FnOnce() -> Product + Send + 'static {
        let (scene, random) = (Arc::clone(self), random.fork());
        let (place, order) = match target {
            Target::Pool => (place.child(), None),
            Target::View(at) => {
                let order = self.views[at].order(tag.job(), place.hand);
                (place.in_view(at), Some(order))
            }
        };
        move || work(tag, random, place, order, &scene)
    }

    pub(crate) fn token(&self, random: &mut Random) -> CancelToken {
        let tokens = self.tokens.lock().unwrap();
        tokens[random.index(tokens.len())].clone()
    }

    /// The spawner of the pool whose thread this is, or the pool's own.
    pub(crate) fn near(&self) -> Spawner {
        Spawner::current().unwrap_or_else(|| self.spawner.clone())
    }

    /// Cancels what the view that keeps the newest has.
    pub(crate) fn cancel_latest(&self) {
        if let Way::Latest(latest) = &self.views[LATEST].way {
            latest.cancel();
        }
    }

    /// Whether the pool says that it does nothing.
    pub(crate) fn is_at_rest(&self) -> bool {
        is_at_rest(&self.readings.read(&self.spawner))
    }

    /// The pool has ended: its counts and those of its views are right.
    pub(crate) fn check_counts(&self) {
        counts::check(&self.readings.read(&self.spawner), &self.ledger);
        views::check(&self.views);
    }

    /// What the views say of themselves.
    pub(crate) fn describe(&self) -> String {
        let views = self.views.iter().map(|view| match &view.way {
            Way::Limit(limit) => format!("{limit:?}"),
            Way::Latest(latest) => format!("{latest:?}"),
            Way::Key(keyed, key) => format!("{keyed:?} {key}"),
        });
        let views: Vec<_> = views.collect();
        format!(
            "{} threads, room for {:?}, {:?}; {}",
            self.spawner.num_threads(),
            self.spawner.queue_capacity(),
            self.spawner.metrics(),
            views.join(", ")
        )
    }

    /// Whether nothing waits or runs in the views.
    pub(crate) fn views_are_empty(&self) -> bool {
        self.views.iter().all(View::is_empty)
    }
}
