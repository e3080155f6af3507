//! Descriptors over a socket, along with bytes.
//!
//! They are sent with the first byte of their frame, and arrive with that byte or before
//! it. The frame says how many are its own, and those that have arrived wait in order until
//! it is whole.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use crate::sync::thread;

/// A message can have so many.
pub(crate) const MOST: usize = 64;

/// When too many are on their way, it is tried again so much later.
pub(crate) const LATER: Duration = Duration::from_millis(2);

/// Sends as many of the bytes as the socket takes, and these descriptors with the first.
pub(crate) fn send(
    socket: &UnixStream,
    bytes: &[u8],
    along: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !along.is_empty() && !control.push(SendAncillaryMessage::ScmRights(along)) {
        return Err(ErrorKind::InvalidInput.into());
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

/// Sends all of a frame, and descriptors with it; waits until that is done.
pub(crate) fn send_all(mut socket: &UnixStream, frame: &[u8], along: &[OwnedFd]) -> io::Result<()> {
    let mut sent = 0;
    while sent == 0 && !along.is_empty() {
        match send(socket, frame, &borrowed(along)) {
            Ok(first) => sent = first,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_momentary(&error) => thread::sleep(LATER),
            Err(error) => return Err(error),
        }
    }
    socket.write_all(&frame[sent..])
}

/// Whether the system may send it a moment later: it has no memory for it, or this user has
/// as many descriptors on their way as one may have, and those that arrive make room.
pub(crate) fn is_momentary(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ETOOMANYREFS | libc::ENOBUFS | libc::ENOMEM)
    )
}

fn borrowed(descriptors: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    descriptors.iter().map(AsFd::as_fd).collect()
}

/// Frames to be sent, one after another in one piece, and descriptors that go along with
/// some of them.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) frames: Vec<u8>,
    /// So many bytes are on their way.
    sent: usize,
    /// Where the frames begin that these go along with, in order.
    along: VecDeque<(usize, Vec<OwnedFd>)>,
}

impl Batch {
    pub(crate) fn new(frames: Vec<u8>) -> Self {
        Self {
            frames,
            ..Self::default()
        }
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent == self.frames.len()
    }

    /// These go along with the frame that begins there, which is the last one.
    pub(crate) fn go_along(&mut self, begin: usize, descriptors: Vec<OwnedFd>) {
        if !descriptors.is_empty() {
            self.along.push_back((begin, descriptors));
        }
    }

    /// Nothing of it is to be sent any more; a buffer beyond `kept` is given back.
    pub(crate) fn clear(&mut self, kept: usize) {
        self.along.clear();
        self.sent = 0;
        self.frames.clear();
        if self.frames.capacity() > kept {
            self.frames = Vec::new();
        }
    }

    /// Sends what the socket takes at once.
    pub(crate) fn send(&mut self, mut socket: &UnixStream) -> io::Result<()> {
        let begin_of = |at: usize| self.along.get(at).map_or(self.frames.len(), |(at, _)| *at);
        match self.along.front() {
            Some((at, along)) if *at == self.sent => {
                let bytes = &self.frames[self.sent..begin_of(1)];
                self.sent += send(socket, bytes, &borrowed(along))?;
                self.along.pop_front();
            }
            _ => self.sent += socket.write(&self.frames[self.sent..begin_of(0)])?,
        }
        Ok(())
    }
}

/// Descriptors that have arrived, and whose frames have not been taken.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// `None` for one that got lost, because this process has no room for it.
    queue: VecDeque<Option<OwnedFd>>,
    /// No frame has more than one: so it is known how many got lost.
    are_single: bool,
    /// Some got lost, and nobody knows how many. What comes after them is not let in: it
    /// would be taken for them.
    is_short: bool,
}

impl Arrivals {
    /// Of frames of which none has more than one.
    pub(crate) fn single() -> Self {
        Self {
            are_single: true,
            ..Self::default()
        }
    }

    /// The next one; `None` if it got lost, or there is none.
    pub(crate) fn next(&mut self) -> Option<OwnedFd> {
        self.queue.pop_front().flatten()
    }

    /// These have come together; some that did so too may have got lost.
    fn put(&mut self, came: impl Iterator<Item = OwnedFd>, is_cut: bool) {
        let before = self.queue.len();
        self.is_short |= is_cut && !self.are_single;
        // Others are closed.
        if !self.is_short {
            self.queue.extend(came.map(Some));
        }
        if is_cut && self.are_single && self.queue.len() == before {
            self.queue.push_back(None);
        }
    }

    /// Those of a message that says that it has so many.
    pub(crate) fn take(&mut self, count: u64) -> Result<Vec<Option<OwnedFd>>, String> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let there = self.queue.len();
        match usize::try_from(count) {
            Ok(count) if count > MOST => Err(format!(
                "it has {count} descriptors, and {MOST} are the most"
            )),
            Ok(count) if count <= there => Ok(self.queue.drain(..count).collect()),
            _ if self.is_short => Err(format!(
                "not all of its {count} descriptors arrived: \
                 this process may have no descriptors left"
            )),
            _ => Err(format!(
                "it has {count} descriptors, and {there} came with it"
            )),
        }
    }

    /// Whether there are more than one frame can be without, once all that are whole were
    /// taken.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.queue.len() {
            0..=MOST => Ok(()),
            count => Err(format!("{count} descriptors without a message")),
        }
    }
}

