//! [`Acceptor`]: taking connections from the listener that all workers have.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::worker::Inner;
use crate::sync::thread;

/// After an accept that went wrong (no descriptors, no memory), the next one waits.
const PAUSE: Duration = Duration::from_millis(20);

/// Who accepts a second time so soon gives way first. About what another worker takes to
/// wake up.
const SOON: Duration = Duration::from_micros(100);

/// One who takes connections. The workers' are not in turn: who is first has it.
#[derive(Default)]
pub(super) struct Acceptor {
    last: Option<Instant>,
}

impl Acceptor {
    /// Waits for the next connection. `None` if no more are to come, or are wanted.
    pub(super) fn next(
        &mut self,
        worker: &Inner,
        listener: &TcpListener,
        are_wanted: impl Fn() -> bool,
    ) -> Option<TcpStream> {
        loop {
            self.give_way();
            let mut fds = [
                PollFd::new(listener, PollFlags::IN),
                PollFd::new(&worker.stop, PollFlags::IN),
            ];
            // A wait that was interrupted is looked at like any other.
            let _ = poll(&mut fds, None);
            let is_over = worker.is_disconnected();
            if is_over && !worker.may_take_late() || !are_wanted() {
                return None;
            }
            match listener.accept() {
                Ok((stream, _)) => {
                    self.last = Some(Instant::now());
                    // On some systems it takes after its listener.
                    let _ = stream.set_nonblocking(false);
                    return Some(stream);
                }
                Err(error) => match error.kind() {
                    // Another worker has it; or nothing more will come.
                    ErrorKind::WouldBlock if is_over => return None,
                    ErrorKind::WouldBlock
                    | ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted => {}
                    _ if is_over => return None,
                    _ => thread::sleep(PAUSE),
                },
            }
        }
    }

    /// When many connections come at once, the one worker that is awake would have all of
    /// them before the others have woken up: so it sleeps, for as short as the system can
    /// (libuv does the same).
    fn give_way(&mut self) {
        if self.last.take().is_some_and(|last| last.elapsed() < SOON) {
            thread::sleep(Duration::from_nanos(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_stop_no_more_are_taken_than_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let _clients = [(); 5].map(|()| TcpStream::connect(address).unwrap());
        let take = |late| {
            let worker = Inner::at_a_stop(late);
            let mut acceptor = Acceptor::default();
            let next = || acceptor.next(&worker, &listener, || true);
            std::iter::from_fn(next).count()
        };
        assert_eq!(take(3), 3);
        // Fewer are there.
        assert_eq!(take(3), 2);
    }
}
