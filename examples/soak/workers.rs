//! Workers that die, restart, close and terminate themselves, and are dropped.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use windlass::{Restart, Worker};

use crate::ledger::Kind;
use crate::ledger::staff::{Ask, Duty, Mail, came_back, check, check_answers, hear};
use crate::ledger::tally::{Fault, did, found};
use crate::random::Random;
use crate::scene::Scene;
use crate::watch::Post;

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
            check_answers(heard, &answered, &exit);
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
    let duty = Duty {
        ledger: Arc::clone(&scene.ledger),
        spawner: scene.spawner.clone(),
        answered: Arc::clone(answered),
    };
    let start = move |parent| Ok(duty.begin(parent));
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
