//! The socket between a primary and a worker: frames, and descriptors along with them.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::sync::Arc;

/// The longest message, in bytes.
pub(super) const MAX_MESSAGE: usize = 64 << 20;

/// Descriptors that one message of the socket may bring.
const DESCRIPTORS: usize = 8;

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
            match send_once(socket, &frame[self.sent..], along) {
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

fn send_once(
    socket: &UnixStream,
    bytes: &[u8],
    along: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let along = along.map(|along| [along]);
    if let Some(along) = &along {
        control.push(SendAncillaryMessage::ScmRights(along));
    }
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::empty();
    Ok(sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        flags,
    )?)
}

/// Reads from the socket, and puts the descriptors that come aside.
pub(super) struct Receiver<'a> {
    pub(super) socket: &'a UnixStream,
    pub(super) descriptors: &'a mut VecDeque<OwnedFd>,
}

impl Read for Receiver<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        #[cfg(not(target_vendor = "apple"))]
        let flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(target_vendor = "apple")]
        let flags = RecvFlags::empty();
        let received = recvmsg(self.socket, &mut [IoSliceMut::new(to)], &mut control, flags)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        #[cfg(target_vendor = "apple")]
        for descriptor in &*self.descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(received.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::frame::{self, Filled, Inbox, Kind};
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
        let mut descriptors = VecDeque::new();
        let mut connections = 0_usize;
        while connections < 50 {
            outbox.send(&here).unwrap();
            let receiver = Receiver {
                socket: &there,
                descriptors: &mut descriptors,
            };
            assert_ne!(inbox.fill(receiver).unwrap(), Filled::End);
            while let Some(frame) = inbox.take().unwrap() {
                match frame.kind {
                    Kind::Post => assert_eq!(frame.payload.len(), 3000 * frame.job as usize),
                    _ => {
                        let came = File::from(descriptors.pop_front().unwrap());
                        let sent = &files[connections % 2];
                        let rdev = |file: &File| file.metadata().unwrap().rdev();
                        assert_eq!(rdev(&came), rdev(sent));
                        connections += 1;
                    }
                }
            }
        }
        assert!(outbox.is_empty() && descriptors.is_empty());
    }
}
