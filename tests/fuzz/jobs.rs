//! Handing over jobs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass::{JobBuilder, Priority, is_cancelled};

use super::desk::{Desk, moment};
use super::program::{Numbers, Step, make_all};
use super::scene::Scene;
use crate::ledger::place::{Order, Place};
use crate::ledger::tokens::{Product, Tag, end, is_rejecting};
use crate::ledger::views::{LATEST, VIEWS, Way, is_serial};
use crate::ledger::{Job, Kind, fact};

const HOUR: Duration = Duration::from_secs(3600);

/// So long does a job with a timeout go on if nobody stops it.
const LONG: Duration = Duration::from_micros(400);

/// The body of a job.
fn work(
    tag: Tag,
    body: &[Step],
    place: Place,
    order: Option<&Order>,
    scene: &Arc<Scene>,
) -> Product {
    let begun = tag.begin();
    let job = tag.job().clone();
    // What `on_reject` runs is in no view any more, and on anybody's thread.
    let inside = order
        .filter(|_| !is_rejecting())
        .map(|order| scene.views[order.at].enter(order, &job));
    if place.may_nest() && !is_rejecting() {
        let mut desk = Desk::new(scene, place, false);
        make_all(&mut desk, body);
        desk.leave();
    }
    if job.line().has(fact::TIMEOUT) {
        let begin = Instant::now();
        while !is_cancelled() && begin.elapsed() < LONG {
            std::hint::spin_loop();
        }
    }
    drop(inside);
    end(tag, begun)
}

fn priority(number: u8) -> Priority {
    [Priority::Normal, Priority::High, Priority::Low][usize::from(number % 3)]
}

impl Desk {
    /// The closure of a job: `numbers` say how many calls it makes, and what is
    /// wrong with it.
    pub(super) fn closure(
        &mut self,
        tag: Tag,
        numbers: Numbers,
        view: Option<usize>,
    ) -> impl FnOnce() -> Product + Send + use<> {
        let (body, scene) = (self.take_body(numbers.0 % 4), Arc::clone(&self.scene));
        let (place, order) = match view {
            None => (self.place.child(), None),
            Some(at) => {
                let order = self.scene.views[at].order(tag.job(), self.place.hand);
                (self.place.in_view(at), Some(order))
            }
        };
        move || work(tag, &body, place, order.as_ref(), &scene)
    }

    pub(super) fn execute(&mut self, numbers: Numbers) {
        if let Some((tag, _)) = self.open(Kind::Executed, numbers.0) {
            let run = self.closure(tag, numbers, None);
            self.scene.near().execute(move || drop(run()));
        }
    }

    /// Too large to lie in the queue, and by the pool's own methods.
    pub(super) fn execute_large(&mut self, numbers: Numbers) {
        let Some(pool) = self.scene.pool() else {
            return;
        };
        if let Some((tag, _)) = self.open(Kind::Executed, numbers.0) {
            let (run, ballast) = (self.closure(tag, numbers, None), [0_u64; 12]);
            pool.execute(move || {
                let _large = &ballast;
                drop(run());
            });
        }
    }

    pub(super) fn spawn(&mut self, numbers: Numbers) {
        if let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) {
            let run = self.closure(tag, numbers, None);
            self.handles.push((self.scene.near().spawn(run), job));
        }
    }

    /// A job with limits of all lengths, and with tokens.
    pub(super) fn steered(&self, numbers: Numbers, job: &Job) -> JobBuilder {
        let mut builder = self.scene.near().job();
        let lengths = [Duration::ZERO, moment(numbers.2), HOUR, Duration::MAX];
        let limit = |number: u8, fact: u32| {
            let length = lengths.get(usize::from(number % 8)).copied();
            if length.is_some_and(|length| length < HOUR) {
                job.add(fact);
            }
            length
        };
        if let Some(length) = limit(numbers.1, fact::DEADLINE) {
            builder = builder.deadline(length);
        }
        if let Some(length) = limit(numbers.1 >> 3, fact::TIMEOUT) {
            builder = builder.timeout(length);
        }
        builder = builder.priority(priority(numbers.2));
        for number in 0..numbers.1 >> 6 {
            let token = self.scene.token(numbers.2.wrapping_add(number));
            job.add(fact::MAY_CANCEL);
            if token.is_cancelled() {
                job.add(fact::NEVER);
            }
            builder = builder.cancel_with(&token);
        }
        builder
    }

    pub(super) fn spawn_steered(&mut self, numbers: Numbers) {
        if let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) {
            let builder = self.steered(numbers, &job);
            let run = self.closure(tag, numbers, None);
            self.handles.push((builder.spawn(run), job));
        }
    }

    /// A job of any priority, perhaps with a name.
    pub(super) fn spawn_prior(&mut self, numbers: Numbers) {
        if let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) {
            let mut builder = self.scene.near().job().priority(priority(numbers.1));
            if numbers.flag() {
                builder = builder.name(format!("job {}", job.id));
            }
            let run = self.closure(tag, numbers, None);
            self.handles.push((builder.spawn(run), job));
        }
    }

    pub(super) fn view_execute(&mut self, numbers: Numbers) {
        let at = usize::from(numbers.1) % VIEWS;
        if at == LATEST {
            return;
        }
        let Some((tag, _)) = self.open(Kind::Executed, numbers.0) else {
            return;
        };
        let run = self.closure(tag, numbers, Some(at));
        self.scene.views[at].execute(move || drop(run()));
    }

    /// In a view that the desk may wait for; in its own one too, where waiting
    /// is an error.
    pub(super) fn view_spawn(&mut self, numbers: Numbers) {
        let at = usize::from(numbers.1) % VIEWS;
        let is_own = self.place.own_to_wait_for() == Some(at);
        if !is_own && !self.place.may_wait_for(at) {
            return;
        }
        let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) else {
            return;
        };
        if is_own && is_serial(at) {
            job.add(fact::SELF_WAIT);
        }
        let run = self.closure(tag, numbers, Some(at));
        let handle = self.scene.views[at].spawn(&job, run);
        self.handles.push((handle, job));
    }

    pub(super) fn latest_cancel(&mut self, _: Numbers) {
        if let Way::Latest(latest) = &self.scene.views[LATEST].way {
            latest.cancel();
        }
    }
}
