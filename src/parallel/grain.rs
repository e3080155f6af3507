//! How many items are worked on at a time: the driver of all helpers over slices.
//!
//! A piece of the items is worked through in blocks. Before each block the thread looks
//! whether its shelf is in demand, that is whether somebody could take a half from it
//! (`scheduler/halves.md`). If so, the rest of the piece is split in two, and the two are
//! joined; if not, the next block is worked on, without any. So work is divided where
//! and when somebody has nothing to do, down to one block and no further: lazy splitting,
//! after Tzannes, Caragea, Barua and Vishkin (Lazy binary splitting, PPoPP 2010), with
//! the shelf in the place of their deque.
//!
//! A block is to be long beside a look at the shelf, and short beside what a thread
//! without work would wait for its end. How many items that are is learnt from the clock,
//! since neither what an item costs is known nor that the next one costs the same. A look
//! at the clock takes 20 to 60 ns: there is one after each block as long as their length
//! changes, and one after eight once it is right. What is learnt is handed on with the
//! halves; a half that another thread takes is from elsewhere in the slice, and trusts it
//! the less.
//!
//! On a pool of one thread there is demand whenever the last half is taken back: one
//! split for each doubling of the items, and some more at the beginning.

use std::mem;
use std::time::Instant;

use crate::scheduler;
use crate::sync::{AtomicBool, AtomicUsize, Ordering};
use crate::util::discard;

/// A block that takes less than this, in nanoseconds, is followed by a longer one.
const SHORT: u64 = 1_000;

/// How long the one after is to take.
const RIGHT: u64 = 2_000;

/// A block that takes more than this is followed by a shorter one.
const LONG: u64 = 4_000;

/// By how much a block may be longer than the one before it: what is known of items from
/// a few of them is little.
const GROWTH: usize = 8;

/// How many blocks there are between two looks at the clock, if the last one said that
/// their length is right.
const STEADY: u64 = 8;

/// How much less of what was learnt elsewhere is believed.
const DOUBT: usize = 4;

/// Some items next to each other.
pub(super) trait Piece: Send + Sized {
    fn len(&self) -> usize;

    /// The first `at` items, which is at most all, and the others.
    fn split_at(self, at: usize) -> (Self, Self);
}

impl<T: Sync> Piece for &[T] {
    #[inline]
    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    #[inline]
    fn split_at(self, at: usize) -> (Self, Self) {
        <[T]>::split_at(self, at)
    }
}

