//! A child process, as its parent sees it: started, greeted, talked to, ended.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::pipes::Pipes;
use super::program::Program;
use super::resident::Resident;
use super::serve::{MARK, mark_of};
use super::wire::descriptors;
use super::wire::frame::{self, Filled, Hello, Inbox, Kind, VERSION, Welcome};
use super::wire::payload::Memory;
use crate::sync::thread;
use crate::sys::fork::Generation;

/// A child that was told that it may go is given so long to end by itself.
const PARTING: Duration = Duration::from_millis(100);

/// A child that was idle for less than this is not asked whether it is alive.
const BRIEF: Duration = Duration::from_micros(200);

/// A child that was killed is given so long to be gone before it is left to a thread that
/// waits: it may be stuck in the system, or be another user's, whom this one cannot kill.
const BURIAL: Duration = Duration::from_secs(1);

/// A child process. **Dropping it** kills it, and waits until it is gone, or for a second:
/// longer than that takes one that the system does not let go of.
pub(super) struct Child {
    /// `None` once somebody else waits for it.
    process: Option<process::Child>,
    pid: u32,
    end: Option<End>,
    pub(super) socket: UnixStream,
    pub(super) inbox: Inbox,
    pub(super) memory: Memory,
    pub(super) pipes: Pipes,
    /// Where its size is read, if it has a limit.
    resident: Option<Resident>,
    /// How many jobs it has run.
    pub(super) jobs: u64,
    pub(super) is_greeted: bool,
    started: Instant,
    /// When it had ended its last job, or was started.
    pub(super) idle_since: Instant,
    /// The process whose child it is.
    made_in: Generation,
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Known(ExitStatus),
    /// Somebody else has waited for it, or the system has: `SIGCHLD` is ignored. Its number
    /// may be another process's.
    Unknown,
}

impl End {
    pub(super) fn signal(self) -> Option<i32> {
        self.status().and_then(|status| status.signal())
    }

    pub(super) fn code(self) -> Option<i32> {
        self.status().and_then(|status| status.code())
    }

    pub(super) fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown)
    }

    fn status(self) -> Option<ExitStatus> {
        match self {
            Self::Known(status) => Some(status),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(status) => status.fmt(f),
            Self::Unknown => f.write_str(SOMEBODY_ELSE),
        }
    }
}

/// Why nothing is known of an end.
pub(super) const SOMEBODY_ELSE: &str = "how it ended is not known: somebody else has waited for \
                                        it, or SIGCHLD is ignored";

/// What a child is for.
pub(super) enum Purpose {
    Jobs {
        memory: Memory,
        /// Its size is to be looked at.
        is_limited: bool,
    },
    Worker,
}

/// How far the greeting has come.
pub(super) enum Greeting {
    Done,
    /// Somebody does not want to wait for it; it goes on.
    Interrupted,
    Failed(String),
}

