//! What a job does: something short, or jobs of its own, and then a result or a
//! panic.

use std::hint;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use windlass::{JobSet, JoinHandle, blocking, channel, checkpoint, is_cancelled};

use crate::ledger::place::{Order, Place};
use crate::ledger::tally::{Fault, did, found};
use crate::ledger::tokens::{Product, Tag, end, is_rejecting, quiet};
use crate::ledger::views::{VIEWS, is_serial};
use crate::ledger::{Job, Kind, fact};
use crate::random::Random;
use crate::scene::{Scene, Target};
use crate::{splits, waits};

/// The body of a job.
pub(crate) fn work(
    tag: Tag,
    mut random: Random,
    place: Place,
    order: Option<Order>,
    scene: &Arc<Scene>,
) -> Product {
    let job = tag.job().clone();
    let line = job.line();
    let begun = tag.begin();
    // What `on_reject` runs is in no view any more.
    let inside = order
        .filter(|_| !is_rejecting())
        .map(|order| scene.views[order.at].enter(&order, &job));
    if line.has(fact::TIMEOUT) {
        obey(Duration::from_micros(400));
    } else {
        match random.below(20) {
            0..6 if place.may_nest() && !is_rejecting() => nest(&job, &mut random, place, scene),
            0..10 => {}
            10..13 => spin(random.micros(30)),
            13 => std::thread::yield_now(),
            14 => obey(random.micros(300)),
            15 if !is_rejecting() => wait(&mut random, scene),
            17 if !is_rejecting() => splits::split(&mut random, scene),
            16 => (0..1000).try_for_each(|_| checkpoint()).unwrap_or(()),
            _ => spin(random.micros(3)),
        }
    }
    drop(inside);
    end(tag, begun)
}

/// Waits, while a substitute runs in this thread's place: for something that the pool
/// cannot see, for a message, or for a job of another pool which waits for one of this.
fn wait(random: &mut Random, scene: &Arc<Scene>) {
    did("waits inside jobs", 1);
    let ways = if scene.jobs_may_wait { 5 } else { 1 };
    match random.below(ways) {
        0 => {
            let length = random.micros(100);
            blocking(|| std::thread::sleep(length));
        }
        1 => waits::for_message(scene),
        2 => waits::for_number(scene),
        3 => {
            let (here, there) = channel::<(), ()>();
            scene.other.execute(move || {
                let _ = there.post(());
            });
            if here.recv().is_err() {
                found(Fault::Lost, || "a message from another pool".to_owned());
            }
        }
        _ => {
            let back = scene.spawner.clone();
            let chain = scene.other.spawn(move || back.spawn(|| 7).join());
            match chain.join() {
                Ok(Ok(7)) => {}
                Ok(Err(_)) if scene.ledger.closing.load(Relaxed) => {}
                Ok(Err(error)) if error.is_rejected() && scene.ledger.bounded.load(Relaxed) => {}
                other => found(Fault::Lost, || format!("there and back: {other:?}")),
            }
        }
    }
}

pub(crate) fn spin(length: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < length {
        hint::spin_loop();
    }
}

/// Goes on until it is told to stop, or has gone on for long.
fn obey(longest: Duration) {
    let begin = Instant::now();
    while !is_cancelled() && begin.elapsed() < longest {
        hint::spin_loop();
    }
}

/// Starts some jobs, and sees to them.
fn nest(parent: &Job, random: &mut Random, place: Place, scene: &Arc<Scene>) {
    let mut late = Vec::new();
    for _ in 0..=random.below(4) {
        let target = match random.below(10) {
            0 => {
                let view = random_view(random, place);
                scene.execute(random, target(view), place);
                continue;
            }
            1 => {
                set(parent, random, place, scene);
                continue;
            }
            2..4 => target(random_view(random, place)),
            4..6 => target(place.own_to_wait_for()),
            _ => Target::Pool,
        };
        let Some((handle, child)) = scene.spawn(random, target, place) else {
            break;
        };
        if matches!(target, Target::View(at) if is_serial(at) && target == self_of(place)) {
            child.add(fact::SELF_WAIT);
        }
        if random.percent(25) {
            late.push((handle, child));
        } else {
            see_to(parent, handle, &child, random);
        }
    }
    for (handle, child) in late {
        see_to(parent, handle, &child, random);
    }
}

