//! Looking for a moment before parking.

use std::cell::Cell;

use super::{spin_loop, thread_local};

/// How often a waiter looks at the state before it parks: about 3.5 us.
const LOOKS: u32 = 300;

/// After spins that were for nothing, up to so many waits of the thread park at
/// once: the pool is busy with longer jobs, or the machine with other programs,
/// and spinning would take the processor from the very job waited for. After one
/// it is a single wait (somebody just had to be woken), after each further one
/// twice as many.
const SKIP_MAX: u32 = 16;

/// What a thread has learnt from its spins.
#[derive(Clone, Copy)]
struct Learnt {
    /// How many more waits park at once.
    skip: u32,
    /// How many parked after the last spin that was for nothing; 0 after one
    /// that was not.
    skipped: u32,
}

thread_local! {
    static LEARNT: Cell<Learnt> = const { Cell::new(Learnt { skip: 0, skipped: 0 }) };
}

/// Looks for `done` for a moment, unless that was for nothing lately.
pub(crate) fn spin_for(done: impl Fn() -> bool) {
    // In a thread's last destructors there is nothing to learn from.
    let Ok(Learnt { skip, skipped }) = LEARNT.try_with(Cell::get) else {
        return;
    };
    let learn = |skip, skipped| {
        let _ = LEARNT.try_with(|learnt| learnt.set(Learnt { skip, skipped }));
    };
    if skip > 0 {
        return learn(skip - 1, skipped);
    }
    for _ in 0..LOOKS {
        if done() {
            return learn(0, 0);
        }
        spin_loop();
    }
    let skip = (2 * skipped).clamp(1, SKIP_MAX);
    learn(skip, skip);
}
