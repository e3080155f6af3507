//! [`Flight`]: the jobs of a map whose results were not given out.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::pace::Pace;
use crate::error::JoinError;
use crate::handle::JoinHandle;
use crate::job_set::JobSet;
use crate::spawner::Spawner;
use crate::util::discard;

/// Jobs on the way. **Dropping it** cancels them, the newest first: the oldest run, and
/// a thread that is let go of would start one of the others. What the `Drop` of a
/// result panics with is discarded, as the next one has to be dropped too.
pub(super) struct Flight<T> {
    order: Order<T>,
    /// What was learnt from waiting.
    pace: Pace,
}

enum Order<T> {
    /// As the items came.
    Input(VecDeque<JoinHandle<T>>),
    /// As the jobs end.
    End(JobSet<T>),
}

impl<T> Flight<T> {
    pub(super) fn in_order() -> Self {
        Self {
            order: Order::Input(VecDeque::new()),
            pace: Pace::default(),
        }
    }

    /// The default look-ahead in a pool of that many threads.
    pub(super) fn look_ahead(&self, threads: usize) -> usize {
        self.pace.look_ahead(threads)
    }
}

impl<T: Send + 'static> Flight<T> {
    /// From here on results come as the jobs end.
    pub(super) fn set_unordered(&mut self, pool: &Spawner) {
        if let Order::Input(handles) = &mut self.order {
            let mut set = JobSet::new(pool);
            handles.drain(..).for_each(|handle| set.adopt(handle));
            self.order = Order::End(set);
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.order {
            Order::Input(handles) => handles.len(),
            Order::End(set) => set.len(),
        }
    }

    pub(super) fn push(&mut self, handle: JoinHandle<T>) {
        let handle = handle.cancel_on_drop();
        match &mut self.order {
            Order::Input(handles) => handles.push_back(handle),
            Order::End(set) => set.adopt(handle),
        }
    }

    /// The next result if it is there.
    pub(super) fn try_next(&mut self) -> Option<Result<T, JoinError>> {
        match &mut self.order {
            Order::Input(handles) => {
                let result = handles.front_mut()?.try_join()?;
                handles.pop_front();
                Some(result)
            }
            Order::End(set) => set.try_join_next(),
        }
    }

    /// Waits for the next result; `None` if nothing is on the way. `is_here` says whether
    /// this thread is one of the pool, and may run what it waits for.
    pub(super) fn wait(&mut self, is_here: bool) -> Option<Result<T, JoinError>> {
        match &mut self.order {
            Order::Input(handles) => {
                let oldest = handles.front()?;
                if !is_here && !oldest.is_finished() {
                    self.pace.wait(handles);
                }
                Some(handles.pop_front()?.join())
            }
            Order::End(set) if is_here => set.join_next(),
            Order::End(set) => set.try_join_next().or_else(|| self.pace.wait_any(set)),
        }
    }

    /// Runs the oldest job on this thread, one of its pool, if nobody has started it
    /// and results come in the order of the items; whether it did.
    pub(super) fn run_oldest(&mut self) -> bool {
        match &mut self.order {
            Order::Input(handles) => handles.front_mut().is_some_and(JoinHandle::run_unstarted),
            Order::End(_) => false,
        }
    }

    /// As [`Flight::wait`], for a task.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        match &mut self.order {
            Order::Input(handles) => {
                let Some(oldest) = handles.front_mut() else {
                    return Poll::Ready(None);
                };
                let result = std::task::ready!(Pin::new(oldest).poll(cx));
                handles.pop_front();
                Poll::Ready(Some(result))
            }
            Order::End(set) => Pin::new(set).poll_next(cx),
        }
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        match &mut self.order {
            Order::Input(handles) => {
                while let Some(handle) = handles.pop_back() {
                    discard(handle);
                }
            }
            Order::End(set) => set.let_go(),
        }
    }
}
