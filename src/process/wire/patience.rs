//! [`Patience`]: looking again and again before a wait.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

use super::frame::Filled;
use crate::sync::thread;

/// So long is looked again and again: about what it takes to wake two processors that
/// sleep, one for the other process and one for this thread.
const LOOKS: Duration = Duration::from_micros(50);

/// However often it was in vain, it is tried again after so many waits.
const MOST: u32 = 32;

/// Who waits for another process's word looks for it again and again first, if that has
/// paid before.
///
/// A word that comes soon is so had for a microsecond, and not for the tens that it takes to
/// put a processor to sleep and to wake it. A word that does not come soon costs the time of
/// the looks: so each time they are in vain, twice as many of the next waits begin without.
#[derive(Default)]
pub(crate) struct Patience {
    /// So many waits begin with no look.
    skips: u32,
    in_vain: u32,
}

impl Patience {
    /// What `look` finds in time; without it, it is time to sleep.
    pub(crate) fn look<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        if self.skips > 0 {
            self.skips -= 1;
            return None;
        }
        let begin = Instant::now();
        // Once at least, also if this thread had to wait for its processor.
        loop {
            if let Some(it) = look() {
                self.in_vain = 0;
                return Some(it);
            }
            if begin.elapsed() >= LOOKS {
                break;
            }
            // Who is waited for may be waiting for this very processor.
            thread::yield_now();
        }
        self.in_vain += 1;
        self.skips = 1_u32.checked_shl(self.in_vain).unwrap_or(MOST).min(MOST);
        None
    }
}

/// Reads what is there now, from a socket whose reads else wait.
pub(crate) struct AtOnce<'a>(pub(crate) &'a UnixStream);

impl Read for AtOnce<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let (received, _) = recv(self.0, to, RecvFlags::DONTWAIT)?;
        Ok(received)
    }
}

/// What reading brought, if it brought anything.
pub(crate) fn news(filled: io::Result<Filled>) -> Option<io::Result<Filled>> {
    (!matches!(filled, Ok(Filled::Nothing))).then_some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many waits began with looks, none of which found anything.
    fn looks_in_vain(patience: &mut Patience, waits: u32) -> u32 {
        let mut began = 0;
        for _ in 0..waits {
            let mut looked = false;
            let found = patience.look(|| {
                looked = true;
                None::<()>
            });
            assert!(found.is_none());
            began += u32::from(looked);
        }
        began
    }

    #[test]
    fn looks_in_vain_become_few_and_one_that_finds_something_renews_them() {
        let mut patience = Patience::default();
        // At the waits 1, 4, 9, 18, 35 and then at every 33rd.
        assert_eq!(looks_in_vain(&mut patience, 35), 5);
        assert_eq!(looks_in_vain(&mut patience, 33 * 3), 3);
        while patience.look(|| Some(())).is_none() {}
        assert!((0..100).all(|_| patience.look(|| Some(())).is_some()));
        assert_eq!(looks_in_vain(&mut patience, 4), 2);
    }
}
