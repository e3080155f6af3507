//! Where job cells come from: blocks of one size, kept per thread.
//!
//! A cell is usually made on the main loop's thread and freed there or on a
//! pool thread. Through the allocator such a block costs up to 130 ns, and
//! erratically; through the two magazines each thread keeps here, a few. The
//! scheme is Bonwick's ("Magazines and Vmem", USENIX 2001): a thread works on
//! its *loaded* magazine, keeps a *spare* one so that a run of frees followed
//! by a run of allocations does not go back and forth, and exchanges full ones
//! with the *depot*.
//!
//! * Free blocks are linked through their own first word.
//! * The depot's lock is tried, never waited for: a preempted thread that holds
//!   it must not hold up a main loop. The way out is the allocator.
//! * The depot is capped; what does not fit goes back to the allocator, and so
//!   does what an ending thread leaves, except whole magazines.
//! * A handle may be dropped in a thread's destructors, when the thread's
//!   magazines are gone: the allocator again.

#![allow(unsafe_code)]

#[cfg(not(loom))]
pub(super) use self::real::{alloc, free};

#[cfg(all(test, loom))]
pub(super) use self::model::account;
#[cfg(loom)]
pub(super) use self::model::{alloc, free};

#[cfg(not(loom))]
mod real {
    use std::alloc::{Layout, handle_alloc_error};
    use std::cell::RefCell;
    use std::mem;
    use std::ptr::{self, NonNull};

    use crate::sync::{Mutex, thread_local};

    /// Two cache lines: a header and 96 bytes of closure or outcome.
    /// Aligned to a line, so that two jobs' cells never share one.
    const BLOCK: Layout = match Layout::from_size_align(128, 64) {
        Ok(layout) => layout,
        Err(_) => panic!("a constant layout"),
    };

    /// Blocks a magazine.
    const ROUNDS: usize = 64;

    /// Magazines the depot keeps: 8 MiB of blocks at most.
    const DEPOT_MAX: usize = 1024;

    static DEPOT: Mutex<Vec<Magazine>> = Mutex::new(Vec::new());

    thread_local! {
        static CACHE: RefCell<Cache> = const { RefCell::new(Cache::EMPTY) };
    }

    /// Memory for a value of `layout`, uninitialised.
    #[inline]
    pub(in crate::job) fn alloc(layout: Layout) -> NonNull<u8> {
        if fits(layout)
            && let Ok(Some(block)) = CACHE.try_with(|cache| cache.borrow_mut().alloc())
        {
            return block;
        }
        alloc_plain(sized(layout))
    }

    /// Takes memory back.
    ///
    /// # Safety
    /// It came from [`alloc`] with this layout, and nobody uses it any more.
    #[inline]
    pub(in crate::job) unsafe fn free(block: NonNull<u8>, layout: Layout) {
        if fits(layout)
            && let Ok(()) = CACHE.try_with(|cache| {
                // SAFETY: by the caller, it is a block and nobody's.
                unsafe { cache.borrow_mut().free(block) };
            })
        {
            return;
        }
        // SAFETY: `alloc` got it from the allocator with this layout, now or
        // when the block was new.
        unsafe { std::alloc::dealloc(block.as_ptr(), sized(layout)) };
    }

    fn fits(layout: Layout) -> bool {
        layout.size() <= BLOCK.size() && layout.align() <= BLOCK.align()
    }

    /// The layout the allocator is asked for.
    fn sized(layout: Layout) -> Layout {
        if fits(layout) { BLOCK } else { layout }
    }

