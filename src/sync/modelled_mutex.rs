//! A mutex that models see: for locks whose contention is part of a protocol.
//!
//! (Most locks here are held for a moment and are about nothing but their data;
//! those are `parking_lot`'s in the models too, and then no step that loom sees
//! may be taken under them.)

#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex as ModelledMutex;

/// loom's mutex, with the shape of `parking_lot`'s.
#[cfg(loom)]
pub(crate) struct ModelledMutex<T>(loom::sync::Mutex<T>);

#[cfg(loom)]
impl<T> ModelledMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }

    pub(crate) fn try_lock(&self) -> Option<loom::sync::MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

#[cfg(loom)]
impl<T: Default> Default for ModelledMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
