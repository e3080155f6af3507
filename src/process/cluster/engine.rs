//! The primary's one thread: it waits for whatever happens, and sees to it.
//!
//! Nothing here waits for a worker. A frame that a worker does not read stays in its
//! outbox, a connection that it does not take is counted, and everything that takes its
//! time (draining, waiting before a restart) is a point in time in somebody's record.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::builder::{Scheduling, Settings};
use super::event::{ClusterError, ClusterEvent};
use super::handle::Events;
use super::member::{Member, Said, Stage, along};
use super::places::{Places, later};
use super::remote::{Command, Shared, WorkerStatus};
use crate::port::{Port, channel};
use crate::process::wire::frame::{self, Kind};
use crate::sync::{Arc, thread};

/// The end of a process that cannot be polled for is looked for so often.
const LOOK: Duration = Duration::from_millis(20);

/// After an accept that went wrong (no descriptors, no memory), the next one waits.
const PAUSE: Duration = Duration::from_millis(20);

/// So many connections are accepted before the workers are listened to again.
const BATCH: usize = 64;

/// At a stop, so many connections that have come to the port are still taken: as many as
/// wait there on Linux, if nobody says otherwise. Under a load that does not end, all would
/// be without an end.
pub(super) const LAST: u32 = 4096;

/// A worker is read from so many times before it is the others' turn.
const READS: usize = 16;

/// One that has ended is read from so many times at most: more than a socket holds. Who
/// goes on writing is a process that it had started.
const LAST_READS: usize = 1024;

/// See the [module](self).
pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) members: Vec<Member>,
    pub(super) places: Places,
    /// When stopping: the time at which all that are left are killed.
    pub(super) stopping: Option<Instant>,
    listener: Option<Arc<TcpListener>>,
    accept_after: Option<Instant>,
    /// Connections whose worker went before it took them.
    returned: VecDeque<TcpStream>,
    /// Who had the last turn.
    last_turn: u64,
    next_connection: u64,
    next_id: u64,
    failure: Option<String>,
    events: Port<ClusterEvent, Infallible>,
    shared: Arc<Shared>,
    wake: UnixStream,
}

impl Engine {
    pub(super) fn new(
        settings: Settings,
        listener: TcpListener,
        shared: Arc<Shared>,
        wake: UnixStream,
    ) -> (Self, Events) {
        let (events, theirs) = channel();
        let engine = Self {
            places: Places::new(settings.workers, settings.memory_limit.is_some()),
            settings,
            members: Vec::new(),
            stopping: None,
            listener: Some(Arc::new(listener)),
            accept_after: None,
            returned: VecDeque::new(),
            last_turn: 0,
            next_connection: 0,
            next_id: 1,
            failure: None,
            events,
            shared,
            wake,
        };
        (engine, theirs)
    }

    /// Starts the first workers; what then goes wrong with the system is told at once.
    pub(super) fn begin(&mut self) -> Result<(), ClusterError> {
        for place in 0..self.settings.workers {
            self.start(place).map_err(ClusterError::Start)?;
        }
        self.publish();
        Ok(())
    }

    /// Runs until all workers are gone and none is to come.
    pub(super) fn run(mut self) -> Result<(), ClusterError> {
        loop {
            self.obey();
            self.read_all();
            self.bury_all();
            self.look_after_places();
            self.keep_time();
            self.distribute();
            self.publish();
            if self.members.is_empty() && (self.stopping.is_some() || self.places.are_given_up()) {
                break;
            }
            self.wait();
        }
        match self.failure {
            None => Ok(()),
            Some(reason) => Err(ClusterError::Workers { reason }),
        }
    }

    pub(super) fn tell(&self, event: ClusterEvent) {
        // Who hears of a worker finds it there.
        if !matches!(event, ClusterEvent::Message { .. }) {
            self.publish();
        }
        // If nobody receives any more, nobody is told.
        let _ = self.events.post(event);
    }

    /// Starts a worker in a place; its id.
    pub(super) fn start(&mut self, place: usize) -> std::io::Result<u64> {
        let listener = match self.settings.scheduling {
            Scheduling::Shared => self.listener.as_ref().map(along),
            Scheduling::RoundRobin => None,
        };
        let member = Member::start(self.next_id, place, &self.settings, listener)?;
        let (id, pid) = (member.id, member.pid());
        self.next_id += 1;
        self.members.push(member);
        self.tell(ClusterEvent::Fork { id, pid, place });
        Ok(id)
    }

