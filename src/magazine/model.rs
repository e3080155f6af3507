//! Under loom every block is an allocation of its own. Within [`account`] they
//! are counted, and a freed one is kept until the iteration is over: a use after
//! free is then a race that loom reports, and not undefined behaviour of the
//! model.

#![allow(unsafe_code)]

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
    static ACCOUNT: RefCell<Option<Account>> = const { RefCell::new(None) };
}

pub(crate) fn alloc(layout: Layout) -> NonNull<u8> {
    ACCOUNT.with_borrow_mut(|account| {
        if let Some(account) = account {
            account.live += 1;
        }
    });
    // SAFETY: the layout is not empty: a cell has a header, a node a link.
    NonNull::new(unsafe { std::alloc::alloc(layout) }).expect("memory")
}

/// Safety: as the real one.
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    ACCOUNT.with_borrow_mut(|account| match account {
        Some(account) => {
            account.live = account
                .live
                .checked_sub(1)
                .expect("a block was freed twice");
            account.graveyard.push((block, layout));
        }
        // SAFETY: by the caller; it came from `alloc`.
        None => unsafe { std::alloc::dealloc(block.as_ptr(), layout) },
    });
}

/// Runs one iteration of a model and checks that every block was freed.
#[cfg(test)]
pub(crate) fn account(iteration: impl FnOnce()) {
    ACCOUNT.set(Some(Account::default()));
    iteration();
    let account = ACCOUNT.take().expect("set above");
    assert_eq!(account.live, 0, "a block leaked");
    for (block, layout) in account.graveyard {
        // SAFETY: freed by the model, and nobody is left.
        unsafe { std::alloc::dealloc(block.as_ptr(), layout) };
    }
}
