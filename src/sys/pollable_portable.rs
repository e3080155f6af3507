//! The alarm where there are no eventfd and timerfd: a socket pair and a thread.
//!
//! The descriptor to poll is one end of the pair and is readable while a byte
//! lies in it. "Now" writes a byte. A deadline is left to a thread that sleeps
//! until then and writes it; the thread is started by the first deadline and
//! is gone when `close` returns.
//!
//! Only the main loop's thread calls `arm_at` and `close`; any thread may call
//! `arm_now`. A byte that is written late (its deadline was replaced in the
//! meantime, say) makes the descriptor readable for nothing until the next
//! `arm_at`. A byte is never missing: `arm_at` empties the pair *before* it
//! states the new deadline, so what it throws away was written for an older
//! reason.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, OnceLock, Ordering, Parker, thread};

/// The deadline that never comes.
const NEVER: u64 = u64::MAX;

/// A descriptor that becomes readable now or at a given time.
#[derive(Debug)]
pub(crate) struct Alarm {
    reader: UnixStream,
    bell: Arc<Bell>,
    /// The thread that waits for deadlines, once there was one.
    sleeper: OnceLock<Sleeper>,
}

/// What the alarm shares with its thread.
#[derive(Debug)]
struct Bell {
    writer: UnixStream,
    /// Where deadlines count from.
    base: Instant,
    /// The deadline in nanoseconds after `base`, or [`NEVER`].
    deadline: AtomicU64,
    /// Set if the thread is to end.
    stop: AtomicBool,
}

struct Sleeper {
    parker: Arc<Parker>,
    // Locked by the main loop's thread alone; the lock is there because
    // joining takes the handle by value.
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Alarm {
    /// Makes an alarm that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let bell = Bell {
            writer,
            base: Instant::now(),
            deadline: AtomicU64::new(NEVER),
            stop: AtomicBool::new(false),
        };
        Ok(Self {
            reader,
            bell: Arc::new(bell),
            sleeper: OnceLock::new(),
        })
    }

    /// Makes the descriptor readable as soon as possible.
    pub(crate) fn arm_now(&self) {
        self.bell.ring();
    }

    /// Makes the descriptor unreadable until `deadline` (`None`: for good).
    pub(crate) fn arm_at(&self, deadline: Option<Instant>) {
        self.empty();
        let nanos = deadline.map_or(NEVER, |deadline| {
            let after = deadline.saturating_duration_since(self.bell.base);
            u64::try_from(after.as_nanos()).unwrap_or(NEVER)
        });
        // Release: what the loop did is visible to the thread that rings for
        // it (the partner is the load in `Bell::keep`).
        self.bell.deadline.store(nanos, Ordering::Release);
        if nanos == NEVER {
            // A thread that wakes for the old deadline finds it gone.
            return;
        }
        match self.sleeper() {
            Ok(sleeper) => sleeper.parker.unpark(),
            // Without a thread to wait for it, the deadline is announced at
            // once: the host turns more often than it need, but misses nothing.
            Err(_) => self.bell.ring(),
        }
    }

    /// Stops the thread and waits for it. The descriptor stays open, and may
    /// still be rung.
    pub(crate) fn close(&self) {
        // Release pairs with the load in `Bell::keep`; nothing but the flag
        // itself is passed on.
        self.bell.stop.store(true, Ordering::Release);
        if let Some(sleeper) = self.sleeper.get() {
            sleeper.parker.unpark();
            let handle = sleeper.thread.lock().take();
            if let Some(handle) = handle {
                // The thread runs no foreign code and does not panic.
                let _ = handle.join();
            }
        }
    }

    /// Whether the descriptor is readable, for tests within the crate. Takes
    /// the byte that made it so.
    #[cfg(test)]
    pub(crate) fn is_set(&self) -> bool {
        (&self.reader).read(&mut [0; 1]).is_ok()
    }

    fn sleeper(&self) -> io::Result<&Sleeper> {
        if let Some(sleeper) = self.sleeper.get() {
            return Ok(sleeper);
        }
        // The parker is made from the thread's handle, so it can only be sent
        // to it once the thread exists.
        let (give, take) = crossbeam_channel::bounded::<Arc<Parker>>(1);
        let bell = Arc::clone(&self.bell);
        let handle = thread::Builder::new()
            .name("windlass-timer".into())
            .spawn(move || {
                if let Ok(parker) = take.recv() {
                    bell.keep(&parker);
                }
            })?;
        let parker = Arc::new(Parker::new(handle.thread().clone()));
        // The receiver lives in the thread until it has received.
        let _ = give.send(Arc::clone(&parker));
        Ok(self.sleeper.get_or_init(|| Sleeper {
            parker,
            thread: Mutex::new(Some(handle)),
        }))
    }

    /// Takes every byte out of the pair.
    fn empty(&self) {
        let mut bytes = [0; 64];
        loop {
            match (&self.reader).read(&mut bytes) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

impl Bell {
    /// Writes a byte. A pair too full for one more is readable already.
    fn ring(&self) {
        while let Err(error) = (&self.writer).write(&[1])
            && error.kind() == io::ErrorKind::Interrupted
        {}
    }

    /// Rings at each deadline until it is told to stop.
    fn keep(&self, parker: &Parker) {
        while !self.stop.load(Ordering::Acquire) {
            let nanos = self.deadline.load(Ordering::Acquire);
            if nanos == NEVER {
                parker.park();
                continue;
            }
            // A sum past the end of the clock never comes.
            let deadline = self.base.checked_add(Duration::from_nanos(nanos));
            if deadline.is_none_or(|deadline| Instant::now() < deadline) {
                parker.park_until(deadline);
                continue;
            }
            // Whoever replaces the deadline first wins: either it is this
            // thread that rings for it, or it no longer counts.
            let rung =
                self.deadline
                    .compare_exchange(nanos, NEVER, Ordering::AcqRel, Ordering::Acquire);
            if rung.is_ok() {
                self.ring();
            }
        }
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl std::fmt::Debug for Sleeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleeper").finish_non_exhaustive()
    }
}
