//! chili: `join`, the one thing it does. The calling thread is one of its
//! threads.

use std::num::NonZero;

use chili::{Config, Scope, ThreadPool};

use super::{Join, Library};

pub struct Chili {
    pool: ThreadPool,
}

impl Library for Chili {
    const NAME: &'static str = "chili join";

    fn start(threads: usize) -> Self {
        let pool = ThreadPool::with_config(Config {
            thread_count: NonZero::new(threads),
            ..Config::default()
        });
        Self { pool }
    }
}

impl Join for Chili {
    type Here<'a> = Scope<'a>;

    fn enter<P, R>(&self, program: P) -> R
    where
        P: FnOnce(&mut Self::Here<'_>) -> R + Send + 'static,
        R: Send + 'static,
    {
        program(&mut self.pool.scope())
    }

    #[inline]
    fn join<A, B, RA, RB>(here: &mut Self::Here<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut Self::Here<'_>) -> RA + Send,
        B: FnOnce(&mut Self::Here<'_>) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        here.join(a, b)
    }
}
