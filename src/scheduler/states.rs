//! Values that each pool thread has one of.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::{Scheduler, current};
use crate::sync::{Ordering, StaticU64, thread_local};
use crate::util::{PanicPayload, catch, discard};

/// The name of one such value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StateKey(u64);

impl StateKey {
    pub(crate) fn fresh() -> Self {
        static NEXT: StaticU64 = StaticU64::new(0);
        // Relaxed: only that no key comes twice.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

thread_local! {
    /// This thread's values. They are made and dropped on it, with nothing
    /// borrowed.
    static STATES: RefCell<Option<HashMap<StateKey, Rc<dyn Any>>>> = const { RefCell::new(None) };
}

impl Scheduler {
    /// This thread's value called `key`, made by `init` if it is not there yet;
    /// `None` if this is no thread of the pool.
    ///
    /// If `init` asks for the same value, the inner one stays.
    pub(crate) fn state<T: 'static>(
        &self,
        key: StateKey,
        init: impl FnOnce() -> T,
    ) -> Option<Rc<T>> {
        current::of(self)?;
        let known = STATES.with(|states| states.borrow().as_ref()?.get(&key).cloned());
        let value = known.unwrap_or_else(|| {
            let new: Rc<dyn Any> = Rc::new(init());
            STATES.with(|states| {
                let mut states = states.borrow_mut();
                let states = states.get_or_insert_default();
                Rc::clone(states.entry(key).or_insert(new))
            })
        });
        value.downcast().ok()
    }
}

/// The thread leaves its pool: drops all its values; each panic of a `Drop` is
/// given to `report`.
pub(super) fn clear(report: impl Fn(PanicPayload)) {
    let values = STATES.with(RefCell::take);
    for (_, value) in values.unwrap_or_default() {
        if let Err(payload) = catch(|| drop(value)) {
            report(payload);
        }
    }
}

/// Drops this thread's value called `key`, if it has one.
pub(crate) fn forget_state(key: StateKey) {
    let value = STATES.with(|states| states.borrow_mut().as_mut()?.remove(&key));
    discard(value);
}