/// Reads from the socket, and puts the descriptors that come aside.
pub(crate) struct Receiver<'a> {
    pub(crate) socket: &'a UnixStream,
    pub(crate) arrivals: &'a mut Arrivals,
}

impl Read for Receiver<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        #[cfg(not(target_vendor = "apple"))]
        let flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(target_vendor = "apple")]
        let flags = RecvFlags::empty();
        let received = recvmsg(self.socket, &mut [IoSliceMut::new(to)], &mut control, flags)?;
        let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
        let came = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        self.arrivals.put(came.flatten(), is_cut);
        #[cfg(target_vendor = "apple")]
        for descriptor in self.arrivals.queue.iter().flatten() {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(received.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wire::frame::{self, Filled, HEADER, Inbox, Kind};
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    fn pair() -> (UnixStream, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        there.set_nonblocking(true).unwrap();
        (here, there)
    }

    fn file(n: usize) -> OwnedFd {
        let name = ["/dev/null", "/dev/zero", "/dev/full"][n % 3];
        File::open(name).unwrap().into()
    }

    fn device(of: OwnedFd) -> u64 {
        File::from(of).metadata().unwrap().rdev()
    }

    #[test]
    fn a_batch_arrives_with_its_descriptors_however_full_the_socket_is() {
        let (here, there) = pair();
        let mut batch = Batch::default();
        for n in 0..100 {
            let begin = batch.frames.len();
            let count = [0, 1, 0, 3, MOST, 0][n % 6];
            batch.frames.extend(frame::small(
                Kind::Post,
                count as u64,
                &vec![n as u8; n * (n % 4) * 700],
            ));
            batch.go_along(begin, (0..count).map(|at| file(n + at)).collect());
        }
        let (mut inbox, mut arrivals) = (Inbox::new(1 << 20), Arrivals::default());
        let mut n = 0;
        while n < 100 {
            while !batch.is_sent() && batch.send(&here).is_ok() {}
            let receiver = Receiver {
                socket: &there,
                arrivals: &mut arrivals,
            };
            assert_ne!(inbox.fill(receiver).unwrap(), Filled::End);
            while let Some(frame) = inbox.take().unwrap() {
                assert_eq!(frame.payload.len(), n * (n % 4) * 700);
                let taken = arrivals.take(frame.job).unwrap();
                assert_eq!(taken.len(), [0, 1, 0, 3, MOST, 0][n % 6]);
                for (at, it) in taken.into_iter().flatten().enumerate() {
                    assert_eq!(device(it), device(file(n + at)));
                }
                n += 1;
            }
            arrivals.check().unwrap();
        }
        assert!(batch.is_sent() && batch.along.is_empty() && arrivals.next().is_none());
        batch.clear(HEADER);
        assert_eq!(batch.frames.capacity(), 0);
    }

    #[test]
    fn what_gets_lost_is_not_made_up_for_by_what_comes_later() {
        let (here, there) = pair();
        let mut arrivals = Arrivals::default();
        for is_short in [false, true] {
            arrivals.is_short = is_short;
            send_all(&here, b"words", &[file(0), file(1)]).unwrap();
            let mut receiver = Receiver {
                socket: &there,
                arrivals: &mut arrivals,
            };
            assert_eq!(receiver.read(&mut [0; 10]).unwrap(), 5);
        }
        // Those that had come before.
        assert_eq!(arrivals.take(2).unwrap().len(), 2);
        let error = arrivals.take(2).unwrap_err();
        assert!(error.contains("no descriptors left"), "{error}");
        assert!(arrivals.take(0).unwrap().is_empty());
    }

    #[test]
    fn of_single_ones_it_is_known_which_got_lost() {
        let mut arrivals = Arrivals::single();
        arrivals.put([file(0)].into_iter(), false);
        // The system has cut off what it had no room for.
        arrivals.put([].into_iter(), true);
        arrivals.put([file(1)].into_iter(), false);
        assert!(
            arrivals
                .next()
                .is_some_and(|it| device(it) == device(file(0)))
        );
        assert!(arrivals.next().is_none());
        assert!(
            arrivals
                .next()
                .is_some_and(|it| device(it) == device(file(1)))
        );
        assert!(arrivals.next().is_none());
    }

    #[test]
    fn a_number_is_believed_only_as_far_as_descriptors_came() {
        let mut arrivals = Arrivals::default();
        arrivals.put((0..MOST + 1).map(file), false);
        assert!(arrivals.check().is_err());
        for count in [MOST as u64 + 1, u64::MAX] {
            let error = arrivals.take(count).unwrap_err();
            assert!(error.contains("64 are the most"), "{error}");
        }
        assert_eq!(arrivals.take(MOST as u64).unwrap().len(), MOST);
        arrivals.check().unwrap();
        let error = arrivals.take(3).unwrap_err();
        assert!(error.contains("1 came with it"), "{error}");
    }
}