impl Child {
    /// Starts one, and does not wait for it.
    pub(super) fn start(program: &Program, max_payload: u64, purpose: Purpose) -> io::Result<Self> {
        let (memory, is_limited, is_worker) = match purpose {
            Purpose::Jobs { memory, is_limited } => (memory, is_limited, false),
            // Messages of both directions may be under way at once, so none has a memory.
            Purpose::Worker => (Memory::new(None), false, true),
        };
        let (socket, its_end) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut command = program.command();
        command.env(MARK, mark_of(&its_end)?.unwrap_or_default());
        command.stdin(Stdio::from(OwnedFd::from(its_end)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        // The child's end of the socket goes with it.
        drop(command);
        let stdout = process.stdout.take().map(OwnedFd::from);
        let stderr = process.stderr.take().map(OwnedFd::from);
        let mut child = Self {
            inbox: Inbox::new(memory.most_in_frame(max_payload)),
            // From here on the process is looked after.
            pipes: Pipes::new(None, None)?,
            resident: None,
            jobs: 0,
            is_greeted: false,
            started: Instant::now(),
            idle_since: Instant::now(),
            made_in: Generation::current(),
            pid: process.id(),
            process: Some(process),
            end: None,
            socket,
            memory,
        };
        child.pipes = Pipes::new(stdout, stderr)?;
        if is_limited {
            child.resident = Resident::of(child.pid())?;
        }
        child.welcome(max_payload, is_worker)?;
        Ok(child)
    }

    fn welcome(&self, max_payload: u64, is_worker: bool) -> io::Result<()> {
        let welcome = Welcome {
            version: VERSION,
            parent: process::id(),
            max_payload,
        };
        let frame = frame::small(Kind::Welcome, is_worker.into(), &welcome.write());
        let file = self.memory.file().map(AsFd::as_fd);
        // There is room for it.
        match descriptors::send(&self.socket, &frame, file.as_slice()) {
            // It is dead already, which the greeting finds.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.map(drop),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its hello, until `stop`.
    pub(super) fn greet(
        &mut self,
        hash: u64,
        limit: Duration,
        stop: impl Fn() -> bool,
    ) -> Greeting {
        let mut stderr = Vec::new();
        let failed = loop {
            let is_closed = match self.inbox.fill(&self.socket) {
                Ok(filled) => filled == Filled::End,
                Err(_) => true,
            };
            match self.inbox.take() {
                Ok(None) => {}
                Ok(Some(frame)) if frame.kind == Kind::Hello => {
                    if let Some(refused) = refuse(Hello::read(frame.payload), hash) {
                        break refused;
                    }
                    // What the program said until then is no task's.
                    self.pipes.read_to_the_end(|_, _| {});
                    self.is_greeted = true;
                    return Greeting::Done;
                }
                Ok(Some(frame)) => {
                    break format!("it began with {:?}, not with a hello", frame.kind);
                }
                Err(malformed) => break format!("it began with {malformed}"),
            }
            self.pipes.read(|_, line| keep_last(&mut stderr, line));
            let ended = if is_closed {
                self.parting(PARTING)
            } else {
                self.has_ended()
            };
            if let Some(status) = ended {
                self.pipes
                    .read_to_the_end(|_, line| keep_last(&mut stderr, line));
                break format!("it ended ({status}) {WITHOUT_HELLO}");
            }
            if is_closed {
                break format!("it closed its stdin {WITHOUT_HELLO}");
            }
            if self.started.elapsed() > limit {
                break format!("it went on for {limit:?} {WITHOUT_HELLO}");
            }
            if stop() {
                return Greeting::Interrupted;
            }
            self.wait(PollFlags::IN, Duration::from_millis(5));
        };
        let stderr = String::from_utf8_lossy(&stderr);
        let said = match stderr.trim_end() {
            "" => String::new(),
            text => format!("; it wrote: {text}"),
        };
        Greeting::Failed(format!("child process {}: {failed}{said}", self.pid()))
    }

    /// Whether it can be given a job: it is there, and has said nothing unasked.
    pub(super) fn is_fit(&mut self) -> bool {
        // A process that is just being started from here may have a copy of the child's end
        // of the socket: so that does not tell of every end at once.
        let was_idle = self.idle_since.elapsed() > BRIEF;
        let has_ended = was_idle && self.has_ended().is_some();
        !has_ended
            && self.inbox.is_empty()
            && self
                .inbox
                .fill(&self.socket)
                .is_ok_and(|filled| filled == Filled::Nothing)
    }

    /// Waits until the socket is ready for `events`, or something was written, but no
    /// longer than `limit`. Whether something may have been written when an answer is there.
    ///
    /// The socket is looked at first: who is told that there is an answer is told of what
    /// was written before it, too.
    pub(super) fn wait(&self, events: PollFlags, limit: Duration) -> bool {
        // What is too long for the system is for ever.
        let limit = Timespec::try_from(limit).ok();
        let socket = || PollFd::new(&self.socket, events);
        let mut fds = [socket(), socket(), socket()];
        let mut count = 1;
        for pipe in self.pipes.open() {
            fds[count] = PollFd::new(pipe, PollFlags::IN);
            count += 1;
        }
        // A wait that was interrupted is looked at like any other.
        let waited = poll(&mut fds[..count], limit.as_ref());
        let has_come = |fd: &PollFd<'_>| {
            let news = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
            fd.revents().intersects(news)
        };
        // If nothing was said by then, both may come before the next look at the socket.
        waited.is_err() || !has_come(&fds[0]) || fds[1..count].iter().any(has_come)
    }

    /// How it has ended, if it has.
    pub(super) fn has_ended(&mut self) -> Option<End> {
        if self.end.is_none() {
            let process = self.process.as_mut()?;
            self.end = match process.try_wait() {
                Ok(status) => status.map(End::Known),
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Some(End::Unknown),
                Err(_) => None,
            };
        }
        self.end
    }

    /// Sends it a signal, if it has not ended.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // Who has waited for it must not signal its number, which may be another's.
        match (self.has_ended(), Pid::from_raw(self.pid().cast_signed())) {
            (None, Some(pid)) => Ok(kill_process(pid, signal)?),
            _ => Ok(()),
        }
    }

    /// What can be polled for its end, where there is such.
    #[cfg(all(target_os = "linux", not(windlass_portable)))]
    pub(super) fn pollable_end(&self) -> Option<OwnedFd> {
        use rustix::process::{PidfdFlags, pidfd_open};

        let pid = Pid::from_raw(self.pid().cast_signed())?;
        pidfd_open(pid, PidfdFlags::empty()).ok()
    }

    #[cfg(any(not(target_os = "linux"), windlass_portable))]
    pub(super) fn pollable_end(&self) -> Option<OwnedFd> {
        None
    }

    /// Its size in memory, in bytes, if it has a limit and that can be known.
    pub(super) fn size(&self) -> Option<u64> {
        self.resident.as_ref()?.size()
    }

    /// Kills it, and does not wait for it.
    pub(super) fn kill(&mut self) {
        let is_there = self.has_ended().is_none();
        if is_there && self.signal(Signal::KILL).is_err() {
            // Not one of this user's. It ends by itself when its way to here does.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    /// Waits for at most so long until it has ended.
    fn wait_for_end(&mut self, limit: Duration) -> Option<End> {
        let begin = Instant::now();
        let mut pause = Duration::from_micros(50);
        loop {
            let ended = self.has_ended();
            if ended.is_some() || begin.elapsed() >= limit {
                return ended;
            }
            thread::sleep(pause);
            pause = (2 * pause).min(Duration::from_millis(5));
        }
    }

    /// Waits for at most so long until it ends by itself, and kills it if it does not:
    /// then `None`.
    pub(super) fn parting(&mut self, limit: Duration) -> Option<End> {
        if let Some(end) = self.wait_for_end(limit) {
            return Some(end);
        }
        self.kill();
        let end = self.wait_for_end(BURIAL);
        // It may have been about to end of something else.
        end.filter(|end| end.signal() != Some(libc::SIGKILL))
    }

    /// It is not needed any more, and may end by itself; waits until it has.
    pub(super) fn dismiss(mut self) {
        if self.made_in.is_past() {
            return;
        }
        // Forks of this process may have this end too.
        let _ = self.socket.shutdown(Shutdown::Both);
        self.parting(PARTING);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // In a fork it is another process's child.
        if self.made_in.is_past() || self.has_ended().is_some() {
            return;
        }
        self.kill();
        if self.wait_for_end(BURIAL).is_none()
            && let Some(mut process) = self.process.take()
        {
            // Without a thread it stays among the processes that have ended.
            let wait = move || drop(process.wait());
            let _ = thread::Builder::new()
                .name("windlass-burial".into())
                .spawn(wait);
        }
    }
}

const WITHOUT_HELLO: &str = "and never said hello: `main` has to begin with \
                             `let tasks = tasks.serve_if_child();`";

/// Why a child is not wanted.
fn refuse(hello: Option<Hello>, hash: u64) -> Option<String> {
    let Some(hello) = hello else {
        return Some("its hello is none".into());
    };
    if hello.version != VERSION {
        let version = hello.version;
        return Some(format!(
            "it speaks version {version} of the protocol, and this process version {VERSION}: \
             it is another build of the program"
        ));
    }
    (hello.hash != hash).then(|| {
        "it knows other tasks than this process: it is another build of the program, \
         or its `Tasks` are others"
            .into()
    })
}

/// The last of what was written, two kilobytes.
fn keep_last(text: &mut Vec<u8>, line: &[u8]) {
    text.extend_from_slice(line);
    text.drain(..text.len().saturating_sub(2048));
}
