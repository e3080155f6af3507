//! [`par_chunks`] and [`par_chunks_mut`]: a slice in chunks of a given size.

use super::grain::{Piece, drive};
use super::install;
use crate::spawner::Spawner;

/// Calls `f` with each chunk of `n` items of the slice and the chunk's index, counted
/// from 0, on as many threads of the pool as have nothing to do. The last chunk may be
/// shorter. How many chunks a thread takes at a time is found out by the clock, so `n` is
/// only what `f` needs: a row of an image, a record of a file.
///
/// For use inside a job, whose pool it is. On a thread that is no pool's all chunks are
/// worked on here, in order; [`Pool::par_chunks`](crate::Pool::par_chunks) is the way in
/// from there.
///
/// * **It blocks** until all of it is done. What waits, and what runs meanwhile, is said
///   at [`join`](crate::join).
/// * **Nothing is allocated.**
///
/// # Panics
/// If `n` is 0. With the panic of `f`, after all calls that were begun have ended; what
/// was not begun by then is left out. If several panic, it is the first of them in the
/// order of the chunks.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// let pool = windlass::Pool::new()?;
/// let text = "of the people, by the people, for the people".repeat(1000);
/// let spaces = AtomicUsize::new(0);
/// pool.par_chunks(text.as_bytes(), 4096, |_, chunk| {
///     let count = chunk.iter().filter(|&&byte| byte == b' ').count();
///     spaces.fetch_add(count, Ordering::Relaxed);
/// });
/// assert_eq!(spaces.into_inner(), 8000);
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[track_caller]
pub fn par_chunks<T: Sync>(slice: &[T], n: usize, f: impl Fn(usize, &[T]) + Sync) {
    let chunks = Chunks::of(slice, n, "par_chunks");
    drive(
        chunks,
        |chunks| {
            let indices = chunks.first..;
            let chunks = chunks.items.chunks(n).zip(indices);
            chunks.for_each(|(chunk, index)| f(index, chunk));
        },
        |(), ()| (),
    );
}

/// The same as [`par_chunks`], with chunks that `f` may change.
///
/// # Panics
/// As `par_chunks`.
///
/// ```
/// const WIDTH: usize = 640;
///
/// let pool = windlass::Pool::new()?;
/// let mut image = vec![0_u32; WIDTH * 480];
/// pool.par_chunks_mut(&mut image, WIDTH, |y, row| {
///     for (x, pixel) in row.iter_mut().enumerate() {
///         *pixel = (x ^ y) as u32;
///     }
/// });
/// assert_eq!(image[7 * WIDTH + 9], 14);
/// # Ok::<(), windlass::BuildError>(())
/// ```
#[track_caller]
pub fn par_chunks_mut<T: Send>(slice: &mut [T], n: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let chunks = Chunks::of(slice, n, "par_chunks_mut");
    drive(
        chunks,
        |chunks| {
            let indices = chunks.first..;
            let chunks = chunks.items.chunks_mut(n).zip(indices);
            chunks.for_each(|(chunk, index)| f(index, chunk));
        },
        |(), ()| (),
    );
}

impl Spawner {
    /// Works on a slice in chunks, on the pool. See
    /// [`Pool::par_chunks`](crate::Pool::par_chunks).
    ///
    /// # Panics
    /// If `n` is 0, and with the panic of `f`.
    #[track_caller]
    pub fn par_chunks<T: Sync>(&self, slice: &[T], n: usize, f: impl Fn(usize, &[T]) + Sync) {
        check(n, "par_chunks");
        install(self, || par_chunks(slice, n, &f));
    }

    /// Works on a slice in chunks that may be changed, on the pool. See
    /// [`Pool::par_chunks_mut`](crate::Pool::par_chunks_mut).
    ///
    /// # Panics
    /// If `n` is 0, and with the panic of `f`.
    #[track_caller]
    pub fn par_chunks_mut<T: Send>(
        &self,
        slice: &mut [T],
        n: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        check(n, "par_chunks_mut");
        install(self, || par_chunks_mut(slice, n, &f));
    }
}

/// Some chunks of a slice.
struct Chunks<S> {
    items: S,
    /// Items in each but the last, at least one.
    n: usize,
    /// The index of the first one.
    first: usize,
}

impl<S: Piece> Chunks<S> {
    #[track_caller]
    fn of(items: S, n: usize, name: &str) -> Self {
        check(n, name);
        Self { items, n, first: 0 }
    }
}

impl<S: Piece> Piece for Chunks<S> {
    #[inline]
    fn len(&self) -> usize {
        self.items.len().div_ceil(self.n)
    }

    #[inline]
    fn split_at(self, at: usize) -> (Self, Self) {
        let Self { items, n, first } = self;
        // The last chunk may be shorter.
        let end = at.saturating_mul(n).min(items.len());
        let (items, others) = items.split_at(end);
        let others = Self {
            items: others,
            n,
            first: first + at,
        };
        (Self { items, n, first }, others)
    }
}

#[track_caller]
fn check(n: usize, name: &str) {
    assert!(n > 0, "{name}: a chunk has at least one item, and n is 0");
}
