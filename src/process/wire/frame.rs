//! What goes over the socket: frames.
//!
//! `u32` length of the payload, little endian; `u8` kind; `u64` number, mostly of the job;
//! the payload. The length is held against a limit when it arrives, and memory is taken for
//! the bytes that have arrived, not for those that are announced.

use std::io::{self, Read};
use std::net::SocketAddr;

/// What both sides have to speak.
pub(crate) const VERSION: u32 = 5;

/// A frame without its payload.
pub(crate) const HEADER: usize = 13;

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// What is empty and larger than this is given back to the system, in bytes: pages that are
/// new take longer to be had than to be filled.
pub(crate) const KEPT: usize = 32 * 1024 * 1024;

/// What a frame says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// To the child, first: [`Welcome`]. Comes with a descriptor for large payloads, where
    /// there are such. The number is 1 if the child is to be a worker: then what follows may
    /// come with descriptors.
    Welcome = 1,
    /// To the child: the task's number, `u32`, and its argument.
    Job = 2,
    /// The same, with the argument's length, `u64`: it is in the shared memory.
    LargeJob = 3,
    /// To the child, once: it is to be the worker of this number, `u32`, and is given no
    /// jobs.
    Worker = 4,
    /// To a worker: a message. The number is how many descriptors come with it.
    Post = 5,
    /// To a worker: no more messages, and to a cluster's: no more connections either. That
    /// comes with a byte: whether all workers are told so.
    Disconnect = 6,
    /// From the child, first: [`Hello`].
    Hello = 16,
    /// From the child: the result.
    Value = 17,
    /// The result's length, `u64`: it is in the shared memory.
    LargeValue = 18,
    /// The task panicked: the text, if it had one, or nothing.
    Panic = 19,
    /// The task did not run, or its result could not be written: the text says why. From a
    /// cluster's worker: the connection of that number has not come, for want of descriptors.
    Refused = 20,
    /// From a worker: a message, and as many descriptors as the number says.
    Posted = 21,
    /// To a cluster's worker, first: [`Enlist`]. The number says whether the listener's
    /// descriptor comes with it, which is so if that is shared.
    Enlist = 32,
    /// To a cluster's worker: a connection, which comes with it as a descriptor. The number
    /// is its own.
    Connection = 33,
    /// From a cluster's worker: the version, `u32`.
    Online = 48,
    /// From a cluster's worker: it takes connections.
    Listening = 49,
    /// From a cluster's worker: it has the connection of that number.
    Accepted = 50,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [
            Self::Welcome,
            Self::Job,
            Self::LargeJob,
            Self::Worker,
            Self::Post,
            Self::Disconnect,
            Self::Hello,
            Self::Value,
            Self::LargeValue,
            Self::Panic,
            Self::Refused,
            Self::Posted,
            Self::Enlist,
            Self::Connection,
            Self::Online,
            Self::Listening,
            Self::Accepted,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// Begins a frame in an empty buffer.
pub(crate) fn begin(frame: &mut Vec<u8>, kind: Kind, job: u64) {
    frame.clear();
    append(frame, kind, job);
}

/// Begins a frame behind others; it ends with [`finish`] of the part from there on.
pub(crate) fn append(frames: &mut Vec<u8>, kind: Kind, job: u64) {
    frames.extend_from_slice(&[0; 4]);
    frames.push(kind as u8);
    frames.extend_from_slice(&job.to_le_bytes());
}

/// Writes the length of the payload into the frame.
pub(crate) fn finish(frame: &mut [u8]) {
    let len = u32::try_from(frame.len() - HEADER).expect("a frame is shorter than 4 GiB");
    frame[..4].copy_from_slice(&len.to_le_bytes());
}

/// Writes another number into the frame.
pub(crate) fn renumber(frame: &mut [u8], number: u64) {
    frame[5..HEADER].copy_from_slice(&number.to_le_bytes());
}

/// A whole small frame.
pub(crate) fn small(kind: Kind, job: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    begin(&mut frame, kind, job);
    frame.extend_from_slice(payload);
    finish(&mut frame);
    frame
}

/// What the parent tells a child first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Welcome {
    pub(crate) version: u32,
    pub(crate) parent: u32,
    /// The longest payload there may be.
    pub(crate) max_payload: u64,
}

