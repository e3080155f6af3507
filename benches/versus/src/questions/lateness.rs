//! How free does the main loop stay while the pool is saturated?
//!
//! A loop sleeps 1 ms and works 100 us, over and over, beside a pool with more
//! jobs of 1 ms than it can do. Lateness: how long after its time it runs; work:
//! how many jobs the pool got done meanwhile. Then the same with a busy neighbour,
//! another process that computes. It matters to whatever must answer: an
//! interface that must not stutter, a reactor that must not miss its sockets.
//! Everybody could keep the loop on time by doing less, so both are given.
//!
//! windlass's loop is a `MainLoop`; the others' is what the standard library has.
//!
//! Floor: the same loop with no pool.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::libraries::{Execute, executors, sleeping_loop};
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::{curve, micros, percentile, sorted};
use crate::system::{Burners, burn, rounds_per_micro};
use crate::tally;

pub const QUESTION: Question = Question {
    name: "lateness",
    about: "a loop each 1 ms beside a saturated pool, alone and with a busy neighbour process",
    figures: &[
        Figure::lower("lateness_p50", "us"),
        Figure::lower("lateness_p99", "us"),
        Figure::lower("lateness_p999", "us"),
        Figure::higher("lateness_work", "jobs of 1 ms per s"),
        Figure::lower("lateness_neighbour_p50", "us"),
        Figure::lower("lateness_neighbour_p99", "us"),
        Figure::lower("lateness_neighbour_p999", "us"),
        Figure::higher("lateness_neighbour_work", "jobs of 1 ms per s"),
    ],
    field,
    rounds: Rounds {
        full: 7,
        quick: 3,
        warm_up: false,
    },
    processes: Processes::One,
};

/// The distributions for the picture.
pub const ALONE: &str = "lateness";
pub const NEIGHBOUR: &str = "lateness_neighbour";

const PERIOD: Duration = Duration::from_millis(1);
const LOOP_WORK: u64 = 100;
const JOB: u64 = 1_000;

/// Set when a measurement is over: what is left of the backlog does nothing.
static OVER: AtomicBool = AtomicBool::new(false);

fn field(_: &Settings) -> Field {
    // Measured before anything is busy.
    rounds_per_micro();
    executors!(measure).and(Contender::floor(|settings| {
        let mut round = Round::default();
        for neighbours in [0, 1] {
            let _burners = Burners::start(neighbours);
            let length = length(settings);
            let late = on_a_thread(move || watch(length, sleeping_loop));
            record(&mut round, neighbours, &late, None);
        }
        round
    }))
}

fn length(settings: &Settings) -> Duration {
    settings.pick(Duration::from_secs(5), Duration::from_secs(1))
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let mut round = Round::default();
    for neighbours in [0, 1] {
        let _burners = Burners::start(neighbours);
        let (late, work) = beside::<L>(settings.threads, length(settings));
        record(&mut round, neighbours, &late, Some(work));
    }
    round
}

fn record(round: &mut Round, neighbours: usize, late: &[Duration], work: Option<f64>) {
    let late: Vec<_> = late.iter().copied().map(micros).collect();
    let late = sorted(&late);
    let first = 4 * neighbours;
    for (figure, share) in QUESTION.figures[first..first + 3]
        .iter()
        .zip([0.5, 0.99, 0.999])
    {
        round.figures.push((figure.name, percentile(&late, share)));
    }
    if let Some(work) = work {
        round.figures.push((QUESTION.figures[first + 3].name, work));
    }
    let name = [ALONE, NEIGHBOUR][neighbours];
    round.curves.push((name, curve(&late)));
}

/// The loop's lateness and the pool's jobs per second.
fn beside<L: Execute>(threads: usize, length: Duration) -> (Vec<Duration>, f64) {
    OVER.store(false, Ordering::Relaxed);
    let library = L::start(threads);
    // Twice what undisturbed cores would do.
    let jobs = length.as_millis() as u64 * threads as u64 * 2 + 100;
    let before = tally::total();
    let mut kept = Vec::new();
    for n in 0..jobs {
        kept.push(library.execute(move || {
            if !OVER.load(Ordering::Relaxed) {
                burn(JOB);
            }
            tally::add(n);
        }));
    }
    // All its threads are at work.
    thread::sleep(Duration::from_millis(20));
    let (late, work) = on_a_thread(move || {
        let (begin, done) = (Instant::now(), tally::total().jobs);
        let late = watch(length, L::main_loop);
        let done = tally::total().jobs - done;
        (late, done as f64 / begin.elapsed().as_secs_f64())
    });
    assert!(
        tally::total().jobs - before.jobs < jobs,
        "the backlog was too short"
    );
    OVER.store(true, Ordering::Relaxed);
    while tally::total().jobs - before.jobs < jobs {
        thread::sleep(Duration::from_millis(1));
    }
    drop(kept);
    (late, work)
}

/// A thread of its own for each loop, so that what one library asks of the
/// operating system for its loop ends with it.
fn on_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(run).join().unwrap()
}

type Tick = Box<dyn FnMut(Duration) -> bool>;

/// Runs a loop for `length`; how late each of its turns was.
fn watch(length: Duration, main_loop: impl FnOnce(Duration, Tick)) -> Vec<Duration> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let end = Instant::now() + length;
    let tick = move |late| {
        let _ = sender.send(late);
        burn(LOOP_WORK);
        Instant::now() < end
    };
    main_loop(PERIOD, Box::new(tick));
    let late: Vec<_> = receiver.try_iter().collect();
    assert!(!late.is_empty());
    late
}
