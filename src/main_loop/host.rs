//! Living inside another loop: being woken, and saying until when to sleep.

use std::task::{Wake, Waker};
use std::time::Instant;

use super::MainLoop;
use crate::sync::Arc;
use crate::util::{catch, discard};

/// The host's closure as a waker. Its panics end here: it is called by
/// whichever thread has news, and none of them can do anything about it.
struct HostWaker<F>(Option<F>);

impl<F, R> Wake for HostWaker<F>
where
    F: Fn() -> R + Send + Sync + 'static,
{
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The result is dropped inside: its Drop is the host's code too.
        if let Some(wake) = &self.0
            && let Err(payload) = catch(|| drop(wake()))
        {
            discard(payload);
        }
    }
}

impl<F> Drop for HostWaker<F> {
    fn drop(&mut self) {
        discard(self.0.take());
    }
}

impl MainLoop {
    /// Has `wake` called, from any thread, when there is something to run, so
    /// that a host (winit, GTK, a game) knows to call [`MainLoop::turn`].
    ///
    /// Calls are coalesced: after one call there is none until the next turn
    /// begins, however much arrives. It is called at once if something is
    /// ready now, and again when a turn ends with something left. It is called
    /// with no lock held; what it returns is dropped, and what it panics with
    /// is discarded. It should be quick: the callers include pool threads, and
    /// this thread.
    ///
    /// Timers do not call it while they run down: sleep no longer than
    /// [`MainLoop::next_deadline`], or use the pollable descriptor. A host
    /// that keeps a flag of its own clears it before it turns, not after: the
    /// next call may come during the turn. A call that another thread had begun
    /// when a turn began may be seen after it, and a call may come for
    /// something that turns out to be nothing.
    ///
    /// A second waker replaces the first. It is dropped when it is replaced
    /// or cleared, or with the loop (or just after, by a thread that is
    /// calling it). Never blocks.
    ///
    /// ```
    /// use windlass::MainLoop;
    ///
    /// let (proxy, events) = std::sync::mpsc::channel();
    /// let main = MainLoop::new();
    /// main.set_waker(move || proxy.send("wake up"));
    ///
    /// main.remote().post(|_| println!("posted")).unwrap();
    /// while let Ok("wake up") = events.try_recv() {
    ///     main.turn();
    /// }
    /// ```
    pub fn set_waker<R>(&self, wake: impl Fn() -> R + Send + Sync + 'static) {
        let waker = Waker::from(Arc::new(HostWaker(Some(wake))));
        self.shared.waker.register(&waker);
        // The old one is dropped last, and with nothing borrowed.
        let old = self.host_waker.replace(Some(waker));
        self.renew_signal();
        drop(old);
    }

    /// Undoes [`MainLoop::set_waker`]. A thread that is calling the waker at
    /// this moment may finish doing so after this has returned. Never blocks.
    pub fn clear_waker(&self) {
        let kept = self.host_waker.take();
        let armed = self.shared.waker.take();
        drop((kept, armed));
    }

    /// Until when a host may sleep: the deadline of the earliest timer, a time
    /// that has passed if something is ready now, `None` if there is nothing
    /// to wait for but a call of the waker. Never blocks.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// assert_eq!(main.next_deadline(), None);
    /// main.set_timeout(Duration::from_secs(60), |_, _| ());
    /// assert!(main.next_deadline() > Some(Instant::now()));
    /// main.set_immediate(|_, _| ());
    /// assert!(main.next_deadline() <= Some(Instant::now()));
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        let mut sources = self.sources.borrow_mut();
        if !self.inbox.is_empty() || sources.has_immediate() {
            return Some(Instant::now());
        }
        sources.first_deadline()
    }

    /// Registers the host's waker again, if there is one and it was called.
    pub(super) fn register_host_waker(&self) {
        // Cloned, because registering may call the waker, and that the loop.
        let waker = self.host_waker.borrow().clone();
        if let Some(waker) = waker {
            self.shared.waker.register(&waker);
        }
    }

    /// Takes the signal and gives it again if something is ready, so that a
    /// waker or descriptor that is new learns of what came before it.
    pub(super) fn renew_signal(&self) {
        self.shared.take_signal_now();
        if self.has_ready() {
            self.shared.notify_here();
        }
    }

    /// Sets the host's descriptor to the next deadline, if there is one and
    /// unless the loop was notified.
    pub(super) fn rest_alarm(&self) {
        let Some(alarm) = self.shared.alarm() else {
            return;
        };
        let deadline = self.sources.borrow().first_deadline();
        alarm.arm_at(deadline);
        self.alarm_deadline.set(deadline);
        // A notifier that came before the line above had its setting undone.
        // Its signal came before its setting, so it is seen here.
        if self.shared.is_signalled() {
            alarm.arm_now();
        }
    }

    /// Sets the host's descriptor again if the earliest deadline is another
    /// than it was. During a turn that is left to the turn's end.
    pub(super) fn timers_changed(&self) {
        if !self.in_turn()
            && self.shared.alarm().is_some()
            && self.sources.borrow().first_deadline() != self.alarm_deadline.get()
        {
            self.rest_alarm();
        }
    }
}
