//! [`Scope`]: jobs that borrow, which have all ended when the scope does.
//!
//! | file | what it is |
//! |---|---|
//! | [`core`] | a scope without its borrows: spawns, waits |
//! | [`handle`] | [`ScopedHandle`]: the way back from one job |
//! | [`map`] | [`ScopedMap`]: a map whose items and function borrow |
//!
//! How the jobs are counted, and told apart from the frame that they borrow from, is in
//! `job/children.rs`; `models.rs` runs scopes under loom while their pool ends.

mod core;
mod handle;
mod map;

#[cfg(all(test, loom))]
mod models;

use std::fmt;
use std::marker::PhantomData;

use self::core::Core;
pub use self::handle::ScopedHandle;
pub use self::map::ScopedMap;
use crate::spawner::Spawner;

/// What [`Pool::scope`](crate::Pool::scope) gives its closure, to spawn jobs that borrow.
///
/// `'scope` is the time in which jobs may run, and `'env` that for which what they borrow
/// from outside lives, as with [`std::thread::Scope`]. It may be used by the jobs
/// themselves, too: a reference is `Copy` and `Send`.
pub struct Scope<'scope, 'env: 'scope> {
    core: Core<'scope>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Hands `f` over to the pool, and gives the way back to its result. `f` and the
    /// result may borrow what lives longer than the scope.
    ///
    /// Never waits, with one exception: on a pool that takes no more jobs `f` runs here,
    /// unless this is one of its threads. `f` runs in any case, once: it is a part of
    /// something that has begun, and so is not counted by a
    /// [bounded](crate::PoolBuilder::queue_capacity) queue, nor thrown away by
    /// [`shutdown_now`](crate::Pool::shutdown_now).
    ///
    /// **Dropping the handle** is fine: the scope waits for the job all the same.
    ///
    /// [`is_cancelled`](crate::is_cancelled) says in `f` what it says of the job that the
    /// scope is in.
    ///
    /// # Panics
    /// Not here. If `f` panics, that is what [`ScopedHandle::join`] gives, or else what
    /// the scope panics with.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let text = String::from("one two three");
    /// let (words, letters) = pool.scope(|s| {
    ///     let words = s.spawn(|| text.split(' ').count());
    ///     let letters = s.spawn(|| text.chars().filter(|c| c.is_alphabetic()).count());
    ///     (words.join().unwrap(), letters.join().unwrap())
    /// });
    /// assert_eq!((words, letters), (3, 11));
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.core.spawn(f)
    }

    /// The results of `f` over `iter`, computed by the pool, in the order of the items:
    /// [`Pool::map`](crate::Pool::map) with items, a function and results that may
    /// borrow. See [`ScopedMap`].
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let text = String::from("one\ntwo\nthree");
    /// let longest = pool.scope(|s| s.map(text.lines(), |line| line.len()).max());
    /// assert_eq!(longest, Some(5));
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn map<I, F, T>(&'scope self, iter: I, f: F) -> ScopedMap<'scope, I::IntoIter, F, T>
    where
        I: IntoIterator,
        I::Item: Send + 'scope,
        F: Fn(I::Item) -> T + Send + Sync + 'scope,
        T: Send + 'scope,
    {
        ScopedMap::new(&self.core, iter.into_iter(), f)
    }
}

impl Spawner {
    /// Runs `f`, which may hand over jobs that borrow, and waits for them. See
    /// [`Pool::scope`](crate::Pool::scope).
    ///
    /// # Panics
    /// As [`Pool::scope`](crate::Pool::scope).
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        let scope = Scope {
            core: Core::new(self),
            env: PhantomData,
        };
        core::run(&scope.core, || f(&scope))
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("is_over", &self.core.is_over())
            .finish_non_exhaustive()
    }
}
