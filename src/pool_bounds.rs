//! What a [`Pool`] with a bounded queue offers besides `spawn` and `execute`.

use crate::error::TrySpawnError;
use crate::handle::JoinHandle;
use crate::pool::Pool;
use crate::spawn_async::SpawnAsync;
use crate::spawner::Spawner;

impl Pool {
    /// How many jobs may wait; see
    /// [`PoolBuilder::queue_capacity`](crate::PoolBuilder::queue_capacity). `None`:
    /// as many as there is memory for.
    ///
    /// ```
    /// let pool = windlass::Pool::builder().queue_capacity(100).build()?;
    /// assert_eq!(pool.queue_capacity(), Some(100));
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    #[must_use]
    pub fn queue_capacity(&self) -> Option<usize> {
        self.handing_over().queue_capacity()
    }

    /// Hands `f` over as [`spawn`](Self::spawn) does, if there is room for it, and
    /// gives it back as it was if not. Never blocks, and throws no other job out.
    ///
    /// While somebody waits for room ([`spawn_async`](Self::spawn_async)) there is
    /// none. In a pool whose queue has no bound there always is.
    ///
    /// # Errors
    /// If the queue is full, or the pool closed. (If it closes meanwhile, the handle
    /// says so.)
    ///
    /// ```
    /// let pool = windlass::Pool::builder().queue_capacity(100).build()?;
    /// let answer = match pool.try_spawn(|| 6 * 7) {
    ///     Ok(handle) => handle.join()?,
    ///     Err(full) => full.into_inner()(), // so many wait: do it here
    /// };
    /// assert_eq!(answer, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handing_over().try_spawn(f)
    }

    /// Hands `f` over as [`execute`](Self::execute) does, if there is room for it,
    /// and gives it back as it was if not. Never blocks, and throws no other job
    /// out.
    ///
    /// # Errors
    /// As [`try_spawn`](Self::try_spawn).
    ///
    /// ```
    /// let pool = windlass::Pool::builder().queue_capacity(100).build()?;
    /// if let Err(error) = pool.try_execute(|| println!("hauling")) {
    ///     println!("not now: {error}");
    /// }
    /// # Ok::<(), windlass::BuildError>(())
    /// ```
    pub fn try_execute<F>(&self, f: F) -> Result<(), TrySpawnError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        self.handing_over().try_execute(f)
    }

    /// Hands `f` over as soon as there is room for it: a future of its handle, and a
    /// [`wait`](SpawnAsync::wait) for threads that may block.
    ///
    /// Those who wait are served in the order in which they began, that is, were
    /// first polled; nobody overtakes them, by whatever call. Ready at once if the
    /// queue has no bound, or if the pool is closed or gets closed meanwhile: then
    /// the handle gives [`is_closed`](crate::JoinError::is_closed).
    ///
    /// ```
    /// # pollster::block_on(async {
    /// let pool = windlass::Pool::builder().queue_capacity(2).build()?;
    /// for n in 0..100 {
    ///     // Goes on while fewer than two wait.
    ///     let handle = pool.spawn_async(move || n * n).await;
    /// #   drop(handle);
    /// }
    /// # Ok::<(), windlass::BuildError>(()) }).unwrap();
    /// ```
    pub fn spawn_async<F, T>(&self, f: F) -> SpawnAsync<F, T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handing_over().spawn_async(f)
    }

    fn handing_over(&self) -> &Spawner {
        self.as_ref()
    }
}
