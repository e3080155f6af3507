//! How many instructions does a job take?
//!
//! Seconds differ from run to run and from machine to machine, instructions
//! hardly: this is what guards the speed. Each scenario runs twice under
//! callgrind (of valgrind), with some batches of operations and with more; the
//! difference, divided, is the cost of one operation when memory is used again.
//! All threads' instructions count, from the submission to the last drop, and a
//! thousandth of starting a pool. The pool's one thread is held at a gate while
//! jobs are submitted, so that nobody sleeps, wakes or spins while it is counted,
//! and the figures repeat.
//!
//! ```sh
//! cargo bench --bench instructions              # print, and compare with the committed figures
//! cargo bench --bench instructions -- --check   # and fail if one is more than 10 % above them
//! cargo bench --bench instructions -- --write   # commit to what is measured now
//! ```
//!
//! The committed figures, `benches/instructions.txt`, are those of one compiler
//! and one architecture, which the file names; elsewhere `--check` compares
//! nothing, and says so.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;

use windlass::{JoinHandle, MainLoop, Parent, Pool};

/// How far above its committed figure a scenario may be.
const TOLERANCE: f64 = 0.10;

/// How many operations a batch has.
const BATCH: usize = 5_000;

/// How many batches the shorter and the longer run have.
const RUNS: [usize; 2] = [2, 6];

type Scenario = (&'static str, fn(usize));

/// What is counted. The argument is the number of operations.
const SCENARIOS: &[Scenario] = &[
    ("execute", execute),
    ("spawn_join", spawn_join),
    ("spawn_cancel", spawn_cancel),
    ("nested_execute", nested_execute),
    ("nested_join", nested_join),
    ("fork_join", fork_join),
    ("scope_spawn", scope_spawn),
    ("on_complete", on_complete),
    ("post", post),
    ("post_and_answer", post_and_answer),
];

/// A pool of one thread, held by its first job until the sender is dropped.
fn held() -> (Pool, mpsc::Sender<()>) {
    let pool = Pool::builder().num_threads(1).build().unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    pool.execute(move || {
        begin.send(()).unwrap();
        let _ = gate.recv();
    });
    begun.recv().unwrap();
    (pool, open)
}

fn execute(n: usize) {
    let (pool, open) = held();
    let (sum, answer) = mpsc::channel();
    for i in 0..n {
        let pair = [i, i + 1]; // 16 bytes
        pool.execute(move || {
            std::hint::black_box(pair);
        });
    }
    pool.execute(move || sum.send(n).unwrap());
    drop(open);
    assert_eq!(answer.recv().unwrap(), n);
}

fn spawn_join(n: usize) {
    let (pool, open) = held();
    let handles: Vec<_> = (0..n).map(|i| pool.spawn(move || i)).collect();
    let last = pool.spawn(|| ());
    drop(open);
    last.join().unwrap(); // the others are finished by then
    let sum: usize = handles
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .sum();
    assert_eq!(sum, n * (n - 1) / 2);
}

fn spawn_cancel(n: usize) {
    let (pool, open) = held();
    for i in 0..n {
        assert!(pool.spawn(move || i).cancel());
    }
    drop(open);
}

fn nested_execute(n: usize) {
    let (pool, open) = held();
    let spawner = pool.spawner();
    let (sum, answer) = mpsc::channel();
    pool.execute(move || {
        spawner.execute(move || sum.send(n).unwrap()); // the oldest, and so the last
        for i in 0..n {
            spawner.execute(move || {
                std::hint::black_box(i);
            });
        }
    });
    drop(open);
    assert_eq!(answer.recv().unwrap(), n);
    drop(pool); // finishes what is left
}

fn nested_join(n: usize) {
    let (pool, open) = held();
    let spawner = pool.spawner();
    let sum = pool.spawn(move || {
        let one = |i| spawner.spawn(move || i).join().unwrap();
        (0..n).map(one).sum::<usize>()
    });
    drop(open);
    assert_eq!(sum.join().unwrap(), n * (n - 1) / 2);
}

/// A tree of joins, as many as there are operations, less one.
fn fork_join(n: usize) {
    fn leaves(n: usize) -> usize {
        if n == 1 {
            return std::hint::black_box(1);
        }
        let (left, right) = windlass::join(|| leaves(n / 2), || leaves(n - n / 2));
        left + right
    }
    let (pool, open) = held();
    let sum = pool.spawn(move || leaves(n));
    drop(open);
    assert_eq!(sum.join().unwrap(), n);
}

fn scope_spawn(n: usize) {
    let (pool, open) = held();
    let spawner = pool.spawner();
    let sum = pool.spawn(move || {
        let sum = std::sync::atomic::AtomicUsize::new(0);
        spawner.scope(|s| {
            for i in 0..n {
                let sum = &sum;
                s.spawn(move || sum.fetch_add(i, std::sync::atomic::Ordering::Relaxed));
            }
        });
        sum.into_inner()
    });
    drop(open);
    assert_eq!(sum.join().unwrap(), n * (n - 1) / 2);
}

fn on_complete(n: usize) {
    let (pool, open) = held();
    let main = MainLoop::new();
    let sum = std::rc::Rc::new(std::cell::Cell::new(0));
    let mut last: Option<JoinHandle<()>> = None;
    for i in 0..n {
        let sum = std::rc::Rc::clone(&sum);
        main.on_complete(pool.spawn(move || i), move |_main, i| {
            sum.set(sum.get() + i.unwrap());
        });
        last = (i + 1 == n).then(|| pool.spawn(|| ()));
    }
    drop(open);
    last.unwrap().join().unwrap();
    main.run();
    assert_eq!(sum.get(), n * (n - 1) / 2);
}

fn post(n: usize) {
    let (pool, open) = held();
    let (sum, answer) = mpsc::channel();
    let mut total = 0;
    let worker = pool.worker(move |i: usize, _: &Parent<()>| {
        total += i;
        if i + 1 == n {
            sum.send(total).unwrap();
        }
    });
    for i in 0..n {
        worker.post(i).unwrap();
    }
    drop(open);
    assert_eq!(answer.recv().unwrap(), n * (n - 1) / 2);
}

fn post_and_answer(n: usize) {
    let (pool, open) = held();
    let worker = pool.worker(|i: usize, parent: &Parent<usize>| parent.post(i).unwrap());
    for i in 0..n {
        worker.post(i).unwrap();
    }
    worker.close();
    let exited = worker.exited();
    drop(open);
    exited.wait(); // all answers are there
    assert_eq!(worker.iter().unwrap().sum::<usize>(), n * (n - 1) / 2);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, batches] = &arguments[..]
        && flag == "--scenario"
    {
        let (_, run) = SCENARIOS.iter().find(|(known, _)| known == name).unwrap();
        (0..batches.parse().unwrap()).for_each(|_: usize| run(BATCH));
        return ExitCode::SUCCESS;
    }
    let (mut check, mut write) = (false, false);
    for argument in &arguments {
        match argument.as_str() {
            "--check" => check = true,
            "--write" => write = true,
            "--bench" => {} // said by cargo
            other => {
                eprintln!("`{other}`: expected --check or --write");
                return ExitCode::from(2);
            }
        }
    }
    if !has_valgrind() {
        println!("skipped: no valgrind here");
        return ExitCode::SUCCESS;
    }
    let measured: Vec<_> = SCENARIOS
        .iter()
        .map(|&(name, _)| (name, instructions_of_one(name)))
        .collect();
    if write {
        fs::write(committed_path(), page(&measured)).unwrap();
    }
    report(&measured, check)
}

