//! Environment data: values by name that later workers inherit.
//!
//! Each owner (a pool, a worker) has a map of its own. A new worker gets the
//! map as it is at that moment; nothing that either side sets later reaches the
//! other. Maps are replaced, never changed, so that a snapshot is one counted
//! reference and a reader takes no lock.

use std::any::Any;
use std::collections::HashMap;

use arc_swap::ArcSwap;

use crate::sync::Arc;

pub(crate) type Value = Arc<dyn Any + Send + Sync>;
type Map = HashMap<String, Value>;

/// One owner's map.
pub(crate) struct Environment(ArcSwap<Map>);

impl Environment {
    pub(crate) fn new() -> Self {
        Self(ArcSwap::default())
    }

    /// The map as it is now, for a new owner.
    pub(crate) fn inherit(&self) -> Self {
        Self(ArcSwap::new(self.0.load_full()))
    }

    /// Sets a value, or removes it.
    pub(crate) fn set(&self, key: &str, value: Option<&Value>) {
        self.0.rcu(|map| {
            let mut map = Map::clone(map);
            match value {
                Some(value) => map.insert(key.to_owned(), Arc::clone(value)),
                None => map.remove(key),
            };
            map
        });
    }

    /// The value called `key`, if it is there and is a `T`.
    pub(crate) fn get<T: Any + Send + Sync>(&self, key: &str) -> Option<Arc<T>> {
        let value = Arc::clone(self.0.load().get(key)?);
        value.downcast().ok()
    }
}

/// The methods on environment data, for a type with a
/// `fn environment(&self) -> &Environment`.
macro_rules! environment_methods {
    ($whose:literal) => {
        #[doc = concat!("Sets a value in the environment data of ", $whose, ".")]
        ///
        /// Workers that are started later inherit it; those that exist do not see
        /// it. Never blocks; it copies the map, so set few things, seldom.
        pub fn set_environment_data<T: std::any::Any + Send + Sync>(&self, key: &str, value: T) {
            let value: $crate::environment::Value = $crate::sync::Arc::new(value);
            self.environment().set(key, Some(&value));
        }

        #[doc = concat!("Removes a value from the environment data of ", $whose, ".")]
        pub fn remove_environment_data(&self, key: &str) {
            self.environment().set(key, None);
        }

        #[doc = concat!("A value in the environment data of ", $whose, ";")]
        /// `None` if there is none of that name and type. Never blocks.
        #[must_use]
        pub fn environment_data<T: std::any::Any + Send + Sync>(
            &self,
            key: &str,
        ) -> Option<$crate::sync::Arc<T>> {
            self.environment().get(key)
        }
    };
}
pub(crate) use environment_methods;
