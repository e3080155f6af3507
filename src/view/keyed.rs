//! [`Keyed`]: jobs of equal keys one after another.
//!
//! Each key that has jobs has a serial view of its own, which is made with its first
//! job and goes with its last. They are found by the key's hash alone: of two keys
//! with the same 64 bits, which nobody will see, the jobs would take turns.
//!
//! The table has locks, each for a part of it and held for one look-up, with no code
//! of the user's under it; that is why the keys themselves are not in it. Views take
//! their own entry out.

use std::any::type_name;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::ViewBuilder;
use super::core::View;
use crate::handle::JoinHandle;
use crate::job::Slot;
use crate::sync::{Arc, Mutex, Weak};

/// Jobs of equal keys run one after another, in the order in which they were handed
/// over; those of different keys run side by side. For what belongs to one user, one
/// file, one connection.
///
/// A key costs something only while it has jobs. Clones are the same. A job that waits
/// for another one of its own key gets an error at once, as in a
/// [`serial`](crate::Pool::serial) view.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// let pool = windlass::Pool::new()?;
/// let by_user = pool.keyed::<&str>();
/// let log = Arc::new(Mutex::new(Vec::new()));
/// for (user, page) in [("ada", 1), ("bob", 1), ("ada", 2), ("ada", 3)] {
///     let log = Arc::clone(&log);
///     by_user.execute(&user, move || log.lock().unwrap().push((user, page)));
/// }
/// drop(pool); // finishes what was accepted
/// let log = log.lock().unwrap();
/// let of_ada = log.iter().filter(|(user, _)| *user == "ada").map(|(_, page)| *page);
/// assert!(of_ada.eq([1, 2, 3]));
/// # Ok::<(), windlass::BuildError>(())
/// ```
pub struct Keyed<K> {
    shared: Arc<Shared>,
    keys: PhantomData<fn(&K)>,
}

struct Shared {
    kind: ViewBuilder,
    hasher: RandomState,
    table: Arc<Table>,
}

/// The views of the keys that have jobs, by the hash of the key.
pub(super) struct Table([Mutex<HashMap<u64, Weak<View>>>; PARTS]);

/// A view's own entry in the table.
pub(super) struct Entry {
    table: Arc<Table>,
    hash: u64,
}

const PARTS: usize = 16;

impl<K> Keyed<K> {
    pub(super) fn new(kind: ViewBuilder) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind,
                hasher: RandomState::new(),
                table: Arc::new(Table(Default::default())),
            }),
            keys: PhantomData,
        }
    }

    /// How many keys have jobs that wait or run, or had until a moment ago.
    #[must_use]
    pub fn len(&self) -> usize {
        let parts = self.shared.table.0.iter();
        parts.map(|part| part.lock().len()).sum()
    }

    /// Whether no key has jobs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Hash> Keyed<K> {
    /// Hands `f` over, as [`Pool::spawn`](crate::Pool::spawn) does, behind all jobs of
    /// this key.
    ///
    /// # Panics
    /// If the key's `Hash` does.
    pub fn spawn<F, T>(&self, key: &K, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        View::spawn(&self.shared.view_of(key), f)
    }

    /// Hands `f` over, fire and forget, as [`Pool::execute`](crate::Pool::execute)
    /// does, behind all jobs of this key.
    ///
    /// # Panics
    /// As [`spawn`](Self::spawn).
    pub fn execute<F>(&self, key: &K, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        View::submit(&self.shared.view_of(key), Slot::detached(f));
    }
}

impl Shared {
    fn view_of(&self, key: &impl Hash) -> Arc<View> {
        let hash = self.hasher.hash_one(key);
        let mut part = self.table.part(hash).lock();
        if let Some(view) = part.get(&hash).and_then(Weak::upgrade) {
            return view;
        }
        let view = self.kind.clone().build(1).entered(Entry {
            table: Arc::clone(&self.table),
            hash,
        });
        let view = Arc::new(view);
        part.insert(hash, Arc::downgrade(&view));
        view
    }
}

impl Table {
    fn part(&self, hash: u64) -> &Mutex<HashMap<u64, Weak<View>>> {
        &self.0[hash as usize % PARTS]
    }
}

impl Drop for Entry {
    /// The view is gone; there may be another one for the same key by now.
    fn drop(&mut self) {
        let mut part = self.table.part(self.hash).lock();
        let is_gone = |view: &Weak<View>| view.strong_count() == 0;
        if part.get(&self.hash).is_some_and(is_gone) {
            part.remove(&self.hash);
        }
    }
}

impl<K> Clone for Keyed<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            keys: PhantomData,
        }
    }
}

// User code never runs with anything of a view half done.
impl<K> UnwindSafe for Keyed<K> {}
impl<K> RefUnwindSafe for Keyed<K> {}

impl<K> fmt::Debug for Keyed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("keys", &type_name::<K>())
            .field("len", &self.len())
            .finish()
    }
}
