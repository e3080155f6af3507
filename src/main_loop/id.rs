//! The names of sources.

use std::hash::Hasher;

use crate::sync::{Ordering, StaticU64};

/// The name of one source of a [`MainLoop`](crate::MainLoop): a timer, an
/// immediate, or something whose completion is awaited.
///
/// A name is never used twice in a process. One whose source is finished, was
/// cleared, or belongs to another loop, names nothing: handing it to a loop
/// has no effect. Names compare in the order in which they were given out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceId(u64);

impl SourceId {
    /// A name that was never given out before.
    pub(super) fn fresh() -> Self {
        static NEXT: StaticU64 = StaticU64::new(1);
        // Relaxed: the number is all that is passed on.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Spreads consecutive numbers over a hash table with one multiplication:
/// nobody outside chooses them, so they need no defence.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    /// Never called for a [`SourceId`], which is one `u64`, but correct.
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
