//! The descriptor for loops that poll.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::MainLoop;
use crate::sync::Arc;
use crate::sys::Alarm;

/// A descriptor that is readable while a [`MainLoop`] has something to run.
///
/// For epoll, kqueue, `mio`, `polling` and the like: register it for reading,
/// and call [`MainLoop::turn`] when it is readable. It is readable while
/// something is ready or a timer is due, and after a turn only if something is
/// left; now and then it is readable for nothing, which the next turn mends.
/// Level- and edge-triggered polling both work. Do not read from it.
///
/// Clones are cheap and refer to the same descriptor, which is closed when the
/// loop and all clones are gone. Without the loop it says nothing.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use polling::{Event, Events, Poller};
/// use windlass::MainLoop;
///
/// let main = MainLoop::new();
/// let pollable = main.pollable()?;
/// main.set_timeout(Duration::from_millis(1), |_, _| println!("due"));
///
/// let poller = Poller::new()?;
/// # #[allow(unsafe_code)]
/// // SAFETY: it is deleted from the poller below, before it can be dropped.
/// unsafe { poller.add(&pollable, Event::readable(1))? };
/// let mut events = Events::new();
/// poller.wait(&mut events, None)?;
/// assert_eq!(main.turn(), 1);
/// poller.delete(&pollable)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pollable {
    alarm: Arc<Alarm>,
}

impl MainLoop {
    /// A descriptor to poll for this loop.
    ///
    /// It is made by the first call; later calls give the same one. From then
    /// on each turn makes one system call, or two if the first deadline is
    /// another than before, and what becomes ready between turns makes one. On
    /// Linux it is an epoll descriptor (over an eventfd and a timerfd);
    /// elsewhere a socket pair, and one thread from the first timer until the
    /// loop is dropped. Never blocks.
    ///
    /// # Errors
    /// If the system has no descriptor to give, or if the loop was made in another
    /// process, of which this is a fork.
    pub fn pollable(&self) -> io::Result<Pollable> {
        if let Some(alarm) = self.shared.alarm() {
            return Ok(Pollable {
                alarm: Arc::clone(alarm),
            });
        }
        let alarm = Arc::new(Alarm::new()?);
        // Only this thread sets it, and it was not set above.
        if !self.shared.set_alarm(Arc::clone(&alarm)) {
            return Err(io::Error::other("the loop was made before a fork"));
        }
        self.rest_alarm();
        self.renew_signal();
        Ok(Pollable { alarm })
    }
}

impl AsFd for Pollable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.alarm.as_fd()
    }
}

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn becomes_readable(pollable: &Pollable) -> bool {
        let watchdog = Instant::now() + Duration::from_secs(60);
        while Instant::now() < watchdog {
            if pollable.alarm.is_set() {
                return true;
            }
        }
        false
    }

    // The race is too narrow to be met from outside.
    #[test]
    fn a_post_that_comes_just_before_the_descriptor_is_set_to_rest_is_not_lost() {
        let main = MainLoop::new();
        let pollable = main.pollable().unwrap();
        // Where a turn's end finds nothing left,
        main.remote().post(|_| ()).unwrap();
        // and what it does next.
        main.rest_alarm();
        assert!(becomes_readable(&pollable));
        assert_eq!(main.turn(), 1);
    }
}
