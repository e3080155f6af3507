//! The half of the loop that other threads can reach.

use atomic_waker::AtomicWaker;
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::remote::Posted;
use super::waker::SourceWaker;
use crate::sync::absence::absent;
use crate::sync::{Arc, AtomicBool, AtomicUsize, OnceLock, Ordering, Parker, thread};
use crate::sys::Alarm;
use crate::sys::fork::Generation;

/// One entry of the inbox.
pub(super) enum Event {
    /// A future asks to be polled, or a listener has messages.
    Ready(Arc<SourceWaker>),
    /// A closure came from a [`Remote`](super::Remote).
    Post(Posted),
}

/// What the loop shares with the threads that wake it.
///
/// # Memory ordering
/// - `signalled`: every access that matters is a swap with AcqRel, so the
///   accesses form one chain. [`Shared::notify`] and [`Shared::take_signal`]
///   are each other's partners: what a notifier pushed is visible to the loop
///   that takes its signal, and what the loop did before it took a signal (a
///   waker registered, an alarm made) is visible to the next notifier. The
///   whole argument is in the module's prose.
/// - `closed`: Release in [`Shared::close`], Acquire in
///   [`Shared::is_closed`]. A hint only; the channel itself decides.
/// - `held`: Release in [`Shared::let_go`], Acquire in [`Shared::is_held`],
///   so that what was done under a guard is visible once it is gone.
pub(super) struct Shared {
    inbox: Sender<Event>,
    /// Set if the loop was notified since it last took the signal.
    signalled: AtomicBool,
    /// Set if the loop is gone, or going.
    closed: AtomicBool,
    /// Guards in existence, plus posted closures that have not been taken out.
    held: AtomicUsize,
    /// Puts the loop's thread to sleep.
    parker: Parker,
    /// The host's waker while it has not been called since the last turn began.
    pub(super) waker: AtomicWaker,
    /// The host's descriptor, once it has asked for one; see [`Shared::alarm`].
    alarm: OnceLock<Arc<Alarm>>,
    /// The process that the descriptor is for.
    made_in: Generation,
}

impl Shared {
    /// The shared half of a loop on this thread, and the inbox's other end.
    pub(super) fn new() -> (Arc<Self>, Receiver<Event>) {
        let (inbox, receiver) = unbounded();
        let shared = Self {
            inbox,
            signalled: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            parker: Parker::new(thread::current()),
            waker: AtomicWaker::new(),
            alarm: OnceLock::new(),
            made_in: Generation::current(),
        };
        (Arc::new(shared), receiver)
    }

    /// Puts `event` in the inbox and notifies the loop; gives it back if the
    /// loop is gone.
    pub(super) fn send(&self, event: Event) -> Result<(), Event> {
        self.inbox.send(event).map_err(|refused| refused.0)?;
        self.notify();
        Ok(())
    }

    /// Tells the loop, from any thread, that its inbox has something new.
    pub(super) fn notify(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            self.parker.unpark();
            self.announce();
        }
    }

    /// Tells the loop's host, on the loop's own thread, that something is
    /// ready. The thread is not asleep, and does not go to sleep signalled.
    pub(super) fn notify_here(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            self.announce();
        }
    }

    /// Whether the loop was notified since it last took the signal.
    pub(super) fn is_signalled(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }

    /// Takes the signal, if there is one; the loop must look at its inbox
    /// after this. On the loop's thread only.
    pub(super) fn take_signal(&self) -> bool {
        // The load spares an idle turn the swap. It may be Relaxed: a signal
        // it does not see yet stays where it is, and keeps the loop awake
        // (the partner of that is the load in `Shared::wait`).
        self.signalled.load(Ordering::Relaxed) && self.take_signal_now()
    }

    /// Takes the signal without a look beforehand: after this, every notifier
    /// has seen what the loop did before, or has been seen by it.
    pub(super) fn take_signal_now(&self) -> bool {
        self.signalled.swap(false, Ordering::AcqRel)
    }

    /// Sleeps until the loop is notified, a guard goes, or `deadline` has
    /// passed; may return early. On the loop's thread only.
    pub(super) fn wait(&self, deadline: Option<std::time::Instant>) {
        if !self.is_signalled() {
            // It may run in a job.
            absent(|| self.parker.park_until(deadline));
        }
    }

    /// Keeps `run` from returning until [`Shared::let_go`].
    pub(super) fn hold(&self) {
        // Relaxed: a guard holds from when the loop sees it; nothing follows
        // from its coming.
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    /// Undoes one [`Shared::hold`]; `true` if it was the last.
    pub(super) fn let_go(&self) -> bool {
        self.held.fetch_sub(1, Ordering::Release) == 1
    }

    /// Undoes one [`Shared::hold`] and has the loop look whether it may return.
    ///
    /// The host is not told: nothing became ready.
    pub(super) fn let_go_and_tell(&self) {
        if self.let_go() {
            self.parker.unpark();
        }
    }

    /// Whether a guard or a posted closure keeps the loop alive.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) != 0
    }

    /// Refuses posts from here on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether posts are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The host's descriptor. A fork has none: what it did to it, it would do to its
    /// parent's.
    pub(super) fn alarm(&self) -> Option<&Arc<Alarm>> {
        self.alarm.get().filter(|_| !self.made_in.is_past())
    }

    /// Takes the host's descriptor, the first one; whether there may be one.
    #[cfg(unix)]
    pub(super) fn set_alarm(&self, alarm: Arc<Alarm>) -> bool {
        !self.made_in.is_past() && self.alarm.set(alarm).is_ok()
    }

    fn announce(&self) {
        self.waker.wake();
        if let Some(alarm) = self.alarm() {
            alarm.arm_now();
        }
    }
}
