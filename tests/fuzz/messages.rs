//! Ports, broadcasts, and jobs that talk while they run.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use windlass::{Broadcast, MessageStream, Port, PostError, Progress, bounded_channel, channel};

use super::desk::{Desk, moment, pick, poll_once};
use super::program::Numbers;
use crate::ledger::staff::came_back;
use crate::ledger::tally::{Fault, found};
use crate::ledger::tokens::{Product, Tag, end};
use crate::ledger::{Job, Kind, Ledger, fact};

/// A message, numbered by who posts it.
pub(super) struct Letter {
    tag: Tag,
    number: u64,
}

/// One direction of a channel.
#[derive(Default)]
pub(super) struct Wire {
    accepted: AtomicU64,
    heard: AtomicU64,
}

/// One end of a channel.
pub(super) struct PortEnd {
    port: Port<Letter, Letter>,
    out: Arc<Wire>,
    back: Arc<Wire>,
}

/// Who has taken the receiving from a port.
pub(super) struct Heard {
    stream: MessageStream<Letter>,
    wire: Arc<Wire>,
}

impl Wire {
    /// A message arrives, and the one before it was here.
    pub(super) fn hear(&self, letter: &Letter) {
        drop(letter.tag.begin());
        let next = self.heard.fetch_add(1, Relaxed);
        if letter.number != next {
            let text = format!("message {}, and not {next}", letter.number);
            let fault = Fault::of(next, letter.number);
            letter.tag.job().fault(fault, &text);
        }
    }

    /// Nothing more can come.
    fn is_over(&self) {
        let (accepted, heard) = (self.accepted.load(Relaxed), self.heard.load(Relaxed));
        if heard < accepted {
            found(Fault::Lost, || {
                format!("{heard} of {accepted} messages, and no more")
            });
        }
    }

    fn enter(&self, job: &Job, posted: Result<(), PostError<Letter>>) {
        match posted {
            Ok(()) => drop(self.accepted.fetch_add(1, Relaxed)),
            Err(error) => came_back(job, error.into_inner().tag),
        }
    }
}

impl PortEnd {
    fn letter(&self, (tag, job): (Tag, Job)) -> (Letter, Job) {
        let number = self.out.accepted.load(Relaxed);
        (Letter { tag, number }, job)
    }

    fn post(&self, line: (Tag, Job)) {
        let (letter, job) = self.letter(line);
        self.out.enter(&job, self.port.post(letter));
    }

    fn receive(&self, received: Result<Letter, windlass::RecvError>) {
        match received {
            Ok(letter) => self.back.hear(&letter),
            Err(error) if error.is_closed() => self.back.is_over(),
            Err(error) if error.is_empty() || error.is_timeout() || error.is_taken() => {}
            Err(error) => found(Fault::Wrong, || format!("none of them: {error}")),
        }
    }
}

impl Desk {
    pub(super) fn channel(&mut self, numbers: Numbers) {
        let (one, other) = match numbers.0 % 4 {
            0 => channel(),
            capacity => bounded_channel(capacity.into()),
        };
        let (there, back) = (Arc::new(Wire::default()), Arc::new(Wire::default()));
        self.ports.push(PortEnd {
            port: one,
            out: Arc::clone(&there),
            back: Arc::clone(&back),
        });
        self.ports.push(PortEnd {
            port: other,
            out: back,
            back: there,
        });
    }

    fn port(&self, number: u8) -> Option<&PortEnd> {
        Some(&self.ports[pick(number, self.ports.len())?])
    }

    pub(super) fn post(&mut self, numbers: Numbers) {
        for _ in 0..=numbers.1 % 3 {
            let Some((end, line)) = self.port(numbers.0).zip(self.open_plain(Kind::Letter)) else {
                return;
            };
            end.post(line);
        }
    }

    /// Where there is no room the future is dropped, and the message with it.
    pub(super) fn post_async(&mut self, numbers: Numbers) {
        let line = self.open_plain(Kind::Letter);
        let Some((end, line)) = self.port(numbers.0).zip(line) else {
            return;
        };
        let (letter, job) = end.letter(line);
        let mut future = end.port.post_async(letter);
        if let Some(posted) = poll_once(&mut future) {
            drop(future);
            end.out.enter(&job, posted);
        }
    }

    pub(super) fn try_recv(&mut self, numbers: Numbers) {
        if let Some(end) = self.port(numbers.0) {
            end.receive(end.port.try_recv());
        }
    }

