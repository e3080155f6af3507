//! The socket between a primary and a worker: frames, and descriptors along with them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::process::wire::descriptors;
use crate::sync::Arc;

/// The longest message, in bytes.
pub(super) const MAX_MESSAGE: usize = 64 << 20;

/// Whether the other end is gone, or this one is closed.
pub(super) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};

    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}

/// A descriptor on its way, which its sender may keep as well.
pub(super) type Along = Arc<dyn AsFd + Send + Sync>;

/// Frames that are to be sent, by one who does not wait for the socket.
#[derive(Default)]
pub(super) struct Outbox {
    frames: VecDeque<(Vec<u8>, Option<Along>)>,
    /// So much of the first one is sent.
    sent: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, frame: Vec<u8>, along: Option<Along>) {
        self.frames.push_back((frame, along));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.sent = 0;
    }

    /// Sends what the socket takes now.
    pub(super) fn send(&mut self, socket: &UnixStream) -> io::Result<()> {
        while let Some((frame, along)) = self.frames.front_mut() {
            let along = along.as_ref().map(|along| along.as_fd());
            match descriptors::send(socket, &frame[self.sent..], along.as_slice()) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            // It went with the first byte.
            let (frame, along) = self.frames.front_mut().expect("it was just there");
            *along = None;
            if self.sent == frame.len() {
                self.frames.pop_front();
                self.sent = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wire::descriptors::{Arrivals, Receiver};
    use crate::process::wire::frame::{self, Filled, Inbox, Kind};
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn descriptors_arrive_with_their_frames_however_full_the_socket_is() {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        there.set_nonblocking(true).unwrap();
        let (null, zero) = (File::open("/dev/null"), File::open("/dev/zero"));
        let files = [Arc::new(null.unwrap()), Arc::new(zero.unwrap())];
        let mut outbox = Outbox::default();
        for n in 0..50_usize {
            let long = frame::small(Kind::Post, n as u64, &vec![n as u8; n * 3000]);
            outbox.push(long, None);
            let along: Along = files[n % 2].clone();
            outbox.push(frame::small(Kind::Connection, n as u64, b""), Some(along));
        }
        let mut inbox = Inbox::new(MAX_MESSAGE);
        let mut arrivals = Arrivals::default();
        let mut connections = 0_usize;
        while connections < 50 {
            outbox.send(&here).unwrap();
            let receiver = Receiver {
                socket: &there,
                arrivals: &mut arrivals,
            };
            assert_ne!(inbox.fill(receiver).unwrap(), Filled::End);
            while let Some(frame) = inbox.take().unwrap() {
                match frame.kind {
                    Kind::Post => assert_eq!(frame.payload.len(), 3000 * frame.job as usize),
                    _ => {
                        let came = File::from(arrivals.next().unwrap());
                        let sent = &files[connections % 2];
                        let rdev = |file: &File| file.metadata().unwrap().rdev();
                        assert_eq!(rdev(&came), rdev(sent));
                        connections += 1;
                    }
                }
            }
        }
        assert!(outbox.is_empty() && arrivals.next().is_none());
    }
}