fn target(view: Option<usize>) -> Target {
    view.map_or(Target::Pool, Target::View)
}

fn self_of(place: Place) -> Target {
    target(place.own())
}

/// A view that the job may wait for.
fn random_view(random: &mut Random, place: Place) -> Option<usize> {
    let at = random.index(VIEWS);
    place.may_wait_for(at).then_some(at)
}

/// What a job does with a job of its own.
fn see_to(parent: &Job, handle: JoinHandle<Product>, child: &Job, random: &mut Random) {
    let waits = &parent.line().waits;
    waits.store(child.id as u32 + 1, Relaxed);
    match random.below(12) {
        0 => quiet(|| drop(handle)),
        1 => {
            child.add(fact::MAY_CANCEL);
            quiet(|| drop(handle.cancel_on_drop()));
        }
        2 => {
            child.add(fact::MAY_CANCEL);
            child.enter_cancel(handle.cancel());
            child.judge(handle.join());
        }
        3 => match handle.join_timeout(random.micros(50)) {
            Ok(result) => child.judge(result),
            Err(handle) => child.judge(handle.join()),
        },
        _ => child.judge(handle.join()),
    }
    waits.store(0, Relaxed);
}

/// A set of jobs within a job.
fn set(parent: &Job, random: &mut Random, place: Place, scene: &Arc<Scene>) {
    let mut set = JobSet::new(&scene.spawner);
    let members = fill(&mut set, random, place, scene);
    if let Some(first) = members.first() {
        parent.line().waits.store(first.id as u32 + 1, Relaxed);
    }
    finish(set, members, random);
    parent.line().waits.store(0, Relaxed);
}

/// Puts some jobs into a set.
pub(crate) fn fill(
    set: &mut JobSet<Product>,
    random: &mut Random,
    place: Place,
    scene: &Arc<Scene>,
) -> Vec<Job> {
    let mut members = Vec::new();
    for _ in 0..random.below(12) {
        let Some((tag, job)) = scene.open(random, Kind::Member) else {
            break;
        };
        job.add(fact::MAY_CANCEL);
        let (fork, scene_of_it) = (random.fork(), Arc::clone(scene));
        let builder = scene.steered(random, &job);
        set.spawn_job(builder, move || {
            work(tag, fork, place.child(), None, &scene_of_it)
        });
        members.push(job);
    }
    members
}

/// Takes a set's results: all, each in its place; or some, in whatever order.
pub(crate) fn finish(mut set: JobSet<Product>, members: Vec<Job>, random: &mut Random) {
    match random.below(4) {
        0 => quiet(|| drop(set)),
        1 => {
            let (mut values, mut others) = (0, 0);
            let cancel = random.percent(30).then(|| random.index(members.len() + 1));
            while let Some(result) = set.join_next() {
                if cancel == Some(values + others) {
                    set.cancel_all();
                }
                match result {
                    Ok(product) => {
                        values += 1;
                        product.job().clone().judge(Ok(product));
                    }
                    Err(_) => others += 1,
                }
            }
            let spawned = members.len();
            if let Some(job) = members.first()
                && values + others != spawned
            {
                let text = format!("{} results of a set of {spawned}", values + others);
                job.fault(Fault::Lost, &text);
            }
        }
        // A result that panics on the way out of the call would leak its error.
        2 if !members.iter().any(|job| job.line().has(fact::RESULT_BOMB)) => {
            quiet(|| drop(set.try_join_all()));
        }
        _ => {
            let results = set.join_all();
            if results.len() != members.len()
                && let Some(job) = members.first()
            {
                job.fault(Fault::Lost, &format!("{} results of a set", results.len()));
            }
            for (job, result) in members.into_iter().zip(results) {
                job.judge(result);
            }
        }
    }
}
