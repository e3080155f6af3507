//! Reading arguments and results: out of a frame, or out of the shared memory.
//!
//! What is in the memory is read piece by piece as it is wanted.
//! [`Bytes`](crate::process::Bytes) say so when they come ([`in_one_piece`]), and are read
//! straight to where they are to be: of sixteen megabytes each copy takes one or two
//! milliseconds.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use postcard::de_flavors::Flavor;
use postcard::{Deserializer, Error};
use serde::de::DeserializeOwned;

use super::descriptor;
use crate::sync::thread_local;

/// So much is read at once of what is small, in bytes.
const CHUNK: usize = 64 * 1024;

/// The stack of a thread that reads what a child has written: twice the usual one of a main
/// thread, on which that was written. A value that is nested deeply needs it; it is an
/// address range, and no memory until it is used.
pub(crate) const STACK: usize = 16 * 1024 * 1024;

/// A payload that has arrived.
pub(crate) enum Source<'a> {
    InFrame(&'a [u8]),
    InMemory(InMemory<'a>),
}

/// One that is in the file, as far as it was not taken.
pub(crate) struct InMemory<'a> {
    pub(crate) file: &'a File,
    /// Room for all of it: the first `read` bytes were read, the rest is still in the
    /// file.
    pub(crate) room: &'a mut [u8],
    pub(crate) read: usize,
    /// Where in the file the first of what was not read is.
    pub(crate) at: u64,
}

impl Source<'_> {
    /// Reads a value that has to be all there is.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, String> {
        descriptor::nowhere(|| self.begin_to_read()).and_then(whole)
    }

    /// Reads a worker's message, which these descriptors came with.
    pub(crate) fn read_with<T: DeserializeOwned>(
        self,
        came: Vec<Option<OwnedFd>>,
    ) -> Result<T, String> {
        descriptor::reading(came, || self.begin_to_read()).and_then(whole)
    }

    /// A value, and how many bytes are left.
    fn begin_to_read<T: DeserializeOwned>(self) -> postcard::Result<(T, usize)> {
        match self {
            Self::InFrame(bytes) => {
                let (value, rest) = postcard::take_from_bytes(bytes)?;
                Ok((value, rest.len()))
            }
            Self::InMemory(memory) => {
                let mut deserializer = Deserializer::from_flavor(memory);
                let value = T::deserialize(&mut deserializer)?;
                Ok((value, deserializer.finalize()?))
            }
        }
    }
}

fn whole<T>((value, rest): (T, usize)) -> Result<T, String> {
    match rest {
        0 => Ok(value),
        rest => Err(format!("{rest} bytes are left over")),
    }
}

/// What passes between bytes and the flavor that they are read with.
#[derive(Default)]
enum Piece {
    #[default]
    None,
    /// The next bytes are wanted in one piece.
    Wanted,
    /// They are here.
    Here(Vec<u8>),
}

thread_local! {
    static PIECE: RefCell<Piece> = const { RefCell::new(Piece::None) };
}

fn exchange(piece: Piece) -> Piece {
    // In a thread's last destructors there is none any more, and bytes come as they come.
    let before = PIECE.try_with(|place| place.replace(piece));
    before.unwrap_or_default()
}

fn is_wanted() -> bool {
    let is_it = PIECE.try_with(|piece| matches!(*piece.borrow(), Piece::Wanted));
    is_it.unwrap_or(false)
}

/// Runs `read`, which asks its deserializer for bytes once: these may come in one piece,
/// and then [`piece`] gives them, and the deserializer none.
pub(crate) fn in_one_piece<T>(read: impl FnOnce() -> T) -> T {
    exchange(Piece::Wanted);
    let _clear = Clear;
    read()
}

/// The bytes that were asked for, if they have come in one piece.
pub(crate) fn piece() -> Option<Vec<u8>> {
    match exchange(Piece::None) {
        Piece::Here(bytes) => Some(bytes),
        _ => None,
    }
}

/// Leaves no wish behind: the deserializer may have been another than ours.
struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        exchange(Piece::None);
    }
}

impl<'a> InMemory<'a> {
    /// Reads until so many bytes are there.
    #[cold]
    fn read_to(&mut self, count: usize) -> postcard::Result<()> {
        if count > self.room.len() {
            return Err(Error::DeserializeUnexpectedEnd);
        }
        let end = count.max(self.read + CHUNK).min(self.room.len());
        let more = &mut self.room[self.read..end];
        let read = self.file.read_exact_at(more, self.at);
        read.map_err(|_| Error::DeserializeUnexpectedEnd)?;
        self.at += more.len() as u64;
        self.read = end;
        Ok(())
    }

