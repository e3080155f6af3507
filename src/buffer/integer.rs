//! [`SharedInteger`]: what a `SharedArray` holds.

use std::fmt::Debug;
use std::hash::Hash;

use crate::sync::Ordering::SeqCst;
use crate::sync::integers;

/// An integer that a [`SharedArray`](crate::SharedArray) can hold: `u8` to
/// `u64`, `i8` to `i64`, `usize` and `isize`.
///
/// The trait is sealed: there are no others.
///
/// ```
/// use windlass::{SharedArray, SharedInteger};
///
/// fn first_of<T: SharedInteger>(array: &SharedArray<T>) -> Option<T> {
///     (!array.is_empty()).then(|| array.load(0))
/// }
/// assert_eq!(first_of(&SharedArray::from(vec![7_u16])), Some(7));
/// ```
pub trait SharedInteger:
    sealed::Integer + Copy + Eq + Ord + Hash + Debug + Default + Send + Sync + 'static
{
}

pub(super) mod sealed {
    /// What the array does with its elements, sequentially consistent all.
    pub trait Integer: Sized {
        type Atomic: Send + Sync;

        fn atomic(self) -> Self::Atomic;
        fn load(place: &Self::Atomic) -> Self;
        fn store(place: &Self::Atomic, value: Self);
        fn add(place: &Self::Atomic, value: Self) -> Self;
        fn sub(place: &Self::Atomic, value: Self) -> Self;
        fn and(place: &Self::Atomic, value: Self) -> Self;
        fn or(place: &Self::Atomic, value: Self) -> Self;
        fn xor(place: &Self::Atomic, value: Self) -> Self;
        fn swap(place: &Self::Atomic, value: Self) -> Self;
        fn compare_exchange(place: &Self::Atomic, current: Self, new: Self) -> Result<Self, Self>;
    }
}

macro_rules! integers {
    ($($integer:ty: $atomic:ident),+ $(,)?) => {$(
        impl SharedInteger for $integer {}

        impl sealed::Integer for $integer {
            type Atomic = integers::$atomic;

            fn atomic(self) -> Self::Atomic {
                integers::$atomic::new(self)
            }

            #[inline]
            fn load(place: &Self::Atomic) -> Self {
                place.load(SeqCst)
            }

            #[inline]
            fn store(place: &Self::Atomic, value: Self) {
                place.store(value, SeqCst);
            }

            #[inline]
            fn add(place: &Self::Atomic, value: Self) -> Self {
                place.fetch_add(value, SeqCst)
            }

            #[inline]
            fn sub(place: &Self::Atomic, value: Self) -> Self {
                place.fetch_sub(value, SeqCst)
            }

            #[inline]
            fn and(place: &Self::Atomic, value: Self) -> Self {
                place.fetch_and(value, SeqCst)
            }

            #[inline]
            fn or(place: &Self::Atomic, value: Self) -> Self {
                place.fetch_or(value, SeqCst)
            }

            #[inline]
            fn xor(place: &Self::Atomic, value: Self) -> Self {
                place.fetch_xor(value, SeqCst)
            }

            #[inline]
            fn swap(place: &Self::Atomic, value: Self) -> Self {
                place.swap(value, SeqCst)
            }

            #[inline]
            fn compare_exchange(
                place: &Self::Atomic,
                current: Self,
                new: Self,
            ) -> Result<Self, Self> {
                place.compare_exchange(current, new, SeqCst, SeqCst)
            }
        }
    )+};
}

integers! {
    u8: AtomicU8, u16: AtomicU16, u32: AtomicU32, u64: AtomicU64, usize: AtomicUsize,
    i8: AtomicI8, i16: AtomicI16, i32: AtomicI32, i64: AtomicI64, isize: AtomicIsize,
}
