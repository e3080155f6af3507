//! The watchdog: who waits for what, and for how long already.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::ledger::audit::{describe, is_over};
use crate::ledger::tally::{self, Fault, found};
use crate::scene::Scene;

/// Nobody waits for so long unless it is for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often there is a word on stderr.
const PROGRESS: Duration = Duration::from_secs(5);

static POSTS: Mutex<Vec<Weak<State>>> = Mutex::new(Vec::new());
static ROUND: Mutex<Weak<Scene>> = Mutex::new(Weak::new());

struct State {
    name: String,
    now: Mutex<(&'static str, usize, Instant)>,
}

/// Where a thread says what it is about to wait for.
pub(crate) struct Post(Arc<State>);

impl Post {
    pub(crate) fn new(name: String) -> Self {
        let now = Mutex::new(("begins", 0, Instant::now()));
        let state = Arc::new(State { name, now });
        let mut posts = POSTS.lock().unwrap();
        posts.retain(|post| post.strong_count() > 0);
        posts.push(Arc::downgrade(&state));
        Self(state)
    }

    /// The thread does this now; `id` is the line or the number it is about.
    pub(crate) fn at(&self, what: &'static str, id: usize) {
        *self.0.now.lock().unwrap() = (what, id, Instant::now());
    }
}

/// From now on this is the round that is looked at.
pub(crate) fn round(scene: &Arc<Scene>) {
    *ROUND.lock().unwrap() = Arc::downgrade(scene);
}

/// Starts the thread that looks; it ends the process if somebody hangs.
pub(crate) fn start(done: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let done = Arc::clone(done);
    thread::spawn(move || {
        let (begin, mut told) = (Instant::now(), Instant::now());
        while !done.load(Relaxed) {
            thread::sleep(Duration::from_millis(100));
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                let seconds = begin.elapsed().as_secs();
                let (pools, lines) = (tally::times("pools"), tally::times("lines in the ledgers"));
                eprintln!("soak: {seconds} s, {pools} pools, {lines} lines");
            }
            let hung = look();
            if !hung.is_empty() {
                hung.into_iter()
                    .for_each(|text| found(Fault::Hung, || text));
                print!("{}", tally::report());
                std::process::exit(1);
            }
        }
    })
}

/// Who waits for too long, and what is not over in the ledger.
fn look() -> Vec<String> {
    let posts = POSTS.lock().unwrap();
    let mut hung = Vec::new();
    for post in posts.iter().filter_map(Weak::upgrade) {
        let (what, id, since) = *post.now.lock().unwrap();
        if since.elapsed() > PATIENCE {
            hung.push(format!("{} {what} ({id}) for {PATIENCE:?}", post.name));
        }
    }
    if !hung.is_empty()
        && let Some(scene) = ROUND.lock().unwrap().upgrade()
    {
        eprintln!("soak: {}", scene.describe());
        // Those that run first: they are what the others wait for.
        for runs in [true, false] {
            let open = scene.ledger.lines().filter(|(_, line)| !is_over(line));
            let open = open.filter(|(_, line)| (line.ran.load(Relaxed) > 0) == runs);
            for (id, line) in open.take(20) {
                eprintln!("soak: not over: {}", describe(id, line));
            }
        }
    }
    hung
}

/// The thread that keeps time for deadlines has to end with the last of them.
pub(crate) fn look_for_time_keepers() {
    let begin = Instant::now();
    while time_keepers() > 0 {
        if begin.elapsed() > Duration::from_secs(5) {
            let left = time_keepers();
            return found(Fault::Lost, || {
                format!("{left} time-keeping threads were left")
            });
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// How many there are, where one can ask.
fn time_keepers() -> usize {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let names = threads.filter_map(|thread| {
        let thread = thread.ok()?;
        std::fs::read_to_string(thread.path().join("comm")).ok()
    });
    names.filter(|name| name.trim() == "windlass-timer").count()
}
