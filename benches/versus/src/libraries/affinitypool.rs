//! affinitypool: `spawn`, awaited. Its dropped handles cancel, so fire and forget
//! means to keep them.

use affinitypool::{Builder, Threadpool};
use futures_lite::future;

use super::{Execute, Library, Spawn};

pub struct AffinityPool {
    pool: Threadpool,
}

impl Library for AffinityPool {
    const NAME: &'static str = "affinitypool";

    fn start(threads: usize) -> Self {
        let pool = Builder::new().worker_threads(threads).build();
        Self { pool }
    }
}

impl Execute for AffinityPool {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.pool.spawn(f)
    }
}

impl Spawn for AffinityPool {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.pool.spawn(f)
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        future::block_on(program)
    }
}
