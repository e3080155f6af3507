//! [`Alarm`]: a waker for a thread that waits in `poll`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::task::Wake;

use crate::sync::Arc;

/// Wakes a thread that polls [`fd`](Self::fd).
pub(super) struct Alarm {
    here: UnixStream,
    there: UnixStream,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let (here, there) = UnixStream::pair()?;
        here.set_nonblocking(true)?;
        there.set_nonblocking(true)?;
        Ok(Self { here, there })
    }

    /// Readable once it has rung.
    pub(super) fn fd(&self) -> &UnixStream {
        &self.here
    }

    pub(super) fn ring(&self) {
        // Full, it rings already.
        let _ = (&self.there).write(&[1]);
    }

    /// It is heard: to be called before one looks what it was about.
    pub(super) fn quiet(&self) {
        let mut bytes = [0; 64];
        while (&self.here)
            .read(&mut bytes)
            .is_ok_and(|n| n == bytes.len())
        {}
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
