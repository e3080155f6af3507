//! The one doorway to `std::sync`, `std::thread` and loom.
//!
//! Everything the models must be able to see (atomics, fences, threads,
//! parking, the queues) is named here and nowhere else: a normal build gets
//! the standard types, `--cfg loom` gets loom's. `tests/tidy.rs` refuses an
//! import of `std::sync::atomic`, `std::thread` or `crossbeam_deque` elsewhere.

pub(crate) mod absence;
pub(crate) mod cell;
pub(crate) mod deque;
pub(crate) mod integers;
mod modelled_mutex;
pub(crate) mod mutant;
mod parker;
mod spin;
mod waker_slot;

pub(crate) use self::modelled_mutex::ModelledMutex;
pub(crate) use self::parker::{Parker, block_until};
pub(crate) use self::spin::spin_for;
pub(crate) use self::waker_slot::WakerSlot;

#[cfg(not(loom))]
mod real {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use std::sync::{Arc, OnceLock, Weak};
    pub(crate) use std::thread;
    pub(crate) use std::thread_local;

    pub(crate) use parking_lot::Mutex;
}

#[cfg(loom)]
mod real {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use loom::thread;
    // Reference counts and one-time cells are not what the models are about,
    // and `std`'s work with trait objects and `std::task::Wake`.
    pub(crate) use super::thread_local_model as thread_local;
    pub(crate) use std::sync::{Arc, OnceLock, Weak};

    pub(crate) use parking_lot::Mutex;
}

pub(crate) use real::*;

/// A flag that is only for reports: no protocol depends on it, and so no model
/// looks at it.
pub(crate) use std::sync::atomic::AtomicBool as ReportFlag;

/// A counter that is only for reports.
pub(crate) use std::sync::atomic::AtomicU64 as ReportCounter;
pub(crate) use std::sync::atomic::fence as report_fence;

/// For a `static`, which loom's cannot be.
pub(crate) use std::sync::atomic::{AtomicU32 as StaticU32, AtomicU64 as StaticU64};

/// The same, for what no model has.
#[cfg(all(unix, not(any(target_os = "emscripten", loom, miri))))]
pub(crate) use std::sync::atomic::AtomicBool as StaticBool;

/// loom's `thread_local!` under the standard one's syntax.
#[cfg(loom)]
macro_rules! thread_local_model {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = const { $value:expr };)+) => {
        loom::thread_local! { $($(#[$attribute])* static $name: $type = $value;)+ }
    };
}
#[cfg(loom)]
pub(crate) use thread_local_model;
