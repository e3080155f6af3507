//! Where the results of a map over a slice are written to: a vector that is not one yet.
//!
//! # Who may touch what
//! 1. The vector has room for as many results as there are items. It is empty, and not
//!    touched, until all are written.
//! 2. A [`Target`] is some items and their places. It alone may write to these: there is
//!    one for all of the room, and `split_at` makes two of one, with no place in both.
//! 3. A [`Run`] is some neighbouring results that were written. It owns them: dropped, it
//!    drops them. `work` turns a target into the run of the same places; a merge makes
//!    one run of two, the second of which begins where the first ends, which it checks.
//! 4. The run of all the places is forgotten, and the results are the vector's.
//!
//! If something panics, the runs that are there are dropped, each result once, and the
//! vector is an empty one that gives its room back. The driver ends after all threads
//! have let go of their targets and runs, whatever happens, and so no pointer into the
//! room outlives it. All pointers are made of the one that the vector gives.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem;

use super::grain::{Piece, drive};
use crate::util::discard;

/// `f` of each item, in order.
pub(super) fn results_of<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut results = Vec::with_capacity(items.len());
    let target = Target {
        items,
        places: results.as_mut_ptr(),
        _places: PhantomData,
    };
    if let Some(run) = drive(target, |target| target.fill(&f), Run::merge) {
        assert_eq!(run.len, items.len(), "a result for each item");
        mem::forget(run);
        // SAFETY: the run was that of all the places, by the length (rule 3), and the
        // results are nobody's (rule 4).
        unsafe { results.set_len(items.len()) };
    }
    results
}

/// Items, and where their results are to be written to.
struct Target<'a, T, R> {
    items: &'a [T],
    /// As many as there are items.
    places: *mut R,
    _places: PhantomData<&'a mut [R]>,
}

// SAFETY: it reads the items, which are `Sync`, and writes results, which are `Send`, to
// places that are its own (rule 2).
unsafe impl<T: Sync, R: Send> Send for Target<'_, T, R> {}

impl<T: Sync, R: Send> Piece for Target<'_, T, R> {
    #[inline]
    fn len(&self) -> usize {
        self.items.len()
    }

    #[inline]
    fn split_at(self, at: usize) -> (Self, Self) {
        let (items, others) = self.items.split_at(at);
        // SAFETY: there are as many places as items, and the line above panics if there
        // are fewer than `at`.
        let other_places = unsafe { self.places.add(at) };
        let others = Self {
            items: others,
            places: other_places,
            _places: PhantomData,
        };
        (Self { items, ..self }, others)
    }
}

impl<'a, T, R> Target<'a, T, R> {
    #[inline]
    fn fill(self, f: impl Fn(&T) -> R) -> Run<'a, R> {
        let mut run = Run {
            first: self.places,
            len: 0,
            _places: PhantomData,
        };
        for item in self.items {
            let result = f(item);
            // SAFETY: there are as many places as items, and this is one for each.
            let place = unsafe { run.first.add(run.len) };
            // SAFETY: the place is the target's, and nothing is there (rule 2).
            unsafe { place.write(result) };
            run.len += 1;
        }
        run
    }
}

/// Results that were written.
struct Run<'a, R> {
    first: *mut R,
    len: usize,
    _places: PhantomData<&'a mut [R]>,
}

// SAFETY: it owns results, which are `Send` (rule 3).
unsafe impl<R: Send> Send for Run<'_, R> {}

impl<R> Run<'_, R> {
    fn merge(mut self, next: Self) -> Self {
        // SAFETY: the end of the places that were written is in or at the end of the room.
        let end = unsafe { self.first.add(self.len) };
        assert!(
            end == next.first,
            "results are merged with their neighbours"
        );
        self.len += next.len;
        mem::forget(next);
        self
    }
}

impl<R> Drop for Run<'_, R> {
    fn drop(&mut self) {
        for at in 0..self.len {
            // SAFETY: it is one of those that were written.
            let place = unsafe { self.first.add(at) };
            // SAFETY: the run owns it (rule 3), and each is read once.
            discard(unsafe { place.read() });
        }
    }
}
