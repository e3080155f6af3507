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
    fn leaves(&self, depth: u32) -> u64 {
        walk(&mut self.pool.scope(), depth)
    }
}

fn walk(scope: &mut Scope<'_>, depth: u32) -> u64 {
    if depth == 0 {
        return 1;
    }
    let (left, right) = scope.join(
        |scope| walk(scope, depth - 1),
        |scope| walk(scope, depth - 1),
    );
    left + right
}
