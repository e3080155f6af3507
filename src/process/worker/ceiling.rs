//! [`Ceiling`]: the most memory that a worker may have.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use crate::process::resident::Resident;

/// While messages pass, the size is looked at no more often: a look is a system call of
/// some microseconds, and in this time a process can come to some tens of megabytes.
const LOOK: Duration = Duration::from_millis(10);

/// Without messages the keeper wakes so often for a look, since who computes says nothing:
/// often enough for a machine not to run full in between, and too rarely to be felt.
const WAKE: Duration = Duration::from_millis(50);

/// See the [module](self).
pub(super) struct Ceiling {
    resident: Resident,
    most: u64,
    /// When the next look is due.
    next: Cell<Instant>,
    /// What it had when that was too much.
    excess: Cell<Option<u64>>,
}

impl Ceiling {
    /// For a process that nobody has waited for, if it is to have one and the system tells
    /// what it has.
    pub(super) fn of(pid: u32, most: Option<u64>) -> io::Result<Option<Self>> {
        let Some(most) = most else { return Ok(None) };
        Ok(Resident::of(pid)?.map(|resident| Self {
            resident,
            most,
            next: Cell::new(Instant::now()),
            excess: Cell::new(None),
        }))
    }

    /// How long one may sleep who is to hear of it.
    pub(super) fn nap(&self) -> Duration {
        WAKE
    }

    /// Whether the worker has had more. Looks, if it is time to.
    pub(super) fn is_broken(&self) -> bool {
        let now = Instant::now();
        if self.excess.get().is_none() && now >= self.next.get() {
            self.next.set(now + LOOK);
            let size = self.resident.size();
            self.excess.set(size.filter(|size| *size > self.most));
        }
        self.excess.get().is_some()
    }

    /// The same; what is to be told of it.
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.is_broken(), self.excess.get()) {
            (true, Some(size)) => Err(format!(
                "it had {size} bytes of memory, where {} are the most, and was killed",
                self.most
            )),
            _ => Ok(()),
        }
    }
}
