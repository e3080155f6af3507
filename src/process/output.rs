//! [`Output`]: what becomes of what a child writes to its stdout and stderr.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

use crate::sync::Arc;
use crate::util::{catch, discard};

/// Where a child's line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Its stdout.
    Stdout,
    /// Its stderr.
    Stderr,
}

/// What a hook of lines is.
type Hook = dyn Fn(&str, Stream, &str) + Send + Sync;

/// What becomes of what tasks write to stdout and stderr in their processes; for
/// [`ProcessPoolBuilder::output`](super::ProcessPoolBuilder::output).
///
/// It is read while a job runs and when it ends: what a process writes with no job in
/// it comes with the next one. A line is cut after 64 KiB; bytes that are no UTF-8 are
/// replaced.
///
/// ```
/// use windlass::process::Output;
///
/// let quiet = Output::lines(|task, stream, line| {
///     if line.contains("error") {
///         println!("{task}, {stream:?}: {line}");
///     }
/// });
/// # let _ = quiet;
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Output {
    /// Passed on by line to this process's stdout and stderr, each with the task's name
    /// before it: `[thumbnail] no such file`. The default. While nobody reads what this
    /// process writes there (a pager that was stopped), who passes it on waits, and a
    /// timeout or a kill with it.
    #[default]
    Inherit,
    /// Given to a hook by line, with the task's name; see [`lines`](Self::lines).
    Lines(Arc<Hook>),
    /// Kept, at most so many bytes of each job (the last ones), and given with the
    /// error if its process crashes or is killed:
    /// [`JoinError::output`](crate::JoinError::output).
    Collect(usize),
}

impl Output {
    /// Gives each line to `hook`: the task's name, the stream, and the line without its
    /// end. It runs on the thread that drives the process; a panic in it is caught.
    pub fn lines(hook: impl Fn(&str, Stream, &str) + Send + Sync + 'static) -> Self {
        Self::Lines(Arc::new(hook))
    }

    /// What is to be kept of a job's output.
    pub(super) fn begin(&self) -> Kept {
        Kept {
            stderr: Tail::new(LAST_WORDS),
            headline: None,
            all: match self {
                Self::Collect(bytes) => Some(Tail::new(*bytes)),
                _ => None,
            },
        }
    }

    /// A line, its end included, has come.
    pub(super) fn take(&self, task: &str, stream: Stream, line: &[u8], kept: &mut Kept) {
        if stream == Stream::Stderr {
            kept.stderr.push(line);
            kept.look_for_headline(line);
        }
        if let Some(all) = &mut kept.all {
            all.push(line);
            return;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = String::from_utf8_lossy(line);
        match self {
            Self::Inherit => pass_on(stream, &format!("[{task}] {line}\n")),
            Self::Lines(hook) => {
                if let Err(panic) = catch(|| hook(task, stream, &line)) {
                    discard(panic);
                }
            }
            Self::Collect(_) => {}
        }
    }
}

/// Writes to this process's own stream, past the lock of the standard library's: who
/// holds that may be waiting for the very job.
fn pass_on(stream: Stream, line: &str) {
    let to = match stream {
        Stream::Stdout => io::stdout().as_fd().try_clone_to_owned(),
        Stream::Stderr => io::stderr().as_fd().try_clone_to_owned(),
    };
    // Nobody to tell that nobody reads.
    let Ok(mut to) = to.map(File::from) else {
        return;
    };
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => return,
            Ok(len) => rest = &rest[len..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Somebody has made it so, and it is to be waited for all the same.
                let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(_) => return,
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inherit => f.write_str("Inherit"),
            Self::Lines(_) => f.write_str("Lines(..)"),
            Self::Collect(bytes) => write!(f, "Collect({bytes})"),
        }
    }
}

/// So much of a job's stderr is kept whatever becomes of it, in bytes.
const LAST_WORDS: usize = 4096;

/// The last of what a job wrote.
pub(super) struct Kept {
    stderr: Tail,
    /// The line that says most, which a backtrace may have pushed out of the last ones.
    headline: Option<String>,
    all: Option<Tail>,
}

/// What the standard library says before it aborts.
const OVERFLOW: &str = "has overflowed its stack";
const NO_MEMORY: [&str; 2] = ["memory allocation of ", " bytes failed"];

impl Kept {
    fn look_for_headline(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(LAST_WORDS)]);
        if line.contains(OVERFLOW) || NO_MEMORY.iter().all(|text| line.contains(text)) {
            self.headline = Some(line.trim().into());
        }
    }

    /// Whether it ended because the system had refused it memory.
    pub(super) fn is_out_of_memory(&self, signal: Option<i32>) -> bool {
        let line = self.headline.as_deref().unwrap_or_default();
        let is_said = NO_MEMORY.iter().all(|text| line.contains(text));
        is_said && signal == Some(libc::SIGABRT)
    }

    /// What to say of the job if its process has crashed.
    pub(super) fn last_words(&self) -> String {
        let last = || {
            Some(
                self.stderr
                    .text()
                    .trim_end()
                    .lines()
                    .next_back()?
                    .trim()
                    .into(),
            )
        };
        self.headline.clone().or_else(last).unwrap_or_default()
    }

    pub(super) fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub(super) fn all(&self) -> Option<String> {
        self.all.as_ref().map(Tail::text)
    }
}

/// The last so many bytes.
struct Tail {
    bytes: VecDeque<u8>,
    most: usize,
}

impl Tail {
    fn new(most: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            most,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(self.most)..];
        let too_many = (self.bytes.len() + bytes.len()).saturating_sub(self.most);
        self.bytes.drain(..too_many);
        self.bytes.extend(bytes);
    }

    fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_last_bytes() {
        for most in [0, 1, 5, 8] {
            let mut tail = Tail::new(most);
            let mut all: Vec<u8> = Vec::new();
            for bytes in [&b"one "[..], b"two ", b"", b"a longer one than fits", b"x"] {
                tail.push(bytes);
                all.extend(bytes);
                let last = &all[all.len().saturating_sub(most)..];
                assert_eq!(tail.text().as_bytes(), last);
            }
        }
    }
}
