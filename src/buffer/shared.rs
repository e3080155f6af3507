//! [`SharedBuffer`]: one vector, read by many or split among them.

use std::fmt;
use std::ops::{Deref, Range};

use super::error::{SplitError, Why};
use super::reunion::take_apart;
use super::{Part, Whole, split};
use crate::sync::Arc;

/// What a split gives; shown in full in the documentation.
type Split<T> = Result<(Vec<Part<T>>, Whole<T>), SplitError<T>>;

/// A vector that threads share without copying it: read by all its owners, or
/// split into parts by its only one.
///
/// It reads as a slice. A clone is one more owner of the same elements, which
/// are dropped with the last one. Making one of a `Vec` moves the vector in, and
/// [`into_vec`](Self::into_vec) of the only owner moves it out again: the same
/// allocation.
///
/// To write, [`split`](Self::split) it. That takes the buffer from its only
/// owner, so that there is no reader while there are parts: the compiler sees
/// to it. When the last part is dropped, the [`Whole`] gives the buffer back.
///
/// ```
/// use windlass::SharedBuffer;
///
/// let table = SharedBuffer::from(vec![1, 2, 3]);
/// let reader = table.clone(); // one more owner, nothing copied
/// let sum = std::thread::spawn(move || reader.iter().sum::<i32>());
/// assert_eq!(sum.join().unwrap(), table.iter().sum());
///
/// let (mut parts, whole) = table.split(2)?; // the only owner again
/// parts[1][0] = 30;
/// drop(parts);
/// assert_eq!(whole.wait().into_vec(), [1, 2, 30]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SharedBuffer<T> {
    vec: Arc<Vec<T>>,
}

impl<T> SharedBuffer<T> {
    /// The vector, as it was put in: the same allocation, if this is the only
    /// owner. Otherwise a clone, and the others keep theirs.
    ///
    /// What [`Whole::wait`] gives has one owner, so that `whole.wait().into_vec()`
    /// never copies. To be told instead of copying, and for elements that are
    /// not `Clone`, there is [`try_into_vec`](Self::try_into_vec).
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let vec = vec![1, 2, 3];
    /// let address = vec.as_ptr();
    /// let buffer = SharedBuffer::from(vec);
    ///
    /// let copy = buffer.clone().into_vec(); // two owners
    /// assert_ne!(copy.as_ptr(), address);
    /// let vec = buffer.into_vec(); // the only one
    /// assert_eq!(vec.as_ptr(), address);
    /// ```
    #[must_use]
    pub fn into_vec(self) -> Vec<T>
    where
        T: Clone,
    {
        Arc::unwrap_or_clone(self.vec)
    }

    /// The vector, if this is the only owner: the same allocation.
    ///
    /// # Errors
    /// Gives the buffer back if it has other owners.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let one = SharedBuffer::from(vec![1, 2, 3]);
    /// let two = one.clone();
    /// let one = one.try_into_vec().unwrap_err();
    /// drop(two);
    /// assert_eq!(one.try_into_vec().unwrap(), [1, 2, 3]);
    /// ```
    pub fn try_into_vec(self) -> Result<Vec<T>, Self> {
        Arc::try_unwrap(self.vec).map_err(|vec| Self { vec })
    }

    /// Whether this is the only owner.
    ///
    /// `false` may be out of date by the time the caller acts on it; `true`
    /// stays true for as long as nobody clones this very value.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let one = SharedBuffer::from(vec![1, 2, 3]);
    /// assert!(one.is_unique());
    /// let two = one.clone();
    /// assert!(!one.is_unique() && !two.is_unique());
    /// ```
    #[must_use]
    pub fn is_unique(&self) -> bool {
        Arc::strong_count(&self.vec) == 1
    }

