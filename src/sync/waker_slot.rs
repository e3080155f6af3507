//! A place for one waker, which any thread may wake.

/// The waker that was registered last; `register` and `wake` may race, and then
/// the new waker is woken at once or sees what `wake`'s caller did before.
///
/// `register` is for one thread at a time.
#[cfg(not(loom))]
pub(crate) use atomic_waker::AtomicWaker as WakerSlot;

/// A stand-in that loom can see.
#[cfg(loom)]
pub(crate) struct WakerSlot(loom::sync::Mutex<Option<std::task::Waker>>);

#[cfg(loom)]
impl WakerSlot {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Mutex::new(None))
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        let old = self.0.lock().unwrap().replace(waker.clone());
        drop(old);
    }

    pub(crate) fn take(&self) -> Option<std::task::Waker> {
        self.0.lock().unwrap().take()
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }
}
