//! windlass: `execute`, `spawn` and the handle's `join`, a captured `Spawner` inside
//! jobs.

use std::time::{Duration, Instant};

use futures_lite::future;
use windlass::{MainLoop, Pool, Spawner};

use super::{Execute, Library, Nest, Spawn};
use crate::question::OURS;

pub struct Windlass {
    pub pool: Pool,
}

impl Library for Windlass {
    const NAME: &'static str = OURS;

    fn start(threads: usize) -> Self {
        let pool = Pool::builder().num_threads(threads).build().unwrap();
        Self { pool }
    }

    fn main_loop(period: Duration, tick: impl FnMut(Duration) -> bool + 'static) {
        let main = MainLoop::new();
        arm(&main, period, tick);
        main.run();
    }
}

/// A timeout that sets the next one, after `tick`: it sleeps as long as the
/// plain loop does, and does not catch up.
fn arm(main: &MainLoop, period: Duration, mut tick: impl FnMut(Duration) -> bool + 'static) {
    let due = Instant::now() + period;
    main.set_timeout(period, move |main, _| {
        if tick(Instant::now().saturating_duration_since(due)) {
            arm(main, period, tick);
        }
    });
}

impl Execute for Windlass {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.pool.execute(f);
    }
}

impl Spawn for Windlass {
    #[inline]
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let handle = self.pool.spawn(f);
        async move { handle.join().unwrap() }
    }

    fn block_on<P: Future>(&self, program: P) -> P::Output {
        future::block_on(program)
    }
}

impl Nest for Windlass {
    type Inside = Spawner;

    fn inside(&self) -> Spawner {
        self.pool.spawner()
    }

    fn first<F: FnOnce() + Send + 'static>(&self, f: F) {
        self.pool.execute(f);
    }

    #[inline]
    fn nested<F: FnOnce() + Send + 'static>(inside: &Spawner, f: F) {
        inside.execute(f);
    }
}
