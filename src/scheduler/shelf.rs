//! Where a thread shows the second halves of its joins to the others.
//!
//! A few places, each of which holds a half or nothing. The owner fills them with its
//! oldest halves, which are the largest pieces of work; thieves empty them, the oldest
//! first, and say so in a word that the owner looks at in each join. So a join that
//! nobody needs help with costs one load of the owner's own cache line.
//!
//! A half in a place belongs to whoever takes it out, by one exchange.

use crate::job::HalfPtr;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{AtomicPtr, AtomicU32, Ordering, fence};

/// How many halves can be shown at once.
pub(super) const PLACES: usize = if cfg!(loom) { 2 } else { 8 };

/// The owner need not look: something is shown.
const FILLED: u32 = 0;

/// The owner should look: it knows of room.
const ROOM: u32 = 1;

/// The owner should look: somebody has taken a half.
const TAKEN: u32 = 2;

pub(super) struct Shelf {
    demand: AtomicU32,
    /// Where the oldest half is, most likely.
    oldest: AtomicU32,
    places: [AtomicPtr<()>; PLACES],
}

impl Shelf {
    pub(super) fn new() -> Self {
        Self {
            demand: AtomicU32::new(ROOM),
            oldest: AtomicU32::new(0),
            places: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
        }
    }

    /// For the owner: whether something may have to be shown.
    #[inline(always)]
    pub(super) fn is_in_demand(&self) -> bool {
        // Relaxed: seen a join later, it is seen soon enough.
        self.demand.load(Ordering::Relaxed) != FILLED
    }

    /// For the owner: whether a half was taken since the owner last said something of
    /// the demand.
    pub(super) fn was_taken(&self) -> bool {
        self.demand.load(Ordering::Relaxed) == TAKEN
    }

    /// For the owner: it wants to look again in its next join.
    pub(super) fn set_demand(&self) {
        self.demand.store(ROOM, Ordering::Relaxed);
    }

    /// For the owner: it wants to look again only if somebody takes a half. Executes a
    /// SeqCst fence; `false` if nothing is shown, and nobody will.
    pub(super) fn settle(&self) -> bool {
        self.demand.store(FILLED, Ordering::Relaxed);
        // Partner: the fence in `take`. Either the look sees what was taken, or the
        // store comes before the thief's.
        fence(Ordering::SeqCst);
        !self.is_empty()
    }

    /// For the owner: whether there is a place for its half number `n`, counted from its
    /// oldest.
    pub(super) fn has_place(&self, n: u32) -> bool {
        // Relaxed: only the owner fills it.
        self.place(n).load(Ordering::Relaxed).is_null()
    }

    /// For the owner: shows its half number `n`. There is a place.
    pub(super) fn put(&self, n: u32, half: HalfPtr) {
        // Release, partner: the exchange in `take`. The half is as the thief needs it.
        self.place(n).store(half.as_raw(), Ordering::Release);
    }

    /// For the owner: takes half number `n` back; `false` if a thief has it.
    pub(super) fn take_back(&self, n: u32, half: HalfPtr) -> bool {
        let place = self.place(n);
        if broken(Mutant::HalfTakenTwice) {
            let is_there = place.load(Ordering::Relaxed) == half.as_raw();
            place.store(std::ptr::null_mut(), Ordering::Relaxed);
            return is_there;
        }
        // Relaxed: what it leads to is the owner's own.
        let taken = place.compare_exchange(
            half.as_raw(),
            std::ptr::null_mut(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        taken.is_ok()
    }

    fn place(&self, n: u32) -> &AtomicPtr<()> {
        &self.places[n as usize % PLACES]
    }

    /// For thieves: the oldest half; the caller is its thief.
    pub(super) fn take(&self) -> Option<HalfPtr> {
        let first = self.oldest.load(Ordering::Relaxed) as usize;
        for offset in 0..PLACES {
            let at = (first + offset) % PLACES;
            let place = &self.places[at];
            if place.load(Ordering::Relaxed).is_null() {
                continue;
            }
            // Acquire, partner: the store in `put`.
            let raw = place.swap(std::ptr::null_mut(), Ordering::Acquire);
            if let Some(half) = HalfPtr::from_raw(raw) {
                self.oldest.store(at as u32 + 1, Ordering::Relaxed);
                // Partner: the fence in `settle`.
                fence(Ordering::SeqCst);
                if !broken(Mutant::DemandUntold) {
                    self.demand.store(TAKEN, Ordering::Relaxed);
                }
                return Some(half);
            }
        }
        None
    }

    /// Whether nothing is shown. Exact only after a SeqCst fence, in the sense of
    /// `sleep.md`.
    pub(super) fn is_empty(&self) -> bool {
        self.places
            .iter()
            .all(|place| place.load(Ordering::Relaxed).is_null())
    }
}
