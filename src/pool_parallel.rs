//! One job on all threads, on [`Pool`].

use crate::parallel::JoinAll;
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

    fn entrance(&self) -> &Spawner {
        self.as_ref()
    }
}
