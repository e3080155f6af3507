//! The same bytes as another plain type.

use std::any::type_name;

use bytemuck::{AnyBitPattern, NoUninit};

use super::error::Misfit;
use super::{Part, SharedBuffer, ViewError};

impl<T: NoUninit> SharedBuffer<T> {
    /// The elements' bytes as elements of another type: what typed arrays over
    /// one `SharedArrayBuffer` are in JavaScript. Nothing is copied, and the
    /// bytes are in the machine's own order.
    ///
    /// Integers and floats of all widths will do, arrays of them, and types that
    /// have the traits of the [`bytemuck`] crate. A buffer that was made of the
    /// type with the greater alignment (`u64`, say) can always be viewed as one
    /// with a lesser (`u8`), if the sizes fit; the other way round it depends on
    /// where the allocator put it. Without elements there is nothing to be
    /// aligned, and the view is empty.
    ///
    /// # Errors
    /// If the bytes are no whole number of `U`, or do not begin at an address
    /// where a `U` may.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let buffer = SharedBuffer::from(vec![1.0_f32, -2.0]);
    /// assert_eq!(buffer.view_as::<u32>()?, [0x3f80_0000, 0xc000_0000]);
    /// assert_eq!(buffer.view_as::<u8>()?.len(), 8);
    /// # Ok::<(), windlass::ViewError>(())
    /// ```
    pub fn view_as<U: AnyBitPattern>(&self) -> Result<&[U], ViewError> {
        view(self)
    }
}

impl<T: NoUninit> Part<T> {
    /// The part's bytes as elements of another type, to read: see
    /// [`SharedBuffer::view_as`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (parts, _whole) = SharedBuffer::from(vec![u64::MAX; 4]).split(2)?;
    /// assert_eq!(parts[0].view_as::<i8>()?, [-1; 16]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn view_as<U: AnyBitPattern>(&self) -> Result<&[U], ViewError> {
        view(self)
    }
}

impl<T: NoUninit + AnyBitPattern> Part<T> {
    /// The part's bytes as elements of another type, to write: see
    /// [`SharedBuffer::view_as`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use windlass::SharedBuffer;
    ///
    /// let (mut parts, whole) = SharedBuffer::from(vec![0_u64; 4]).split(2)?;
    /// parts[1].view_as_mut::<u8>()?.fill(0x55);
    /// drop(parts);
    /// let five = 0x5555_5555_5555_5555;
    /// assert_eq!(whole.wait().into_vec(), [0, 0, five, five]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn view_as_mut<U: NoUninit + AnyBitPattern>(&mut self) -> Result<&mut [U], ViewError> {
        check::<T, U>(self)?;
        if is_empty::<T, U>(self) {
            return Ok(&mut []);
        }
        Ok(bytemuck::cast_slice_mut(self))
    }
}

fn view<T: NoUninit, U: AnyBitPattern>(elements: &[T]) -> Result<&[U], ViewError> {
    check::<T, U>(elements)?;
    if is_empty::<T, U>(elements) {
        return Ok(&[]);
    }
    Ok(bytemuck::cast_slice(elements))
}

/// Whether the casts, which check the same and would panic, are possible.
fn check<T, U>(elements: &[T]) -> Result<(), ViewError> {
    let bytes = size_of_val(elements);
    let (size, alignment) = (size_of::<U>(), align_of::<U>());
    let wanted = type_name::<U>();
    if bytes.checked_rem(size).unwrap_or(bytes) != 0 {
        return Err(ViewError(Misfit::Size {
            bytes,
            wanted,
            size,
        }));
    }
    let off = elements.as_ptr().addr() % alignment;
    if off != 0 && !is_empty::<T, U>(elements) {
        return Err(ViewError(Misfit::Alignment {
            off,
            wanted,
            alignment,
        }));
    }
    Ok(())
}

/// Whether there is nothing to view. (Elements without size are not nothing to
/// others without size.)
fn is_empty<T, U>(elements: &[T]) -> bool {
    size_of_val(elements) == 0 && size_of::<U>() != 0
}
