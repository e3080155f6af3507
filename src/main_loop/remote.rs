//! The loop as other threads see it: closures in, and a hold on `run`.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::MainLoop;
use super::shared::{Event, Shared};
use crate::port::PostError;
use crate::sync::Arc;
use crate::util::discard;

/// A closure on its way to the loop.
type Callback = Box<dyn FnOnce(&MainLoop) + Send>;

/// A handle with which any thread posts closures to one [`MainLoop`].
///
/// Clones are cheap and refer to the same loop. A remote does not keep the
/// loop alive (see [`Remote::keep_alive`]); dropping one has no effect on what
/// was posted.
///
/// ```
/// use windlass::MainLoop;
///
/// let main = MainLoop::new();
/// let remote = main.remote();
/// let guard = remote.keep_alive();
/// let thread = std::thread::spawn(move || {
///     remote.post(|_main| println!("on the main loop's thread")).unwrap();
///     drop(guard);
/// });
/// main.run(); // returns once the guard is gone and the closure has run
/// # thread.join().unwrap();
/// ```
#[derive(Clone)]
pub struct Remote {
    pub(super) shared: Arc<Shared>,
}

impl Remote {
    /// Has `callback` run on the loop's thread, in the turn after this.
    ///
    /// Closures run in the order in which they were posted; those of different
    /// threads, in the order of their arrival. An accepted closure keeps
    /// [`MainLoop::run`] from returning until it has been taken up. One that
    /// has not run when the loop is dropped is dropped then, on the loop's
    /// thread, and what its captures' `Drop` may panic with is discarded.
    ///
    /// Never blocks, and may be called on the loop's own thread too.
    ///
    /// # Errors
    /// If the loop is gone; [`PostError::into_inner`] gives the closure back.
    ///
    /// ```
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// let remote = main.remote();
    /// drop(main);
    /// let error = remote.post(|_| println!("too late")).unwrap_err();
    /// let closure = error.into_inner();
    /// closure(&MainLoop::new()); // any other loop will do
    /// ```
    pub fn post(
        &self,
        callback: impl FnOnce(&MainLoop) + Send + 'static,
    ) -> Result<(), PostError<Callback>> {
        let callback: Callback = Box::new(callback);
        if self.is_closed() {
            return Err(PostError::closed(callback));
        }
        self.shared.hold();
        self.shared
            .send(Event::Post(Posted(Some(callback))))
            .map_err(|refused| {
                self.shared.let_go();
                match refused {
                    Event::Post(posted) => PostError::closed(posted.into_callback()),
                    Event::Ready(_) => unreachable!("the channel gives back what it was given"),
                }
            })
    }

    /// Whether the loop is gone, so that posts are refused. Never blocks.
    ///
    /// `false` may be out of date by the time the caller acts on it; `true`
    /// stays true.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// A guard that keeps [`MainLoop::run`] from returning until it is
    /// dropped, on whichever thread. Never blocks.
    ///
    /// A loop that is already returning, or gone, is not brought back.
    pub fn keep_alive(&self) -> KeepAlive {
        self.shared.hold();
        KeepAlive {
            shared: Arc::clone(&self.shared),
        }
    }
}

// A post is in the inbox or not; user code never runs in between.
impl UnwindSafe for Remote {}
impl RefUnwindSafe for Remote {}
impl UnwindSafe for KeepAlive {}
impl RefUnwindSafe for KeepAlive {}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Keeps [`MainLoop::run`] from returning; made by [`Remote::keep_alive`].
///
/// Dropping it lets go, waking the loop if this was its last reason to stay.
/// It does not keep the `MainLoop` value itself from being dropped.
#[must_use = "dropping the guard lets the loop return"]
pub struct KeepAlive {
    shared: Arc<Shared>,
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.shared.let_go_and_tell();
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").finish_non_exhaustive()
    }
}

/// A posted closure in the inbox.
///
/// If it never gets out, it is dropped by the channel, in the middle of the
/// channel's own clean-up; so a panic of the captures' `Drop` ends here.
pub(super) struct Posted(Option<Callback>);

impl Posted {
    /// The closure.
    pub(super) fn into_callback(mut self) -> Callback {
        self.0.take().expect("a posted closure is taken out once")
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        if let Some(callback) = self.0.take() {
            discard(callback);
        }
    }
}
