//! A worker, as the primary sees it.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal as Known, kill_process};

use super::builder::Settings;
use super::event::ClusterMessage;
use super::link::{self, Along, MAX_MESSAGE, Outbox};
use super::worker::MARK;
use crate::process::resident::Resident;
use crate::process::serve::mark_of;
use crate::process::signal::Signal;
use crate::process::wire::descriptors;
use crate::process::wire::frame::{self, Enlist, Filled, Inbox, Kind, VERSION};
use crate::sync::Arc;
use crate::sys::fork::Generation;

/// So many connections may be on their way to a worker that has not taken them yet. One
/// keeps it busy while the next is fetched; each more waits behind the ones before it.
const WINDOW: usize = 4;

/// A worker that has no descriptor left for a connection is given none for so long.
const PAUSE: Duration = Duration::from_millis(20);

/// How far a worker has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Started,
    Online,
    Listening(Instant),
}

/// What a worker has said.
pub(super) enum Said {
    Online,
    Listening,
    Message(ClusterMessage),
    /// This connection has not come to it.
    Refused(TcpStream),
    /// What no worker says.
    Nonsense(String),
}

/// A worker's process. **Dropping it** kills it, and waits until it is gone.
pub(super) struct Member {
    pub(super) id: u64,
    pub(super) place: usize,
    pub(super) stage: Stage,
    /// It takes no more connections, and is killed at that time.
    pub(super) leaving: Option<Instant>,
    /// Because it was told so.
    pub(super) was_told: bool,
    /// Its end of the socket is closed.
    pub(super) is_closed: bool,
    /// It was killed from here, and is about to be gone.
    pub(super) is_killed: bool,
    /// Why it was killed, if it was from here and was not told to go.
    pub(super) fault: Option<String>,
    pub(super) socket: UnixStream,
    pub(super) outbox: Outbox,
    /// To be polled for the process's end, where that is possible.
    pub(super) end: Option<OwnedFd>,
    /// As the last wait has found.
    pub(super) may_have_spoken: bool,
    pub(super) may_have_ended: bool,
    /// It had no descriptor left, and is given no connection until then.
    pub(super) full_until: Option<Instant>,
    /// The system has no room for what is to be sent to it, which is tried again then.
    pub(super) held_up_until: Option<Instant>,
    /// Where its size is read, if it has a limit.
    resident: Option<Resident>,
    /// It was looked at, and had no more than its limit.
    pub(super) was_small: bool,
    inbox: Inbox,
    /// The connections that it was given and has not taken.
    untaken: VecDeque<(u64, Arc<TcpStream>)>,
    pub(super) started: Instant,
    process: process::Child,
    /// It has ended, as far as that can be known: its number may be another process's by now.
    is_gone: bool,
    made_in: Generation,
}

