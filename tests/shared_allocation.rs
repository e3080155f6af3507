//! Promise: splitting and reuniting a buffer costs a few allocations, whatever
//! its size and the number of its parts, and waiting for an element costs none
//! per notification.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use windlass::{SharedArray, SharedBuffer};

/// The system's allocator, counted for each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code)]
// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: handed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: handed on from the caller.
        unsafe { System.dealloc(block, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations `run` makes on this thread.
fn allocations<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATIONS.get();
    let value = run();
    (ALLOCATIONS.get() - before, value)
}

#[test]
fn a_split_costs_two_allocations_and_a_reunion_one() {
    for (len, n) in [(0, 1), (10, 2), (1_000_000, 2), (1000, 1000)] {
        let buffer = SharedBuffer::from(vec![0_u64; len]);
        let (split, (parts, whole)) = allocations(|| buffer.split(n).unwrap());
        assert_eq!(split, 2, "the list of parts, and their count");
        let (gone, ()) = allocations(|| drop(parts));
        assert_eq!(gone, 0);
        let (reunited, vec) = allocations(|| whole.try_into_vec().unwrap());
        assert_eq!((reunited, vec.len()), (0, len));
        let (shared, buffer) = allocations(|| SharedBuffer::from(vec));
        assert_eq!(shared, 1, "the count of owners");
        let (out, vec) = allocations(|| buffer.into_vec());
        assert_eq!((out, vec.len()), (0, len));
    }
}

#[test]
fn cutting_a_part_further_costs_none() {
    let (mut parts, whole) = SharedBuffer::from(vec![0_u64; 100]).split(1).unwrap();
    let (cut, (front, back)) = allocations(|| parts.remove(0).split_at(50));
    assert_eq!(cut, 0);
    drop((front, back, whole));
}

#[test]
fn a_notification_that_nobody_waits_for_costs_none() {
    let array = SharedArray::<u32>::new(1);
    let (none, woken) = allocations(|| array.notify(0, usize::MAX));
    assert_eq!((none, woken), (0, 0));
    let waits = [(); 5].map(|()| array.wait_async(0, 0));
    let (some, woken) = allocations(|| array.notify(0, usize::MAX));
    assert_eq!((some, woken), (0, 5));
    drop(waits);
}
