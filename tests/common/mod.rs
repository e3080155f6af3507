//! What the integration tests share: pools of every size, a watchdog, and
//! values that keep account of themselves.

// Each test crate takes what it needs of this.
#![allow(dead_code)]

#[cfg(all(unix, feature = "process"))]
pub(crate) mod clusters;
#[cfg(unix)]
pub(crate) mod forks;
pub(crate) mod gate;
#[cfg(all(target_os = "linux", feature = "process"))]
pub(crate) mod limits;
#[cfg(all(unix, feature = "process"))]
pub(crate) mod tasks;

use std::any::Any;
use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, Once, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use windlass::{JoinHandle, Pool};

/// The pool sizes that every promise has to hold on (checklist 26).
pub(crate) const SIZES: [usize; 3] = [1, 2, 8];

/// How long a test may take before it counts as hung, if
/// `WINDLASS_TEST_PATIENCE` does not say so: in seconds, for tools that slow a
/// test down.
const PATIENCE: Duration = Duration::from_secs(300);

fn patience() -> Duration {
    let seconds = std::env::var("WINDLASS_TEST_PATIENCE").ok();
    seconds.map_or(PATIENCE, |seconds| {
        Duration::from_secs(seconds.parse().unwrap())
    })
}

/// A pool of that many threads, all else as it comes.
pub(crate) fn pool(threads: usize) -> Pool {
    Pool::builder().num_threads(threads).build().unwrap()
}

/// A pool whose stray panics arrive in the channel.
pub(crate) fn pool_with_panics(threads: usize) -> (Pool, mpsc::Receiver<Box<dyn Any + Send>>) {
    hush();
    let (give, panics) = mpsc::channel();
    let pool = Pool::builder()
        .num_threads(threads)
        .on_panic(move |payload| give.send(payload).unwrap())
        .build()
        .unwrap();
    (pool, panics)
}

/// Runs `body` once with a pool of each size, under the watchdog.
pub(crate) fn on_each_size(body: impl Fn(Pool) + Send + 'static) {
    for_each_size(move |threads| body(pool(threads)));
}

/// Runs `body` once with each size, under the watchdog: for pools that need
/// more settings than their size.
pub(crate) fn for_each_size(body: impl Fn(usize) + Send + 'static) {
    watched(move || {
        for threads in SIZES {
            // Shown only if the test fails.
            println!("on a pool of {threads}");
            body(threads);
        }
    });
}

/// Runs `body` on a thread of its own, and fails if it does not come back.
pub(crate) fn watched(body: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        // Whether it returns or panics, the channel hears of it.
        let _tell = tell;
        body();
    });
    let patience = patience();
    if told.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
        let name = thread::current().name().unwrap_or("?").to_owned();
        panic!("{name} hangs: it has not ended within {patience:?}");
    }
    if let Err(payload) = thread.join() {
        panic::resume_unwind(payload);
    }
}

/// All of a pool's threads, each stuck in a job until this is dropped.
pub(crate) struct Occupied {
    release: Vec<mpsc::Sender<()>>,
    jobs: Vec<JoinHandle<()>>,
}

impl Occupied {
    /// Returns once every thread of the pool is stuck.
    pub(crate) fn all(pool: &Pool) -> Self {
        let all_there = Arc::new(Barrier::new(pool.num_threads() + 1));
        let mut release = Vec::new();
        let mut jobs = Vec::new();
        for _ in 0..pool.num_threads() {
            let (sender, receiver) = mpsc::channel::<()>();
            let there = Arc::clone(&all_there);
            release.push(sender);
            // The queue may have a bound.
            let job = pool.spawn_async(move || {
                there.wait();
                let _ = receiver.recv();
            });
            jobs.push(job.wait());
        }
        all_there.wait();
        Self { release, jobs }
    }

    /// Lets the threads go, and waits until their jobs are over.
    pub(crate) fn release(mut self) {
        self.release.clear();
        for job in self.jobs.drain(..) {
            job.join().unwrap();
        }
    }
}

