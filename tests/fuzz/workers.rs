//! Workers, of the pool and with threads of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use windlass::{Exited, Parent, Restart, Worker};

use super::desk::{Desk, moment, pick, poll_once};
use super::program::Numbers;
use crate::ledger::staff::{Ask, Duty, Mail, came_back, check, check_answers};
use crate::ledger::tally::{Fault, found};
use crate::ledger::{Job, Kind};

/// A worker, and what is known of it.
pub(super) struct Staff {
    worker: Worker<Mail, u64>,
    /// Observes its errors, if anybody does.
    exited: Option<Exited>,
    answered: Arc<AtomicU64>,
    accepted: Vec<Job>,
    /// Answers that were heard here, or by a listener.
    heard: Arc<AtomicU64>,
}

impl Staff {
    /// Its end; outside, it is waited for.
    pub(super) fn dismiss(mut self, waits: bool) {
        if !waits {
            return;
        }
        self.worker.close();
        match self.worker.iter() {
            Ok(rest) => rest.for_each(|answer| hear_one(&self.heard, answer)),
            Err(error) => found(Fault::Wrong, || format!("its own worker: {error}")),
        }
        let exit = self.exited.take().unwrap_or_else(|| self.worker.exited());
        let exit = exit.wait();
        if self.worker.is_alive() || self.worker.exit().is_none() {
            found(Fault::Wrong, || "an exit, and it is alive".to_owned());
        }
        check_answers(self.heard.load(Relaxed), &self.answered, &exit);
        check(&self.accepted, &exit);
    }
}

/// They are numbered.
fn hear_one(heard: &AtomicU64, answer: u64) {
    let next = heard.swap(answer + 1, Relaxed);
    if answer != next {
        found(Fault::of(next, answer), || {
            format!("answer {answer}, and not {next}")
        });
    }
}

fn policy(number: u8) -> Restart {
    match number % 3 {
        0 => Restart::never(),
        1 => Restart::always(),
        _ => Restart::up_to(2, Duration::from_secs(3600)),
    }
}

impl Desk {
    fn duty(&self) -> Duty {
        Duty {
            ledger: Arc::clone(&self.scene.ledger),
            spawner: self.scene.spawner.clone(),
            answered: Arc::default(),
        }
    }

    fn hire(&mut self, worker: Worker<Mail, u64>, duty: Arc<AtomicU64>, observed: bool) {
        self.staff.push(Staff {
            exited: observed.then(|| worker.exited()),
            worker,
            answered: duty,
            accepted: Vec::new(),
            heard: Arc::default(),
        });
    }

    pub(super) fn worker(&mut self, numbers: Numbers) {
        let duty = self.duty();
        let answered = Arc::clone(&duty.answered);
        let mut builder = Worker::builder(&self.scene.near()).restart(policy(numbers.0));
        if numbers.1.is_multiple_of(3) {
            builder = builder.mailbox(1 + usize::from(numbers.1 % 4));
        }
        if numbers.1.is_multiple_of(5) {
            builder = builder.name("fuzz").on_restart(|error| {
                // Whatever it was, it was this worker's.
                debug_assert_eq!(error.name(), Some("fuzz"));
            });
        }
        let worker = builder.try_spawn(move |parent: Parent<u64>| Ok(duty.begin(parent)));
        self.hire(worker, answered, numbers.flag());
    }

    /// It has no pool's hook that its error could go to, so it is observed.
    pub(super) fn worker_dedicated(&mut self, numbers: Numbers) {
        let duty = self.duty();
        let answered = Arc::clone(&duty.answered);
        let builder = Worker::dedicated().restart(policy(numbers.0));
        let worker = builder.try_spawn(move |parent: Parent<u64>| Ok(duty.begin(parent)));
        match worker {
            Ok(worker) => self.hire(worker, answered, true),
            Err(error) => found(Fault::Wrong, || format!("no thread: {error}")),
        }
    }

    fn staff(&mut self, number: u8) -> Option<&mut Staff> {
        let at = pick(number, self.staff.len())?;
        self.staff.get_mut(at)
    }

