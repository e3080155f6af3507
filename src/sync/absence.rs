//! Telling a pool that one of its threads waits inside a job.
//!
//! Whoever parks a thread on behalf of a user does it inside [`absent`]; if the
//! thread is a pool's, the pool hears of it and lets another one run in its place,
//! and so do the views whose jobs run on it. The waits (of handles, ports, buffers)
//! so need not know of pools.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Arc, thread, thread_local};

/// A thread that somebody counts on.
pub(crate) trait Absentee {
    /// The thread is about to wait.
    fn leaves(&self);

    /// It has waited.
    fn returns(&self);
}

/// Something that has given the job that runs here a place.
pub(crate) trait Host {
    /// The job waits, and needs its place only after that.
    fn leaves(self: Arc<Self>);

    /// The job goes on.
    fn returns(&self);
}

/// A job that runs here, in a place that it was given.
struct Guest {
    host: Arc<dyn Host>,
    /// Waits that it is in; it has given its place back if there is one.
    waits: u32,
}

thread_local! {
    static THREAD: RefCell<Option<Rc<dyn Absentee>>> = const { RefCell::new(None) };
    /// The innermost last. Those below it wait for it, by whatever has run it.
    static GUESTS: RefCell<Vec<Guest>> = const { RefCell::new(Vec::new()) };
}

/// From now on, `who` is told of this thread's waits.
pub(crate) fn tell(who: Option<Rc<dyn Absentee>>) {
    let _ = THREAD.try_with(|it| it.replace(who));
}

/// Runs `job`, which does not panic, as a guest of `host`.
pub(crate) fn as_guest(host: Arc<dyn Host>, job: impl FnOnce()) {
    GUESTS.with(|guests| guests.borrow_mut().push(Guest { host, waits: 0 }));
    job();
    let guest = GUESTS.with(|guests| guests.borrow_mut().pop());
    drop(guest);
}

/// Whether a guest of `host` runs on this thread.
pub(crate) fn has_guest<T>(host: &Arc<T>) -> bool {
    let address = Arc::as_ptr(host).addr();
    let is_host = |guest: &Guest| Arc::as_ptr(&guest.host).cast::<()>().addr() == address;
    // In a thread's last destructors nobody is.
    let found = GUESTS.try_with(|guests| guests.borrow().iter().any(is_host));
    found.unwrap_or(false)
}

/// Runs `wait`, which takes its time without using the processor.
pub(crate) fn absent<R>(wait: impl FnOnce() -> R) -> R {
    // The guests first: what they make room for is there when the pool looks.
    let _guests = GuestsAway::leave();
    // In a thread's last destructors nobody counts on it any more.
    let who = THREAD.try_with(|who| who.borrow().clone()).ok().flatten();
    let _thread = who.map(ThreadAway::leave);
    wait()
}

/// Says, when it is dropped, that the thread is back: after a panic too.
struct ThreadAway(Rc<dyn Absentee>);

impl ThreadAway {
    fn leave(who: Rc<dyn Absentee>) -> Self {
        who.leaves();
        Self(who)
    }
}

impl Drop for ThreadAway {
    fn drop(&mut self) {
        // loom takes no more steps once it has found a deadlock.
        if !(cfg!(loom) && thread::panicking()) {
            self.0.returns();
        }
    }
}

/// While it is there, the jobs that run on this thread have given their places back.
pub(crate) struct GuestsAway(usize);

impl GuestsAway {
    pub(crate) fn leave() -> Self {
        let count = GUESTS.try_with(|guests| guests.borrow().len()).unwrap_or(0);
        for index in (0..count).rev() {
            if let Some(host) = change(index, |waits| (waits + 1, waits == 0)) {
                host.leaves();
            }
        }
        Self(count)
    }
}

impl Drop for GuestsAway {
    fn drop(&mut self) {
        for index in 0..self.0 {
            if let Some(host) = change(index, |waits| (waits - 1, waits == 1)) {
                host.returns();
            }
        }
    }
}

/// Changes a guest's number of waits; its host, if that is to be told. Nothing is
/// borrowed when it is.
fn change(index: usize, step: impl FnOnce(u32) -> (u32, bool)) -> Option<Arc<dyn Host>> {
    GUESTS.with(|guests| {
        let guest = &mut guests.borrow_mut()[index];
        let (waits, is_told) = step(guest.waits);
        guest.waits = waits;
        is_told.then(|| Arc::clone(&guest.host))
    })
}