/// What `ask` says on each thread of an idle pool.
pub(crate) fn one_on_each<T>(pool: &Pool, ask: fn() -> T) -> HashSet<T>
where
    T: Send + Eq + std::hash::Hash + 'static,
{
    let all_there = Arc::new(Barrier::new(pool.num_threads()));
    let jobs: Vec<_> = (0..pool.num_threads())
        .map(|_| {
            let there = Arc::clone(&all_there);
            pool.spawn(move || {
                there.wait();
                ask()
            })
        })
        .collect();
    jobs.into_iter().map(|job| job.join().unwrap()).collect()
}

/// The threads of a pool, which must be idle.
pub(crate) fn thread_ids(pool: &Pool) -> HashSet<ThreadId> {
    one_on_each(pool, || thread::current().id())
}

/// Counts its drops, and remembers on which threads they happened.
#[derive(Clone, Default)]
pub(crate) struct Drops(Arc<Mutex<Vec<ThreadId>>>);

impl Drops {
    /// A value whose drop is entered here.
    pub(crate) fn token(&self) -> Token {
        Token(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        self.0.lock().unwrap().clone()
    }
}

/// See [`Drops`].
pub(crate) struct Token(Drops);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().push(thread::current().id());
    }
}

/// Panics when it is dropped, with a message of [`EXPECTED`].
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{EXPECTED}: a Drop");
    }
}

/// What the message of every deliberate panic begins with.
pub(crate) const EXPECTED: &str = "expected";

/// Keeps deliberate panics out of the tests' output; others are shown.
///
/// They happen on pool threads, whose output no test harness captures.
pub(crate) fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let show = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            if !text(payload).is_some_and(|text| text.starts_with(EXPECTED)) {
                show(info);
            }
        }));
    });
}

/// The text that a panic carries.
pub(crate) fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// The panic of `f`, which has to panic.
pub(crate) fn panic_of<T>(f: impl FnOnce() -> T) -> Box<dyn Any + Send> {
    match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => payload,
    }
}

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl std::task::Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until `condition` holds; the watchdog sees to it that it does not wait
/// for ever.
pub(crate) fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_micros(100));
    }
}

/// Set in a process that a test started from its own executable.
const CHILD: &str = "WINDLASS_TEST_CHILD";

/// Whether this process was started by [`child`] to play `test`'s other part.
pub(crate) fn is_child_of(test: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|name| name == test)
}

/// This executable again, to run `test` alone and with [`is_child_of`] true;
/// through `wrapper`, a program and its arguments, if there is one.
pub(crate) fn child(test: &str, wrapper: &[&str]) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(&this),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&this);
            command
        }
    };
    command
        .args([test, "--exact", "--include-ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .env_remove("WINDLASS_NUM_THREADS");
    command
}

/// Runs a child to its end; what it wrote. It has to have run its one test.
pub(crate) fn run_child(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let all = format!("{stdout}{stderr}");
    assert!(output.status.success(), "{}: {all}", output.status);
    assert!(stdout.contains("1 passed"), "{all}");
    all
}

/// A pool of that many threads, and the number of jobs its `on_reject` was given.
pub(crate) fn pool_that_counts_rejects(threads: usize) -> (Pool, Arc<AtomicUsize>) {
    let rejected = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&rejected);
    let pool = Pool::builder()
        .num_threads(threads)
        .on_reject(move |job| {
            drop(job);
            count.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    (pool, rejected)
}

/// A folder that is there as long as the value is.
pub(crate) struct Scratch(std::path::PathBuf);

/// An empty folder of this process's own; `name` is one that no other test has.
pub(crate) fn scratch(name: &str) -> Scratch {
    let name = format!("windlass-{name}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    Scratch(folder)
}

impl Scratch {
    /// Where a file of that name is, or would be.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().into()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
