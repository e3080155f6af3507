//! async-executor: threads that run the executor until a channel closes, as in
//! its documentation.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_channel::{Receiver, Sender};
use async_executor::Executor;
use futures_lite::future;

use super::{Execute, Library, Nest, Spawn};

pub struct AsyncExecutor {
    executor: Arc<Executor<'static>>,
    /// Closed to end the threads.
    life: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Library for AsyncExecutor {
    const NAME: &'static str = "async-executor";

    fn start(threads: usize) -> Self {
        let executor = Arc::new(Executor::new());
        let (life, end): (_, Receiver<()>) = async_channel::unbounded();
        let threads = (0..threads).map(|_| {
            let (executor, end) = (Arc::clone(&executor), end.clone());
            thread::spawn(move || {
                let _ = future::block_on(executor.run(end.recv()));
            })
        });
        let threads = threads.collect();
        Self {
            executor,
            life: Some(life),
            threads,
        }
    }
}

impl Drop for AsyncExecutor {
    fn drop(&mut self) {
        drop(self.life.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Execute for AsyncExecutor {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.executor.spawn(async move { f() }).detach();
    }
}

impl Spawn for AsyncExecutor {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.executor.spawn(async move { f() })
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        future::block_on(program)
    }
}

impl Nest for AsyncExecutor {
    type Inside = Arc<Executor<'static>>;

    fn inside(&self) -> Self::Inside {
        Arc::clone(&self.executor)
    }

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        self.executor.spawn(async move { f() }).detach();
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>(inside: &Self::Inside, f: F) {
        inside.spawn(async move { f() }).detach();
    }
}
