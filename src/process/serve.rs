//! The child's side: a process that runs tasks and does nothing else.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, getpid, kill_process};

use super::tasks::{Reply, Tasks};
use super::wire::descriptors::{Arrivals, Receiver};
use super::wire::frame::{self, Filled, Frame, HEADER, Hello, Inbox, Kind, VERSION, Welcome};
use super::wire::patience::{AtOnce, Patience, news};
use super::wire::payload::{self, Memory, SMALL, Written};
use super::wire::source::Source;
use super::worker::mail::Reader;
use super::worker::parent::Line;
use crate::sync::thread;
use crate::util::{catch, payload_message};

/// Set for a child, to what its socket on stdin is known by: so that the programs
/// which a child starts are not taken for children.
pub(super) const MARK: &str = "WINDLASS_CHILD";

/// Once the parent is gone, a task may run on for so long.
const GRACE: Duration = Duration::from_millis(500);

/// What a child ends with if its parent says nonsense.
pub(super) const NONSENSE: i32 = 86;

/// What a socket is known by.
pub(super) fn mark_of(socket: impl AsFd) -> io::Result<Option<String>> {
    let file = File::from(socket.as_fd().try_clone_to_owned()?).metadata()?;
    let is_socket = file.file_type().is_socket();
    Ok(is_socket.then(|| format!("{}:{}", file.dev(), file.ino())))
}

/// The way to the parent, if this process is a child that has not begun to serve.
pub(super) fn parents_socket() -> Option<UnixStream> {
    socket_on_stdin(MARK)
}

/// The socket on stdin, if it is the one that this variable tells of.
pub(super) fn socket_on_stdin(mark: &str) -> Option<UnixStream> {
    let mark = std::env::var(mark).ok()?;
    let socket = io::stdin().as_fd().try_clone_to_owned().ok()?;
    (mark_of(&socket).ok()?? == mark).then(|| socket.into())
}

/// Runs tasks until the parent has no more, and ends the process.
pub(super) fn serve(tasks: &Tasks, socket: UnixStream) -> ! {
    let served = begin(tasks, socket).and_then(|child| child.work(tasks));
    let code = match served {
        Ok(code) => code,
        // The parent is gone, or has closed its end amid something.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "windlass: this child process ends: {error}");
            NONSENSE
        }
    };
    std::process::exit(code)
}

fn begin(tasks: &Tasks, socket: UnixStream) -> io::Result<Child> {
    // Whatever reads stdin from here on finds it empty.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    // What was said so far is before the hello, and so is none of a task's.
    io::stdout().flush()?;
    let (welcome, memory, is_worker) = welcome(&socket)?;
    watch(socket.try_clone()?, welcome.parent)?;
    let hello = Hello {
        version: VERSION,
        hash: tasks.hash(),
    };
    (&socket).write_all(&frame::small(Kind::Hello, 0, &hello.write()))?;
    Ok(Child {
        inbox: Inbox::new(memory.most_in_frame(welcome.max_payload)),
        patience: Patience::default(),
        arrivals: is_worker.then(Arrivals::default),
        memory,
        socket,
        max_payload: welcome.max_payload,
        large: Vec::new(),
        answer: Vec::new(),
    })
}

/// Waits for what the parent says first, and for the file that may come with it; whether
/// this is to be a worker.
fn welcome(socket: &UnixStream) -> io::Result<(Welcome, Memory, bool)> {
    let mut bytes = [0; HEADER + Welcome::LEN];
    let mut arrivals = Arrivals::default();
    let mut receiver = Receiver {
        socket,
        arrivals: &mut arrivals,
    };
    receiver.read_exact(&mut bytes)?;
    let welcome = Welcome::read(&bytes[HEADER..]).filter(|_| bytes[4] == Kind::Welcome as u8);
    let welcome = welcome.ok_or_else(|| nonsense("the parent did not begin with its welcome"))?;
    // Of another version, it is refused by its parent, which knows it by the hello.
    let memory = Memory::new(arrivals.next().map(File::from));
    let is_worker = frame::u64_of(&bytes[5..HEADER]) == Some(1);
    Ok((welcome, memory, is_worker))
}

fn nonsense(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Sees to it that the process ends soon after its parent, whatever a task does.
pub(super) fn watch(socket: UnixStream, parent: u32) -> io::Result<()> {
    let parent = parent_to_watch(parent);
    let watch = move || {
        let mut fds = vec![PollFd::new(&socket, PollFlags::empty())];
        if let Some(parent) = &parent {
            fds.push(PollFd::new(parent, PollFlags::IN));
        }
        while poll(&mut fds, None).is_err() {}
        thread::sleep(GRACE);
        // Not by `exit`: the task may hold what that would wait for.
        let _ = kill_process(getpid(), Signal::KILL);
    };
    let builder = thread::Builder::new().name("windlass-parent".into());
    builder.stack_size(64 * 1024).spawn(watch).map(drop)
}

/// The parent, to be polled: if a fork of it has the other end of the socket too, that
/// does not say when it goes.
#[cfg(all(target_os = "linux", not(windlass_portable)))]
fn parent_to_watch(parent: u32) -> Option<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};

    // Behind a wrapper, or in another namespace, it is known by other numbers.
    let parent = Pid::from_raw(i32::try_from(parent).ok()?)?;
    let is_it = || getppid() == Some(parent);
    let watched = is_it().then(|| pidfd_open(parent, PidfdFlags::empty()).ok())?;
    // Looked at once more: it may have gone, and its number been given to another.
    watched.filter(|_| is_it())
}