    pub(super) fn member(&mut self, id: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Has a worker go.
    pub(super) fn dismiss(&mut self, id: u64) {
        let until = later(Instant::now(), self.settings.grace);
        if let Some(member) = self.member(id) {
            member.leave(until, false);
        }
    }

    /// Gives up, and stops.
    pub(super) fn fail(&mut self, reason: String) {
        if self.failure.is_none() {
            self.tell(ClusterEvent::Failed {
                reason: reason.clone(),
            });
            self.failure = Some(reason);
            self.stop(later(Instant::now(), self.settings.grace));
        }
    }

    fn stop(&mut self, until: Instant) {
        if self.stopping.is_none() {
            // What has come to this port by now is still served.
            self.sweep(until);
            self.listener = None;
        }
        let until = self.stopping.map_or(until, |before| before.min(until));
        self.stopping = Some(until);
        for member in &mut self.members {
            member.leave(until, true);
        }
    }

    /// Does what the cluster's handle was told.
    fn obey(&mut self) {
        let mut bytes = [0; 64];
        // Something may be left, which then wakes once more.
        let _ = (&self.wake).read(&mut bytes);
        for command in self.shared.take_commands() {
            match command {
                Command::Post(id, message) => {
                    let frame = frame::small(Kind::Post, 0, &message.0);
                    if let Some(member) = self.member(id).filter(|it| !it.was_told) {
                        member.post(frame, None);
                    }
                }
                Command::Broadcast(message) => {
                    let frame = frame::small(Kind::Post, 0, &message.0);
                    for member in self.members.iter_mut().filter(|it| !it.was_told) {
                        member.post(frame.clone(), None);
                    }
                }
                Command::Signal(id, signal) => {
                    if let Some(member) = self.member(id) {
                        member.signal(signal);
                    }
                }
                Command::Disconnect(id) => self.disconnect(id),
                Command::Restart => self.plan_restart(),
                Command::Stop(until) => self.stop(until),
            }
        }
    }

    fn read_all(&mut self) {
        for index in 0..self.members.len() {
            if self.members[index].may_have_spoken {
                self.read(index, READS);
            }
        }
    }

    /// Reads from a worker, and tells of it.
    fn read(&mut self, index: usize, times: usize) {
        let member = &mut self.members[index];
        if member.is_closed {
            return;
        }
        let id = member.id;
        let mut said = Vec::new();
        member.read(&mut said, times);
        let is_closed = member.is_closed;
        for said in said {
            match said {
                Said::Online => self.tell(ClusterEvent::Online { id }),
                Said::Listening => self.tell(ClusterEvent::Listening { id }),
                Said::Message(message) => self.tell(ClusterEvent::Message { id, message }),
                Said::Refused(stream) => self.returned.push_back(stream),
                Said::Nonsense(what) => {
                    let member = &mut self.members[index];
                    member.fault = Some(what);
                    member.kill();
                }
            }
        }
        if is_closed {
            self.tell(ClusterEvent::Disconnect { id });
            // It has nothing more to do with the cluster, and may take so long to end.
            let until = later(Instant::now(), self.settings.grace);
            let member = &mut self.members[index];
            member.leaving = member.leaving.or(Some(until));
        }
    }

    fn bury_all(&mut self) {
        let mut index = 0;
        while index < self.members.len() {
            let member = &mut self.members[index];
            let is_worth_it = member.may_have_ended;
            match is_worth_it.then(|| member.has_ended()).flatten() {
                // What it said before is told before.
                Some(status) => {
                    self.read(index, LAST_READS);
                    self.bury(index, status);
                }
                None => index += 1,
            }
        }
    }

    fn bury(&mut self, index: usize, status: Option<ExitStatus>) {
        let mut member = self.members.remove(index);
        let id = member.id;
        if !member.is_closed {
            // A process that it started has its end of the socket.
            self.tell(ClusterEvent::Disconnect { id });
        }
        let was_told = member.was_told;
        self.tell(ClusterEvent::Exit {
            id,
            pid: member.pid(),
            place: member.place,
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            was_told,
        });
        self.returned.extend(member.give_back());
        if self.stopping.is_none() {
            self.has_died(&member, status);
        }
    }

    /// Kills who has had its time, and ends the pauses that are over.
    fn keep_time(&mut self) {
        let now = Instant::now();
        let limit = self.settings.start_timeout;
        self.accept_after.take_if(|until| now >= *until);
        for member in &mut self.members {
            member.full_until.take_if(|until| now >= *until);
            if member.leaving.is_some_and(|until| now >= until) {
                member.kill();
            }
            let is_late = member.is_starting() && now >= later(member.started, limit);
            if is_late && member.fault.is_none() {
                let where_to = match member.stage {
                    Stage::Started => "`Cluster::worker()`",
                    _ => "`ClusterWorker::incoming()`",
                };
                member.fault = Some(format!(
                    "in {limit:?} it did not come to {where_to}, which a worker \
                     (`Cluster::is_worker()`) has to call"
                ));
                member.kill();
            }
        }
    }

    /// Who has the next turn, if anybody has room.
    fn next_turn(&self) -> Option<usize> {
        let with_room = || {
            let all = self.members.iter().enumerate();
            all.filter(|(_, member)| member.has_room())
        };
        // They stand in the order of their ids.
        let next = with_room().find(|(_, member)| member.id > self.last_turn);
        next.or_else(|| with_room().next()).map(|(index, _)| index)
    }

    fn give(&mut self, index: usize, stream: TcpStream) {
        self.next_connection += 1;
        self.last_turn = self.members[index].id;
        self.members[index].give(self.next_connection, stream);
    }

    /// Gives connections out, as far as there is room.
    fn distribute(&mut self) {
        while !self.returned.is_empty()
            && let Some(index) = self.next_turn()
            && let Some(stream) = self.returned.pop_front()
        {
            self.give(index, stream);
        }
        for _ in 0..BATCH {
            if !self.is_accepting() {
                return;
            }
            let Some(index) = self.next_turn() else {
                return;
            };
            let Some(stream) = self.accept() else {
                return;
            };
            self.give(index, stream);
        }
    }

    /// At the end: what has come is given out, whether there is room or not.
    fn sweep(&mut self, until: Instant) {
        self.accept_after = None;
        let mut next = 0;
        let mut left = LAST;
        let serving: Vec<usize> = (0..self.members.len())
            .filter(|&index| self.members[index].is_listening())
            .collect();
        while !serving.is_empty() && self.settings.scheduling == Scheduling::RoundRobin {
            let returned = self.returned.pop_front();
            if returned.is_none() {
                if left == 0 || Instant::now() >= until {
                    return;
                }
                left -= 1;
            }
            let Some(stream) = returned.or_else(|| self.accept()) else {
                return;
            };
            self.give(serving[next % serving.len()], stream);
            next += 1;
        }
    }

    /// Whether it is the primary that accepts, and it may.
    fn is_accepting(&self) -> bool {
        self.settings.scheduling == Scheduling::RoundRobin
            && self.listener.is_some()
            && self.accept_after.is_none()
    }

    fn accept(&mut self) -> Option<TcpStream> {
        loop {
            match self.listener.as_ref()?.accept() {
                Ok((stream, _)) => {
                    // Elsewhere it takes after its listener, and its worker would.
                    #[cfg(not(target_os = "linux"))]
                    let _ = stream.set_nonblocking(false);
                    return Some(stream);
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.accept_after = Some(Instant::now() + PAUSE);
                        return None;
                    }
                },
            }
        }
    }

