//! Telling a pool that one of its threads waits inside a job.
//!
//! Whoever parks a thread on behalf of a user does it inside [`absent`]; if the
//! thread is a pool's, the pool hears of it and lets another one run in its place.
//! The waits (of handles, ports, buffers) so need not know of pools.

use std::cell::RefCell;
use std::rc::Rc;

use super::thread_local;

/// A thread that somebody counts on.
pub(crate) trait Absentee {
    /// The thread is about to wait.
    fn leaves(&self);

    /// It has waited.
    fn returns(&self);
}

thread_local! {
    static WHO: RefCell<Option<Rc<dyn Absentee>>> = const { RefCell::new(None) };
}

/// From now on, `who` is told of this thread's waits.
pub(crate) fn tell(who: Option<Rc<dyn Absentee>>) {
    let _ = WHO.try_with(|it| it.replace(who));
}

/// Runs `wait`, which takes its time without using the processor.
pub(crate) fn absent<R>(wait: impl FnOnce() -> R) -> R {
    // In a thread's last destructors nobody counts on it any more.
    let who = WHO.try_with(|who| who.borrow().clone()).ok().flatten();
    let _back = who.map(Back::leave);
    wait()
}

/// Says, when it is dropped, that the thread is back: after a panic too.
struct Back(Rc<dyn Absentee>);

impl Back {
    fn leave(who: Rc<dyn Absentee>) -> Self {
        who.leaves();
        Self(who)
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        // loom takes no more steps once it has found a deadlock.
        if !(cfg!(loom) && super::thread::panicking()) {
            self.0.returns();
        }
    }
}
