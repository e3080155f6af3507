//! Looking for a moment before parking.

use std::cell::Cell;

use super::{spin_loop, thread_local};

/// How often a waiter looks at the state before it parks: about 3.5 us.
const LOOKS: u32 = 300;

/// After a spin that was for nothing, this many waits of the thread park at
/// once: the pool is busy with longer jobs, or the machine with other programs,
/// and spinning would take the processor from the very job waited for.
const SKIPPED: u32 = 15;

thread_local! {
    /// How many more waits of this thread park at once.
    static SKIP: Cell<u32> = const { Cell::new(0) };
}

/// Looks for `done` for a moment, unless that was for nothing lately.
pub(crate) fn spin_for(done: impl Fn() -> bool) {
    // In a thread's last destructors there is nothing to learn from.
    let skip = SKIP.try_with(Cell::get).unwrap_or(SKIPPED);
    let learn = |waits| {
        let _ = SKIP.try_with(|skip| skip.set(waits));
    };
    if skip > 0 {
        return learn(skip - 1);
    }
    for _ in 0..LOOKS {
        if done() {
            return;
        }
        spin_loop();
    }
    learn(SKIPPED);
}
