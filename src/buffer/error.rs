//! What can go wrong with a buffer, and what it gives back.

use std::fmt;
use std::ops::Range;

use super::SharedBuffer;

/// A [`SharedBuffer`] could not be split. Opaque; ask the predicates.
///
/// The error contains the buffer, untouched, so that it can be recovered. Its
/// message names the value that is wrong and what would be right. It is
/// `Send + Sync + 'static` if the elements are, so that `?` carries it into
/// `anyhow` and `Box<dyn Error>`.
///
/// ```
/// use windlass::SharedBuffer;
///
/// let buffer = SharedBuffer::from(vec![1, 2, 3]);
/// let reader = buffer.clone();
/// let error = buffer.split(2).unwrap_err();
/// assert!(error.is_shared());
///
/// let buffer = error.into_inner();
/// drop(reader);
/// assert!(buffer.split(2).is_ok());
/// ```
#[derive(thiserror::Error)]
#[error("{why}")]
pub struct SplitError<T> {
    buffer: SharedBuffer<T>,
    why: Why,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Why {
    #[error("the buffer has {owners} owners: only a single one can split it, so drop the others")]
    Shared { owners: usize },
    #[error("a buffer cannot be split into 0 parts: 1 is the least")]
    NoParts,
    #[error("rows of width 0 are not possible: 1 is the least")]
    NoWidth,
    #[error("{len} elements are not whole rows of width {width}: the length must be a multiple")]
    Uneven { len: usize, width: usize },
    #[error("range {index} is {range:?}: it must not end before it starts")]
    Reversed { index: usize, range: Range<usize> },
    #[error("range {index} is {range:?}, but the buffer ends at {len}: so must all ranges")]
    OutOfBounds {
        index: usize,
        range: Range<usize>,
        len: usize,
    },
    #[error("range {first} ({one:?}) and range {second} ({two:?}) overlap: all must be disjoint")]
    Overlap {
        first: usize,
        one: Range<usize>,
        second: usize,
        two: Range<usize>,
    },
}

impl<T> SplitError<T> {
    pub(super) fn new(buffer: SharedBuffer<T>, why: Why) -> Self {
        Self { buffer, why }
    }

    /// The buffer that was not split.
    ///
    /// ```
    /// let error = windlass::SharedBuffer::from(vec![1, 2, 3]).split(0).unwrap_err();
    /// assert_eq!(error.into_inner()[..], [1, 2, 3]);
    /// ```
    #[must_use]
    pub fn into_inner(self) -> SharedBuffer<T> {
        self.buffer
    }

    /// Whether the buffer had other owners.
    ///
    /// ```
    /// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
    /// assert!(buffer.clone().split(2).unwrap_err().is_shared());
    /// ```
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.why, Why::Shared { .. })
    }

    /// Whether it was to be split into no parts.
    ///
    /// ```
    /// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
    /// assert!(buffer.split(0).unwrap_err().is_no_parts());
    /// ```
    #[must_use]
    pub fn is_no_parts(&self) -> bool {
        matches!(self.why, Why::NoParts)
    }

    /// Whether the rows' width was 0, or the length not a multiple of it.
    ///
    /// ```
    /// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
    /// assert!(buffer.split_rows(2, 1).unwrap_err().is_bad_width());
    /// ```
    #[must_use]
    pub fn is_bad_width(&self) -> bool {
        matches!(self.why, Why::NoWidth | Why::Uneven { .. })
    }

    /// Whether a range was none of the buffer's: it ended behind it, or before
    /// its own start.
    ///
    /// ```
    /// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
    /// assert!(buffer.split_ranges(&[0..1, 2..4]).unwrap_err().is_out_of_bounds());
    /// ```
    #[must_use]
    pub fn is_out_of_bounds(&self) -> bool {
        matches!(self.why, Why::OutOfBounds { .. } | Why::Reversed { .. })
    }

    /// Whether two ranges had elements in common.
    ///
    /// ```
    /// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
    /// assert!(buffer.split_ranges(&[0..2, 1..3]).unwrap_err().is_overlapping());
    /// ```
    #[must_use]
    pub fn is_overlapping(&self) -> bool {
        matches!(self.why, Why::Overlap { .. })
    }
}

/// The whole sentence, for programs whose `main` returns the error.
impl<T> fmt::Debug for SplitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SplitError({self})")
    }
}

/// Elements do not fit another type. Opaque; ask the predicates.
///
/// ```
/// use windlass::SharedBuffer;
///
/// let buffer = SharedBuffer::from(vec![0_u8; 10]);
/// let error = buffer.view_as::<[u8; 4]>().unwrap_err();
/// assert!(error.is_size());
/// assert_eq!(
///     error.to_string(),
///     "10 bytes are no whole number of [u8; 4] with 4 bytes each",
/// );
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ViewError(pub(super) Misfit);

/// What does not fit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Misfit {
    #[error("{bytes} bytes are no whole number of {wanted} with {size} bytes each")]
    Size {
        bytes: usize,
        wanted: &'static str,
        size: usize,
    },
    #[error(
        "the elements begin {off} bytes behind a multiple of {alignment}, where a {wanted} has to \
         be aligned: make the buffer of the type with the greater alignment"
    )]
    Alignment {
        off: usize,
        wanted: &'static str,
        alignment: usize,
    },
}

impl ViewError {
    /// Whether the bytes are no whole number of the wanted elements.
    ///
    /// ```
    /// let buffer = windlass::SharedBuffer::from(vec![0_u8; 3]);
    /// assert!(buffer.view_as::<u16>().unwrap_err().is_size());
    /// ```
    #[must_use]
    pub fn is_size(&self) -> bool {
        matches!(self.0, Misfit::Size { .. })
    }

    /// Whether the elements begin at an address at which the wanted ones must
    /// not.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// // Of two ranges one byte apart, one at least begins at an odd address.
    /// let (parts, _whole) = SharedBuffer::from(vec![0_u8; 5]).split_ranges(&[0..2, 3..5])?;
    /// let errors = parts.iter().filter_map(|part| part.view_as::<u16>().err());
    /// assert!(errors.map(|error| error.is_alignment()).eq([true]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_alignment(&self) -> bool {
        matches!(self.0, Misfit::Alignment { .. })
    }
}

/// The whole sentence, for programs whose `main` returns the error.
impl fmt::Debug for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewError({self})")
    }
}
