//! Workers that own workers, without recursion.
//!
//! A worker that ends drops its state, which may be the owner of another one,
//! and so on. With a pool each ends in a turn of its own; without one they end
//! on the thread that noticed, one after another.

use std::cell::RefCell;

use crate::sync::thread_local;

/// An end that has still to come.
type End = Box<dyn FnOnce()>;

thread_local! {
    /// The ends that came up while this thread was in one; `None` outside.
    static ENDS: RefCell<Option<Vec<End>>> = const { RefCell::new(None) };
}

/// Runs `end`, now or when the one that this thread is in is over. It does not
/// panic.
pub(super) fn one_after_another(end: End) {
    let mut next = ENDS.with(|ends| {
        let mut ends = ends.borrow_mut();
        match &mut *ends {
            Some(ends) => {
                ends.push(end);
                None
            }
            none => {
                *none = Some(Vec::new());
                Some(end)
            }
        }
    });
    while let Some(end) = next {
        end();
        next = ENDS.with(|ends| {
            let mut ends = ends.borrow_mut();
            let another = ends.as_mut().and_then(Vec::pop);
            if another.is_none() {
                *ends = None;
            }
            another
        });
    }
}
