//! A desk: what one thread, or one job, has made and not yet settled.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use windlass::{JoinHandle, MainLoop, SourceId};

use super::messages::{Heard, Member, PortEnd};
use super::program::{Numbers, Step};
use super::scene::Scene;
use super::sets::Crowd;
use super::workers::Staff;
use crate::ledger::place::Place;
use crate::ledger::tokens::{Product, Tag, quiet};
use crate::ledger::{Job, Kind, fact};

pub(crate) struct Desk {
    pub(super) scene: Arc<Scene>,
    pub(super) place: Place,
    outside: bool,
    pub(super) main: MainLoop,
    /// What would keep the loop from returning.
    pub(super) sources: Vec<SourceId>,
    pub(super) handles: Vec<(JoinHandle<Product>, Job)>,
    pub(super) sets: Vec<Crowd>,
    pub(super) ports: Vec<PortEnd>,
    pub(super) streams: Vec<Heard>,
    pub(super) members: Vec<Member>,
    pub(super) staff: Vec<Staff>,
    /// The calls that follow; a job may take some.
    rest: Vec<Step>,
    taken: usize,
}

impl Desk {
    pub(super) fn new(scene: &Arc<Scene>, place: Place, outside: bool) -> Self {
        Self {
            scene: Arc::clone(scene),
            place,
            outside,
            main: MainLoop::new(),
            sources: Vec::new(),
            handles: Vec::new(),
            sets: Vec::new(),
            ports: Vec::new(),
            streams: Vec::new(),
            members: Vec::new(),
            staff: Vec::new(),
            rest: Vec::new(),
            taken: 0,
        }
    }

    /// Whether this is no job's, so that it may wait for anything.
    pub(super) fn is_outside(&self) -> bool {
        self.outside
    }

    /// Whether it may wait for what another job of the pool is to do.
    pub(super) fn may_wait(&self) -> bool {
        self.outside || self.scene.jobs_may_wait
    }

    pub(super) fn hand_out(&mut self, rest: &[Step]) {
        self.rest = rest.to_vec();
        self.taken = 0;
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Some of the calls that follow, for a job's body.
    pub(super) fn take_body(&mut self, wanted: u8) -> Vec<Step> {
        let left = &self.rest[self.taken..];
        let body = left[..left.len().min(wanted.into())].to_vec();
        self.taken += body.len();
        body
    }

    /// A new line, and what is to be captured for it; the high half of a number
    /// says what is wrong with it. `None` if the book is full.
    pub(super) fn open(&self, kind: Kind, number: u8) -> Option<(Tag, Job)> {
        if !self.scene.ledger.has_room() {
            return None;
        }
        let facts = match number >> 4 {
            12 => fact::MEDDLES,
            13 => fact::RESULT_BOMB,
            14 => fact::CAPTURE_BOMB,
            15 => fact::PANICS,
            _ => 0,
        };
        let (mut tag, job) = self.scene.ledger.open(kind, facts)?;
        if facts == fact::MEDDLES {
            tag.meddle(&self.scene.spawner);
        }
        Some((tag, job))
    }

    /// A line for something that is held, or posted, and no job.
    pub(super) fn open_plain(&self, kind: Kind) -> Option<(Tag, Job)> {
        self.open(kind, 0)
    }

    /// Sees to all that is left, so that a desk outside leaves nothing open.
    pub(super) fn leave(&mut self) {
        // First, so that who listened no longer does.
        self.clear_sources();
        while let Some((handle, job)) = self.handles.pop() {
            job.judge(handle.join());
        }
        while let Some(crowd) = self.sets.pop() {
            crowd.finish();
        }
        self.ports.clear();
        self.streams.clear();
        self.members.clear();
        while let Some(staff) = self.staff.pop() {
            staff.dismiss(self.outside);
        }
        if self.outside {
            self.main.run();
        } else {
            let main = std::mem::take(&mut self.main);
            quiet(|| drop(main));
        }
    }
}

/// A time limit that is short enough to be waited for in a job.
pub(super) fn moment(number: u8) -> Duration {
    Duration::from_micros(u64::from(number) * 2)
}

/// Which of so many a number means; `None` if there are none.
pub(super) fn pick(number: u8, len: usize) -> Option<usize> {
    usize::from(number).checked_rem(len)
}

/// Polls once, with a waker that does nothing.
pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl Numbers {
    /// Whether the third number says so; it does in half of all cases.
    pub(super) fn flag(self) -> bool {
        self.2 >= 128
    }
}
