//! One round: the life of one pool.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use windlass::{BuildError, Pool};

use crate::hand::Hand;
use crate::ledger::Ledger;
use crate::ledger::audit::audit;
use crate::ledger::tally::{Fault, did, found};
use crate::ledger::tokens::{Payload, hooked, rejected};
use crate::ledger::views::HANDS;
use crate::random::Random;
use crate::scene::Scene;
use crate::settings::Settings;
use crate::watch::{self, Post};

/// So many lines has a round.
const LINES: usize = 1 << 14;

/// How a pool ends.
#[derive(Clone, Copy)]
enum End {
    Drop,
    Shutdown,
    ShutdownInVain,
    ShutdownTimeout,
    Now,
    NowInAJob,
    NowAmidShutdown,
    DropInAJob,
}

const ENDS: [(End, &str); 8] = [
    (End::Drop, "pools dropped"),
    (End::Shutdown, "pools shut down"),
    (End::ShutdownInVain, "pools whose shutdown nobody awaited"),
    (End::ShutdownTimeout, "pools shut down with patience"),
    (End::Now, "pools shut down now"),
    (End::NowInAJob, "pools shut down now by a job"),
    (End::NowAmidShutdown, "pools shut down now amid a shutdown"),
    (End::DropInAJob, "pools dropped by a job"),
];

/// Makes a pool, sets the hands to work, ends it in the middle or afterwards,
/// and closes the books.
pub(crate) fn run(number: u64, mut random: Random, other: &Pool) -> Result<(), BuildError> {
    let ledger = Ledger::new(number, LINES);
    let post = Post::new(format!("round {number}"));
    let settings = Settings::new(&mut random);
    let pool = build(&ledger, &mut random, &settings)?;
    let scene = Scene::new(&pool, other, &ledger, settings.jobs_may_wait());
    watch::round(&scene);
    let hands = 1 + random.index(HANDS);
    let steps = 10 + random.index(300);
    // As often afterwards as in the middle.
    let amid = random.index(2 * hands * steps);
    let (end, name) = random.pick(&ENDS);
    let resizes = random.percent(50);
    let forks = cfg!(unix) && random.percent(10);
    ledger.resizing.store(resizes, Relaxed);
    thread::scope(|scope| {
        let hands: Vec<_> = (0..hands)
            .map(|me| {
                let hand = (me, Arc::clone(&scene), random.fork());
                scope.spawn(move || {
                    let (me, scene, random) = hand;
                    contained("a hand", || Hand::new(me, &scene, random).work(steps));
                })
            })
            .collect();
        while scene.steps.load(Relaxed) < amid && hands.iter().any(|hand| !hand.is_finished()) {
            post.at("waits for the hands", 0);
            if resizes && random.percent(10) {
                resize(&pool, random.pick(&[1, 2, 3, 8]));
            }
            #[cfg(unix)]
            if forks && random.percent(5) {
                post.at("waits for a fork", 0);
                crate::forks::fork(&pool);
            }
            thread::sleep(Duration::from_micros(50));
        }
        post.at(name, 0);
        contained("the pool's end", || finish(pool, end, &scene));
        post.at("waits for the hands, after the pool's end", 0);
        // A sanitizer sees what this orders, and not what the scope's end does.
        for hand in hands {
            let _ = hand.join();
        }
    });
    did("pools", 1);
    did(name, 1);
    post.at("waits for the views to be empty", 0);
    while !scene.views_are_empty() {
        thread::yield_now();
    }
    post.at("waits until the pool says that it is at rest", 0);
    while !scene.is_at_rest() {
        thread::yield_now();
    }
    scene.check_counts();
    // Jobs, hooks, results: nobody has anything of the round left.
    post.at(
        "waits until nothing is left of the round, and keeps something",
        0,
    );
    drop(scene);
    while Arc::strong_count(&ledger) > 1 {
        thread::yield_now();
    }
    audit(&ledger);
    Ok(())
}

fn build(
    ledger: &Arc<Ledger>,
    random: &mut Random,
    settings: &Settings,
) -> Result<Pool, BuildError> {
    ledger.bounded.store(settings.is_bounded(), Relaxed);
    let panics = random.percent(20);
    let rejects = Arc::clone(ledger);
    // The hook has something of the round too, until the pool is gone.
    let held = Arc::clone(ledger);
    settings
        .builder()
        .num_threads(random.pick(&[1, 1, 2, 2, 3, 8]))
        .on_reject(move |job| rejected(&rejects, job))
        .on_panic(move |payload| {
            let _held = &held;
            hooked(&*payload);
            if panics {
                // A hook that fails harms nobody.
                panic::resume_unwind(payload);
            }
        })
        .build()
}

fn resize(pool: &Pool, threads: usize) {
    did("changes of the number of threads", 1);
    if let Err(error) = pool.set_num_threads(threads) {
        found(Fault::Wrong, || error.to_string());
    }
}

/// No panic comes out of the library by itself.
fn contained(whose: &str, f: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
        let kind = if payload.is::<Payload>() {
            "a deliberate"
        } else {
            "an unexpected"
        };
        found(Fault::Wrong, || {
            format!("{kind} panic came out into {whose}")
        });
    }
}

/// Ends the pool; its threads have ended when this returns.
fn finish(pool: Pool, end: End, scene: &Arc<Scene>) {
    let ledger = &scene.ledger;
    let announce = |flag: &AtomicBool| flag.store(true, Relaxed);
    announce(&ledger.closing);
    match end {
        End::Drop => {}
        End::Shutdown => pollster::block_on(pool.shutdown()),
        End::ShutdownInVain => drop(pool.shutdown()),
        End::ShutdownTimeout => {
            let _ = pool.shutdown_timeout(Duration::from_micros(50));
            if let Err(error) = pool.shutdown_timeout(Duration::MAX) {
                found(Fault::Lost, || format!("after for ever: {error}"));
            }
        }
        End::Now => {
            announce(&ledger.discarding);
            pool.shutdown_now();
        }
        End::NowInAJob => {
            announce(&ledger.discarding);
            let pool = Arc::new(pool);
            let inner = Arc::clone(&pool);
            let job = pool.spawn_async(move || inner.shutdown_now()).wait();
            let _ = job.join();
            return pollster::block_on(pool.shutdown());
        }
        End::NowAmidShutdown => {
            announce(&ledger.discarding);
            thread::scope(|scope| {
                let gentle = scope.spawn(|| pollster::block_on(pool.shutdown()));
                let _ = scope.spawn(|| pool.shutdown_now()).join();
                let _ = gentle.join();
            });
        }
        End::DropInAJob => {
            // In a view, whose jobs nobody throws out of a queue: who did would have to
            // wait for the pool's end, with the place of the new job in hand.
            let job = scene.spawner.serial().spawn(move || {
                let end = pool.shutdown();
                drop(pool);
                end
            });
            match job.join() {
                Ok(end) => pollster::block_on(end),
                Err(error) => found(Fault::Wrong, || {
                    format!("the job that ends the pool: {error}")
                }),
            }
            return;
        }
    }
    drop(pool);
}
