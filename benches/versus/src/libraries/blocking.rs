//! blocking: `unblock`, detached or awaited. There is one pool in a process; its
//! size is read from `BLOCKING_MAX_THREADS`, which the parent process sets.

use blocking::unblock;
use futures_lite::future;

use super::{Execute, Library, Nest, Spawn};

pub struct Blocking;

impl Library for Blocking {
    const NAME: &'static str = "blocking";

    fn start(threads: usize) -> Self {
        let set = std::env::var("BLOCKING_MAX_THREADS");
        assert_eq!(set.as_deref(), Ok(threads.to_string().as_str()));
        Self
    }
}

impl Execute for Blocking {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        unblock(f).detach();
    }
}

impl Spawn for Blocking {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        unblock(f)
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        future::block_on(program)
    }
}

impl Nest for Blocking {
    type Inside = ();

    fn inside(&self) {}

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        unblock(f).detach();
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>((): &(), f: F) {
        unblock(f).detach();
    }
}
