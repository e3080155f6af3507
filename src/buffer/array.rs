//! [`SharedArray`]: atomics that threads share.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::SharedInteger;
use super::integer::sealed::Integer;
use super::wait_list::WaitList;
use crate::sync::Arc;

/// An array of atomic integers that threads share: what a typed array over a
/// `SharedArrayBuffer` is in JavaScript, with the functions of `Atomics` as its
/// methods.
///
/// A clone refers to the same elements. They live as long as there is a clone,
/// wherever it is; whoever made the array may be long gone.
///
/// All operations are sequentially consistent, as in JavaScript, and none but
/// [`wait`](Self::wait) and [`wait_timeout`](Self::wait_timeout) blocks. `add`
/// and `sub` wrap around. An index out of bounds panics.
///
/// ```
/// use windlass::SharedArray;
///
/// let counters = SharedArray::<u32>::new(2);
/// let threads = [0, 1, 1].map(|index| {
///     let counters = counters.clone();
///     std::thread::spawn(move || counters.add(index, 10))
/// });
/// for thread in threads {
///     thread.join().unwrap();
/// }
/// assert_eq!(counters.to_vec(), [10, 20]);
/// ```
pub struct SharedArray<T: SharedInteger> {
    pub(super) shared: Arc<Shared<T>>,
}

pub(super) struct Shared<T: SharedInteger> {
    elements: Box<[<T as Integer>::Atomic]>,
    pub(super) waits: WaitList,
}

impl<T: SharedInteger> SharedArray<T> {
    /// An array of `len` zeros.
    ///
    /// ```
    /// let array = windlass::SharedArray::<u8>::new(3);
    /// assert_eq!(array.to_vec(), [0, 0, 0]);
    /// ```
    #[must_use]
    pub fn new(len: usize) -> Self {
        (0..len).map(|_| T::default()).collect()
    }

    /// How many elements there are.
    ///
    /// ```
    /// assert_eq!(windlass::SharedArray::<u8>::new(3).len(), 3);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.elements.len()
    }

    /// Whether there are no elements.
    ///
    /// ```
    /// assert!(windlass::SharedArray::<u8>::new(0).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shared.elements.is_empty()
    }

    /// The value of the element at `index`.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![1, 2, 3]);
    /// assert_eq!(array.load(2), 3);
    /// ```
    #[track_caller]
    #[must_use]
    pub fn load(&self, index: usize) -> T {
        T::load(self.place(index))
    }

    /// Makes `value` the value of the element at `index`. Wakes nobody: that is
    /// [`notify`](Self::notify)'s.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::new(2);
    /// array.store(1, 5);
    /// assert_eq!(array.to_vec(), [0, 5]);
    /// ```
    #[track_caller]
    pub fn store(&self, index: usize, value: T) {
        T::store(self.place(index), value);
    }

    /// Adds `value` to the element at `index`, wrapping around; the value before
    /// that.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![250_u8]);
    /// assert_eq!(array.add(0, 10), 250);
    /// assert_eq!(array.load(0), 4);
    /// ```
    #[track_caller]
    pub fn add(&self, index: usize, value: T) -> T {
        T::add(self.place(index), value)
    }

    /// Subtracts `value` from the element at `index`, wrapping around; the value
    /// before that.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![5]);
    /// assert_eq!(array.sub(0, 7), 5);
    /// assert_eq!(array.load(0), -2);
    /// ```
    #[track_caller]
    pub fn sub(&self, index: usize, value: T) -> T {
        T::sub(self.place(index), value)
    }

    /// Clears the bits of the element at `index` that are not in `value`; the
    /// value before that.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![0b1100]);
    /// assert_eq!(array.and(0, 0b1010), 0b1100);
    /// assert_eq!(array.load(0), 0b1000);
    /// ```
    #[track_caller]
    pub fn and(&self, index: usize, value: T) -> T {
        T::and(self.place(index), value)
    }

    /// Sets the bits of `value` in the element at `index`; the value before that.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![0b1100]);
    /// assert_eq!(array.or(0, 0b1010), 0b1100);
    /// assert_eq!(array.load(0), 0b1110);
    /// ```
    #[track_caller]
    pub fn or(&self, index: usize, value: T) -> T {
        T::or(self.place(index), value)
    }

    /// Flips the bits of `value` in the element at `index`; the value before
    /// that.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![0b1100]);
    /// assert_eq!(array.xor(0, 0b1010), 0b1100);
    /// assert_eq!(array.load(0), 0b0110);
    /// ```
    #[track_caller]
    pub fn xor(&self, index: usize, value: T) -> T {
        T::xor(self.place(index), value)
    }

    /// Makes `value` the value of the element at `index`; the value before that.
    /// JavaScript's `exchange`.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![1]);
    /// assert_eq!(array.swap(0, 2), 1);
    /// assert_eq!(array.load(0), 2);
    /// ```
    #[track_caller]
    pub fn swap(&self, index: usize, value: T) -> T {
        T::swap(self.place(index), value)
    }

    /// Makes `new` the value of the element at `index` if it is `current`; the
    /// value before that.
    ///
    /// # Errors
    /// If the value is another one, which the error is.
    ///
    /// # Panics
    /// If `index` is out of bounds.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![1]);
    /// assert_eq!(array.compare_exchange(0, 1, 2), Ok(1));
    /// assert_eq!(array.compare_exchange(0, 1, 3), Err(2));
    /// ```
    #[track_caller]
    pub fn compare_exchange(&self, index: usize, current: T, new: T) -> Result<T, T> {
        T::compare_exchange(self.place(index), current, new)
    }

    /// The values, read one after the other: others may write meanwhile.
    ///
    /// ```
    /// let array = windlass::SharedArray::from(vec![1, 2, 3]);
    /// assert_eq!(array.to_vec(), [1, 2, 3]);
    /// ```
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        self.shared.elements.iter().map(T::load).collect()
    }

    #[track_caller]
    pub(super) fn place(&self, index: usize) -> &<T as Integer>::Atomic {
        match self.shared.elements.get(index) {
            Some(place) => place,
            None => out_of_bounds(index, self.len()),
        }
    }
}

#[cold]
#[track_caller]
fn out_of_bounds(index: usize, len: usize) -> ! {
    panic!("index {index} is out of bounds: the SharedArray has {len} elements")
}

impl<T: SharedInteger> FromIterator<T> for SharedArray<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let shared = Shared {
            elements: values.into_iter().map(T::atomic).collect(),
            waits: WaitList::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

/// An array of the vector's values.
impl<T: SharedInteger> From<Vec<T>> for SharedArray<T> {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

/// The same elements.
impl<T: SharedInteger> Clone for SharedArray<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

// Integers and a list of wakers, which no panic finds half changed.
impl<T: SharedInteger> UnwindSafe for SharedArray<T> {}
impl<T: SharedInteger> RefUnwindSafe for SharedArray<T> {}

/// Its length and how many wait for its elements; these can be many.
impl<T: SharedInteger> fmt::Debug for SharedArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray")
            .field("len", &self.len())
            .field("waiting", &self.shared.waits.waiting())
            .finish_non_exhaustive()
    }
}
