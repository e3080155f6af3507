//! Time slices: how long a thread may run before the operating system looks for
//! another one.
//!
//! On a machine whose every core is busy, what decides how late a main loop
//! wakes up is the slice of the threads it competes with. Pool threads ask for
//! a long one while they run and for the default one before they park (a thread
//! with a long slice also *wakes* late); a main loop's thread asks for a short
//! one. Weight, and so the share of the processor, stays what it was. Measured
//! with two busy threads on two cores: 3.4 ms of lateness at p99 with default
//! slices, 0.1 ms with these.
//!
//! It is `sched_setattr(2)` with a runtime for an ordinary thread, which Linux
//! honours since 6.12 and ignores before; elsewhere nothing is done. Threads
//! under another policy than SCHED_OTHER are left alone: somebody chose that.

#![allow(unsafe_code)]

use std::time::Duration;

/// A pool thread's, while it runs.
const LONG: Duration = Duration::from_millis(10);

/// A main loop's: the shortest that Linux grants.
const SHORT: Duration = Duration::from_micros(100);

/// For a pool thread that goes to work.
pub(crate) fn long() {
    set(Some(LONG));
}

/// For a pool thread that goes to sleep, and for a thread that is no main loop
/// any more.
pub(crate) fn normal() {
    set(None);
}

/// For a thread that wakes often, works little and should run at once. Whether
/// the operating system took the request.
pub(crate) fn short() -> bool {
    set(Some(SHORT))
}

/// The calling thread's nice value.
#[cfg(all(target_os = "linux", not(loom), any(test, feature = "thread-priority")))]
pub(crate) fn nice() -> i32 {
    // SAFETY: no pointers; on Linux 0, 0 is this thread.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

#[cfg(any(not(target_os = "linux"), loom, miri))]
fn set(_slice: Option<Duration>) -> bool {
    false
}

/// Asks for `slice`, or for the default one.
#[cfg(all(target_os = "linux", not(loom), not(miri)))]
fn set(slice: Option<Duration>) -> bool {
    use std::mem;

    let size = size_of::<libc::sched_attr>() as libc::c_uint;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut attr: libc::sched_attr = unsafe { mem::zeroed() };
    // Its own nice value is written back with the slice: leaving it out would
    // reset it, and the flag that keeps it ignores the slice.
    // SAFETY: thread 0 is the caller, `attr` is valid for writing `size` bytes,
    // and the call has no flags.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) };
    if got != 0 || attr.sched_policy != libc::SCHED_OTHER as u32 {
        return false;
    }
    attr.size = size;
    // Children must not inherit a slice that was asked for this thread.
    attr.sched_flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
    attr.sched_runtime = slice.map_or(0, |slice| slice.as_nanos() as u64);
    // SAFETY: thread 0 is the caller, and `attr` is a filled-in structure of
    // the size it says.
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    set == 0
}

#[cfg(all(test, target_os = "linux", not(loom), not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_slice_leaves_the_nice_value_alone() {
        std::thread::spawn(|| {
            // SAFETY: no pointers; 0, 0 is this thread.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 3) };
            assert_eq!(nice(), 3);
            assert!(short());
            long();
            assert_eq!(nice(), 3);
            normal();
            assert_eq!(nice(), 3);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_thread_under_another_policy_is_left_alone() {
        std::thread::spawn(|| {
            // SAFETY: all fields are integers.
            let param: libc::sched_param = unsafe { std::mem::zeroed() };
            // SAFETY: `param` is valid; thread 0 is the caller.
            let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const param) };
            assert_eq!(set, 0);
            assert!(!short());
            // SAFETY: no pointers; thread 0 is the caller.
            assert_eq!(unsafe { libc::sched_getscheduler(0) }, libc::SCHED_BATCH);
        })
        .join()
        .unwrap();
    }
}
