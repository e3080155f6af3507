//! [`Blocks`]: what a reader gives, block after block, read by jobs of the pool.

use std::io::{self, ErrorKind, Read};
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancel::is_cancelled;
use crate::error::JoinError;
use crate::handle::JoinHandle;
use crate::job::{Slot, new_cell};
use crate::scheduler::Permit;
use crate::spawn_async::Entrance;
use crate::sync::absence::absent;
use crate::util::discard;

/// A reader, and who has it. **Dropping it** drops the reader: here, or on the thread
/// that reads as soon as that has come back from it.
pub(super) struct Blocks<R> {
    state: State<R>,
    /// In bytes.
    pub(super) size: usize,
}

enum State<R> {
    /// Nobody reads.
    Idle(R),
    /// A job does, or will.
    Reading(JoinHandle<Filled<R>>),
    /// It has ended; with the failure that it has ended with, until that is told.
    Over(Option<Failure>),
}

/// A block, and what comes after it.
struct Filled<R> {
    block: Vec<u8>,
    then: Then<R>,
}

enum Then<R> {
    More(R),
    End,
    Error(io::Error),
}

/// Why there is no result.
pub(super) enum Failure {
    /// The reader says so.
    Read(io::Error),
    /// The job panicked, or did not run.
    Job(JoinError),
}

impl<R> Blocks<R> {
    pub(super) fn new(reader: R, size: usize) -> Self {
        Self {
            state: State::Idle(reader),
            size,
        }
    }

    /// Whether somebody has to have the next block read.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// Whether a failure is still to be told.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, State::Over(Some(_)))
    }

    /// What it has ended with, if that was not told yet.
    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        match &mut self.state {
            State::Over(failure) => failure.take(),
            _ => None,
        }
    }

    /// The block that is being read, once it was; ready with `None` if nobody reads.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let State::Reading(job) = &mut self.state else {
            return Poll::Ready(None);
        };
        let filled = match std::task::ready!(Pin::new(job).poll(cx)) {
            Ok(filled) => filled,
            Err(error) => {
                self.state = State::Over(Some(Failure::Job(error)));
                return Poll::Ready(None);
            }
        };
        self.state = match filled.then {
            Then::More(reader) => State::Idle(reader),
            Then::End => State::Over(None),
            Then::Error(error) => State::Over(Some(Failure::Read(error))),
        };
        Poll::Ready(Some(filled.block).filter(|block| !block.is_empty()))
    }
}

impl<R: Read + Send + 'static> Blocks<R> {
    /// Has the next block read by a job, with what [`Entrance::poll`] gave, if nobody
    /// reads.
    pub(super) fn start(&mut self, entrance: &Entrance, permit: Option<Permit>) {
        if let Some(reader) = self.take_reader() {
            let size = self.size;
            let job = entrance.hand_over(permit, move || fill(reader, size));
            self.state = State::Reading(job.cancel_on_drop());
        }
    }

    /// Reads the next block on this thread, one of the pool, if nobody has started to;
    /// whether it did.
    pub(super) fn run(&mut self, entrance: &Entrance) -> bool {
        if let State::Reading(job) = &mut self.state {
            return job.run_unstarted();
        }
        let Some(reader) = self.take_reader() else {
            return false;
        };
        // There is no room for it in the queue: it is a job that never was in one.
        let size = self.size;
        let (job, end) = new_cell(move || fill(reader, size));
        let slot = Slot::with_handle(job);
        let mut handle = entrance.spawner().handle(end, false);
        handle.run_unstarted();
        slot.let_go();
        self.state = State::Reading(handle);
        true
    }

    /// The reader if nobody has it. Whoever takes it changes the state.
    fn take_reader(&mut self) -> Option<R> {
        if !self.is_idle() {
            return None;
        }
        match mem::replace(&mut self.state, State::Over(None)) {
            State::Idle(reader) => Some(reader),
            _ => None,
        }
    }
}

impl Failure {
    /// As the error of a reader; a panic goes on.
    pub(super) fn raise(self) -> io::Error {
        match self {
            Self::Read(error) => error,
            Self::Job(error) => match error.try_into_panic() {
                Ok(payload) => resume_unwind(payload),
                Err(error) => io::Error::other(error),
            },
        }
    }
}

/// Reads a block of `size` bytes; less at the end, before an error, and if nobody wants
/// it any more.
fn fill<R: Read>(mut reader: R, size: usize) -> Filled<R> {
    let mut block = vec![0; size];
    let mut length = 0;
    // The whole of it at once: a call for each piece of a pipe would cost more.
    let error = absent(|| {
        while length < size && !is_cancelled() {
            match reader.read(&mut block[length..]) {
                Ok(0) => return Some(None),
                Ok(read) => {
                    assert!(read <= size - length, "a reader gave more bytes than fit");
                    length += read;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Some(Some(error)),
            }
        }
        None
    });
    block.truncate(length);
    let then = match error {
        None => Then::More(reader),
        Some(error) => {
            // Here, as closing may wait too. A panic must not take the block along.
            absent(|| discard(reader));
            error.map_or(Then::End, Then::Error)
        }
    };
    Filled { block, then }
}
