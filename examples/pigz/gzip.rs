//! What is in a .gz file: a header, deflated pieces, a trailer.
//!
//! Each piece ends on a byte (a *sync flush*), and none of them says that it is the last
//! one: so they are put behind one another, and an empty piece that says so ends them.
//! The checksum of the whole is computed from those of the pieces.

use flate2::{Compress, Compression, Crc, FlushCompress};

use crate::overlap::split;

/// One block's part of the output.
pub(crate) struct Piece {
    pub(crate) deflated: Vec<u8>,
    /// Of what was deflated, its length included.
    crc: Crc,
}

/// No name, and no time: the same input gives the same output.
pub(crate) fn header(level: u32) -> [u8; 10] {
    let effort = match level {
        9 => 2,
        1 => 4,
        _ => 0,
    };
    let unknown_system = 255;
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, effort, unknown_system]
}

/// The job of a frame.
pub(crate) fn deflate(frame: &[u8], level: u32) -> Piece {
    let (before, block) = split(frame);
    let mut crc = Crc::new();
    crc.update(block);
    let mut deflated = Vec::new();
    if block.is_empty() {
        return Piece { deflated, crc };
    }
    // A new one each time, although it is some hundred kilobytes: one that was reset finds
    // other matches than a new one, and the output would depend on who did what.
    let mut deflate = Compress::new(Compression::new(level), false);
    if !before.is_empty() {
        let set = deflate.set_dictionary(before);
        set.expect("a raw stream takes a dictionary at its beginning");
    }
    // More than what cannot be compressed grows by.
    deflated.reserve(block.len() + block.len() / 8 + 64);
    loop {
        let read = usize::try_from(deflate.total_in()).expect("of one block");
        let done = deflate.compress_vec(&block[read..], &mut deflated, FlushCompress::Sync);
        done.expect("deflating does not fail");
        if deflated.len() < deflated.capacity() {
            break;
        }
        deflated.reserve(block.len());
    }
    Piece { deflated, crc }
}

/// Grows with every piece.
#[derive(Default)]
pub(crate) struct Trailer(Crc);

impl Trailer {
    pub(crate) fn add(&mut self, piece: &Piece) {
        self.0.combine(&piece.crc);
    }

    /// The end of the deflated data, and what checks all of it.
    pub(crate) fn bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        // An empty piece, which says that it is the last one.
        bytes[..2].copy_from_slice(&[3, 0]);
        bytes[2..6].copy_from_slice(&self.0.sum().to_le_bytes());
        bytes[6..].copy_from_slice(&self.0.amount().to_le_bytes());
        bytes
    }
}
