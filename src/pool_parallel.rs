//! One job on all threads, on [`Pool`].

use crate::parallel::{JoinAll, Scope};
use crate::pool::Pool;
use crate::spawner::Spawner;

impl Pool {
    /// Runs both closures on the pool, perhaps on two threads at once, and gives both
    /// results. They may borrow. See [`join`](crate::join), which is what to call inside
    /// jobs, for what waits and panics.
    ///
    /// **It blocks** until both have ended. In a job of this pool that is a join like
    /// any other. On any other thread both run on the pool; if the pool takes no more
    /// jobs, here, one after the other.
    ///
    /// ```
    /// fn sort(numbers: &mut [u32]) {
    ///     if numbers.len() <= 1000 {
    ///         return numbers.sort_unstable();
    ///     }
    ///     let middle = numbers.len() / 2;
    ///     let (left, median, right) = numbers.select_nth_unstable(middle);
    ///     assert!(left.iter().all(|n| n <= median));
    ///     windlass::join(|| sort(left), || sort(right));
    /// }
    ///
    /// let pool = windlass::Pool::new()?;
    /// let mut numbers: Vec<_> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_769)).collect();
    /// let (left, right) = numbers.split_at_mut(50_000);
    /// pool.join(|| sort(left), || sort(right));
    /// assert!(left.is_sorted() && right.is_sorted());
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        self.entrance().join(a, b)
    }

    /// The same as [`join`](Self::join) for all the closures of a tuple (of two to
    /// eight), an array or a vector. See [`join_all`](crate::join_all).
    pub fn join_all<J: JoinAll>(&self, closures: J) -> J::Output {
        self.entrance().join_all(closures)
    }

    /// Calls `f` with each chunk of `n` items of the slice and the chunk's index, on as many
    /// threads of the pool as have nothing to do. See [`par_chunks`](crate::par_chunks),
    /// which is what to call inside jobs.
    ///
    /// **It blocks** until all of it is done, on the pool. If the pool takes no more jobs,
    /// it is done here.
    ///
    /// # Panics
    /// If `n` is 0, and with the panic of `f`.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// let pool = windlass::Pool::new()?;
    /// let longest = AtomicU64::new(0);
    /// pool.par_chunks(&[3, 1, 4, 1, 5, 9, 2], 3, |_, chunk| {
    ///     longest.fetch_max(chunk.iter().sum(), Ordering::Relaxed);
    /// });
    /// assert_eq!(longest.into_inner(), 15); // 1 + 5 + 9
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    #[track_caller]
    pub fn par_chunks<T: Sync>(&self, slice: &[T], n: usize, f: impl Fn(usize, &[T]) + Sync) {
        self.entrance().par_chunks(slice, n, f);
    }

    /// The same as [`par_chunks`](Self::par_chunks), with chunks that `f` may change. See
    /// [`par_chunks_mut`](crate::par_chunks_mut).
    ///
    /// # Panics
    /// If `n` is 0, and with the panic of `f`.
    #[track_caller]
    pub fn par_chunks_mut<T: Send>(
        &self,
        slice: &mut [T],
        n: usize,
        f: impl Fn(usize, &mut [T]) + Sync,
    ) {
        self.entrance().par_chunks_mut(slice, n, f);
    }

    /// Calls `f` with each item, on as many threads of the pool as have nothing to do, and
    /// gives the results in order. See [`par_map`](crate::par_map), which is what to call
    /// inside jobs.
    ///
    /// **It blocks** until all of it is done, on the pool. If the pool takes no more jobs,
    /// it is done here.
    ///
    /// # Panics
    /// With the panic of `f`.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let squares = pool.par_map(&[1, 2, 3], |n| n * n);
    /// assert_eq!(squares, [1, 4, 9]);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn par_map<T: Sync, R: Send>(&self, slice: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
        self.entrance().par_map(slice, f)
    }

    /// Makes one result of all items, on as many threads of the pool as have nothing to
    /// do: `map` of each, and neighbours given to `reduce`, in order. `None` if there are
    /// none. See [`par_reduce`](crate::par_reduce), which is what to call inside jobs.
    ///
    /// **It blocks** until all of it is done, on the pool. If the pool takes no more jobs,
    /// it is done here.
    ///
    /// # Panics
    /// With the panic of `map` or `reduce`.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let numbers: Vec<u64> = (1..=1000).collect();
    /// assert_eq!(pool.par_reduce(&numbers, |n| n * n, |a, b| a + b), Some(333_833_500));
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn par_reduce<T: Sync, R: Send>(
        &self,
        slice: &[T],
        map: impl Fn(&T) -> R + Sync,
        reduce: impl Fn(R, R) -> R + Sync,
    ) -> Option<R> {
        self.entrance().par_reduce(slice, map, reduce)
    }

    /// Runs `f`, here, and gives it a [`Scope`] to hand over any number of jobs that may
    /// borrow what is outside; then waits for all of them. As [`std::thread::scope`], on
    /// the threads of the pool.
    ///
    /// * **It blocks** until all jobs have ended, those included that they have spawned
    ///   themselves. On a thread of the pool, that is in a job, it runs jobs of the scope
    ///   that nobody has started, the newest first, and nothing else: so scopes may be
    ///   nested to any depth, and a lock that is held across a scope cannot deadlock
    ///   through the pool. While it has to wait, another thread runs in its place; see
    ///   [`blocking`](crate::blocking). A thread from outside only waits.
    /// * **Every job runs**, also if another one or `f` panics, and if the pool is shut
    ///   down meanwhile, by [`shutdown_now`](Self::shutdown_now) too: they are parts of
    ///   what has begun. On a pool that takes no more jobs they run here.
    /// * [`is_cancelled`](crate::is_cancelled) says in them what it says of the job that
    ///   the scope is in.
    ///
    /// For dividing work in two again and again, [`join`](crate::join) costs far less.
    ///
    /// # Panics
    /// With the panic of `f`, or else with the first one of a job whose handle did not
    /// give it to anybody by [`join`](crate::ScopedHandle::join); all jobs have ended
    /// then. In a [fork](Self#fork) of the process, if a job runs on a thread that is not
    /// there.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let mut data = vec![1_u32; 100_000];
    /// pool.scope(|s| {
    ///     for chunk in data.chunks_mut(4096) {
    ///         s.spawn(move || chunk.iter_mut().for_each(|n| *n += 1));
    ///     }
    /// });
    /// assert!(data.iter().all(|&n| n == 2));
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    ///
    /// Jobs may spawn jobs of the same scope:
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use windlass::{Pool, Scope};
    ///
    /// fn walk<'scope>(s: &'scope Scope<'scope, '_>, depth: u32, leaves: &'scope AtomicU32) {
    ///     if depth == 0 {
    ///         leaves.fetch_add(1, Ordering::Relaxed);
    ///         return;
    ///     }
    ///     for _ in 0..2 {
    ///         s.spawn(move || walk(s, depth - 1, leaves));
    ///     }
    /// }
    ///
    /// let pool = Pool::new()?;
    /// let leaves = AtomicU32::new(0);
    /// pool.scope(|s| walk(s, 5, &leaves));
    /// assert_eq!(leaves.into_inner(), 32);
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn scope<'env, F, R>(&self, f: F) -> R
    where
        F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
    {
        self.entrance().scope(f)
    }

    fn entrance(&self) -> &Spawner {
        self.as_ref()
    }
}