impl Welcome {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn write(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.parent.to_le_bytes());
        bytes[8..].copy_from_slice(&self.max_payload.to_le_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (parent, rest) = rest.split_first_chunk()?;
        Some(Self {
            version: u32::from_le_bytes(*version),
            parent: u32::from_le_bytes(*parent),
            max_payload: u64_of(rest)?,
        })
    }
}

/// What a child tells its parent first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hello {
    pub(crate) version: u32,
    /// Of the tasks that it can run.
    pub(crate) hash: u64,
}

impl Hello {
    pub(crate) fn write(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..].copy_from_slice(&self.hash.to_le_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        Some(Self {
            version: u32::from_le_bytes(*version),
            hash: u64_of(rest)?,
        })
    }
}

/// What a cluster's primary tells a worker first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Enlist {
    pub(crate) version: u32,
    pub(crate) parent: u32,
    pub(crate) id: u64,
    /// Where the cluster listens; on the wire, as a text.
    pub(crate) address: SocketAddr,
}

impl Enlist {
    pub(crate) fn write(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.parent.to_le_bytes());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(self.address.to_string().as_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (parent, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        Some(Self {
            version: u32::from_le_bytes(*version),
            parent: u32::from_le_bytes(*parent),
            id: u64::from_le_bytes(*id),
            address: str::from_utf8(rest).ok()?.parse().ok()?,
        })
    }
}

/// A number that is all there is.
pub(crate) fn u64_of(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Why what arrived is no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a frame of {len} bytes, where {most} are the most")]
    TooLong { len: u32, most: usize },
    #[error("a frame of unknown kind {0}")]
    UnknownKind(u8),
}

/// What reading brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filled {
    Some,
    /// The other end is closed.
    End,
    /// Nothing is there now.
    Nothing,
}

/// A frame that has arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) job: u64,
    pub(crate) payload: &'a [u8],
}

/// What has arrived and was not looked at yet.
pub(crate) struct Inbox {
    /// Those from `begin` to `filled` have arrived and are still of use.
    bytes: Vec<u8>,
    begin: usize,
    filled: usize,
    /// Of these, so many are of a frame that was given out.
    given_out: usize,
    /// The longest payload there may be.
    most: usize,
}

