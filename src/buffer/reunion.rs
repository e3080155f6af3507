//! One allocation in pieces, and the way back. All unsafe code about buffers is
//! in this file.
//!
//! A `Vec<T>` is taken apart into its pointer, length and capacity. What there
//! is of it then:
//!
//! * [`Piece`]s: each owns the elements of one range, and is the only one to
//!   touch them;
//! * one [`Claim`]: touches nothing while there are pieces;
//! * the [`Reunion`] they share, which is a count. It owns no elements.
//!
//! # Who may touch what
//! 1. *Pieces are disjoint.* The first one covers all of the elements. Others
//!    come about by [`Piece::split_off`], which cuts one in two, and by
//!    [`Piece::empty_at`], which gives no element; none
//!    can be cloned. So an element belongs to at most one piece, and access to
//!    it is by `&` or `&mut` to that piece.
//! 2. *The state word counts the pieces* and says whether the claim exists. A
//!    piece lets go in its `Drop`, after which nobody uses it. A piece that is
//!    leaked is counted for ever.
//! 3. *The vector is put together again at most once*, by the last of them:
//!    the claim, if it finds no piece left, or the last piece, if it finds the
//!    claim gone. Both let go by one read-modify-write of the word (the claim,
//!    in taking, needs none: with no piece left the word is its own), so that
//!    exactly one finds itself last.
//! 4. *Types do not change meanwhile.* A piece must not pass for one of a
//!    shorter-lived type, or what is written through it would come back from
//!    the claim as the longer-lived one. The `*mut T` makes both invariant.
//!
//! # Memory ordering
//! Whoever puts the vector together must see all that was written through the
//! pieces. Each lets go with Release; the last one's step (AcqRel), or the
//! claim's look at the word (Acquire), reads from the end of a chain of
//! read-modify-writes that every one of them is part of, and so synchronises
//! with all of them. Counting a piece in is Relaxed: it happens under another
//! piece, which keeps the count from reaching zero.
//!
//! # Not missing the end
//! The claim leaves its waker and looks at the word again; the last piece lets
//! go and then wakes. Either the wake finds the waker, or it came first (or
//! just when the claim took an older waker out), and then the claim's step on
//! the slot synchronises with it, and the second look finds no piece.

#![allow(unsafe_code)]

use std::panic::resume_unwind;
use std::slice;
use std::task::{Poll, Waker};

use crate::sync::mutant::{Mutant, broken};
use crate::sync::{Arc, AtomicUsize, Ordering, WakerSlot, thread};
use crate::util::{catch, discard};

/// Set in the state word while the claim exists.
const CLAIM: usize = 1;

/// One piece in the state word.
const PIECE: usize = 2;

/// More pieces than any program holds: only leaking them in a loop gets there.
const TOO_MANY: usize = usize::MAX / 2;

/// Takes `vec` apart: one piece with all of it, and the claim.
pub(super) fn take_apart<T>(vec: Vec<T>) -> (Piece<T>, Claim<T>) {
    let (elements, len, capacity) = vec.into_raw_parts();
    let reunion = Arc::new(Reunion {
        elements,
        len,
        capacity,
        state: AtomicUsize::new(CLAIM + PIECE),
        waker: WakerSlot::new(),
    });
    let piece = Piece {
        elements,
        len,
        start: 0,
        reunion: Arc::clone(&reunion),
    };
    let claim = Claim {
        reunion: Some(reunion),
    };
    (piece, claim)
}

/// What pieces and claim share. Dropping it frees no element: see rule 3.
struct Reunion<T> {
    elements: *mut T,
    len: usize,
    capacity: usize,
    state: AtomicUsize,
    waker: WakerSlot,
}

// SAFETY: the pointer is used by the last holder only, whichever thread that
// is on; so elements move between threads, and are not shared through here.
unsafe impl<T: Send> Send for Reunion<T> {}

// SAFETY: as for `Send`; all else in it is made for sharing.
unsafe impl<T: Send> Sync for Reunion<T> {}

impl<T> Reunion<T> {
    fn is_whole(&self) -> bool {
        // Acquire: the partner is every piece's last step.
        self.state.load(Ordering::Acquire) == CLAIM
    }

    /// Puts the vector together again.
    ///
    /// # Safety
    /// The caller is the last holder (rule 3), has synchronised with all
    /// pieces, and does this once.
    unsafe fn put_together(&self) -> Vec<T> {
        // SAFETY: the three come from a vector that was taken apart, whose
        // elements are initialised, and nobody else has them any more.
        unsafe { Vec::from_raw_parts(self.elements, self.len, self.capacity) }
    }
}

/// The only owner of some of the elements.
pub(super) struct Piece<T> {
    elements: *mut T,
    len: usize,
    /// Where it begins in the whole.
    start: usize,
    reunion: Arc<Reunion<T>>,
}

// SAFETY: it owns its elements, and with its last step possibly all of them;
// they are `Send`.
unsafe impl<T: Send> Send for Piece<T> {}

// SAFETY: a shared piece gives out shared elements, and these are `Sync`.
unsafe impl<T: Sync> Sync for Piece<T> {}

