//! Workers that die, restart, close and terminate themselves, and are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use windlass::{BoxError, Exit, Parent, Restart, Worker, current_worker};

use crate::ledger::{Job, Kind, Ledger};
use crate::mail::came_back;
use crate::random::Random;
use crate::scene::Scene;
use crate::tally::{Fault, did, found};
use crate::tokens::{Tag, blow};
use crate::watch::Post;

/// What a message asks of a worker.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    Answer,
    Spawn,
    Panic,
    Fail,
    Close,
    Terminate,
}

struct Mail {
    tag: Tag,
    ask: Ask,
}

/// A worker's life, from its start to its exit.
pub(crate) fn worker(scene: &Arc<Scene>, random: &mut Random, post: &Post) {
    let answered = Arc::new(AtomicU64::new(0));
    let has_thread = random.percent(15);
    let Some(worker) = create(scene, random, &answered, has_thread) else {
        return;
    };
    // Who has a thread of its own has no hook that its error could go to.
    let observed = has_thread || random.percent(50);
    let observer = observed.then(|| worker.exited());
    let (mut accepted, mut heard) = (Vec::new(), 0);
    for _ in 0..random.below(40) {
        let Some((tag, job)) = scene.ledger.open(Kind::Letter, 0) else {
            break;
        };
        let ask = match random.below(40) {
            0 => Ask::Panic,
            1 => Ask::Fail,
            2 => Ask::Close,
            3 => Ask::Terminate,
            4..10 => Ask::Spawn,
            _ => Ask::Answer,
        };
        let mail = Mail { tag, ask };
        let posted = if random.percent(20) {
            post.at("posts to a worker with patience", job.id);
            pollster::block_on(worker.post_async(mail))
        } else {
            worker.post(mail)
        };
        match posted {
            Ok(()) => accepted.push(job),
            Err(error) => came_back(&job, error.into_inner().tag),
        }
        let answer = match random.below(6) {
            0 => worker.recv_timeout(random.micros(50)),
            1 => worker.try_recv(),
            _ => continue,
        };
        hear(&scene.ledger, &mut heard, answer.ok());
    }
    did("messages to workers", accepted.len() as u64);
    let exited = observer.unwrap_or_else(|| worker.exited());
    match random.below(4) {
        0 if !has_thread => return drop((exited, worker)),
        0 | 1 => drop(worker),
        way => {
            if way == 2 {
                worker.close();
            } else {
                drop(worker.terminate());
            }
            post.at("receives the rest from a worker", accepted.len());
            match worker.iter() {
                Ok(rest) => rest.for_each(|n| hear(&scene.ledger, &mut heard, Some(n))),
                Err(error) => found(Fault::Wrong, || format!("its own worker: {error}")),
            }
            did("restarts of workers", worker.restarts().into());
            post.at("waits for a worker's exit", accepted.len());
            let exit = exited.wait();
            let answered = answered.load(Relaxed);
            if heard != answered {
                let fault = if heard < answered {
                    Fault::Lost
                } else {
                    Fault::Duplicated
                };
                found(fault, || {
                    format!("{heard} of {answered} answers of a worker: {exit}")
                });
            }
            return check(&accepted, &exit);
        }
    }
    post.at(
        "waits for the exit of a worker that was dropped",
        accepted.len(),
    );
    check(&accepted, &exited.wait());
}

fn create(
    scene: &Arc<Scene>,
    random: &mut Random,
    answered: &Arc<AtomicU64>,
    has_thread: bool,
) -> Option<Worker<Mail, u64>> {
    let (scene_of_it, answered) = (Arc::clone(scene), Arc::clone(answered));
    let start = move |parent: Parent<u64>| {
        let state = scene_of_it.ledger.open(Kind::Held, 0);
        let (scene, answered) = (Arc::clone(&scene_of_it), Arc::clone(&answered));
        Ok(move |mail: Mail| -> Result<(), BoxError> {
            let _state = &state;
            handle(&mail, &scene, &parent, &answered)
        })
    };
    let hour = Duration::from_secs(3600);
    let policy = match random.below(3) {
        0 => Restart::never(),
        1 => Restart::always(),
        _ => Restart::up_to(2, hour),
    };
    let room = random.percent(40).then(|| 1 + random.index(4));
    if has_thread {
        did("workers with a thread of their own", 1);
        let builder = Worker::dedicated().restart(policy);
        let builder = match room {
            Some(room) => builder.mailbox(room),
            None => builder,
        };
        return builder.try_spawn(start).ok();
    }
    did("workers", 1);
    let builder = Worker::builder(&scene.spawner).restart(policy);
    let builder = match room {
        Some(room) => builder.mailbox(room),
        None => builder,
    };
    Some(builder.try_spawn(start))
}

/// What the worker does.
fn handle(
    mail: &Mail,
    scene: &Scene,
    parent: &Parent<u64>,
    answered: &AtomicU64,
) -> Result<(), BoxError> {
    let _begun = mail.tag.begin();
    if parent.post(answered.load(Relaxed)).is_ok() {
        answered.fetch_add(1, Relaxed);
    }
    let this = current_worker().ok_or("no worker here")?;
    match mail.ask {
        Ask::Answer => {}
        Ask::Spawn => {
            if let Some((tag, _)) = scene.ledger.open(Kind::Executed, 0) {
                scene.near().execute(move || drop(tag.begin()));
            }
        }
        Ask::Panic => blow(mail.tag.job()),
        Ask::Fail => return Err("it was asked to fail".into()),
        Ask::Close => this.close(),
        Ask::Terminate => this.terminate(),
    }
    Ok(())
}

fn check(accepted: &[Job], exit: &Exit) {
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

/// An answer: they are numbered.
fn hear(ledger: &Ledger, heard: &mut u64, answer: Option<u64>) {
    let Some(answer) = answer else { return };
    if answer != *heard {
        let fault = if answer > *heard {
            Fault::Lost
        } else {
            Fault::Duplicated
        };
        let (round, heard) = (ledger.round, *heard);
        found(fault, || {
            format!("round {round}: message {answer}, and not {heard}")
        });
    }
    *heard = answer + 1;
}
