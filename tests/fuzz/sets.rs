//! Sets of jobs.

use windlass::{JobSet, JoinError};

use super::desk::{Desk, pick, poll_once};
use super::program::Numbers;
use crate::ledger::tally::Fault;
use crate::ledger::tokens::{Product, quiet};
use crate::ledger::{Job, Kind, fact};

/// A set, who is in it, and how many of them have told their results.
pub(super) struct Crowd {
    set: JobSet<Product>,
    members: Vec<Job>,
    told: usize,
}

impl Crowd {
    fn hear(&mut self, result: Option<Result<Product, JoinError>>) {
        let Some(result) = result else {
            return;
        };
        self.told += 1;
        // An error does not say whose it is.
        if let Ok(product) = result {
            product.job().clone().judge(Ok(product));
        }
    }

    /// Every member told once.
    fn check(&self) {
        if let Some(job) = self.members.first()
            && self.told != self.members.len()
        {
            let (told, members) = (self.told, self.members.len());
            job.fault(
                Fault::Lost,
                &format!("{told} results of a set of {members}"),
            );
        }
    }

    /// Waits for all that are left.
    pub(super) fn finish(mut self) {
        if self.told > 0 {
            while let Some(result) = self.set.join_next() {
                self.hear(Some(result));
            }
            return self.check();
        }
        let results = self.set.join_all();
        self.told = results.len();
        for (job, result) in self.members.iter().zip(results) {
            job.judge(result);
        }
        if let Some(job) = self.members.first()
            && self.told != self.members.len()
        {
            let (told, members) = (self.told, self.members.len());
            job.fault(Fault::Lost, &format!("{told} of {members} at once"));
        }
    }
}

impl Desk {
    pub(super) fn set_new(&mut self, _: Numbers) {
        self.sets.push(Crowd {
            set: JobSet::new(&self.scene.spawner),
            members: Vec::new(),
            told: 0,
        });
    }

    fn set_add(&mut self, numbers: Numbers, steered: bool) {
        if self.sets.is_empty() {
            self.set_new(numbers);
        }
        let Some((tag, job)) = self.open(Kind::Member, numbers.0) else {
            return;
        };
        job.add(fact::MAY_CANCEL);
        let builder = steered.then(|| self.steered(numbers, &job));
        let run = self.closure(tag, numbers, None);
        let at = pick(numbers.1, self.sets.len()).expect("one was made");
        let crowd = &mut self.sets[at];
        crowd.members.push(job);
        match builder {
            Some(builder) => crowd.set.spawn_job(builder, run),
            None => crowd.set.spawn(run),
        }
    }

    pub(super) fn set_spawn(&mut self, numbers: Numbers) {
        self.set_add(numbers, false);
    }

    pub(super) fn set_spawn_job(&mut self, numbers: Numbers) {
        self.set_add(numbers, true);
    }

    /// Does something with a set.
    fn set(&mut self, numbers: Numbers, act: impl FnOnce(&mut Crowd)) {
        if let Some(at) = pick(numbers.0, self.sets.len()) {
            act(&mut self.sets[at]);
        }
    }

    fn take_set(&mut self, numbers: Numbers) -> Option<Crowd> {
        let at = pick(numbers.0, self.sets.len())?;
        Some(self.sets.swap_remove(at))
    }

    pub(super) fn set_next(&mut self, numbers: Numbers) {
        self.set(numbers, |crowd| {
            let next = crowd.set.join_next();
            let is_last = next.is_none();
            crowd.hear(next);
            if is_last {
                crowd.check();
            }
        });
    }

    pub(super) fn set_try_next(&mut self, numbers: Numbers) {
        self.set(numbers, |crowd| {
            let next = crowd.set.try_join_next();
            crowd.hear(next);
        });
    }

    pub(super) fn set_poll_next(&mut self, numbers: Numbers) {
        self.set(numbers, |crowd| {
            let next = poll_once(&mut crowd.set.join_next_async());
            crowd.hear(next.flatten());
        });
    }

    pub(super) fn set_join_all(&mut self, numbers: Numbers) {
        if let Some(crowd) = self.take_set(numbers) {
            crowd.finish();
        }
    }

    /// A result that panics on the way out of the call would leak its error.
    pub(super) fn set_try_join_all(&mut self, numbers: Numbers) {
        if let Some(crowd) = self.take_set(numbers) {
            let mut members = crowd.members.iter();
            if members.any(|job| job.line().has(fact::RESULT_BOMB)) {
                return crowd.finish();
            }
            let left = crowd.set.len();
            let all = crowd.set.try_join_all();
            if let (Ok(all), Some(job)) = (&all, crowd.members.first())
                && all.len() != left
            {
                job.fault(Fault::Lost, &format!("{} of {left} tried", all.len()));
            }
            drop(all);
        }
    }

    pub(super) fn set_cancel_all(&mut self, numbers: Numbers) {
        self.set(numbers, |crowd| crowd.set.cancel_all());
    }

    pub(super) fn set_drop(&mut self, numbers: Numbers) {
        if let Some(crowd) = self.take_set(numbers) {
            quiet(|| drop(crowd.set));
        }
    }
}