#[cfg(any(not(target_os = "linux"), windlass_portable))]
fn parent_to_watch(_parent: u32) -> Option<OwnedFd> {
    None
}

struct Child {
    socket: UnixStream,
    inbox: Inbox,
    patience: Patience,
    /// Of one that is to be a worker.
    arrivals: Option<Arrivals>,
    memory: Memory,
    max_payload: u64,
    /// What was read from the memory.
    large: Vec<u8>,
    answer: Vec<u8>,
}

impl Child {
    /// Until there is no more; what the process is to end with.
    fn work(mut self, tasks: &Tasks) -> io::Result<i32> {
        while let Some(kind) = self.receive()? {
            if kind == Kind::Worker {
                return self.be_a_worker(tasks);
            }
            self.run(tasks)?;
            (&self.socket).write_all(&self.answer)?;
        }
        Ok(0)
    }

    /// Waits for a frame; `None` if none will come.
    fn receive(&mut self) -> io::Result<Option<Kind>> {
        loop {
            let next = self.inbox.next();
            if let Some((kind, _)) = next.map_err(|error| nonsense(&error.to_string()))? {
                return Ok(Some(kind));
            }
            let (inbox, socket) = (&mut self.inbox, &self.socket);
            let filled = match &mut self.arrivals {
                // Messages may follow at once, with descriptors.
                Some(arrivals) => inbox.fill(Receiver { socket, arrivals }),
                None => {
                    let looked = self.patience.look(|| news(inbox.fill(AtOnce(socket))));
                    looked.unwrap_or_else(|| inbox.fill(socket))
                }
            }?;
            if filled == Filled::End {
                return Ok(None);
            }
        }
    }

    /// Is the worker of the frame that has arrived, as long as it lives.
    fn be_a_worker(mut self, tasks: &Tasks) -> io::Result<i32> {
        let frame = self.inbox.take().ok().flatten();
        let number =
            frame.and_then(|frame| Some(u32::from_le_bytes(frame.payload.try_into().ok()?)));
        let number = number.ok_or_else(|| nonsense("a worker without a number"))?;
        let arrivals = self
            .arrivals
            .ok_or_else(|| nonsense("it was not welcomed as a worker"))?;
        // Messages are in frames, whatever their length.
        let most = Memory::new(None).most_in_frame(self.max_payload);
        self.inbox.allow(most);
        let reader = Reader {
            socket: self.socket,
            inbox: self.inbox,
            arrivals,
            patience: Patience::default(),
        };
        let line = Line {
            reader,
            max_payload: self.max_payload,
        };
        let code = tasks.be_worker(number, line);
        code.ok_or_else(|| nonsense("there is no worker of that number"))
    }

    /// Runs the task of the frame that has arrived, and makes the answer.
    fn run(&mut self, tasks: &Tasks) -> io::Result<()> {
        let frame = self.inbox.take().ok().flatten();
        let Some(Frame { kind, job, payload }) = frame else {
            return Err(nonsense("a frame is gone"));
        };
        let Some((number, argument)) = payload.split_first_chunk() else {
            return Err(nonsense("a job without a task"));
        };
        let number = u32::from_le_bytes(*number);
        let argument = match kind {
            Kind::Job => Ok(Source::InFrame(argument)),
            Kind::LargeJob => {
                let len = frame::u64_of(argument).ok_or_else(|| nonsense("no length"))?;
                self.memory.source(len, self.max_payload, &mut self.large)
            }
            _ => return Err(nonsense("a frame that is no job")),
        };
        frame::begin(&mut self.answer, Kind::Value, job);
        let mut reply = Reply {
            frame: &mut self.answer,
            memory: &self.memory,
            max_payload: self.max_payload,
            written: Written::InFrame,
        };
        let ran = match argument {
            Ok(argument) => catch(|| tasks.run(number, argument, &mut reply)),
            Err(error) => Ok(Err(format!(
                "its argument could not be read, and it did not run: {error}"
            ))),
        };
        let written = reply.written;
        match ran {
            Ok(Ok(())) => payload::finish(&mut self.answer, 0, &written, Kind::LargeValue),
            Ok(Err(error)) => self.answer = frame::small(Kind::Refused, job, head_of(&error)),
            Err(panic) => {
                let text = payload_message(&*panic).map_or(&[][..], head_of);
                self.answer = frame::small(Kind::Panic, job, text);
                crate::util::discard(panic);
            }
        }
        payload::shed(&mut self.large);
        // What the task wrote is there before its answer is.
        let _ = io::stdout().flush();
        Ok(())
    }
}

/// As much of a text as an answer has room for.
pub(super) fn head_of(text: &str) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(SMALL / 2)]
}
