//! Now and then the process forks amid a round, and the child finds out at once that
//! the pool's threads are not in it.
//!
//! Other threads may hold locks at the fork, the ledger's among them: the child asks
//! the library, and nothing else.

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use windlass::{JobSet, Pool};

use crate::ledger::tally::{Fault, did, found};

/// How long a child may take before the system ends it, in seconds.
const PATIENCE: u32 = 10;

/// Forks, and waits for the child's end.
pub(crate) fn fork(pool: &Pool) {
    // That may have ended by then, or not.
    let earlier = pool.spawn(|| 7);
    did("forks", 1);
    // SAFETY: the child asks what it may ask, and leaves without running anything else.
    match unsafe { libc::fork() } {
        -1 => {
            let error = std::io::Error::last_os_error();
            found(Fault::Wrong, || format!("fork: {error}"));
        }
        0 => {
            // SAFETY: takes a number.
            unsafe { libc::alarm(PATIENCE) };
            let asked = catch_unwind(AssertUnwindSafe(|| {
                let early = earlier.join();
                let is_told = match &early {
                    Ok(value) => *value == 7,
                    Err(error) => error.is_forked() || error.is_rejected() || error.is_closed(),
                };
                is_told && ask(pool)
            }));
            // SAFETY: takes a number.
            unsafe { libc::_exit(i32::from(!matches!(asked, Ok(true)))) }
        }
        child => wait(child),
    }
}

/// What a pool says in the child.
fn ask(pool: &Pool) -> bool {
    let mut set = JobSet::new(&pool.spawner());
    set.spawn(|| ());
    let of_set = set.join_next();
    let refused = [
        pool.spawn(|| ()).join(),
        pool.serial().spawn(|| ()).join(),
        pool.spawn_async(|| ()).wait().join(),
    ];
    pool.is_closed()
        && pool.set_num_threads(2).is_err()
        && pool.try_spawn(|| ()).is_err()
        && refused.into_iter().chain(of_set).all(|result| {
            let error = result.err();
            error.is_some_and(|error| error.is_forked())
        })
        && pool.shutdown_timeout(std::time::Duration::MAX).is_ok()
}

fn wait(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: the status is there to be written.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM {
        found(Fault::Hung, || format!("a fork, for {PATIENCE} s"));
    } else if status != 0 {
        found(Fault::Wrong, || format!("a fork ended with {status:#x}"));
    }
}