    pub(super) fn recv_timeout(&mut self, numbers: Numbers) {
        if let Some(end) = self.port(numbers.0) {
            end.receive(end.port.recv_timeout(moment(numbers.1)));
        }
    }

    pub(super) fn recv_async(&mut self, numbers: Numbers) {
        if let Some(end) = self.port(numbers.0)
            && let Some(received) = poll_once(&mut end.port.recv_async())
        {
            end.receive(received);
        }
    }

    /// All that is there, if no more can come.
    pub(super) fn recv_rest(&mut self, numbers: Numbers) {
        let Some(end) = self.port(numbers.0) else {
            return;
        };
        if !end.port.is_closed() {
            return;
        }
        if numbers.flag() {
            return end.receive(end.port.recv());
        }
        if let Ok(rest) = end.port.iter() {
            rest.for_each(|letter| end.back.hear(&letter));
            end.back.is_over();
        }
    }

    /// Begins one, or looks at what one has.
    pub(super) fn stream(&mut self, numbers: Numbers) {
        if numbers.flag()
            && let Some(end) = self.port(numbers.0)
            && let Ok(stream) = end.port.stream()
        {
            let wire = Arc::clone(&end.back);
            return self.streams.push(Heard { stream, wire });
        }
        let Some(at) = pick(numbers.0, self.streams.len()) else {
            return;
        };
        let Heard { stream, wire } = &mut self.streams[at];
        match Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(letter)) => wire.hear(&letter),
            Poll::Ready(None) => {
                wire.is_over();
                drop(self.streams.swap_remove(at));
            }
            Poll::Pending if numbers.1.is_multiple_of(4) => drop(self.streams.swap_remove(at)),
            Poll::Pending => {}
        }
    }

    pub(super) fn port_listen(&mut self, numbers: Numbers) {
        let Some(end) = self.port(numbers.0) else {
            return;
        };
        let wire = Arc::clone(&end.back);
        let listening = self
            .main
            .on_message(&end.port, move |_, letter| wire.hear(&letter));
        self.sources.extend(listening);
    }

    pub(super) fn port_close(&mut self, numbers: Numbers) {
        if let Some(end) = self.port(numbers.0) {
            end.port.close();
            if !end.port.is_closed() {
                found(Fault::Wrong, || "a closed port is open".to_owned());
            }
        }
    }

    /// Told to the main loop, or looked at.
    pub(super) fn port_closed(&mut self, numbers: Numbers) {
        let Some(end) = self.port(numbers.0) else {
            return;
        };
        let mut closed = end.port.closed();
        if numbers.flag() {
            let id = self.main.on_complete(closed, |_, ()| ());
            self.sources.push(id);
        } else if poll_once(&mut closed).is_some() && !end.port.is_closed() {
            found(Fault::Wrong, || "an open port is closed".to_owned());
        }
    }

    pub(super) fn port_drop(&mut self, numbers: Numbers) {
        if let Some(at) = pick(numbers.0, self.ports.len()) {
            drop(self.ports.swap_remove(at));
        }
    }

    /// A job that posts, looks for answers, and takes the port with it.
    pub(super) fn port_to_job(&mut self, numbers: Numbers) {
        let Some(at) = pick(numbers.0, self.ports.len()) else {
            return;
        };
        let Some((tag, job)) = self.open(Kind::Spawned, numbers.1) else {
            return;
        };
        let (end_of_it, ledger) = (self.ports.swap_remove(at), Arc::clone(&self.scene.ledger));
        let letters = numbers.2 % 8;
        let handle = self.scene.near().spawn(move || {
            let begun = tag.begin();
            for _ in 0..letters {
                if let Some(line) = ledger.open(Kind::Letter, 0) {
                    end_of_it.post(line);
                }
                end_of_it.receive(end_of_it.port.try_recv());
            }
            drop(end_of_it);
            end(tag, begun)
        });
        self.handles.push((handle, job));
    }

    pub(super) fn broadcast(&mut self, numbers: Numbers) {
        let name = ["news", "weather"][usize::from(numbers.0 % 2)];
        let channel = self.scene.spawner.broadcast(name);
        if channel.name() != name {
            found(Fault::Wrong, || "another name".to_owned());
        }
        let next = self.scene.names.fetch_add(1, Relaxed) << 32;
        self.members.push(Member {
            channel,
            next,
            last: [None; 64],
        });
    }

    pub(super) fn broadcast_post(&mut self, numbers: Numbers) {
        let Some(at) = pick(numbers.0, self.members.len()) else {
            return;
        };
        let held = Arc::clone(&self.scene.ledger);
        let member = &mut self.members[at];
        let number = member.next;
        member.next += 1;
        let posted = member.channel.post(News { number, held });
        if posted.is_err() != member.channel.is_closed() {
            found(Fault::Wrong, || "news came back, or did not".to_owned());
        }
    }

    /// By looking, or by listening.
    pub(super) fn broadcast_recv(&mut self, numbers: Numbers) {
        let Some(at) = pick(numbers.0, self.members.len()) else {
            return;
        };
        if numbers.flag() {
            let channel = &self.members[at].channel;
            let listening = self.main.on_message(channel, |_, news| drop(news));
            self.sources.extend(listening);
        } else if let Ok(news) = self.members[at].channel.try_recv() {
            self.members[at].hear(&news);
        }
    }

    pub(super) fn broadcast_leave(&mut self, numbers: Numbers) {
        if let Some(at) = pick(numbers.0, self.members.len()) {
            if numbers.flag() {
                self.members[at].channel.close();
            } else {
                drop(self.members.swap_remove(at));
            }
        }
    }

    /// What a job that talks does: so many reports, then its end.
    fn talk(&self, numbers: Numbers) -> Option<(Talk, Job, Arc<Wire>)> {
        let (tag, job) = self.open(Kind::Spawned, numbers.0)?;
        let (ledger, wire) = (Arc::clone(&self.scene.ledger), Arc::new(Wire::default()));
        let (out, reports) = (Arc::clone(&wire), u64::from(numbers.1 % 6));
        let talk = move |progress: &Progress<Letter>| {
            let begun = tag.begin();
            for number in 0..reports {
                let Some((tag, job)) = ledger.open(Kind::Letter, 0) else {
                    break;
                };
                out.enter(&job, progress.post(Letter { tag, number }));
            }
            end(tag, begun)
        };
        Some((Box::new(talk), job, wire))
    }

    /// The handle receives.
    pub(super) fn progress_pull(&mut self, numbers: Numbers) {
        let Some((talk, job, wire)) = self.talk(numbers) else {
            return;
        };
        let builder = self.scene.near().job();
        let mut handle = builder.spawn_with_progress(talk);
        match numbers.2 % 6 {
            0 if self.is_outside() => {
                if let Ok(reports) = handle.iter() {
                    reports.for_each(|letter| wire.hear(&letter));
                    wire.is_over();
                }
                job.judge(pollster::block_on(handle));
            }
            1 => {
                job.add(fact::MAY_CANCEL);
                job.enter_cancel(handle.cancel());
                job.judge(handle.join());
            }
            2 => match handle.try_join() {
                Some(result) => job.judge(result),
                None => drop(handle),
            },
            3 => drop(
                self.main
                    .on_complete(handle, move |_, result| job.judge(result)),
            ),
            _ => {
                if let Ok(letter) = handle.try_recv() {
                    wire.hear(&letter);
                }
                job.judge(handle.join());
            }
        }
    }

    /// The main loop does, and has all of it before the result.
    pub(super) fn progress_push(&mut self, numbers: Numbers) {
        let Some((talk, job, wire)) = self.talk(numbers) else {
            return;
        };
        let hears = Arc::clone(&wire);
        let builder = self.scene.near().job();
        let builder = builder.on_progress(&self.main, move |_, letter| hears.hear(&letter));
        let handle = builder.spawn(talk);
        self.main.on_complete(handle, move |_, result| {
            wire.is_over();
            job.judge(result);
        });
    }
}

type Talk = Box<dyn FnOnce(&Progress<Letter>) -> Product + Send>;

/// What is said to all; who says it is in the upper half of the number.
#[derive(Clone)]
pub(super) struct News {
    number: u64,
    /// So that a copy that is left lying is seen.
    held: Arc<Ledger>,
}

/// A member of a channel.
pub(super) struct Member {
    channel: Broadcast<News>,
    next: u64,
    /// The last number of each of the first others.
    last: [Option<u64>; 64],
}

impl Member {
    /// Nothing of one other is left out, or comes twice.
    fn hear(&mut self, news: &News) {
        debug_assert!(Arc::strong_count(&news.held) > 1);
        let (other, me) = (news.number >> 32, self.next >> 32);
        if other == me {
            found(Fault::Wrong, || "its own news".to_owned());
        }
        let Some(last) = self.last.get_mut(other as usize) else {
            return;
        };
        if let Some(last) = *last
            && news.number != last + 1
        {
            found(Fault::of(last + 1, news.number), || {
                format!("news {:#x} after {last:#x}", news.number)
            });
        }
        *last = Some(news.number);
    }
}
