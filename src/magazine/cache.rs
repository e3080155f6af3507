//! The magazines of a thread, and the depot between threads.
//!
//! * Free blocks are linked through their own first word.
//! * The depot's lock is tried, never waited for: a preempted thread that holds
//!   it must not hold up a main loop. The way out is the allocator.
//! * The depot is capped; what does not fit goes back to the allocator, and so
//!   does what an ending thread leaves, except whole magazines.
//! * A handle or a message may be dropped in a thread's destructors, when the
//!   thread's magazines are gone: the allocator again.
//! * Blocks are aligned as any allocation is, and not to cache lines: for more,
//!   glibc takes three times as long, and neighbours that share a line are
//!   usually a batch that one thread works off (spawn and await of 200,000:
//!   202 against 351 ns a job).

#![allow(unsafe_code)]

use std::alloc::{Layout, handle_alloc_error};
use std::cell::RefCell;
use std::mem;
use std::ptr::{self, NonNull};

use crate::sync::{Mutex, thread_local};

/// Blocks a magazine.
const ROUNDS: usize = 64;

/// The blocks' alignment, in bytes.
const ALIGN: usize = 16;

/// The kinds of blocks.
#[derive(Clone, Copy)]
enum Class {
    /// A link and 56 bytes of message.
    Small,
    /// A cell's header and 96 bytes of closure or outcome.
    Large,
}

/// How many classes there are.
const CLASSES: usize = 2;

/// Full magazines that wait for a thread, by class.
static DEPOTS: [Mutex<Vec<Magazine>>; CLASSES] = [const { Mutex::new(Vec::new()) }; CLASSES];

thread_local! {
    static CACHES: [RefCell<Cache>; CLASSES] =
        const { [Cache::new(Class::Small), Cache::new(Class::Large)] };
}

impl Class {
    /// The blocks that a value goes into; `None` if it is too large.
    const fn of(layout: Layout) -> Option<Self> {
        match layout.size() {
            _ if layout.align() > ALIGN => None,
            0..=64 => Some(Self::Small),
            65..=128 => Some(Self::Large),
            _ => None,
        }
    }

    const fn layout(self) -> Layout {
        let size = match self {
            Self::Small => 64,
            Self::Large => 128,
        };
        match Layout::from_size_align(size, ALIGN) {
            Ok(layout) => layout,
            Err(_) => panic!("a constant layout"),
        }
    }

    /// Magazines the depot keeps: 16 MiB of small blocks, 32 MiB of large ones,
    /// if ever so many were in use at once.
    const fn depot_max(self) -> usize {
        4096
    }
}

/// Memory for a value of `layout`, uninitialised.
#[inline]
pub(crate) fn alloc(layout: Layout) -> NonNull<u8> {
    let Some(class) = Class::of(layout) else {
        return alloc_plain(layout);
    };
    match CACHES.try_with(|caches| caches[class as usize].borrow_mut().alloc()) {
        Ok(Some(block)) => block,
        _ => alloc_plain(class.layout()),
    }
}

/// Takes memory back.
///
/// # Safety
/// It came from [`alloc`] with this layout, and nobody uses it any more.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let class = Class::of(layout);
    if let Some(class) = class
        && let Ok(()) = CACHES.try_with(|caches| {
            // SAFETY: by the caller, it is a block of this class and nobody's.
            unsafe { caches[class as usize].borrow_mut().free(block) };
        })
    {
        return;
    }
    let layout = class.map_or(layout, Class::layout);
    // SAFETY: `alloc` got it from the allocator with this layout, now or when
    // the block was new.
    unsafe { std::alloc::dealloc(block.as_ptr(), layout) };
}

#[cold]
fn alloc_plain(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layout is not empty: a cell has a header, a node a link.
    let block = unsafe { std::alloc::alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

/// A list of free blocks; owns them.
struct Magazine {
    /// The first block, whose first word points to the next; null if empty.
    head: *mut u8,
    len: usize,
    class: Class,
}

// SAFETY: it owns its blocks, which are plain memory.
unsafe impl Send for Magazine {}

impl Magazine {
    const fn empty(class: Class) -> Self {
        Self {
            head: ptr::null_mut(),
            len: 0,
            class,
        }
    }

    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.head)?;
        // SAFETY: `push` wrote the word, and the block was ours since.
        self.head = unsafe { block.cast::<*mut u8>().read() };
        self.len -= 1;
        Some(block)
    }

    /// Safety: `block` is of this class, and nobody else's.
    unsafe fn push(&mut self, block: NonNull<u8>) {
        // SAFETY: by the caller; a block is aligned and large enough for a
        // pointer.
        unsafe { block.cast::<*mut u8>().write(self.head) };
        self.head = block.as_ptr();
        self.len += 1;
    }
}