impl<T> Piece<T> {
    pub(super) fn start(&self) -> usize {
        self.start
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: the elements are initialised and this piece's own (rule 1),
        // and the borrow of it keeps writers away.
        unsafe { slice::from_raw_parts(self.elements, self.len) }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above; the borrow of it keeps everybody else away.
        unsafe { slice::from_raw_parts_mut(self.elements, self.len) }
    }

    /// Cuts this piece in two: keeps the first `at` elements, gives the rest.
    ///
    /// # Panics
    /// If there are fewer than `at`.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let mut rest = self.empty_at(at);
        rest.len = self.len - at;
        self.len = at;
        rest
    }

    /// One more piece, without elements, in front of the element `at`.
    ///
    /// By `&mut`: it may end up as the last one, on a thread to which a piece
    /// may only be sent, and not merely be shown.
    ///
    /// # Panics
    /// If there are fewer than `at`.
    pub(super) fn empty_at(&mut self, at: usize) -> Self {
        assert!(at <= self.len, "{at} of {} elements", self.len);
        let reunion = Arc::clone(&self.reunion);
        if reunion.state.fetch_add(PIECE, Ordering::Relaxed) > TOO_MANY {
            // As `Arc` does: the count must not wrap.
            std::process::abort();
        }
        Self {
            // SAFETY: `at` is within the elements, or just behind the last.
            elements: unsafe { self.elements.add(at) },
            len: 0,
            start: self.start + at,
            reunion,
        }
    }
}

impl<T> Drop for Piece<T> {
    fn drop(&mut self) {
        let ordering = if broken(Mutant::PartLetsGoRelaxed) {
            Ordering::Relaxed
        } else {
            // The partner is the same step of the last piece, or the claim's
            // look at the word.
            Ordering::AcqRel
        };
        let before = self.reunion.state.fetch_sub(PIECE, ordering);
        if before == PIECE + CLAIM {
            // The claim's task is not this thread's: a panic of its waker must
            // not end the job that held the piece.
            if let Err(payload) = catch(|| self.reunion.waker.wake()) {
                discard(payload);
            }
        } else if before == PIECE {
            // SAFETY: the last piece, and the claim is gone.
            drop_elements(unsafe { self.reunion.put_together() });
        }
    }
}

/// The right to the reunited vector, once there is no piece left.
pub(super) struct Claim<T> {
    /// `None` once the vector was taken.
    reunion: Option<Arc<Reunion<T>>>,
}

impl<T> Claim<T> {
    /// Whether the vector was taken, so that there is nothing to wait for.
    pub(super) fn is_spent(&self) -> bool {
        self.reunion.is_none()
    }

    /// Whether the vector is there to be taken.
    pub(super) fn is_whole(&self) -> bool {
        self.reunion
            .as_ref()
            .is_some_and(|reunion| reunion.is_whole())
    }

    /// Takes the vector if no piece is left.
    pub(super) fn try_take(&mut self) -> Option<Vec<T>> {
        let reunion = self.reunion.take_if(|reunion| reunion.is_whole())?;
        // Here and not where the last holder's thread would drop it.
        discard(reunion.waker.take());
        // SAFETY: no piece is left, as was seen with Acquire, and the claim
        // has just given itself up.
        Some(unsafe { reunion.put_together() })
    }

    /// Takes the vector, or leaves `waker` to be woken by the last piece.
    ///
    /// # Panics
    /// If the vector was taken before.
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<Vec<T>> {
        if let Some(vec) = self.try_take() {
            return Poll::Ready(vec);
        }
        let reunion = self.reunion.as_ref();
        let reunion = reunion.expect("the buffer was taken before");
        // Taken out first: a slot must not drop a waker, which may panic, while
        // it is in the middle of registering another one.
        let old = reunion.waker.take();
        reunion.waker.register(waker);
        discard(old);
        if broken(Mutant::WholeLooksOnce) {
            return Poll::Pending;
        }
        self.try_take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for Claim<T> {
    fn drop(&mut self) {
        let Some(reunion) = self.reunion.take() else {
            return;
        };
        discard(reunion.waker.take());
        // Acquire: the partner is every piece's last step. No Release: the
        // claim has written no element.
        let before = reunion.state.fetch_sub(CLAIM, Ordering::Acquire);
        if before == CLAIM {
            // SAFETY: no piece is left, and the claim has just let go.
            drop_elements(unsafe { reunion.put_together() });
        }
    }
}

/// Drops the elements and frees the vector, whatever panics: each element is
/// dropped, and the first panic goes on, unless this thread is unwinding
/// already, where it would end the process.
fn drop_elements<T>(vec: Vec<T>) {
    if !std::mem::needs_drop::<T>() {
        return;
    }
    let mut elements = vec.into_iter();
    let mut first = None;
    while let Err(payload) = catch(|| elements.by_ref().for_each(drop)) {
        if first.is_none() {
            first = Some(payload);
        } else {
            discard(payload);
        }
    }
    drop(elements);
    match first {
        Some(payload) if thread::panicking() => discard(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}
