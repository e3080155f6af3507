//! rayon: `spawn`, its results by a oneshot channel, as its users do; and what
//! else it has for some questions: `spawn_fifo`, `install`.

use std::sync::Arc;

use futures_lite::future;
use rayon::ThreadPoolBuilder;

use super::{Execute, Library, Nest, Spawn};

pub struct Rayon {
    pub pool: Arc<rayon::ThreadPool>,
}

impl Library for Rayon {
    const NAME: &'static str = "rayon";

    fn start(threads: usize) -> Self {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let pool = Arc::new(pool);
        Self { pool }
    }
}

impl Execute for Rayon {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.pool.spawn(f);
    }
}

impl Spawn for Rayon {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            let _ = sender.send(f());
        });
        async move { receiver.recv().unwrap() }
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        future::block_on(program)
    }
}

impl Nest for Rayon {
    type Inside = ();

    fn inside(&self) {}

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        self.pool.spawn(f);
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>((): &(), f: F) {
        rayon::spawn(f);
    }
}

pub struct RayonFifo(Rayon);

impl Library for RayonFifo {
    const NAME: &'static str = "rayon spawn_fifo";

    fn start(threads: usize) -> Self {
        Self(Rayon::start(threads))
    }
}

impl Execute for RayonFifo {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.0.pool.spawn_fifo(f);
    }
}

impl Nest for RayonFifo {
    type Inside = ();

    fn inside(&self) {}

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        self.0.pool.spawn_fifo(f);
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>((): &(), f: F) {
        rayon::spawn_fifo(f);
    }
}

/// `install`: hands over and waits in one call.
pub struct RayonInstall(Rayon);

impl Library for RayonInstall {
    const NAME: &'static str = "rayon install";

    fn start(threads: usize) -> Self {
        Self(Rayon::start(threads))
    }
}

impl Spawn for RayonInstall {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let pool = Arc::clone(&self.0.pool);
        async move { pool.install(f) }
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        future::block_on(program)
    }
}
