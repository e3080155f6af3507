//! `examples/node`: each program there prints the same in Node and in Rust.
//!
//! With `node` on the PATH both are run and compared, and node's output with
//! what was recorded of it; without, the Rust program with the recorded output.
//! `cargo test` builds the examples; `cargo test --test` alone does not.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// How long a program may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node")
}

/// Node's version, if it is here.
fn node() -> Option<&'static str> {
    static VERSION: OnceLock<Option<String>> = OnceLock::new();
    let version = VERSION.get_or_init(|| match Command::new("node").arg("--version").output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("node cannot be run: {error}"),
    });
    version.as_deref()
}

/// What comes out of a pipe, sent when it is closed; read on a thread, so that no
/// program has to wait for its reader.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (give, text) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        // The test may have given up.
        let _ = give.send(text.replace("\r\n", "\n"));
    });
    text
}

/// What the program prints; it has to end well, and in time.
fn run(command: &mut Command) -> String {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    // It is closed when the program ends.
    let in_time = stdout.recv_timeout(PATIENCE);
    if in_time.is_err() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let complained = stderr.recv().unwrap();
    let Ok(said) = in_time else {
        let said = stdout.recv().unwrap();
        panic!("{command:?} hangs, it has not ended within {PATIENCE:?}: {said}{complained}");
    };
    assert!(
        status.success(),
        "{command:?}: {status}: {said}{complained}"
    );
    said
}

/// The built example of a pair: `01-ping-pong` is `node_01_ping_pong`.
fn rust_program(pair: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap().join("examples");
    let program = directory
        .join(format!("node_{}", pair.replace('-', "_")))
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{program:?} is not there: run `cargo build --examples` first"
    );
    program
}

fn compare(pair: &str) {
    let recorded = folder().join(format!("recorded/{pair}.txt"));
    let recorded = fs::read_to_string(&recorded)
        .unwrap_or_else(|error| panic!("{recorded:?}: {error}"))
        .replace("\r\n", "\n");
    assert!(!recorded.is_empty());
    match node() {
        Some(version) => {
            println!("{pair}: compared with node {version}");
            let script = folder().join(format!("{pair}.js"));
            let in_node = run(Command::new("node").arg(script).env_remove("NODE_OPTIONS"));
            assert_eq!(
                in_node, recorded,
                "{pair}: node (left) and its record (right)"
            );
        }
        None => println!("{pair}: no node here; compared with what was recorded of it"),
    }
    // On one thread as well, where nothing may wait for what has none to run on.
    for threads in [None, Some("1")] {
        let mut program = Command::new(rust_program(pair));
        program.env_remove("WINDLASS_NUM_THREADS");
        program.envs(threads.map(|threads| ("WINDLASS_NUM_THREADS", threads)));
        let in_rust = run(&mut program);
        let threads = threads.unwrap_or("all");
        assert_eq!(
            in_rust, recorded,
            "{pair}: Rust on {threads} threads (left), node (right)"
        );
    }
}

/// A test for each pair, so that a failure names it, and the list of them.
macro_rules! pairs {
    ($($(#[$attribute:meta])* $test:ident: $pair:literal,)*) => {
        const PAIRS: &[&str] = &[$($pair),*];

        $(
            $(#[$attribute])*
            #[test]
            fn $test() {
                compare($pair);
            }
        )*
    };
}

pairs! {
    ping_pong: "01-ping-pong",
    parse_json: "02-parse-json",
    worker_pool: "03-worker-pool",
    http_server: "04-http-server",
    channel: "05-channel",
    shared_memory: "06-shared-memory",
    broadcast: "07-broadcast",
    progress: "08-progress",
    csv_stream: "09-csv-stream",
    priority_queue: "10-priority-queue",
    abort: "11-abort",
    scrypt: "12-scrypt",
    nested_workers: "13-nested-workers",
    environment_data: "14-environment-data",
    // The example needs the feature, and is not built without.
    #[cfg(all(unix, feature = "process"))]
    fork_ping_pong: "15-fork-ping-pong",
    #[cfg(all(unix, feature = "process"))]
    cluster_server: "16-cluster-server",
}

/// The files' names in a folder that have the beginning and the ending, without.
fn names(folder: &Path, prefix: &str, suffix: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| Some(name.strip_prefix(prefix)?.strip_suffix(suffix)?.to_owned()))
        .collect()
}

#[test]
fn every_program_has_its_other_half_its_record_and_its_test() {
    let listed: BTreeSet<_> = PAIRS.iter().map(|&pair| pair.to_owned()).collect();
    assert_eq!(names(&folder(), "", ".js"), listed);
    assert_eq!(names(&folder().join("recorded"), "", ".txt"), listed);
    let rust = names(folder().parent().unwrap(), "node_", ".rs");
    let rust: BTreeSet<_> = rust.iter().map(|name| name.replace('_', "-")).collect();
    assert_eq!(rust, listed);
}
