//! What the standard library does not reach: system calls, wrapped safely.
//!
//! `slice` is about time slices, `fork` about processes that were forked. [`Alarm`] is a descriptor that becomes
//! readable now or at a given time. It has one shape and three bodies: Linux
//! has kernel objects for it, other unix systems make do with a socket pair and
//! a thread, and where there are no descriptors to poll it cannot be made at
//! all.

pub(crate) mod fork;
pub(crate) mod slice;

#[cfg(all(target_os = "linux", not(windlass_portable)))]
mod pollable;
#[cfg(all(target_os = "linux", not(windlass_portable)))]
pub(crate) use self::pollable::Alarm;

#[cfg(all(unix, any(not(target_os = "linux"), windlass_portable)))]
mod pollable_portable;
#[cfg(all(unix, any(not(target_os = "linux"), windlass_portable)))]
pub(crate) use self::pollable_portable::Alarm;

#[cfg(not(unix))]
mod pollable_none;
#[cfg(not(unix))]
pub(crate) use self::pollable_none::Alarm;
