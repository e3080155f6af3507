//! A pool in a fork of its process: all there but its threads.
//!
//! In such a process the scheduler is closed, once and for all, and its queues are
//! not touched: they belong to the other process, which goes on as if nothing had
//! happened, and a thread that is not here may have been in the middle of one, so
//! that to look into it would be to wait for that thread. What lies in them is
//! leaked.
//!
//! The one thread that is here may be of the pool, if a job forked. It is none any
//! more for whatever asks ([`current`](super::current)), so that it does not wait
//! for what it would have to do itself. When its job returns, it runs no other one,
//! for each of them runs in the other process, and does not sleep, for nobody would
//! wake it: it ends. If it is the last of its process, the process ends with it. (The
//! standard library has a lock for the starts and ends of threads. A fork in the very
//! moment in which another thread has it can neither end this one nor start others;
//! nothing can be done about that here.)

use super::Scheduler;
use crate::job::Reason;

impl Scheduler {
    /// Whether this process is a fork of the one with the pool's threads.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.made_in.is_past()
    }

    /// Why a job was not taken.
    #[cold]
    pub(crate) fn why_refused(&self) -> Reason {
        if self.is_forked() {
            Reason::Forked
        } else {
            Reason::Closed
        }
    }
}
