//! Blocks that know what was before them.
//!
//! Deflate finds what was there in the last 32 KiB already, and so compresses a block
//! better if it sees those before it. A job is given one block of what a reader gives, and
//! so [`Overlap`] is a reader that gives *frames*: a byte that says whether the last 32 KiB
//! come next, those, and the block.

use std::io::{self, Read};

/// How far deflate looks back.
const WINDOW: usize = 32 * 1024;

/// As pigz.
const BLOCK: usize = 128 * 1024;

/// All frames but the last one have this size. The first one has no window, and a longer
/// block.
pub(crate) const FRAME: usize = 1 + WINDOW + BLOCK;

/// A reader of frames.
pub(crate) struct Overlap<R> {
    inner: R,
    /// What was read last, as long as a window as soon as there is so much.
    window: Vec<u8>,
    is_first: bool,
    /// Where it is in the frame.
    at: usize,
}

impl<R: Read> Overlap<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            window: Vec::new(),
            is_first: true,
            at: 0,
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(WINDOW)..];
        let too_many = (self.window.len() + bytes.len()).saturating_sub(WINDOW);
        self.window.drain(..too_many);
        self.window.extend_from_slice(bytes);
    }
}

impl<R: Read> Read for Overlap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = match self.at {
            0 => &[u8::from(!self.is_first)][..],
            at if at <= WINDOW && !self.is_first => &self.window[at - 1..],
            at => {
                let fits = buffer.len().min(FRAME - at);
                let read = self.inner.read(&mut buffer[..fits])?;
                self.remember(&buffer[..read]);
                self.at += read;
                if self.at == FRAME {
                    (self.at, self.is_first) = (0, false);
                }
                return Ok(read);
            }
        };
        let read = read.read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// What was before a frame's block, and the block. It may be empty: that the input has
/// ended is seen only after the window was given.
pub(crate) fn split(frame: &[u8]) -> (&[u8], &[u8]) {
    match frame {
        [1, rest @ ..] => rest.split_at(WINDOW),
        [_, block @ ..] => (&[], block),
        [] => (&[], &[]),
    }
}
