//! What users hang in.

use std::fmt;

use super::Stall;
use crate::job::{Reason, Slot};
use crate::util::{PanicPayload, payload_message, report, report_past_locks};

/// The hooks of one pool. They run inside `catch`; a panicking hook harms
/// nobody.
pub(crate) struct Hooks {
    pub(crate) on_thread_start: Box<dyn Fn(usize) + Send + Sync>,
    pub(crate) on_thread_stop: Box<dyn Fn(usize) + Send + Sync>,
    pub(crate) on_panic: Box<dyn Fn(PanicPayload) + Send + Sync>,
    pub(crate) on_reject: Box<dyn Fn(RejectedJob) + Send + Sync>,
    pub(crate) on_stall: Box<dyn Fn(Stall) + Send + Sync>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            on_thread_start: Box::new(|_| {}),
            on_thread_stop: Box::new(|_| {}),
            on_panic: Box::new(|payload| {
                let text = payload_message(&*payload).unwrap_or("(no message)");
                report(format_args!("windlass: nobody handled this: {text}"));
            }),
            on_reject: Box::new(|job| {
                let line = format_args!("windlass: {job}");
                if job.is_forked() {
                    report_past_locks(line);
                } else {
                    report(line);
                }
            }),
            on_stall: Box::new(|stall| report(format_args!("windlass: {stall}"))),
        }
    }
}

/// A fire-and-forget job that the pool did not take, or threw away unrun; what
/// [`PoolBuilder::on_reject`](crate::PoolBuilder::on_reject) is given.
///
/// Dropping it drops the closure with everything it captured.
///
/// ```
/// use std::sync::mpsc;
/// use windlass::Pool;
///
/// let (sender, refused) = mpsc::channel();
/// let pool = Pool::builder()
///     .num_threads(1)
///     .on_reject(move |job| sender.send(job).unwrap())
///     .build()?;
/// pool.shutdown_now();
/// pool.execute(|| println!("too late for the pool"));
///
/// let job = refused.recv()?;
/// assert!(job.is_closed());
/// job.run(); // on this thread, then
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a rejected job drops its closure"]
pub struct RejectedJob {
    slot: Slot,
    reason: Reason,
}

impl RejectedJob {
    pub(super) fn new(slot: Slot, reason: Reason) -> Self {
        Self { slot, reason }
    }

    /// Whether the pool was closed when the job came in.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.reason == Reason::Closed
    }

    /// Whether the job was accepted and then thrown away by
    /// [`Pool::shutdown_now`](crate::Pool::shutdown_now).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.reason == Reason::Cancelled
    }

    /// Whether there was no room for it, or it was thrown out for a newer one; see
    /// [`PoolBuilder::when_full`](crate::PoolBuilder::when_full).
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.reason == Reason::Rejected
    }

    /// Whether this process is a fork of the one with the pool's threads; see
    /// [`Pool`](crate::Pool#fork).
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.reason == Reason::Forked
    }

    /// Runs the job on the calling thread, for as long as it takes.
    ///
    /// # Panics
    /// If the job does, with the job's panic.
    pub fn run(self) {
        if let Err(payload) = self.slot.run() {
            std::panic::resume_unwind(payload);
        }
    }
}

impl fmt::Display for RejectedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::Closed => "a job was rejected because the pool is closed",
            Reason::Rejected => "a job was rejected: there was no room for it",
            Reason::Forked => {
                "a job was rejected because this process is a fork, \
                 and the pool's threads are not in it"
            }
            // The other reasons are told to handles only.
            _ => "a job was thrown away unrun by shutdown_now",
        })
    }
}

impl fmt::Debug for RejectedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedJob")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
