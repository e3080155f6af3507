//! Futures whose completion the loop waits for.
//!
//! A source is one allocation for the future and its callback, and one for the
//! waker.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::MainLoop;
use super::id::SourceId;
use super::sources::{PutBack, Source};
use crate::util::{PanicPayload, catch, discard};

/// A future that gives its value together with the callback that wants it.
pub(super) type PendingFuture = Pin<Box<dyn Completion>>;

/// A callback together with the value it wants.
pub(super) type Finished = Box<dyn FnOnce(&MainLoop)>;

/// A future of a value and the callback for it, with both types forgotten.
pub(super) trait Completion {
    /// Polls. A value is bound to its callback, for later.
    fn poll_store(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished>;

    /// Polls. A value is handed to its callback now, unless `id` was cleared;
    /// the flag says whether it was.
    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        main: &MainLoop,
        id: SourceId,
    ) -> Poll<bool>;
}

impl<F, T, C> Completion for F
where
    F: Future<Output = (T, C)>,
    T: 'static,
    C: FnOnce(&MainLoop, T) + 'static,
{
    fn poll_store(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Finished> {
        self.poll(cx)
            .map(|(value, callback)| Box::new(move |main: &MainLoop| callback(main, value)) as _)
    }

    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        main: &MainLoop,
        id: SourceId,
    ) -> Poll<bool> {
        self.poll(cx).map(|(value, callback)| {
            let removed = main.sources.borrow_mut().remove(id);
            if removed.is_none() {
                return false;
            }
            callback(main, value);
            true
        })
    }
}

impl MainLoop {
    /// Has `callback` run on this thread with the output of `future`, in the
    /// turn after it is ready.
    ///
    /// Any future will do: the handle of a pool's job, the receiving end of an
    /// async channel. It need not be `Send`, nor need the callback. The future
    /// is polled once here, so that it knows whom to wake, and after that only
    /// in turns, when it was woken. The callback never runs here, even if the
    /// future is ready at once. Never blocks, unless the future's `poll` does.
    ///
    /// The future is dropped before its callback runs. Both are dropped when
    /// the source is cleared, or with the loop.
    ///
    /// # Panics
    /// If polling the future panics: here the first time, out of the turn
    /// later. The source is gone then.
    ///
    /// ```
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// main.on_complete(std::future::ready(6 * 7), |_main, answer| println!("{answer}"));
    /// main.run();
    /// ```
    pub fn on_complete<F>(
        &self,
        future: F,
        callback: impl FnOnce(&MainLoop, F::Output) + 'static,
    ) -> SourceId
    where
        F: Future + 'static,
    {
        let mut future: PendingFuture = Box::pin(async move { (future.await, callback) });
        let id = self.sources.borrow_mut().insert(Source::Pending {
            future: None,
            woken: false,
        });
        let waker = self.waker_for(id);
        let mut cx = Context::from_waker(&waker);
        match catch(|| future.as_mut().poll_store(&mut cx)) {
            Ok(Poll::Pending) => self.put_back(id, future, &waker),
            Ok(Poll::Ready(callback)) => {
                let mut finished = Some(Source::Finished { callback });
                if let Some(source) = self.sources.borrow_mut().get_mut(id) {
                    finished = finished.map(|finished| std::mem::replace(source, finished));
                }
                waker.wake_by_ref();
                // The empty place it took, or the callback if it was cleared
                // while the future was polled.
                drop(finished);
            }
            Err(payload) => self.give_up(id, future, payload),
        }
        id
    }

    pub(super) fn poll_completion(
        &self,
        id: SourceId,
        mut future: PendingFuture,
        waker: &Waker,
        ran: &mut usize,
    ) {
        let mut cx = Context::from_waker(waker);
        match catch(|| future.as_mut().poll_run(&mut cx, self, id)) {
            Ok(Poll::Pending) => self.put_back(id, future, waker),
            Ok(Poll::Ready(called)) => *ran += usize::from(called),
            Err(payload) => self.give_up(id, future, payload),
        }
    }

    fn put_back(&self, id: SourceId, future: PendingFuture, waker: &Waker) {
        let result = self.sources.borrow_mut().put_back_future(id, future);
        match result {
            PutBack::Waiting => {}
            PutBack::Woken => waker.wake_by_ref(),
            PutBack::Cleared(future) => drop(future),
        }
    }

    /// Removes a source whose future or callback panicked.
    fn give_up(&self, id: SourceId, future: PendingFuture, payload: PanicPayload) -> ! {
        let removed = self.sources.borrow_mut().remove(id);
        // One panic is on its way already.
        discard(removed);
        discard(future);
        std::panic::resume_unwind(payload)
    }
}