impl Member {
    pub(super) fn start(
        id: u64,
        place: usize,
        settings: &Settings,
        listener: Option<Along>,
    ) -> io::Result<Self> {
        let (socket, its_end) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let mut command = settings.program.command();
        let own = settings.env_of.iter().filter(|(of, ..)| *of == place);
        command.envs(own.map(|(_, key, value)| (key, value)));
        command.env(MARK, mark_of(&its_end)?.unwrap_or_default());
        command.stdin(Stdio::from(OwnedFd::from(its_end)));
        let process = command.spawn()?;
        // The worker's end of the socket goes with it.
        drop(command);
        let enlist = Enlist {
            version: VERSION,
            parent: process::id(),
            id,
            address: settings.address,
        };
        let mut outbox = Outbox::default();
        let listeners = u64::from(listener.is_some());
        outbox.push(
            frame::small(Kind::Enlist, listeners, &enlist.write()),
            listener,
        );
        let end = watch_end(&process);
        let mut member = Self {
            id,
            place,
            stage: Stage::Started,
            leaving: None,
            was_told: false,
            is_closed: false,
            is_killed: false,
            fault: None,
            socket,
            outbox,
            end,
            may_have_spoken: false,
            may_have_ended: false,
            full_until: None,
            held_up_until: None,
            resident: None,
            was_small: false,
            inbox: Inbox::new(MAX_MESSAGE),
            untaken: VecDeque::new(),
            started: Instant::now(),
            process,
            is_gone: false,
            made_in: Generation::current(),
        };
        // From here on the process is looked after.
        if settings.memory_limit.is_some() {
            member.resident = Resident::of(member.pid())?;
        }
        Ok(member)
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its size in memory, in bytes, if it has a limit and that can be known.
    pub(super) fn size(&self) -> Option<u64> {
        self.resident.as_ref()?.size()
    }

    pub(super) fn is_listening(&self) -> bool {
        let may_go_on = self.leaving.is_none() && !self.is_closed && !self.is_killed;
        matches!(self.stage, Stage::Listening(_)) && may_go_on
    }

    /// Whether it is still on its way to taking connections.
    pub(super) fn is_starting(&self) -> bool {
        let may_go_on = self.leaving.is_none() && !self.is_killed;
        !matches!(self.stage, Stage::Listening(_)) && may_go_on
    }

    /// Whether it may be given a connection.
    pub(super) fn has_room(&self) -> bool {
        self.is_listening() && self.untaken.len() < WINDOW && self.full_until.is_none()
    }

    pub(super) fn give(&mut self, number: u64, stream: TcpStream) {
        let stream = Arc::new(stream);
        let along: Along = stream.clone();
        self.untaken.push_back((number, stream));
        self.post(frame::small(Kind::Connection, number, b""), Some(along));
    }

    /// Sends a frame, now or when there is room.
    pub(super) fn post(&mut self, frame: Vec<u8>, along: Option<Along>) {
        self.outbox.push(frame, along);
        self.send();
    }

    /// Sends what there is room for.
    pub(super) fn send(&mut self) {
        self.held_up_until = None;
        let Err(error) = self.outbox.send(&self.socket) else {
            return;
        };
        if descriptors::is_momentary(&error) {
            self.held_up_until = Some(Instant::now() + descriptors::LATER);
            return;
        }
        self.outbox.clear();
        // That it is gone is found by reading.
        if !link::is_gone(&error) {
            let what = || format!("it could not be told what it has to know: {error}");
            self.fault.get_or_insert_with(what);
            self.kill();
        }
    }

    /// Tells it to take no more connections, and to end when it has drained.
    pub(super) fn leave(&mut self, until: Instant, is_last: bool) {
        self.leaving = Some(self.leaving.map_or(until, |before| before.min(until)));
        if !std::mem::replace(&mut self.was_told, true) {
            self.post(
                frame::small(Kind::Disconnect, 0, &[u8::from(is_last)]),
                None,
            );
        }
    }

    /// Reads what has come, as far as it may be believed, so many times at most: so that
    /// one that talks and talks does not hold the others up.
    pub(super) fn read(&mut self, said: &mut Vec<Said>, times: usize) {
        for _ in 0..times {
            if self.is_closed {
                return;
            }
            let filled = self.inbox.fill(&self.socket);
            match filled {
                Ok(Filled::Some) => {}
                Ok(Filled::Nothing) => return,
                Ok(Filled::End) | Err(_) => self.is_closed = true,
            }
            if let Err(nonsense) = self.understand(said) {
                said.push(Said::Nonsense(nonsense));
                self.is_closed = true;
            } else if matches!(filled, Ok(Filled::End)) && self.inbox.is_empty() {
                // It has said all that it had to say, and takes no more.
                said.extend(self.give_back().into_iter().map(Said::Refused));
            }
        }
    }

    fn understand(&mut self, said: &mut Vec<Said>) -> Result<(), String> {
        while let Some(frame) = self.inbox.take().map_err(|error| error.to_string())? {
            match (frame.kind, self.stage) {
                (Kind::Online, Stage::Started) => {
                    if frame.payload != VERSION.to_le_bytes() {
                        return Err("it is another build of the program".into());
                    }
                    self.stage = Stage::Online;
                    said.push(Said::Online);
                }
                (Kind::Listening, Stage::Online) => {
                    self.stage = Stage::Listening(Instant::now());
                    said.push(Said::Listening);
                }
                (Kind::Accepted, Stage::Listening(_)) => {
                    // The worker has its own descriptor of it.
                    let number = frame.job;
                    drop(self.sent_to_it(number)?);
                }
                (Kind::Refused, Stage::Listening(_)) => {
                    let number = frame.job;
                    said.push(Said::Refused(self.sent_to_it(number)?));
                    self.full_until = Some(Instant::now() + PAUSE);
                }
                (Kind::Posted, Stage::Online | Stage::Listening(_)) => {
                    said.push(Said::Message(ClusterMessage(frame.payload.to_vec())));
                }
                (kind, _) => return Err(format!("it said {kind:?}")),
            }
        }
        Ok(())
    }

    /// Takes a connection off the list that was sent to it, and that it has not taken.
    fn sent_to_it(&mut self, number: u64) -> Result<TcpStream, String> {
        // While its frame is still here it is held twice.
        let is_it = |(untaken, stream): &(u64, Arc<TcpStream>)| {
            *untaken == number && Arc::strong_count(stream) == 1
        };
        let at = self.untaken.iter().position(is_it);
        let sent = at.and_then(|at| self.untaken.remove(at));
        let stream = sent.and_then(|(_, stream)| Arc::into_inner(stream));
        stream.ok_or_else(|| format!("it said that it has a connection {number}"))
    }

    /// The connections that it was given and has not taken, for others.
    pub(super) fn give_back(&mut self) -> Vec<TcpStream> {
        // Frames that are still here have theirs as well.
        self.outbox.clear();
        let untaken = self.untaken.drain(..);
        untaken
            .filter_map(|(_, stream)| Arc::into_inner(stream))
            .collect()
    }

    /// How it has ended, if it has, and if that can be known: where `SIGCHLD` is ignored, or
    /// the program waits for all its children, somebody else was told.
    pub(super) fn has_ended(&mut self) -> Option<Option<ExitStatus>> {
        let ended = match self.process.try_wait() {
            Ok(status) => status.map(Some),
            Err(_) => Some(None),
        };
        self.is_gone = ended.is_some();
        ended
    }

    pub(super) fn kill(&mut self) {
        if std::mem::replace(&mut self.is_killed, true) {
            return;
        }
        if self.send_signal(Known::KILL) == Err(Errno::PERM) {
            // It has become another user's. Without its way to here it ends by itself.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    /// Sends a signal.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(signal) = signal.known() {
            // If it is gone, it needs none.
            let _ = self.send_signal(signal);
        }
    }

    fn send_signal(&self, signal: Known) -> rustix::io::Result<()> {
        // Where `SIGCHLD` is ignored its number may be another process's, and nobody knows.
        #[cfg(all(target_os = "linux", not(windlass_portable)))]
        if let Some(end) = &self.end {
            return rustix::process::pidfd_send_signal(end, signal);
        }
        if self.is_gone {
            return Ok(());
        }
        // It has not been waited for, so that the number is still its own.
        kill_process(Pid::from_child(&self.process), signal)
    }

    /// Whether it has listened for so long, until now.
    pub(super) fn has_served(&self, uptime: Duration) -> bool {
        matches!(self.stage, Stage::Listening(since) if since.elapsed() >= uptime)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // In a fork it is another process's child.
        if !self.made_in.is_past() && !self.is_gone {
            self.kill();
            let _ = self.process.wait();
        }
    }
}

#[cfg(all(target_os = "linux", not(windlass_portable)))]
fn watch_end(process: &process::Child) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};

    pidfd_open(Pid::from_child(process), PidfdFlags::empty()).ok()
}

#[cfg(any(not(target_os = "linux"), windlass_portable))]
fn watch_end(_process: &process::Child) -> Option<OwnedFd> {
    None
}

/// A listener that is shared goes along with the first frame.
pub(super) fn along(it: &Arc<impl AsFd + Send + Sync + 'static>) -> Along {
    it.clone()
}
