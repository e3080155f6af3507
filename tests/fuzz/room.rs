//! Jobs that are handed over only where there is room.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use windlass::{SpawnAsync, TrySpawnError};

use super::desk::{Desk, poll_once};
use super::program::Numbers;
use crate::ledger::tally::Fault;
use crate::ledger::tokens::{Product, quiet};
use crate::ledger::{Job, Kind, fact};

/// Jobs that one call waits for room for, at most.
const MANY: u8 = 4;

impl Desk {
    pub(super) fn try_spawn(&mut self, numbers: Numbers) {
        if let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) {
            let run = self.closure(tag, numbers, None);
            match self.scene.near().try_spawn(run) {
                Ok(handle) => self.handles.push((handle, job)),
                Err(error) => refused(&job, error),
            }
        }
    }

    pub(super) fn try_execute(&mut self, numbers: Numbers) {
        if let Some((tag, job)) = self.open(Kind::Executed, numbers.0) {
            let run = self.closure(tag, numbers, None);
            if let Err(error) = self.scene.near().try_execute(move || drop(run())) {
                refused(&job, error);
            }
        }
    }

    /// With room, or after a wait for it.
    pub(super) fn spawn_wait(&mut self, numbers: Numbers) {
        if !self.may_wait() {
            return self.try_spawn(numbers);
        }
        if let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) {
            let run = self.closure(tag, numbers, None);
            let handle = self.scene.near().spawn_async(run).wait();
            self.handles.push((handle, job));
        }
    }

    /// Several, by an executor, one after another or all at once.
    pub(super) fn spawn_await(&mut self, numbers: Numbers) {
        if !self.may_wait() {
            return self.spawn_half_way(numbers);
        }
        let mut waiting = Vec::new();
        for _ in 0..=numbers.1 % MANY {
            if let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) {
                let run = self.closure(tag, numbers, None);
                waiting.push((self.scene.near().spawn_async(run), job));
            }
        }
        if numbers.flag() {
            // Backwards, so that those who began later are asked first.
            waiting.reverse();
        }
        let is_outside = self.is_outside();
        let gives_up = (numbers.1 >> 4) % MANY;
        let all = poll_fn(|context| {
            let mut at = 0;
            while let Some((future, _)) = waiting.get_mut(at) {
                match Pin::new(future).poll(context) {
                    Poll::Pending => at += 1,
                    Poll::Ready(handle) => {
                        let (_, job) = waiting.swap_remove(at);
                        self.handles.push((handle, job));
                    }
                }
            }
            if let 1.. = gives_up
                && waiting.len() > gives_up.into()
            {
                give_up(waiting.pop());
            }
            match waiting.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        if is_outside {
            pollster::block_on(all);
        } else {
            // An executor's wait is nothing that the pool sees.
            windlass::blocking(|| pollster::block_on(all));
        }
    }

    /// Looked at, and then no more.
    pub(super) fn spawn_half_way(&mut self, numbers: Numbers) {
        if let Some((tag, job)) = self.open(Kind::Spawned, numbers.0) {
            let run = self.closure(tag, numbers, None);
            let mut future = self.scene.near().spawn_async(run);
            for _ in 0..numbers.1 % 3 {
                if let Some(handle) = poll_once(&mut future) {
                    return self.handles.push((handle, job));
                }
                std::thread::yield_now();
            }
            give_up(Some((future, job)));
        }
    }
}

fn refused<F>(job: &Job, error: TrySpawnError<F>) {
    let ledger = &job.ledger;
    let is_possible = if error.is_full() {
        ledger.bounded.load(Relaxed) && !error.is_closed()
    } else {
        ledger.closing.load(Relaxed)
    };
    if !is_possible {
        job.fault(Fault::Wrong, &format!("{error}, for no reason"));
    }
    job.took_back(error.into_inner());
}

/// The closure goes with the future.
fn give_up<F: FnOnce() -> Product>(waiting: Option<(SpawnAsync<F, Product>, Job)>) {
    if let Some((future, job)) = waiting {
        job.add(fact::CAME_BACK);
        quiet(|| drop(future));
        if job.line().dropped.load(Relaxed) != 1 {
            job.fault(Fault::Lost, "given up, and its captures are not dropped");
        }
    }
}