impl Inbox {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            begin: 0,
            filled: 0,
            given_out: 0,
            most,
        }
    }

    /// Frames may have payloads of that length from here on.
    pub(crate) fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// Reads once.
    pub(crate) fn fill(&mut self, mut from: impl Read) -> io::Result<Filled> {
        self.forget_given_out();
        if self.begin > 0 {
            // Once for what was read at once, however many frames it was.
            self.bytes.copy_within(self.begin..self.filled, 0);
            self.filled -= self.begin;
            self.begin = 0;
        }
        if self.filled == 0 && self.bytes.len() > KEPT {
            self.bytes = Vec::new();
        }
        if self.filled == self.bytes.len() {
            // Twice as many as have arrived, and no more than are announced.
            let twice = self.filled + self.filled.max(CHUNK);
            let len = self.announced().map_or(twice, |whole| whole.min(twice));
            self.bytes.resize(len.max(self.filled + 1), 0);
        }
        loop {
            return match from.read(&mut self.bytes[self.filled..]) {
                Ok(0) => Ok(Filled::End),
                Ok(n) => {
                    self.filled += n;
                    Ok(Filled::Some)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Nothing),
                Err(error) => Err(error),
            };
        }
    }

    /// How long the first frame is to be, if that has arrived: one that goes on beyond what
    /// there is room for, and so no more than `most`.
    fn announced(&self) -> Option<usize> {
        let (len, _) = self.bytes[self.begin..self.filled].split_first_chunk()?;
        let whole = HEADER.saturating_add(u32::from_le_bytes(*len) as usize);
        (whole > self.filled - self.begin).then_some(whole)
    }

    /// Whether anything has arrived that was not given out.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == self.begin + self.given_out
    }

    /// What the next frame is, if all of it has arrived.
    pub(crate) fn next(&mut self) -> Result<Option<(Kind, u64)>, Malformed> {
        let frame = self.take()?.map(|frame| (frame.kind, frame.job));
        self.given_out = 0;
        Ok(frame)
    }

    /// The next frame, if all of it has arrived. It is forgotten with the next call of
    /// anything.
    pub(crate) fn take(&mut self) -> Result<Option<Frame<'_>>, Malformed> {
        self.forget_given_out();
        let arrived = &self.bytes[self.begin..self.filled];
        let Some((len, rest)) = arrived.split_first_chunk() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*len);
        if len as usize > self.most {
            let most = self.most;
            return Err(Malformed::TooLong { len, most });
        }
        let Some((&kind, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let kind = Kind::of(kind).ok_or(Malformed::UnknownKind(kind))?;
        let Some((job, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let Some(payload) = rest.get(..len as usize) else {
            return Ok(None);
        };
        self.given_out = HEADER + payload.len();
        Ok(Some(Frame {
            kind,
            job: u64::from_le_bytes(*job),
            payload,
        }))
    }

    fn forget_given_out(&mut self) {
        self.begin += std::mem::take(&mut self.given_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    /// A reader that gives so many bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(to.len());
            to[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn frames_arrive_however_they_are_cut() {
        let payloads = [vec![], vec![7; 3], vec![9; 100_000], b"last".to_vec()];
        let mut wire = Vec::new();
        for (job, payload) in payloads.iter().enumerate() {
            wire.extend(small(Kind::Value, job as u64, payload));
        }
        for size in [1, 2, 12, 13, 14, 1000, usize::MAX] {
            let mut reader = Drops(&wire, size);
            let mut inbox = Inbox::new(MOST);
            let mut arrived = 0;
            loop {
                while let Some(frame) = inbox.take().unwrap() {
                    assert_eq!(frame.kind, Kind::Value);
                    assert_eq!(frame.job, arrived);
                    assert_eq!(frame.payload, payloads[arrived as usize]);
                    arrived += 1;
                }
                if inbox.fill(&mut reader).unwrap() == Filled::End {
                    break;
                }
            }
            assert_eq!(arrived as usize, payloads.len());
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn a_length_is_believed_only_as_far_as_bytes_arrive() {
        // The length alone is enough to refuse it.
        let mut inbox = Inbox::new(MOST);
        let len = (MOST as u32 + 1).to_le_bytes();
        inbox.fill(&len[..]).unwrap();
        let refused = inbox.take().unwrap_err();
        assert!(matches!(refused, Malformed::TooLong { .. }), "{refused}");
        // And one that is allowed takes no memory yet.
        let mut inbox = Inbox::new(usize::MAX);
        let mut frame = small(Kind::Value, 1, b"abc");
        frame[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        inbox.fill(&frame[..]).unwrap();
        assert_eq!(inbox.take(), Ok(None));
        assert!(inbox.bytes.capacity() <= 2 * CHUNK);
    }

    #[test]
    fn a_large_frame_takes_no_more_memory_than_it_needs() {
        let payload = vec![7; 5 * CHUNK + 9];
        let frame = small(Kind::Posted, 3, &payload);
        for size in [100, CHUNK / 3, usize::MAX] {
            let mut inbox = Inbox::new(MOST);
            let mut reader = Drops(&frame, size);
            while inbox.next().unwrap().is_none() {
                assert_eq!(inbox.fill(&mut reader).unwrap(), Filled::Some);
                assert!(inbox.bytes.len() <= CHUNK.max(2 * inbox.filled));
            }
            assert_eq!(inbox.bytes.len(), frame.len());
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_before_its_payload_arrives() {
        let mut frame = small(Kind::Value, 1, b"abc");
        for kind in (0..=u8::MAX).filter(|&kind| Kind::of(kind).is_none()) {
            frame[4] = kind;
            let mut inbox = Inbox::new(MOST);
            inbox.fill(&frame[..5]).unwrap();
            assert_eq!(inbox.take(), Err(Malformed::UnknownKind(kind)));
        }
    }

    #[test]
    fn what_is_said_first_can_be_read_back() {
        let welcome = Welcome {
            version: VERSION,
            parent: 77,
            max_payload: 1 << 40,
        };
        assert_eq!(Welcome::read(&welcome.write()), Some(welcome));
        let enlist = Enlist {
            version: VERSION,
            parent: 78,
            id: u64::MAX - 1,
            address: "[fe80::1%2]:8080".parse().unwrap(),
        };
        assert_eq!(Enlist::read(&enlist.write()), Some(enlist));
        assert_eq!(Enlist::read(&enlist.write()[1..]), None);
        let hello = Hello {
            version: VERSION,
            hash: u64::MAX - 5,
        };
        assert_eq!(Hello::read(&hello.write()), Some(hello));
        for len in (0..40).filter(|&len| len != 12 && len != Welcome::LEN) {
            let bytes = vec![1; len];
            assert_eq!(Hello::read(&bytes), None);
            assert_eq!(Welcome::read(&bytes), None);
        }
    }
}
