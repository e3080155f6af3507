//! The seats of a pool: one for each thread it has, had, or will have.
//!
//! A seat is what others may touch of a pool thread: the far ends of its queues,
//! its calls, its place on the stack of sleepers. Threads come and go (a pool can
//! be resized, and takes substitutes for threads that wait), seats only come: what
//! a thread leaves in its queues is stolen like anything else, and the next one
//! to take the seat goes on with the same queues.
//!
//! The table grows without moving: blocks of 1, 2, 4 and so on places, each made
//! when it is first needed, so that a reference to a seat stays good and nobody who
//! reads takes a lock.

use std::ops::Index;

use arc_swap::ArcSwapOption;
use crossbeam_utils::CachePadded;

use super::Queues;
use super::shelf::Shelf;
use crate::job::Slot;
use crate::metrics::ThreadStats;
use crate::port::Queue;
use crate::sync::deque::Stealer;
use crate::sync::{
    Arc, AtomicBool, AtomicU32, AtomicUsize, Mutex, OnceLock, Ordering, Parker, ReportFlag,
};
use crate::util::limits::MAX_THREADS;

/// Blocks enough for [`MAX_THREADS`] seats.
const BLOCKS: usize = (MAX_THREADS + 1).ilog2() as usize;

const _: () = assert!((1 << BLOCKS) == MAX_THREADS + 1);

/// What others may touch of one pool thread.
pub(super) struct Seat {
    /// The other end of its LIFO.
    pub(super) lifo: Stealer<Slot>,
    /// The other end of its inbox.
    pub(super) inbox: Stealer<Slot>,
    /// Second halves of its joins.
    pub(super) shelf: Arc<CachePadded<Shelf>>,
    /// Jobs for this thread alone.
    pub(super) calls: Queue<Slot>,
    /// Whether nobody sits here, so that nobody comes to the calls.
    pub(super) vacant: AtomicBool,
    /// While it sleeps: 1 + the seat of the sleeper below it, 0 for none.
    pub(super) below: AtomicU32,
    /// For reports: the thread is parked, or as good as.
    pub(super) asleep: ReportFlag,
    pub(super) stats: Arc<ThreadStats>,
    /// The name of the job that runs here, if it has one.
    pub(super) job: Mutex<Option<Arc<str>>>,
    /// The thread's, which it leaves here before it sleeps for the first time.
    pub(super) parker: ArcSwapOption<Parker>,
}

/// A place for one seat.
type Place = OnceLock<Box<CachePadded<Seat>>>;

/// All seats, by index.
pub(super) struct Seats {
    blocks: [OnceLock<Box<[Place]>>; BLOCKS],
    /// How many there are. Only grows.
    len: AtomicUsize,
}

impl Seats {
    pub(super) fn new() -> Self {
        Self {
            blocks: [const { OnceLock::new() }; BLOCKS],
            len: AtomicUsize::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        // Partner: the store in `add`.
        self.len.load(Ordering::Acquire)
    }

    /// One more seat, and its thread's ends of its queues. One caller at a time.
    pub(super) fn add(&self, timed: bool) -> Queues {
        let index = self.len();
        assert!(index < MAX_THREADS, "as many seats as a pool can have");
        let queues = Queues::new();
        let seat = Seat {
            lifo: queues.lifo.stealer(),
            inbox: queues.inbox.stealer(),
            shelf: Arc::new(CachePadded::new(Shelf::new())),
            calls: Queue::new(),
            vacant: AtomicBool::new(true),
            below: AtomicU32::new(0),
            asleep: ReportFlag::new(false),
            job: Mutex::new(None),
            stats: Arc::new(ThreadStats::new(timed)),
            parker: ArcSwapOption::empty(),
        };
        let (block, offset) = locate(index);
        let places =
            self.blocks[block].get_or_init(|| (0..1 << block).map(|_| Place::new()).collect());
        assert!(
            places[offset].set(Box::new(CachePadded::new(seat))).is_ok(),
            "seats are added by one thread at a time"
        );
        self.len.store(index + 1, Ordering::Release);
        queues
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        (0..self.len()).map(|index| &self[index])
    }
}

impl Index<usize> for Seats {
    type Output = Seat;

    fn index(&self, index: usize) -> &Seat {
        let (block, offset) = locate(index);
        let place = self.blocks[block].get().and_then(|block| block.get(offset));
        place
            .and_then(OnceLock::get)
            .expect("an index below the number of seats")
    }
}

impl Seat {
    /// Wakes the thread, if it ever slept.
    pub(super) fn unpark(&self) {
        if let Some(parker) = &*self.parker.load() {
            parker.unpark();
        }
    }
}

/// Block and offset of a seat: block `b` begins with seat `2^b - 1`.
fn locate(index: usize) -> (usize, usize) {
    let block = (index + 1).ilog2() as usize;
    (block, index + 1 - (1 << block))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn seats_are_found_where_they_were_added() {
        let seats = Seats::new();
        for index in 0..40 {
            seats.add(false);
            assert_eq!(seats.len(), index + 1);
            seats[index].below.store(index as u32, Ordering::Relaxed);
        }
        for (index, seat) in seats.iter().enumerate() {
            assert_eq!(seat.below.load(Ordering::Relaxed), index as u32);
        }
    }

    #[test]
    fn blocks_follow_each_other_without_a_gap() {
        let mut next = (0, 0);
        for index in 0..MAX_THREADS {
            assert_eq!(locate(index), next);
            let (block, offset) = next;
            next = if offset + 1 == 1 << block {
                (block + 1, 0)
            } else {
                (block, offset + 1)
            };
        }
        assert_eq!(next, (BLOCKS, 0));
    }
}
