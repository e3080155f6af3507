//! forte: jobs that jobs spawn, and `join`.
//!
//! Version 1.0.0-alpha.4, the newest for this Rust, runs what it is given from
//! outside on the calling thread: there is nothing to compare in questions that
//! hand work over. Inside, the calling thread is one of its threads.

use forte::Worker;

use super::{Join, Library, Nest};

pub struct Forte {
    pool: &'static forte::ThreadPool,
}

impl Library for Forte {
    const NAME: &'static str = "forte alpha.4, on the caller";

    // Ending its threads deadlocks: `depopulate` waits for the heartbeat thread
    // with the lock held that this one needs. And they cannot be left: the
    // heartbeat takes a sixth of a core.
    const LITTERS: bool = true;

    fn start(threads: usize) -> Self {
        // Its pools are static.
        let pool: &'static forte::ThreadPool = Box::leak(Box::new(forte::ThreadPool::new()));
        pool.resize_to(threads.saturating_sub(1));
        Self { pool }
    }
}

impl Nest for Forte {
    type Inside = ();

    fn inside(&self) {}

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        self.pool.spawn(|_: &Worker| f());
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>((): &(), f: F) {
        forte::spawn(|_: &Worker| f());
    }
}

impl Join for Forte {
    type Here<'a> = &'a Worker;

    fn enter<P, R>(&self, program: P) -> R
    where
        P: FnOnce(&mut Self::Here<'_>) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.pool.with_worker(|mut worker| program(&mut worker))
    }

    #[inline]
    fn join<A, B, RA, RB>(here: &mut Self::Here<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut Self::Here<'_>) -> RA + Send,
        B: FnOnce(&mut Self::Here<'_>) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        here.join(|mut worker| a(&mut worker), |mut worker| b(&mut worker))
    }
}
