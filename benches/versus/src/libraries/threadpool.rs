//! threadpool: `execute`, its results by a channel.

use futures_lite::future;

use super::{Execute, Library, Nest, Spawn};

pub struct ThreadPool {
    pool: threadpool::ThreadPool,
}

impl Library for ThreadPool {
    const NAME: &'static str = "threadpool";

    fn start(threads: usize) -> Self {
        let pool = threadpool::ThreadPool::new(threads);
        Self { pool }
    }
}

impl Execute for ThreadPool {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.pool.execute(f);
    }
}

impl Spawn for ThreadPool {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.pool.execute(move || {
            let _ = sender.send(f());
        });
        async move { receiver.recv().unwrap() }
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        future::block_on(program)
    }
}

impl Nest for ThreadPool {
    type Inside = threadpool::ThreadPool;

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
