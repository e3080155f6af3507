//! Channels by name: who shouts, and who hears it.
//!
//! Both the register of names and each channel's list of members are replaced,
//! never changed, so that posting reads them without a lock.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use arc_swap::ArcSwap;

use super::lane::Lane;
use crate::sync::{Arc, Weak};

type Key = (String, TypeId);
type Names = HashMap<Key, Weak<dyn Any + Send + Sync>>;

/// The register of channels by name and type.
pub(crate) struct Hub(ArcSwap<Names>);

impl Hub {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::default())
    }

    /// The channel of that name and type, which lives as long as somebody holds
    /// it.
    pub(crate) fn channel<T: Send + 'static>(&self, name: &str) -> Arc<Members<T>> {
        let key = (name.to_owned(), TypeId::of::<T>());
        loop {
            let names = self.0.load_full();
            let known = names.get(&key).and_then(Weak::upgrade);
            if let Some(known) = known.and_then(|any| any.downcast().ok()) {
                return known;
            }
            let channel = Arc::new(Members::<T>::new());
            let mut next: Names = names
                .iter()
                .filter(|(_, channel)| channel.strong_count() != 0)
                .map(|(key, channel)| (key.clone(), Weak::clone(channel)))
                .collect();
            let weak = Arc::downgrade(&channel);
            next.insert(key.clone(), weak);
            let before = self.0.compare_and_swap(&names, Arc::new(next));
            if Arc::ptr_eq(&before, &names) {
                return channel;
            }
        }
    }
}

/// One channel's members.
pub(crate) struct Members<T>(ArcSwap<Vec<Arc<Lane<T>>>>);

impl<T: Send + 'static> Members<T> {
    fn new() -> Self {
        Self(ArcSwap::default())
    }

    /// One more member, with a lane of its own.
    pub(crate) fn join(&self) -> Arc<Lane<T>> {
        let lane = Arc::new(Lane::unbounded());
        self.0.rcu(|members| {
            let mut members = Vec::clone(members);
            members.push(Arc::clone(&lane));
            members
        });
        lane
    }

    /// Hears nothing more.
    pub(crate) fn leave(&self, lane: &Arc<Lane<T>>) {
        self.0.rcu(|members| {
            let others = members.iter().filter(|other| !Arc::ptr_eq(other, lane));
            others.cloned().collect::<Vec<_>>()
        });
    }

    /// All who hear what `lane`'s owner says.
    pub(crate) fn others(&self, lane: &Arc<Lane<T>>) -> Vec<Arc<Lane<T>>> {
        let members = self.0.load();
        let others = members.iter().filter(|other| !Arc::ptr_eq(other, lane));
        others.cloned().collect()
    }
}
