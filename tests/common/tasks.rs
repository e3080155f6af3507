//! Tasks that behave and misbehave in every way, for the tests of processes.
//!
//! Each test file that uses them has a test of the name `child`, which is what its
//! children run:
//!
//! ```text
//! #[test]
//! fn child() {
//!     tasks::child();
//! }
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::hint::black_box;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use windlass::process::{Bytes, Output, ProcessPool, ProcessPoolBuilder, Task, TaskContext, Tasks};

/// Gives its argument back.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Echo(pub(crate) Bytes);

impl Task for Echo {
    const NAME: &'static str = "echo";
    type Output = Bytes;

    fn run(self, _cx: &TaskContext) -> Bytes {
        self.0
    }
}

/// Does one thing, good or bad.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum Act {
    Say(String),
    Sum(Vec<u64>),
    /// Its own process number.
    Pid,
    Panic(String),
    PanicWithNoText,
    /// With a text of so many bytes.
    PanicAtLength(usize),
    Abort,
    Segfault,
    Overflow,
    Exit(i32),
    LoopForEver,
    Sleep(u64),
    /// Takes so many megabytes, writes to them, and lets them go.
    Eat(usize),
    /// The same, and keeps them for ever.
    EatAndStay(usize),
    /// One allocation that nothing can hold.
    EatAtOnce,
    /// Lines on stdout and stderr.
    Print(Vec<String>, Vec<String>),
    /// A line on stdout after so many microseconds.
    PrintAfter(u64, String),
    PrintAndAbort(String),
    PrintForEver,
    ReadStdin,
    Variable(String),
    /// Its working folder.
    Folder,
    /// So many bytes.
    Give(usize),
    /// Makes the shared memory so long, writes nothing to it, and does the next.
    Stretch(u64, Box<Act>),
    /// A value that is nested so deeply.
    Nest(usize),
    /// Creates the file, then loops.
    Touch(String),
    /// Writes this to the parent, past the protocol, and then does the next.
    Raw(Vec<u8>, Box<Act>),
    /// Closes the way to the parent, and goes on.
    CloseSockets,
    /// Leaks so many megabytes when the job has long been over, and creates the file.
    LeakLater(usize, String),
}

impl Task for Act {
    const NAME: &'static str = "act";
    type Output = Reply;

    #[allow(unsafe_code)]
    fn run(self, cx: &TaskContext) -> Reply {
        assert_eq!(cx.name(), "act");
        Reply::Text(match self {
            Self::Say(text) => text,
            Self::Sum(numbers) => return Reply::Number(numbers.iter().sum()),
            Self::Pid => return Reply::Number(std::process::id().into()),
            Self::Panic(text) => panic!("{text}"),
            Self::PanicAtLength(bytes) => panic!("{}", "x".repeat(bytes)),
            Self::PanicWithNoText => std::panic::panic_any(7),
            Self::Abort => std::process::abort(),
            Self::Segfault => {
                // SAFETY: none; it is what the tests are about.
                unsafe { black_box(std::ptr::dangling_mut::<u64>().wrapping_sub(1)).write(7) };
                "it went well".into()
            }
            Self::Overflow => overflow(&[0; 64]).to_string(),
            Self::Exit(code) => std::process::exit(code),
            Self::LoopForEver => loop {
                black_box(());
            },
            Self::Sleep(millis) => {
                thread::sleep(Duration::from_millis(millis));
                "slept".into()
            }
            Self::Eat(megabytes) => eat(megabytes).len().to_string(),
            Self::EatAndStay(megabytes) => {
                let _eaten = eat(megabytes);
                loop {
                    thread::park();
                }
            }
            Self::EatAtOnce => eat_at_once().capacity().to_string(),
            Self::Print(stdout, stderr) => {
                stdout.iter().for_each(|line| println!("{line}"));
                stderr.iter().for_each(|line| eprintln!("{line}"));
                "printed".into()
            }
            Self::PrintAfter(micros, line) => {
                thread::sleep(Duration::from_micros(micros));
                println!("{line}");
                "printed".into()
            }
            Self::PrintAndAbort(text) => {
                println!("{text} on stdout");
                eprintln!("{text} on stderr");
                std::process::abort()
            }
            Self::PrintForEver => loop {
                println!("and on and on and on and on and on and on and on and on and on");
            },
            Self::ReadStdin => std::io::read_to_string(std::io::stdin()).unwrap(),
            Self::Folder => std::env::current_dir().unwrap().display().to_string(),
            Self::Variable(name) => std::env::var(name).unwrap_or_default(),
            Self::Give(bytes) => return Reply::Bytes(Bytes(vec![7; bytes])),
            Self::Stretch(bytes, then) => {
                shared().set_len(bytes).unwrap();
                return then.run(cx);
            }
            Self::Nest(depth) => {
                let nest = |inner, _| Nested(Some(Box::new(inner)));
                return Reply::Nested((0..depth).fold(Nested(None), nest));
            }
            Self::Touch(path) => {
                fs::write(path, "").unwrap();
                loop {
                    black_box(());
                }
            }
            Self::Raw(bytes, then) => {
                let mut socket = sockets().swap_remove(0);
                let _ = std::io::Write::write_all(&mut socket, &bytes);
                return then.run(cx);
            }
            Self::CloseSockets => {
                for socket in sockets() {
                    socket.shutdown(std::net::Shutdown::Both).unwrap();
                }
                loop {
                    thread::park();
                }
            }
            Self::LeakLater(megabytes, path) => {
                thread::spawn(move || {
                    thread::sleep(Duration::from_secs(1));
                    Vec::leak(black_box(vec![1_u8; megabytes << 20]));
                    fs::write(path, "").unwrap();
                });
                "later".into()
            }
        })
    }
}