    /// Splits the buffer into `n` parts, in order, whose lengths differ by one
    /// at most; the longer ones come first. If there are more parts than
    /// elements, the last ones are empty.
    ///
    /// Costs two allocations and a few nanoseconds a part, whatever the
    /// buffer's size.
    ///
    /// # Errors
    /// If `n` is 0, or the buffer has other owners;
    /// [`SplitError::into_inner`] gives it back.
    ///
    /// # Panics
    /// If `n` parts are more than memory could hold, as
    /// [`Vec::with_capacity`] does.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (parts, whole) = SharedBuffer::from(vec![1, 2, 3, 4, 5]).split(3)?;
    /// let parts: Vec<_> = parts.iter().map(|part| part.to_vec()).collect();
    /// assert_eq!(parts, [vec![1, 2], vec![3, 4], vec![5]]);
    /// # drop(whole);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(self, n: usize) -> Split<T> {
        if n == 0 {
            return Err(SplitError::new(self, Why::NoParts));
        }
        let len = self.len();
        self.divide(|piece| split::evenly(piece, len, 1, n))
    }

    /// Splits whole rows of `width` elements into `n` parts: as
    /// [`split`](Self::split), but each part starts and ends between two rows,
    /// and the numbers of rows differ by one at most.
    ///
    /// # Errors
    /// If `n` or `width` is 0, if the length is not a multiple of `width`, or if
    /// the buffer has other owners; [`SplitError::into_inner`] gives it back.
    ///
    /// # Panics
    /// As [`split`](Self::split).
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let image = SharedBuffer::from(vec![0_u8; 5 * 640]); // 5 rows
    /// let (parts, whole) = image.split_rows(640, 2)?;
    /// assert_eq!(parts[0].len(), 3 * 640);
    /// assert_eq!(parts[1].range(), 3 * 640..5 * 640);
    /// # drop(whole);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split_rows(self, width: usize, n: usize) -> Split<T> {
        let len = self.len();
        let wrong = if n == 0 {
            Some(Why::NoParts)
        } else if width == 0 {
            Some(Why::NoWidth)
        } else if !len.is_multiple_of(width) {
            Some(Why::Uneven { len, width })
        } else {
            None
        };
        if let Some(why) = wrong {
            return Err(SplitError::new(self, why));
        }
        self.divide(|piece| split::evenly(piece, len / width, width, n))
    }

    /// Splits the buffer into parts at `ranges`, one part each, in the order
    /// given. They must be disjoint, and may be empty, in any order and leave
    /// gaps: what no range covers is in no part, and stays as it is.
    ///
    /// No ranges at all give no parts, and a whole that is there at once.
    ///
    /// # Errors
    /// If a range ends before it starts or after the buffer does, if two
    /// overlap, or if the buffer has other owners; [`SplitError::into_inner`]
    /// gives it back.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let buffer = SharedBuffer::from(vec![1, 2, 3, 4, 5]);
    /// let (mut parts, whole) = buffer.split_ranges(&[3..5, 0..1])?;
    /// parts[0].fill(0);
    /// parts[1].fill(9);
    /// drop(parts);
    /// assert_eq!(whole.wait().into_vec(), [9, 2, 3, 0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split_ranges(self, ranges: &[Range<usize>]) -> Split<T> {
        match split::check(ranges, self.len()) {
            Ok(order) => self.divide(|piece| split::at_ranges(piece, ranges, &order)),
            Err(why) => Err(SplitError::new(self, why)),
        }
    }

    fn divide(self, cut: impl FnOnce(Part<T>) -> Vec<Part<T>>) -> Split<T> {
        let vec = self.try_into_vec().map_err(|shared| {
            // Another owner may have gone since.
            let owners = Arc::strong_count(&shared.vec).max(2);
            SplitError::new(shared, Why::Shared { owners })
        })?;
        let (piece, claim) = take_apart(vec);
        let whole = Whole::new(claim);
        Ok((cut(Part::new(piece)), whole))
    }
}

/// Moves the vector in; its elements stay where they are.
impl<T> From<Vec<T>> for SharedBuffer<T> {
    fn from(vec: Vec<T>) -> Self {
        Self { vec: Arc::new(vec) }
    }
}

/// One more owner of the same elements.
impl<T> Clone for SharedBuffer<T> {
    fn clone(&self) -> Self {
        Self {
            vec: Arc::clone(&self.vec),
        }
    }
}

impl<T> Deref for SharedBuffer<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.vec
    }
}

/// Its length and whether it is shared; the elements can be many.
impl<T> fmt::Debug for SharedBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer")
            .field("len", &self.len())
            .field("is_unique", &self.is_unique())
            .finish_non_exhaustive()
    }
}
