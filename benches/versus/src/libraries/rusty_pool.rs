//! rusty_pool: `execute` and `evaluate`, with as many core threads as wanted,
//! all of them started, and no others.

use std::time::Duration;

use futures_lite::future;
use rusty_pool::Builder;

use super::{Execute, Library, Nest, Spawn};

pub struct RustyPool {
    pool: rusty_pool::ThreadPool,
}

impl Library for RustyPool {
    const NAME: &'static str = "rusty_pool";

    fn start(threads: usize) -> Self {
        let builder = Builder::new().core_size(threads).max_size(threads);
        let pool = builder.keep_alive(Duration::from_secs(60)).build();
        pool.start_core_threads();
        Self { pool }
    }
}

impl Drop for RustyPool {
    fn drop(&mut self) {
        self.pool.clone().shutdown_join();
    }
}

impl Execute for RustyPool {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.pool.execute(f);
    }
}

impl Spawn for RustyPool {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.pool.evaluate(f);
        async move { handle.await_complete() }
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        // Its handles refuse to wait inside an executor of `futures`, which they
        // use themselves; this is another one.
        future::block_on(program)
    }
}

impl Nest for RustyPool {
    type Inside = rusty_pool::ThreadPool;

    fn inside(&self) -> Self::Inside {
        self.pool.clone()
    }

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        self.pool.execute(f);
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>(inside: &Self::Inside, f: F) {
        inside.execute(f);
    }
}