impl Drop for Magazine {
    fn drop(&mut self) {
        while let Some(block) = self.pop() {
            // SAFETY: it came from the allocator with this layout.
            unsafe { std::alloc::dealloc(block.as_ptr(), self.class.layout()) };
        }
    }
}

/// One thread's magazines of one class.
struct Cache {
    loaded: Magazine,
    /// Either empty or full.
    spare: Magazine,
}

impl Cache {
    const fn new(class: Class) -> RefCell<Self> {
        RefCell::new(Self {
            loaded: Magazine::empty(class),
            spare: Magazine::empty(class),
        })
    }

    #[inline]
    fn alloc(&mut self) -> Option<NonNull<u8>> {
        if let Some(block) = self.loaded.pop() {
            return Some(block);
        }
        if self.spare.len > 0 {
            mem::swap(&mut self.loaded, &mut self.spare);
        } else {
            self.loaded = DEPOTS[self.loaded.class as usize].try_lock()?.pop()?;
        }
        self.loaded.pop()
    }

    /// Safety: as [`Magazine::push`].
    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) {
        if self.loaded.len == ROUNDS {
            mem::swap(&mut self.loaded, &mut self.spare);
            if self.loaded.len > 0 {
                let empty = Magazine::empty(self.loaded.class);
                deposit(mem::replace(&mut self.loaded, empty));
            }
        }
        // SAFETY: handed on from the caller.
        unsafe { self.loaded.push(block) };
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        for magazine in [&mut self.loaded, &mut self.spare] {
            let empty = Magazine::empty(magazine.class);
            deposit(mem::replace(magazine, empty));
        }
    }
}

/// Leaves a full magazine in the depot; frees it if there is no room, if the
/// depot is busy, or if it is not full.
fn deposit(magazine: Magazine) {
    let class = magazine.class;
    if magazine.len == ROUNDS
        && let Some(mut depot) = DEPOTS[class as usize].try_lock()
        && depot.len() < class.depot_max()
    {
        depot.push(magazine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_last_in_first_out() {
        for layout in [Layout::new::<[u64; 9]>(), Layout::new::<u64>()] {
            let a = alloc(layout);
            let b = alloc(layout);
            // SAFETY: allocated above, with this layout.
            unsafe { free(a, layout) };
            // SAFETY: allocated above, with this layout.
            unsafe { free(b, layout) };
            assert_eq!(alloc(layout), b);
            assert_eq!(alloc(layout), a);
            // SAFETY: allocated above, with this layout.
            unsafe { free(a, layout) };
            // SAFETY: allocated above, with this layout.
            unsafe { free(b, layout) };
        }
    }

    #[test]
    fn a_size_has_its_class() {
        let class = |size, align| {
            let layout = Layout::from_size_align(size, align).unwrap();
            Class::of(layout).map(|class| class.layout().size())
        };
        assert_eq!(class(1, 1), Some(64));
        assert_eq!(class(64, 16), Some(64));
        assert_eq!(class(65, 1), Some(128));
        assert_eq!(class(128, 8), Some(128));
        assert_eq!(class(129, 1), None);
        assert_eq!(class(8, 32), None);
    }

    #[test]
    fn large_and_overaligned_cells_come_from_the_allocator() {
        #[repr(align(256))]
        struct Wide([u8; 256]);
        for layout in [Layout::new::<[u8; 4096]>(), Layout::new::<Wide>()] {
            assert!(Class::of(layout).is_none());
            let block = alloc(layout);
            assert_eq!(block.as_ptr() as usize % layout.align(), 0);
            // SAFETY: allocated above, with this layout.
            unsafe { free(block, layout) };
        }
        let _ = Wide([0; 256]).0;
    }

    #[test]
    fn a_thread_keeps_at_most_two_magazines() {
        let layout = Layout::new::<u64>();
        std::thread::spawn(move || {
            let blocks: Vec<_> = (0..ROUNDS * 5).map(|_| alloc(layout)).collect();
            for block in blocks {
                // SAFETY: allocated above, with this layout.
                unsafe { free(block, layout) };
            }
            CACHES.with(|caches| {
                let cache = caches[Class::Small as usize].borrow();
                assert!(cache.loaded.len <= ROUNDS);
                assert!(cache.spare.len == 0 || cache.spare.len == ROUNDS);
            });
        })
        .join()
        .unwrap();
    }
}
