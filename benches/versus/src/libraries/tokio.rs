//! tokio: `spawn_blocking`, the documented way to run what computes, on a
//! runtime whose blocking pool has the wanted size; and `spawn`, which its
//! documentation advises against for longer work, but which is fast for short.

use tokio::runtime::{Builder, Runtime};

use super::{Execute, Library, Nest, Spawn};

pub struct TokioBlocking {
    pub runtime: Runtime,
}

impl Library for TokioBlocking {
    const NAME: &'static str = "tokio spawn_blocking";

    fn start(threads: usize) -> Self {
        // The main thread is the runtime; no other thread but the pool's own.
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(threads)
            .build()
            .unwrap();
        Self { runtime }
    }
}

impl Execute for TokioBlocking {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        drop(self.runtime.spawn_blocking(f));
    }
}

impl Spawn for TokioBlocking {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.runtime.spawn_blocking(f);
        async move { handle.await.unwrap() }
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        self.runtime.block_on(program)
    }
}

impl Nest for TokioBlocking {
    type Inside = ();

    fn inside(&self) {}

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        drop(self.runtime.spawn_blocking(f));
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>((): &(), f: F) {
        drop(tokio::task::spawn_blocking(f));
    }
}

pub struct TokioSpawn {
    runtime: Runtime,
}

impl Library for TokioSpawn {
    const NAME: &'static str = "tokio spawn";

    fn start(threads: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(threads).build();
        let runtime = runtime.unwrap();
        Self { runtime }
    }
}

impl Execute for TokioSpawn {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        drop(self.runtime.spawn(async move { f() }));
    }
}

impl Spawn for TokioSpawn {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.runtime.spawn(async move { f() });
        async move { handle.await.unwrap() }
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        self.runtime.block_on(program)
    }
}

impl Nest for TokioSpawn {
    type Inside = ();

    fn inside(&self) {}

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        drop(self.runtime.spawn(async move { f() }));
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>((): &(), f: F) {
        drop(tokio::spawn(async move { f() }));
    }
}