    fn take(&mut self, count: usize) -> postcard::Result<&'a [u8]> {
        if count > self.read {
            self.read_to(count)?;
        }
        let (taken, rest) = std::mem::take(&mut self.room).split_at_mut(count);
        self.room = rest;
        self.read -= count;
        Ok(taken)
    }

    /// Takes so many bytes, most of which were not read, past the room for them.
    fn take_piece(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        piece.try_reserve_exact(count)?;
        piece.extend_from_slice(&self.room[..self.read]);
        let mut file = self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let missing = (count - self.read) as u64;
        if file.take(missing).read_to_end(&mut piece)? as u64 != missing {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += missing;
        self.read = 0;
        self.room = &mut std::mem::take(&mut self.room)[count..];
        Ok(piece)
    }
}

impl<'a> Flavor<'a> for InMemory<'a> {
    type Remainder = usize;
    type Source = Self;

    #[inline]
    fn pop(&mut self) -> postcard::Result<u8> {
        if self.read == 0 {
            self.read_to(1)?;
        }
        match std::mem::take(&mut self.room) {
            [first, rest @ ..] => {
                self.room = rest;
                self.read -= 1;
                Ok(*first)
            }
            [] => Err(Error::DeserializeUnexpectedEnd),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.room.len())
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'a [u8]> {
        self.take(count)
    }

    fn try_take_n_temp<'b>(&'b mut self, count: usize) -> postcard::Result<&'b [u8]>
    where
        'a: 'b,
    {
        let is_long = count > self.read + CHUNK && count <= self.room.len();
        if is_long && is_wanted() {
            let piece = self.take_piece(count);
            exchange(Piece::Here(
                piece.map_err(|_| Error::DeserializeUnexpectedEnd)?,
            ));
            return Ok(&[]);
        }
        self.take(count)
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.room.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Bytes;
    use crate::process::wire::payload::{Memory, SMALL, Written};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    struct Mixed {
        before: Vec<u64>,
        large: Bytes,
        text: String,
        small: Bytes,
        none: Option<Bytes>,
        another: Bytes,
        after: Vec<(u8, String)>,
    }

    fn mixed(size: usize) -> Mixed {
        let bytes = |seed: usize| Bytes((0..size).map(|n| (n * 31 + seed) as u8).collect());
        Mixed {
            before: (0..size as u64 / 100).map(|n| n * n).collect(),
            large: bytes(1),
            text: "text ".repeat(size / 7),
            small: Bytes(vec![1, 2, 3]),
            none: None,
            another: bytes(2),
            after: (0..9).map(|n| (n, format!("{n}"))).collect(),
        }
    }

    #[test]
    #[cfg(all(target_os = "linux", not(windlass_portable)))]
    fn what_was_written_is_read_wherever_it_is() {
        let memory = Memory::share().unwrap();
        let mut room = Vec::new();
        let (mut in_frame, mut in_memory) = (0, 0);
        for size in [
            0,
            1,
            1000,
            CHUNK - 1,
            CHUNK + 1,
            SMALL,
            SMALL + 1,
            100_000,
            3_000_000,
            5000,
        ] {
            let value = mixed(size);
            let mut frame = b"head".to_vec();
            let read: Mixed = match memory.write(&value, &mut frame, u64::MAX).unwrap() {
                Written::InFrame => {
                    in_frame += 1;
                    Source::InFrame(&frame[4..]).read().unwrap()
                }
                Written::InMemory(len) => {
                    in_memory += 1;
                    let source = memory.source(len, u64::MAX, &mut room).unwrap();
                    let read = source.read().unwrap();
                    // Cut short or with a rest it is none, wherever it is cut.
                    for len in [len - 1, len / 2, len / 3, 1] {
                        let cut = memory.source(len, u64::MAX, &mut room).unwrap();
                        assert!(cut.read::<Mixed>().is_err());
                    }
                    read
                }
            };
            assert!(read == value, "{size}");
            assert_eq!(frame[..4], *b"head");
        }
        assert!(in_frame >= 4 && in_memory >= 4);
    }

    #[test]
    fn a_wish_for_one_piece_is_not_left_behind() {
        let bytes: Bytes = serde_json::from_str("[1, 2, 3]").unwrap();
        assert_eq!(*bytes, [1, 2, 3]);
        assert!(piece().is_none());
        assert!(matches!(exchange(Piece::None), Piece::None));
    }
}