    /// Lets the handle see who is there.
    fn publish(&self) {
        let status = |member: &Member| WorkerStatus {
            id: member.id,
            pid: member.pid(),
            place: member.place,
            is_listening: member.is_listening(),
        };
        self.shared.publish(self.members.iter().map(status));
    }

    /// Waits until something happens or is due.
    fn wait(&mut self) {
        let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let mut due = self.next_due();
        let mut earlier = |at: Instant| due = Some(due.map_or(at, |due| due.min(at)));
        let has_room = self.members.iter().any(Member::has_room);
        if self.is_accepting()
            && has_room
            && let Some(listener) = &self.listener
        {
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        self.accept_after.into_iter().for_each(&mut earlier);
        let begin = fds.len();
        for member in &self.members {
            if !member.is_closed {
                let has_none = member.outbox.is_empty() || member.held_up_until.is_some();
                let events = match has_none {
                    true => PollFlags::IN,
                    false => PollFlags::IN | PollFlags::OUT,
                };
                fds.push(PollFd::new(&member.socket, events));
            }
            match &member.end {
                Some(end) => fds.push(PollFd::new(end, PollFlags::IN)),
                None => earlier(Instant::now() + LOOK),
            }
            if !member.is_killed {
                member.leaving.into_iter().for_each(&mut earlier);
            }
            member.held_up_until.into_iter().for_each(&mut earlier);
            member.full_until.into_iter().for_each(&mut earlier);
            if member.is_starting() {
                earlier(later(member.started, self.settings.start_timeout));
            }
        }
        let limit = due.and_then(|at| {
            let left = at.saturating_duration_since(Instant::now());
            // A bit later, so that it is due by then.
            Timespec::try_from(left + Duration::from_millis(1)).ok()
        });
        let waited = poll(&mut fds, limit.as_ref());
        if waited.is_err_and(|error| error != Errno::INTR) {
            // The system refuses to wait for so many, or for want of memory.
            thread::sleep(PAUSE);
        }
        let news = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        // A wait that went wrong has found nothing out.
        let found = |fd: &PollFd<'_>| waited.is_err() || fd.revents().intersects(news);
        let found: Vec<_> = fds[begin..].iter().map(found).collect();
        let mut found = found.into_iter();
        for member in &mut self.members {
            member.may_have_spoken = !member.is_closed && found.next() == Some(true);
            member.may_have_ended = member.end.is_none() || found.next() == Some(true);
            if !member.outbox.is_empty() {
                member.send();
            }
        }
    }
}
