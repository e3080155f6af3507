//! What bytes mean, and how a program is run.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use windlass::{JobTimes, WhenFull};

use super::calls::{self, CALLS};
use super::desk::Desk;
use super::scene::Scene;
use crate::common;
use crate::ledger::audit::{audit, describe, is_over};
use crate::ledger::place::Place;
use crate::ledger::tally::{self, Fault, found};

/// So many bytes are one call.
pub(crate) const STEP: usize = 4;

/// How long it may take until nothing of a program is left.
const PATIENCE: Duration = Duration::from_secs(120);

/// So deep may jobs hand over jobs.
const DEPTH: u32 = 4;

/// The numbers that a call is made with.
#[derive(Clone, Copy)]
pub(crate) struct Numbers(pub(crate) u8, pub(crate) u8, pub(crate) u8);

/// Bytes; shown as the calls that they mean.
#[derive(Clone)]
pub(crate) struct Program(pub(crate) Vec<u8>);

/// One call.
#[derive(Clone, Copy)]
pub(super) struct Step {
    row: usize,
    numbers: Numbers,
}

/// What the first bytes say of the whole.
#[derive(Debug)]
pub(super) struct Frame {
    /// Threads of the pool.
    pub(super) threads: usize,
    /// Threads outside, which share the calls.
    pub(super) hands: usize,
    /// How the pool ends, if it does not do so before.
    pub(super) end: u8,
    /// Whether `on_panic` panics.
    pub(super) hook_panics: bool,
    /// How many jobs may wait, and what is done with one more.
    pub(super) capacity: Option<usize>,
    pub(super) when_full: WhenFull,
    /// Threads in place of others that wait, if there are few.
    pub(super) substitutes: Option<usize>,
    pub(super) times: JobTimes,
    pub(super) stall_after: Option<Duration>,
}

impl Program {
    fn frame(&self) -> Frame {
        let byte = |at: usize| self.0.get(at).copied().unwrap_or(0);
        Frame {
            threads: 1 + usize::from(byte(0) % 3),
            hands: 1 + usize::from(byte(1) % 2),
            end: byte(2),
            hook_panics: byte(3) % 4 == 3,
            capacity: [None, None, None, None, Some(1), Some(2), Some(5), Some(30)]
                [usize::from(byte(1) >> 1) % 8],
            when_full: [WhenFull::RejectNewest, WhenFull::DropOldest][usize::from(byte(1) >> 7)],
            substitutes: [None, None, Some(0), Some(1)][usize::from(byte(3) >> 2) % 4],
            times: [
                JobTimes::Off,
                JobTimes::All,
                JobTimes::Sampled,
                JobTimes::Off,
            ][usize::from(byte(3) >> 4) % 4],
            stall_after: [
                None,
                None,
                Some(Duration::ZERO),
                Some(Duration::from_millis(1)),
            ][usize::from(byte(3) >> 6)],
        }
    }

    fn steps(&self) -> Vec<Step> {
        let steps = self.0.chunks(STEP).skip(1).map(|bytes| {
            let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
            Step {
                row: calls::row(byte(0)),
                numbers: Numbers(byte(1), byte(2), byte(3)),
            }
        });
        steps.collect()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.frame();
        writeln!(f, "{:?}", self.0)?;
        writeln!(f, "{frame:?}:")?;
        for Step { row, numbers } in self.steps() {
            let Numbers(a, b, c) = numbers;
            write!(f, " {}({a}, {b}, {c})", CALLS[row].0)?;
        }
        Ok(())
    }
}

/// Makes the calls of `steps`, one after the other; those that a job takes as
/// its body are its own.
pub(super) fn make_all(desk: &mut Desk, mut steps: &[Step]) {
    while let [step, rest @ ..] = steps {
        desk.hand_out(rest);
        calls::make(desk, step.row, step.numbers);
        steps = &rest[desk.taken()..];
    }
}

/// Runs the program, and says what went wrong in it.
pub(crate) fn run(program: &Program) -> Vec<String> {
    let scene = Arc::new(Mutex::new(None));
    let (copy, here) = (program.clone(), Arc::clone(&scene));
    let run = move || common::watched(move || live(&copy, &here));
    if let Err(payload) = std::panic::catch_unwind(run) {
        let text = common::text(&*payload).unwrap_or("a panic").to_owned();
        found(Fault::Hung, || text);
        // Who hangs has it still.
        if let Some(scene) = scene.lock().unwrap().as_ref() {
            describe_open(scene);
        }
    }
    tally::take_faults()
}

fn describe_open(scene: &Scene) {
    let calls = scene.at.each_ref().map(|at| CALLS[at.load(Relaxed)].0);
    found(Fault::Hung, || {
        format!("the last calls of the hands: {calls:?}")
    });
    let open = scene.ledger.lines().filter(|(_, line)| !is_over(line));
    for (id, line) in open.take(10) {
        found(Fault::Hung, || format!("not over: {}", describe(id, line)));
    }
}

/// The life of one pool.
fn live(program: &Program, here: &Mutex<Option<Arc<Scene>>>) {
    let (frame, steps) = (program.frame(), program.steps());
    let scene = Scene::new(&frame);
    *here.lock().unwrap() = Some(Arc::clone(&scene));
    let each = steps.len().div_ceil(frame.hands).max(1);
    thread::scope(|scope| {
        let hands = steps.chunks(each).enumerate().map(|(hand, steps)| {
            let scene = &scene;
            scope.spawn(move || {
                let mut desk = Desk::new(scene, Place::outside(hand, DEPTH), true);
                make_all(&mut desk, steps);
                desk.leave();
            })
        });
        // All of them begin before the first is waited for.
        let hands: Vec<_> = hands.collect();
        for hand in hands {
            hand.join().unwrap_or_else(|payload| resume_unwind(payload));
        }
    });
    Desk::new(&scene, Place::outside(0, DEPTH), true).end(frame.end);
    common::until(|| scene.views_are_empty());
    scene.check_counts();
    scene.check_numbers();
    let ledger = Arc::clone(&scene.ledger);
    *here.lock().unwrap() = None;
    drop(scene);
    // Jobs, hooks, results: nobody has anything of it left.
    let begin = Instant::now();
    while Arc::strong_count(&ledger) > 1 {
        if begin.elapsed() > PATIENCE {
            let left = Arc::strong_count(&ledger) - 1;
            found(Fault::Lost, || {
                format!("{left} things of the program are kept")
            });
            break;
        }
        thread::yield_now();
    }
    audit(&ledger);
}
