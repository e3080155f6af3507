//! tokio-rayon: rayon's pool, awaited on tokio. What it does without a handle is
//! rayon's own.

use tokio::runtime::{Builder, Runtime};
use tokio_rayon::AsyncThreadPool;

use super::{Library, Spawn};

pub struct TokioRayon {
    pool: rayon::ThreadPool,
    runtime: Runtime,
}

impl Library for TokioRayon {
    const NAME: &'static str = "tokio-rayon";

    fn start(threads: usize) -> Self {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Self {
            pool: pool.unwrap(),
            runtime: Builder::new_current_thread().build().unwrap(),
        }
    }
}

impl Spawn for TokioRayon {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.pool.spawn_async(f)
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        self.runtime.block_on(program)
    }
}
