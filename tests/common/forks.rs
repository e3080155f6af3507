//! Forks of this process, for tests that run in a process of their own.

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;

use windlass::{JoinHandle, Pool};

use super::{child, is_child_of, run_child, thread_ids, until};

/// How long a fork may take before it counts as hung, in seconds.
const PATIENCE: u32 = 200;

/// Runs `body` in a copy of this program that runs this test alone.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if is_child_of(test) {
        body();
    } else {
        run_child(child(test, &[]));
    }
}

/// A pool whose threads have all started. The standard library has a lock for the
/// starts and ends of threads, and in a fork amid one no thread can start or end.
pub(crate) fn pool(threads: usize) -> Pool {
    let pool = super::pool(threads);
    thread_ids(&pool);
    pool
}

/// How many threads this process has, where that can be known.
pub(crate) fn threads_here() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// The same once no thread has come or gone for a while: those that are about to end have
/// ended, or are counted, where that harms nobody who waits for no more than these.
pub(crate) fn threads_at_rest() -> Option<usize> {
    let mut before = threads_here();
    let mut same = 0;
    while same < 10 {
        std::thread::sleep(std::time::Duration::from_millis(1));
        let now = threads_here();
        same = if now == before { same + 1 } else { 0 };
        before = now;
    }
    before
}

/// Runs `body`, and waits until the threads that it started have ended.
pub(crate) fn leaving_no_thread(body: impl FnOnce()) {
    let before = threads_here();
    body();
    until(|| threads_here() <= before);
}

/// `Some` in the parent, with the child's number. The child is given its time.
#[allow(unsafe_code)]
pub(crate) fn fork() -> Option<libc::pid_t> {
    // SAFETY: the tests are about just this.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: takes a number.
            unsafe { libc::alarm(PATIENCE) };
            None
        }
        child => Some(child),
    }
}

/// Ends a fork, and runs nothing else of it.
#[allow(unsafe_code)]
pub(crate) fn exit(is_well: bool) -> ! {
    // SAFETY: takes a number.
    unsafe { libc::_exit(i32::from(!is_well)) }
}

/// How a child ended.
#[allow(unsafe_code)]
pub(crate) fn end_of(child: libc::pid_t) -> ExitStatus {
    let mut status = 0;
    // SAFETY: the status is there to be written.
    let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(ended, child);
    ExitStatus::from_raw(status)
}

/// Runs `body` in a fork, which has to come to its end.
pub(crate) fn in_a_fork(body: impl FnOnce()) {
    in_a_fork_with((), |()| body());
}

/// As [`in_a_fork`], with values that are used up there, and come back here.
pub(crate) fn in_a_fork_with<T>(values: T, body: impl FnOnce(T)) -> T {
    match fork() {
        Some(child) => {
            let end = end_of(child);
            assert!(end.success(), "in the fork: {end}");
            values
        }
        None => exit(catch_unwind(AssertUnwindSafe(|| body(values))).is_ok()),
    }
}

/// The job of this handle is said to be in another process, every time.
pub(crate) fn assert_forked<T: Send + 'static>(handle: JoinHandle<T>) {
    assert!(handle.is_finished() && handle.cancel_handle().is_finished());
    assert!(handle.join().is_err_and(|error| error.is_forked()));
}
