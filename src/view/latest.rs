//! [`Latest`]: only the newest job is worth the while.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use arc_swap::ArcSwapOption;

use super::core::View;
use crate::handle::{CancelHandle, JoinHandle};
use crate::sync::Arc;

/// Jobs of which only the newest is worth the while: a new one takes the place of
/// one that waits, and asks one that runs to stop.
///
/// For what a program shows: a preview, a search as you type. One job runs at a
/// time. The handle of a job that was replaced gives
/// [`is_cancelled`](crate::JoinError::is_cancelled).
///
/// ```
/// let pool = windlass::Pool::new()?;
/// let preview = pool.latest();
/// let stale: Vec<_> = (0..100).map(|n| preview.spawn(move || n)).collect();
/// let newest = preview.spawn(|| "the newest");
/// assert_eq!(newest.join()?, "the newest");
/// # drop(stale);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Latest {
    view: Arc<View>,
    newest: Arc<ArcSwapOption<CancelHandle>>,
}

impl Latest {
    pub(super) fn new(view: Arc<View>) -> Self {
        Self {
            view,
            newest: Arc::default(),
        }
    }

    /// Hands `f` over in place of what waits.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = View::spawn(&self.view, f);
        let older = self.newest.swap(Some(Arc::new(handle.cancel_handle())));
        if let Some(older) = older {
            older.cancel();
        }
        handle
    }

    /// Cancels what waits, and asks what runs to stop.
    pub fn cancel(&self) {
        if let Some(newest) = self.newest.swap(None) {
            newest.cancel();
        }
    }
}

// User code never runs with anything of a view half done.
impl UnwindSafe for Latest {}
impl RefUnwindSafe for Latest {}

impl fmt::Debug for Latest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").finish_non_exhaustive()
    }
}