/// Takes so many megabytes, and writes to them.
pub(crate) fn eat(megabytes: usize) -> Vec<Vec<u8>> {
    let one = |_| {
        thread::sleep(Duration::from_micros(100));
        black_box(vec![1_u8; 1 << 20])
    };
    (0..megabytes).map(one).collect()
}

/// One allocation that nothing can hold.
pub(crate) fn eat_at_once() -> Vec<u8> {
    black_box(Vec::with_capacity((isize::MAX / 2) as usize))
}

/// The memory that a child shares with its parent.
#[allow(unsafe_code)]
fn shared() -> fs::File {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_it = |entry: &fs::DirEntry| {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        target.to_string_lossy().contains("memfd:windlass")
    };
    let entry = { entries }.find(is_it).expect("it is there");
    let fd = entry.file_name().to_str().unwrap().parse().unwrap();
    // SAFETY: it is open: it was just read, and nothing closes it meanwhile.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    fd.try_clone_to_owned().unwrap().into()
}

/// This process's sockets: a child has no other than that to its parent.
#[allow(unsafe_code)]
fn sockets() -> Vec<UnixStream> {
    let mut sockets = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if target.to_string_lossy().starts_with("socket:") {
            let fd = entry.file_name().to_str().unwrap().parse().unwrap();
            // SAFETY: it is open: it was just read, and nothing closes it meanwhile.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            sockets.push(fd.try_clone_to_owned().unwrap().into());
        }
    }
    sockets
}

#[allow(unconditional_recursion)]
fn overflow(of: &[u64; 64]) -> u64 {
    let mut more = *of;
    more[0] += 1;
    overflow(black_box(&more)) + black_box(more[1])
}

/// What comes of an [`Act`].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Text(String),
    Number(u64),
    Bytes(Bytes),
    Nested(Nested),
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Nested(pub(crate) Option<Box<Nested>>);

impl Reply {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            other => panic!("{other:?} is no number"),
        }
    }
}

/// What cannot be written, cannot be read, or panics at it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Awkward {
    Fine,
    CannotBeWritten,
    CannotBeRead,
    PanicsWhenWritten,
    PanicsWhenRead,
}

impl Serialize for Awkward {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::CannotBeWritten => Err(serde::ser::Error::custom("expected")),
            Self::PanicsWhenWritten => panic!("{}: written", super::EXPECTED),
            other => serializer.serialize_u8(*other as u8),
        }
    }
}

impl<'de> Deserialize<'de> for Awkward {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Fine),
            4 => panic!("{}: read", super::EXPECTED),
            _ => Err(serde::de::Error::custom("expected")),
        }
    }
}

/// Takes one of these and gives another.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Awkwardly {
    pub(crate) argument: Awkward,
    /// The result, as its number: so that it can be written at all.
    pub(crate) result: u8,
}

impl Task for Awkwardly {
    const NAME: &'static str = "awkwardly";
    type Output = Awkward;

    fn run(self, _cx: &TaskContext) -> Awkward {
        [
            Awkward::Fine,
            Awkward::CannotBeWritten,
            Awkward::CannotBeRead,
            Awkward::PanicsWhenWritten,
            Awkward::PanicsWhenRead,
        ][usize::from(self.result)]
    }
}

/// Panics when it is dropped in the parent.
#[derive(Serialize, Deserialize)]
pub(crate) struct Explosive;

impl Task for Explosive {
    const NAME: &'static str = "explosive";
    type Output = ();

    fn run(self, _cx: &TaskContext) {
        std::mem::forget(self);
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("{}: a task's Drop", super::EXPECTED);
    }
}

pub(crate) fn tasks() -> Tasks {
    Tasks::new()
        .with::<Echo>()
        .with::<Act>()
        .with::<Awkwardly>()
        .with::<Explosive>()
}

/// The body of the test that children run.
pub(crate) fn child() {
    let _ = tasks().serve_if_child();
}

/// How long a child may take to start: more than it does on the busiest machine.
pub(crate) const START: Duration = Duration::from_secs(120);

/// A pool of so many, with a test program's children.
pub(crate) fn builder(children: usize) -> ProcessPoolBuilder {
    ProcessPool::builder(tasks())
        .num_children(children)
        .start_timeout(START)
        .test_child("child")
        .env("RUST_BACKTRACE", "0")
        .output(Output::Collect(1000))
}

pub(crate) fn procs(children: usize) -> ProcessPool {
    builder(children).build().unwrap()
}

/// Whether there is a process of this number, a zombie included.
#[allow(unsafe_code)]
pub(crate) fn is_there(pid: u32) -> bool {
    // SAFETY: no signal is sent.
    unsafe { libc::kill(pid as libc::pid_t, 0) == 0 }
}

/// Whether the process has ended, all of its threads, and is waited for or to be.
#[cfg(target_os = "linux")]
pub(crate) fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state.is_empty() || state.starts_with('Z') && threads <= 1
}

/// Kills a process, from outside.
#[allow(unsafe_code)]
pub(crate) fn kill(pid: u32) {
    // 0 is this group of processes, and what is negative another one.
    let is_one = libc::pid_t::try_from(pid).is_ok_and(|pid| pid > 1);
    assert!(is_one, "{pid} is not one process");
    // SAFETY: the tests kill what they have started.
    unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
}

/// The processes that this one has started and not waited for.
#[cfg(target_os = "linux")]
pub(crate) fn children_here() -> BTreeSet<u32> {
    let mut children = BTreeSet::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(
            text.split_whitespace()
                .map(|pid| pid.parse::<u32>().unwrap()),
        );
    }
    children
}

/// How many descriptors this process has.
#[cfg(target_os = "linux")]
pub(crate) fn descriptors_here() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
