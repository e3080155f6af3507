//! What workers do, and the letters that they do it for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use windlass::{BoxError, Exit, Parent, Spawner, current_worker};

use super::tally::{Fault, found};
use super::tokens::{Tag, blow};
use super::{Job, Kind, Ledger};

/// What a message asks of a worker.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Ask {
    Answer,
    Spawn,
    Panic,
    Fail,
    Close,
    Terminate,
}

pub(crate) struct Mail {
    pub(crate) tag: Tag,
    pub(crate) ask: Ask,
}

/// What a worker needs for its work.
#[derive(Clone)]
pub(crate) struct Duty {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) spawner: Spawner,
    /// How many answers it has posted.
    pub(crate) answered: Arc<AtomicU64>,
}

impl Duty {
    /// A worker starts; what handles its messages.
    pub(crate) fn begin(
        &self,
        parent: Parent<u64>,
    ) -> impl FnMut(Mail) -> Result<(), BoxError> + use<> {
        let (duty, state) = (self.clone(), self.ledger.open(Kind::Held, 0));
        move |mail| {
            let _state = &state;
            duty.handle(&mail, &parent)
        }
    }

    fn handle(&self, mail: &Mail, parent: &Parent<u64>) -> Result<(), BoxError> {
        let _begun = mail.tag.begin();
        if parent.post(self.answered.load(Relaxed)).is_ok() {
            self.answered.fetch_add(1, Relaxed);
        }
        let this = current_worker().ok_or("no worker here")?;
        match mail.ask {
            Ask::Answer => {}
            Ask::Spawn => {
                if let Some((tag, _)) = self.ledger.open(Kind::Executed, 0) {
                    let near = Spawner::current();
                    let near = near.unwrap_or_else(|| self.spawner.clone());
                    near.execute(move || drop(tag.begin()));
                }
            }
            Ask::Panic => blow(mail.tag.job()),
            Ask::Fail => return Err("it was asked to fail".into()),
            Ask::Close => this.close(),
            Ask::Terminate => this.terminate(),
        }
        Ok(())
    }
}

/// A worker has ended: what became of its mail?
pub(crate) fn check(accepted: &[Job], exit: &Exit) {
    for job in accepted {
        let line = job.line();
        if line.dropped.load(Relaxed) != 1 {
            job.fault(
                Fault::Lost,
                "the worker has ended, and its mail is not dropped",
            );
        }
        if exit.is_success() && line.ran.load(Relaxed) != 1 {
            job.fault(
                Fault::Lost,
                "mail that the worker did not handle, and yet it ended well",
            );
        }
    }
}

/// All answers of a worker that has ended were received, or not.
pub(crate) fn check_answers(heard: u64, answered: &AtomicU64, exit: &Exit) {
    let answered = answered.load(Relaxed);
    if heard != answered {
        found(Fault::of(heard, answered), || {
            format!("{heard} of {answered} answers of a worker: {exit}")
        });
    }
}

/// An answer: they are numbered.
pub(crate) fn hear(ledger: &Ledger, heard: &mut u64, answer: Option<u64>) {
    let Some(answer) = answer else { return };
    if answer != *heard {
        let (round, heard) = (ledger.round, *heard);
        found(Fault::of(heard, answer), || {
            format!("round {round}: message {answer}, and not {heard}")
        });
    }
    *heard = answer + 1;
}

/// A message that could not be posted.
pub(crate) fn came_back(job: &Job, tag: Tag) {
    if tag.job().id != job.id {
        job.fault(Fault::Wrong, "another message came back");
    }
    job.add(super::fact::CAME_BACK);
    drop(tag);
}