    #[cold]
    fn alloc_plain(layout: Layout) -> NonNull<u8> {
        // SAFETY: the layout is not empty: a cell has a header.
        let block = unsafe { std::alloc::alloc(layout) };
        NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// A list of free blocks; owns them.
    struct Magazine {
        /// The first block, whose first word points to the next; null if empty.
        head: *mut u8,
        len: usize,
    }

    // SAFETY: it owns its blocks, which are plain memory.
    unsafe impl Send for Magazine {}

    impl Magazine {
        const EMPTY: Self = Self {
            head: ptr::null_mut(),
            len: 0,
        };

        fn pop(&mut self) -> Option<NonNull<u8>> {
            let block = NonNull::new(self.head)?;
            // SAFETY: `push` wrote the word, and the block was ours since.
            self.head = unsafe { block.cast::<*mut u8>().read() };
            self.len -= 1;
            Some(block)
        }

        /// Safety: `block` is of layout `BLOCK`, and nobody else's.
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
                unsafe { std::alloc::dealloc(block.as_ptr(), BLOCK) };
            }
        }
    }

    /// One thread's magazines.
    struct Cache {
        loaded: Magazine,
        /// Either empty or full.
        spare: Magazine,
    }

    impl Cache {
        const EMPTY: Self = Self {
            loaded: Magazine::EMPTY,
            spare: Magazine::EMPTY,
        };

        #[inline]
        fn alloc(&mut self) -> Option<NonNull<u8>> {
            if let Some(block) = self.loaded.pop() {
                return Some(block);
            }
            if self.spare.len > 0 {
                mem::swap(&mut self.loaded, &mut self.spare);
            } else {
                self.loaded = DEPOT.try_lock()?.pop()?;
            }
            self.loaded.pop()
        }

        /// Safety: as [`Magazine::push`].
        #[inline]
        unsafe fn free(&mut self, block: NonNull<u8>) {
            if self.loaded.len == ROUNDS {
                mem::swap(&mut self.loaded, &mut self.spare);
                if self.loaded.len > 0 {
                    deposit(mem::replace(&mut self.loaded, Magazine::EMPTY));
                }
            }
            // SAFETY: handed on from the caller.
            unsafe { self.loaded.push(block) };
        }
    }

    impl Drop for Cache {
        fn drop(&mut self) {
            for magazine in [&mut self.loaded, &mut self.spare] {
                deposit(mem::replace(magazine, Magazine::EMPTY));
            }
        }
    }

    /// Leaves a full magazine in the depot; frees it if there is no room, if
    /// the depot is busy, or if it is not full.
    fn deposit(magazine: Magazine) {
        if magazine.len == ROUNDS
            && let Some(mut depot) = DEPOT.try_lock()
            && depot.len() < DEPOT_MAX
        {
            depot.push(magazine);
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn blocks_come_back_last_in_first_out() {
            let layout = Layout::new::<[u64; 9]>();
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

        #[test]
        fn large_and_overaligned_cells_come_from_the_allocator() {
            #[repr(align(256))]
            struct Wide([u8; 256]);
            for layout in [Layout::new::<[u8; 4096]>(), Layout::new::<Wide>()] {
                assert!(!fits(layout));
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
                CACHE.with_borrow(|cache| {
                    assert!(cache.loaded.len <= ROUNDS);
                    assert!(cache.spare.len == 0 || cache.spare.len == ROUNDS);
                });
            })
            .join()
            .unwrap();
        }
    }
}

/// Under loom every cell is an allocation of its own, and a freed one is kept
/// until the iteration is over: a use after free is then a race that loom
/// reports, and not undefined behaviour of the model.
#[cfg(loom)]
mod model {
    use std::alloc::Layout;
    use std::cell::RefCell;
    use std::ptr::NonNull;

    #[derive(Default)]
    struct Account {
        live: usize,
        graveyard: Vec<(NonNull<u8>, Layout)>,
    }

    std::thread_local! {
        // std's: all threads of a model run on one OS thread.
        static ACCOUNT: RefCell<Account> = RefCell::default();
    }

    pub(in crate::job) fn alloc(layout: Layout) -> NonNull<u8> {
        ACCOUNT.with_borrow_mut(|account| account.live += 1);
        // SAFETY: the layout is not empty: a cell has a header.
        NonNull::new(unsafe { std::alloc::alloc(layout) }).expect("memory")
    }

    /// Safety: as the real one.
    pub(in crate::job) unsafe fn free(block: NonNull<u8>, layout: Layout) {
        ACCOUNT.with_borrow_mut(|account| {
            account.live = account.live.checked_sub(1).expect("a cell was freed twice");
            account.graveyard.push((block, layout));
        });
    }

    /// Runs one iteration of a model and checks that every cell was freed.
    #[cfg(test)]
    pub(in crate::job) fn account(iteration: impl FnOnce()) {
        ACCOUNT.take();
        iteration();
        let account = ACCOUNT.take();
        assert_eq!(account.live, 0, "a cell leaked");
        for (block, layout) in account.graveyard {
            // SAFETY: freed by the model, and nobody is left.
            unsafe { std::alloc::dealloc(block.as_ptr(), layout) };
        }
    }
}
