//! The main loop: callbacks on one thread, notified by any.
//!
//! # Map
//!
//! | file | purpose |
//! |---|---|
//! | `state` | [`MainLoop`]: its fields, its beginning and its end |
//! | `turn` | turns, and the waiting between them |
//! | `sources` | the table of sources, and who keeps the loop alive |
//! | `timers` | timeouts, intervals, immediates |
//! | `completion` | futures, and the callbacks that want their values |
//! | `listener` | ports, and the callbacks that want their messages |
//! | `waker` | the wakers handed to both |
//! | `remote` | closures posted by other threads |
//! | `host` | living inside another loop |
//! | `fork` | living on in a fork of the process |
//! | `pollable` | the same by descriptor (unix) |
//! | `shared` | the half that other threads reach: inbox, signal, parker |
//! | `id` | the names of sources |
//!
//! # Two halves
//! [`MainLoop`] stays on its thread: the table of sources, the inbox's
//! receiving end, counters. `Shared` is what wakers, remotes and guards hold;
//! they never see the table. A foreign thread can do three things: push an
//! event, signal, and let go of a hold. The two halves have no lock between
//! them; a waker that outlives the loop pushes into a closed channel.
//!
//! # User code runs with nothing borrowed
//! Callbacks, polls, and every `Drop` of theirs may call the loop. So the table
//! is borrowed only by code that runs and drops nothing of the user's, and what
//! comes out of the table is run or dropped by whoever took it out.
//!
//! # The life of a source
//! - A *timeout*, an *immediate* and a *finished* future leave the table before
//!   their callback runs. Clearing them after that does nothing.
//! - An *interval* stays in the table, with its next deadline set and its
//!   callback out. The callback is put back when it ends, also by a panic, or
//!   dropped if the interval was cleared meanwhile. A nested turn finds the
//!   place empty and passes it by.
//! - A *pending* future is out of its place while it is polled. A wake-up that
//!   a nested turn takes out of the inbox meanwhile is noted in the place, and
//!   repeated when the future is put back. Ready: the source leaves the table,
//!   then the callback runs. Panicked: the source leaves the table.
//! - A *listener* is out of its place while it delivers its share of a turn.
//!   It is put back with its waker in the port, or with a wake-up of its own if
//!   there is more; removed when the port is over; dropped if it was cleared,
//!   with the rest of the messages left in the port.
//!
//! # A turn
//! A turn's share is fixed when it begins: a time, an end of the inbox, an end
//! of the queue of immediates. Ends are positions counted from the loop's
//! beginning, so that a turn within a callback can take from the front without
//! extending the share of the turn around it. Timers need no end: none is ever
//! set to the time of the last turn or before (`timers`).
//!
//! # The signal
//! One flag, `signalled`, coalesces everything that tells somebody about the
//! loop: unparking its thread, calling the host's waker, setting the host's
//! descriptor. Together these are the *announcement*.
//!
//! A notifier (any thread):
//! 1. pushes its event;
//! 2. swaps `signalled` to true;
//! 3. announces, if the swap found false.
//!
//! A turn (the loop's thread):
//! 1. registers the host's waker again (calling it took it);
//! 2. takes the signal: swaps `signalled` to false, if it was true;
//! 3. measures the inbox, and runs its share;
//! 4. when it ends, also by a panic: if something is ready, does steps 2 and 3
//!    of a notifier (it need not unpark itself); otherwise sets the
//!    descriptor to the next deadline, and *after that* looks at `signalled`,
//!    setting the descriptor to "now" if it is true.
//!
//! Before it sleeps, the loop looks at `signalled`, and does not sleep if it
//! is true. `set_waker` and `pollable` first install what is new, then take
//! the signal and, if something is ready, give it again.
//!
//! # Proof sketch: no event is left lying
//! Claim: an event that was pushed is taken by a turn that the announcement
//! has caused or will cause.
//!
//! *Seen.* All swaps of `signalled` are in one order, and each sees what came
//! before the ones ahead of it (AcqRel; a swap continues the release sequence
//! of the one before it). Let N be the swap of the notifier, and T the first
//! taking of the signal after N in that order. What T's thread does next sees
//! N's event. So an event is seen by the first turn that takes the signal
//! after N; if that turn began to measure earlier, the event is what it leaves.
//!
//! *Found true.* If N found true, a notifier M ahead of it found false, and no
//! taking lies between them. M's announcement, made or still to be made, is
//! about the same signal, and any turn it leads to takes the signal after N.
//!
//! *Found false.* N's thread announces.
//! - *The parker.* The loop sleeps only if it saw false. If it read that after
//!   N, a taking T came in between and T's look at the inbox saw the event. If
//!   before N, `unpark` follows, and the parker remembers it even if the
//!   thread is not asleep yet.
//! - *The host's waker.* If `wake` finds the waker registered, it calls it. If
//!   not, some notifier took it after the last registration, and is calling
//!   it: after that turn began, so another turn follows it. A registration
//!   that overlaps `wake` calls the waker itself, to the same effect. Can
//!   `wake` miss a registration and the turn miss N? If `wake` came before
//!   the registration in the waker's own state word, the registration sees it
//!   there, and so the turn, which looks at `signalled` after that, sees N.
//!   (With steps 1 and 2 of the turn exchanged it could.)
//! - *The descriptor.* "Now" is a write, and setting it to a deadline begins
//!   with a read that undoes such writes; the kernel applies the notifier's
//!   write and the loop's read one after the other. The write last: the
//!   descriptor is readable. The read last: N came before the write, that
//!   before the read (the kernel's lock orders what surrounds it), and that
//!   before the look at `signalled`, which therefore sees N, and writes again.
//! - *Something new.* If the notifier did not find the new waker or the new
//!   descriptor, its swap came before the taking in `set_waker` or `pollable`,
//!   which sees the event and announces it.
//!
//! *Left over.* Something a turn leaves is ready when it ends, so `signalled`
//! is true after it: by a notifier since, or by the turn itself.
//!
//! Announcements may come late: a notifier can be preempted between its swap
//! and its announcement for any time, while turns come and go. Then a sleep
//! ends early, a waker is called once, a descriptor is readable until the next
//! turn, for nothing. Nothing is lost by that, and nothing repeats. ∎
//!
//! # Returning
//! `run` returns when no source and no hold keeps the loop alive. A hold is a
//! guard or a posted closure: a post takes its hold before it pushes, and the
//! turn gives it back when it takes the closure out, so a loop that sees no
//! hold has missed no accepted post. The last guard to go unparks the loop
//! after its count, and the loop counts after it has parked.

mod completion;
mod fork;
mod host;
mod id;
pub(crate) mod listener;
#[cfg(unix)]
mod pollable;
mod remote;
mod shared;
mod sources;
mod state;
mod timers;
mod turn;
mod waker;

pub use self::id::SourceId;
pub use self::listener::MessageSource;
#[cfg(unix)]
pub use self::pollable::Pollable;
pub use self::remote::{KeepAlive, Remote};
pub use self::state::MainLoop;

/// A callback that runs once.
type Once = dyn FnOnce(&MainLoop, SourceId);

/// A callback that runs again and again.
type Repeated = dyn FnMut(&MainLoop, SourceId);
