//! Panics as values.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic carries, as `std::thread::Result` has it.
pub(crate) type PanicPayload = Box<dyn Any + Send + 'static>;

/// Runs `f` and gives its panic as a value.
///
/// Unwind safety is asserted: callers either drop what `f` touched or hand
/// the panic to the user together with it.
#[inline]
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, PanicPayload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Drops a user's value whose `Drop` may panic, and whose panic's payload may
/// panic again when it is dropped. The second payload is leaked: whoever nests
/// them three deep must not be able to take a pool thread down.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = catch(|| drop(value))
        && let Err(payload) = catch(|| drop(payload))
    {
        std::mem::forget(payload);
    }
}

/// The text of a panic, if it has one.
pub(crate) fn payload_message(payload: &(dyn Any + Send)) -> Option<&str> {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        Some(text)
    } else {
        payload.downcast_ref::<String>().map(String::as_str)
    }
}

/// Ends the process rather than the frame that it is in: another thread may be at work
/// with what lies there. Forgotten when none is any more.
pub(crate) struct Stays;

impl Drop for Stays {
    fn drop(&mut self) {
        // A model ends in the middle of everything when it finds a deadlock.
        if !cfg!(loom) {
            std::process::abort();
        }
    }
}