/// Prints the figures beside the committed ones; fails if it is to check, and
/// one is too high.
fn report(measured: &[(&str, f64)], check: bool) -> ExitCode {
    let page = fs::read_to_string(committed_path()).unwrap_or_default();
    let comparable = page.lines().next() == Some(headline().as_str());
    if !comparable {
        println!(
            "not comparable with the committed figures: this is\n  {}",
            headline()
        );
    }
    let committed = committed(&page);
    let mut worse = Vec::new();
    for &(name, now) in measured {
        let Some(&then) = committed.get(name).filter(|_| comparable) else {
            println!("{name:<16} {now:>6.0} instructions");
            continue;
        };
        let change = now / then - 1.0;
        println!(
            "{name:<16} {now:>6.0} instructions, {then:.0} committed, {:+.1} %",
            change * 100.0
        );
        if change > TOLERANCE {
            worse.push(name);
        }
    }
    if check && !worse.is_empty() {
        eprintln!(
            "more than {:.0} % above the committed figure: {}",
            TOLERANCE * 100.0,
            worse.join(", ")
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn instructions_of_one(scenario: &str) -> f64 {
    let [less, more] = RUNS.map(|batches| instructions(scenario, batches));
    (more - less) as f64 / (BATCH * (RUNS[1] - RUNS[0])) as f64
}

/// Instructions of a whole run of this program.
fn instructions(scenario: &str, batches: usize) -> i64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--scenario", scenario, &batches.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scenario}: {text}");
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .unwrap_or_else(|| panic!("{scenario}: no figure in\n{text}"));
    collected.1.trim().parse().unwrap()
}

fn has_valgrind() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn committed_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt")
}

/// What the figures depend on besides the code.
fn headline() -> String {
    let output = Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
        .arg("--version")
        .output()
        .unwrap();
    let rustc = String::from_utf8_lossy(&output.stdout);
    format!(
        "# {} on {}-{}",
        rustc.trim(),
        env::consts::ARCH,
        env::consts::OS
    )
}

fn page(measured: &[(&str, f64)]) -> String {
    let mut page = headline() + "\n";
    for (name, figure) in measured {
        writeln!(page, "{name} {figure:.0}").unwrap();
    }
    page
}

fn committed(page: &str) -> BTreeMap<&str, f64> {
    page.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, figure)| Some((name, figure.parse().ok()?)))
        .collect()
}