impl<T: Send> Piece for &mut [T] {
    #[inline]
    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    #[inline]
    fn split_at(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

/// Works on the whole piece, on as many threads of this one's pool as have nothing to
/// do, and merges what `work` made of neighbours, in order. `None` if there is nothing to
/// be worked on. On a thread that is no pool's, `work` gets the piece as it is.
///
/// # Panics
/// With the panic of `work` or `merge`, the first in the order of the items if there are
/// several: after all that was begun has ended, and was dropped. What was not begun by
/// then is left out.
pub(super) fn drive<P, R, W, M>(piece: P, work: W, merge: M) -> Option<R>
where
    P: Piece,
    R: Send,
    W: Fn(P) -> R + Sync,
    M: Fn(R, R) -> R + Sync,
{
    if piece.len() == 0 {
        return None;
    }
    if scheduler::is_in_demand().is_none() {
        return Some(work(piece));
    }
    let driver = Driver {
        work,
        merge,
        has_panicked: AtomicBool::new(false),
    };
    driver.run(piece, 1).0
}

struct Driver<W, M> {
    work: W,
    merge: M,
    /// Then nobody needs any result.
    has_panicked: AtomicBool,
}

impl<W, M> Driver<W, M> {
    /// Works on the piece, in blocks of `grain` items to begin with. Gives what it has
    /// made of all of it, and how long a block should be after it; or nothing if there
    /// was a panic elsewhere.
    fn run<P, R>(&self, mut rest: P, mut grain: usize) -> (Option<R>, usize)
    where
        P: Piece,
        R: Send,
        W: Fn(P) -> R + Sync,
        M: Fn(R, R) -> R + Sync,
    {
        let mut made = Made {
            result: None,
            has_panicked: &self.has_panicked,
        };
        let mut watch = Watch::default();
        loop {
            // Relaxed: what is done in vain is thrown away.
            if self.has_panicked.load(Ordering::Relaxed) {
                return (None, grain);
            }
            let len = rest.len();
            if len <= grain {
                made.add((self.work)(rest), &self.merge);
                return (made.take(), grain);
            }
            if scheduler::is_in_demand() == Some(true) {
                let (result, grain) = self.split(rest, grain);
                return match result {
                    Some(result) => {
                        made.add(result, &self.merge);
                        (made.take(), grain)
                    }
                    None => (None, grain),
                };
            }
            watch.begin();
            let (block, others) = rest.split_at(grain);
            made.add((self.work)(block), &self.merge);
            rest = others;
            grain = watch.end(grain);
        }
    }

    /// The same in two halves, the second of which others may take.
    fn split<P, R>(&self, piece: P, grain: usize) -> (Option<R>, usize)
    where
        P: Piece,
        R: Send,
        W: Fn(P) -> R + Sync,
        M: Fn(R, R) -> R + Sync,
    {
        let middle = piece.len() / 2;
        let (left, right) = piece.split_at(middle);
        // For who takes it. If nobody does, the left half says what it has learnt.
        let learnt = AtomicUsize::new((grain / DOUBT).max(1));
        let (left, right) = scheduler::join(
            || {
                let (left, grain) = self.run(left, grain);
                // Relaxed: a hint.
                learnt.store(grain, Ordering::Relaxed);
                left
            },
            || self.run(right, learnt.load(Ordering::Relaxed)),
        );
        match (left, right) {
            (Some(left), (Some(right), grain)) => (Some((self.merge)(left, right)), grain),
            (left, (right, grain)) => {
                // They need not be neighbours.
                discard(left);
                discard(right);
                (None, grain)
            }
        }
    }
}

/// How long blocks take.
#[derive(Default)]
struct Watch {
    since: Option<Instant>,
    /// How many there were since.
    blocks: u64,
    is_right: bool,
}

impl Watch {
    #[inline]
    fn begin(&mut self) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    /// After a block of `grain` items: how many the next one should have.
    #[inline]
    fn end(&mut self, grain: usize) -> usize {
        self.blocks += 1;
        if self.is_right && self.blocks < STEADY {
            return grain;
        }
        self.read(grain)
    }

    #[inline(never)]
    fn read(&mut self, grain: usize) -> usize {
        let now = Instant::now();
        let since = self.since.replace(now).unwrap_or(now);
        let took = u64::try_from(now.duration_since(since).as_nanos()).unwrap_or(u64::MAX);
        let next = next_grain(grain, took / self.blocks);
        *self = Self {
            since: Some(now),
            blocks: 0,
            is_right: next == grain,
        };
        next
    }
}

/// How many items the next block should have, after one of `grain` items that took this
/// many nanoseconds.
fn next_grain(grain: usize, took: u64) -> usize {
    if (SHORT..=LONG).contains(&took) {
        return grain;
    }
    let right = (grain as u64).saturating_mul(RIGHT) / took.max(1);
    let right = usize::try_from(right).unwrap_or(usize::MAX);
    right.clamp(1, grain.saturating_mul(GROWTH))
}

/// What was made of a piece so far.
struct Made<'a, R> {
    result: Option<R>,
    has_panicked: &'a AtomicBool,
}

impl<R> Made<'_, R> {
    #[inline]
    fn add(&mut self, result: R, merge: impl Fn(R, R) -> R) {
        self.result = Some(match self.result.take() {
            Some(before) => merge(before, result),
            None => result,
        });
    }

    fn take(mut self) -> Option<R> {
        let result = self.result.take();
        mem::forget(self);
        result
    }
}

/// It was not taken: something here has panicked, or something elsewhere.
impl<R> Drop for Made<'_, R> {
    fn drop(&mut self) {
        self.has_panicked.store(true, Ordering::Relaxed);
        discard(self.result.take());
    }
}
