//! [`Part`]: one piece of a split buffer.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};

use super::reunion::Piece;

/// One of the disjoint pieces of a split
/// [`SharedBuffer`](crate::SharedBuffer): the only way to its elements while it
/// lives.
///
/// It is owned, so that it moves into a job or a message and borrows nothing;
/// it reads and writes as a slice. Nobody else sees these elements until the
/// part is dropped, and dropping the last part hands the whole buffer to its
/// [`Whole`](crate::Whole).
///
/// Dropping a part does not drop its elements, unless the `Whole` is gone and
/// it is the last part: then it drops all of the buffer's. What their `Drop`
/// panics with comes out of that, once all of them are dropped (but is
/// discarded if the thread is unwinding already).
///
/// **A part that is leaked** (`mem::forget`, a reference cycle) keeps the whole
/// out for ever. **A part whose job panicked** leaves what it had written by
/// then: the `Whole` does not know of the panic, the job's handle does.
///
/// ```
/// use windlass::SharedBuffer;
///
/// let (parts, whole) = SharedBuffer::from(vec![0; 10]).split(4)?;
/// let threads = parts.into_iter().map(|mut part| {
///     std::thread::spawn(move || {
///         let start = part.start();
///         for (index, element) in part.iter_mut().enumerate() {
///             *element = start + index;
///         }
///     })
/// });
/// for thread in threads.collect::<Vec<_>>() {
///     thread.join().unwrap();
/// }
/// assert_eq!(whole.wait().into_vec(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Part<T> {
    piece: Piece<T>,
}

impl<T> Part<T> {
    pub(super) fn new(piece: Piece<T>) -> Self {
        Self { piece }
    }

    /// One more part, without elements, at `mid`.
    pub(super) fn empty_at(&mut self, mid: usize) -> Self {
        Self::new(self.piece.empty_at(mid))
    }

    /// Where the part lies in the whole buffer.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (parts, _whole) = SharedBuffer::from(vec!['a', 'b', 'c']).split(2)?;
    /// assert_eq!(parts[0].range(), 0..2);
    /// assert_eq!(parts[1].range(), 2..3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        let start = self.start();
        start..start + self.len()
    }

    /// The index in the whole buffer of the part's first element.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (parts, _whole) = SharedBuffer::from(vec!['a', 'b', 'c']).split(2)?;
    /// assert_eq!(parts[1].start(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn start(&self) -> usize {
        self.piece.start()
    }

    /// Cuts the part in two: its first `mid` elements, and the rest. The whole
    /// waits for both. Allocates nothing.
    ///
    /// # Panics
    /// If `mid` is greater than the part's length.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (mut parts, whole) = SharedBuffer::from(vec![1, 2, 3]).split(1)?;
    /// let (front, back) = parts.remove(0).split_at(1);
    /// assert_eq!((&front[..], &back[..]), (&[1][..], &[2, 3][..]));
    /// drop(front);
    /// assert!(!whole.is_whole());
    /// drop(back);
    /// assert!(whole.is_whole());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn split_at(mut self, mid: usize) -> (Self, Self) {
        let len = self.len();
        assert!(
            mid <= len,
            "split_at({mid}) on a part of {len} elements: at most {len} is possible"
        );
        let rest = Self::new(self.piece.split_off(mid));
        (self, rest)
    }
}

impl<T> Deref for Part<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.piece.as_slice()
    }
}

impl<T> DerefMut for Part<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.piece.as_mut_slice()
    }
}

/// Where it lies; the elements can be many.
impl<T> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("range", &self.range())
            .finish_non_exhaustive()
    }
}
