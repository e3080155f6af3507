//! When a pool thread asks for which time slice.
//!
//! A long slice while it works keeps main loops on time; the default one while
//! it sleeps lets it wake on time itself ([`crate::sys::slice`] has the figures).
//! But each change is two system calls, a microsecond, and a lone small job is
//! over in less. So a thread that is woken keeps the default slice for one job,
//! unless it was busy for longer the last time it was awake; the second job in
//! a row brings the long one.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::sys::slice;

/// Awake for no longer than this, a thread has run one small job, even if another
/// program had its processor for a slice (3 to 4 ms) in between. (With 100 us, a lone
/// job of 200 us on a busy machine had the long slice each time, and was 7 ms late
/// at p99.)
const LITTLE: Duration = Duration::from_millis(8);

/// One pool thread's slice.
pub(super) struct TimeSlice {
    is_long: Cell<bool>,
    awake_since: Cell<Instant>,
    /// The thread was busy for longer than [`LITTLE`] when it was last awake.
    was_busy: Cell<bool>,
}

impl TimeSlice {
    pub(super) fn new() -> Self {
        Self {
            is_long: Cell::new(false),
            awake_since: Cell::new(Instant::now()),
            was_busy: Cell::new(false),
        }
    }

    /// The thread runs one job after another.
    #[inline]
    pub(super) fn at_work(&self) {
        if !self.is_long.replace(true) {
            slice::long();
        }
    }

    /// The thread is about to park.
    pub(super) fn to_sleep(&self) {
        self.was_busy.set(self.awake_since.get().elapsed() > LITTLE);
        if self.is_long.replace(false) {
            slice::normal();
        }
    }

    /// The thread was woken.
    pub(super) fn awake(&self) {
        self.awake_since.set(Instant::now());
        if self.was_busy.get() {
            self.at_work();
        }
    }
}