    fn mail(&self, numbers: Numbers) -> Option<(Mail, Job)> {
        let (tag, job) = self.open_plain(Kind::Letter)?;
        let ask = match numbers.1 % 16 {
            11 => Ask::Close,
            12 => Ask::Terminate,
            13 => Ask::Spawn,
            14 => Ask::Fail,
            15 => Ask::Panic,
            _ => Ask::Answer,
        };
        Some((Mail { tag, ask }, job))
    }

    pub(super) fn worker_post(&mut self, numbers: Numbers) {
        for more in 0..=numbers.2 % 3 {
            let ask = numbers.1.wrapping_add(more);
            let Some((mail, job)) = self.mail(Numbers(numbers.0, ask, 0)) else {
                return;
            };
            // Without a worker the letter is dropped here.
            if let Some(staff) = self.staff(numbers.0) {
                match staff.worker.post(mail) {
                    Ok(()) => staff.accepted.push(job),
                    Err(error) => came_back(&job, error.into_inner().tag),
                }
            }
        }
    }

    pub(super) fn worker_post_async(&mut self, numbers: Numbers) {
        let Some((mail, job)) = self.mail(numbers) else {
            return;
        };
        let waits = self.is_outside() && numbers.flag();
        if let Some(staff) = self.staff(numbers.0) {
            let mut posting = staff.worker.post_async(mail);
            let posted = if waits {
                // It takes its mail, or ends.
                Some(pollster::block_on(posting))
            } else {
                let posted = poll_once(&mut posting);
                drop(posting);
                posted
            };
            match posted {
                Some(Ok(())) => staff.accepted.push(job),
                Some(Err(error)) => came_back(&job, error.into_inner().tag),
                None => {}
            }
        }
    }

    pub(super) fn worker_recv(&mut self, numbers: Numbers) {
        if let Some(staff) = self.staff(numbers.0) {
            let answer = match numbers.1 % 3 {
                0 => staff.worker.try_recv().ok(),
                1 => staff.worker.recv_timeout(moment(numbers.2)).ok(),
                _ => poll_once(&mut staff.worker.recv_async()).and_then(Result::ok),
            };
            answer
                .into_iter()
                .for_each(|answer| hear_one(&staff.heard, answer));
        }
    }

    /// By the main loop: its answers, its error, its exit.
    pub(super) fn worker_listen(&mut self, numbers: Numbers) {
        let Some(at) = pick(numbers.0, self.staff.len()) else {
            return;
        };
        let staff = &self.staff[at];
        let heard = Arc::clone(&staff.heard);
        let listening = self.main.on_message(&staff.worker, move |_, answer| {
            hear_one(&heard, answer);
        });
        self.sources.extend(listening);
        if numbers.flag() {
            let id = self.main.on_error(&staff.worker, |_, error| {
                drop(error.take_panic());
            });
            self.sources.push(id);
        }
        let id = self.main.on_exit(&staff.worker, |_, exit| drop(exit));
        self.sources.push(id);
    }

    pub(super) fn worker_close(&mut self, numbers: Numbers) {
        if let Some(staff) = self.staff(numbers.0) {
            staff.worker.close();
        }
    }

    pub(super) fn worker_terminate(&mut self, numbers: Numbers) {
        if let Some(staff) = self.staff(numbers.0) {
            let mut exited = staff.worker.terminate();
            if poll_once(&mut exited).is_some() && staff.worker.is_alive() {
                found(Fault::Wrong, || "it has exited, and is alive".to_owned());
            }
        }
    }

    pub(super) fn worker_drop(&mut self, numbers: Numbers) {
        if let Some(at) = pick(numbers.0, self.staff.len()) {
            drop(self.staff.swap_remove(at));
        }
    }

    pub(super) fn worker_state(&mut self, numbers: Numbers) {
        if let Some(staff) = self.staff(numbers.0) {
            let worker = &staff.worker;
            let (exit, error) = (worker.exit(), worker.error());
            let fits = exit.as_ref().is_none_or(|_| !worker.is_alive())
                && error.is_none_or(|error| error.id() == worker.id());
            if !fits {
                let (id, restarts) = (worker.id(), worker.restarts());
                found(Fault::Wrong, || {
                    format!("worker {id}, {restarts} restarts, {exit:?}")
                });
            }
        }
    }
}
