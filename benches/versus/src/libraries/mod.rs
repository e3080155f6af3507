//! The pools, one file each, used as their own documentation recommends.
//!
//! A trait says what a library can be asked for; one that lacks it does not take
//! part in the question. Measurements are generic functions over these traits,
//! so that every library runs the same closure bodies, and is inlined as it would
//! be in a program of its own.
//!
//! `affinitypool`, `async_executor`, `blocking`, `chili`, `forte`, `rayon`,
//! `rusty_pool`, `threadpool`, `tokio`, `tokio_rayon`, `windlass`

use std::future::Future;
use std::time::{Duration, Instant};

mod affinitypool;
mod async_executor;
mod blocking;
mod chili;
mod forte;
mod rayon;
mod rusty_pool;
mod threadpool;
mod tokio;
mod tokio_rayon;
mod windlass;

pub use self::affinitypool::AffinityPool;
pub use self::async_executor::AsyncExecutor;
pub use self::blocking::Blocking;
pub use self::chili::Chili;
pub use self::forte::Forte;
pub use self::rayon::{Rayon, RayonFifo, RayonInstall, RayonJoin};
pub use self::rusty_pool::RustyPool;
pub use self::threadpool::ThreadPool;
pub use self::tokio::{TokioBlocking, TokioSpawn};
pub use self::tokio_rayon::TokioRayon;
pub use self::windlass::Windlass;

/// A pool that can be started; dropping it ends it.
pub trait Library: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    /// Whether it leaves something behind that disturbs the others, so that each
    /// round takes a process of its own.
    const LITTERS: bool = false;

    fn start(threads: usize) -> Self;

    /// A program's own loop beside this pool: sleeps for `period`, then calls
    /// `tick` with how late it is, until that says `false`.
    fn main_loop(period: Duration, tick: impl FnMut(Duration) -> bool + 'static) {
        sleeping_loop(period, tick);
    }
}

/// The loop of a program that uses nothing but the standard library.
pub fn sleeping_loop(period: Duration, mut tick: impl FnMut(Duration) -> bool) {
    loop {
        let due = Instant::now() + period;
        std::thread::sleep(period);
        if !tick(Instant::now().saturating_duration_since(due)) {
            return;
        }
    }
}

/// Runs closures, fire and forget.
pub trait Execute: Library {
    /// Hands `f` over. What it gives must be kept until `f` has run: nothing for
    /// most libraries, and the handle for one whose dropped handles cancel.
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static;
}

/// Runs closures and gives back what they return.
pub trait Spawn: Library {
    /// Hands `f` over at once. A library whose handles block does so when the
    /// future is first polled, so that one program serves both kinds.
    fn spawn<F, T>(&self, f: F) -> impl Future<Output = T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;

    /// Runs the main thread's part, in the way the library's users would.
    fn block_on<P: Future>(&self, program: P) -> P::Output;
}

/// Runs closures that jobs hand over.
pub trait Nest: Library {
    /// What a job needs to hand over more.
    type Inside: Send + Sync + 'static;

    fn inside(&self) -> Self::Inside;

    /// Hands over the first job, from outside.
    fn first<F: FnOnce() + Send + 'static>(&self, f: F);

    /// Hands `f` over on a thread of the pool.
    fn nested<F: FnOnce() + Send + 'static>(inside: &Self::Inside, f: F);
}

/// Walks a tree in parallel by joining its halves.
pub trait Join: Library {
    /// How many leaves a binary tree of this depth has.
    fn leaves(&self, depth: u32) -> u64;
}

/// All that run closures, fire and forget, measured by one function.
macro_rules! executors {
    ($measure:ident) => {
        $crate::question::field!($measure:
            $crate::libraries::Windlass,
            $crate::libraries::Rayon,
            $crate::libraries::TokioBlocking,
            $crate::libraries::TokioSpawn,
            $crate::libraries::AffinityPool,
            $crate::libraries::Blocking,
            $crate::libraries::AsyncExecutor,
            $crate::libraries::ThreadPool,
            $crate::libraries::RustyPool,
        )
    };
}
pub(crate) use executors;

/// All that give back results, measured by one function.
macro_rules! spawners {
    ($measure:ident) => {
        $crate::question::field!($measure:
            $crate::libraries::Windlass,
            $crate::libraries::Rayon,
            $crate::libraries::TokioRayon,
            $crate::libraries::TokioBlocking,
            $crate::libraries::TokioSpawn,
            $crate::libraries::AffinityPool,
            $crate::libraries::Blocking,
            $crate::libraries::AsyncExecutor,
            $crate::libraries::ThreadPool,
            $crate::libraries::RustyPool,
        )
    };
}
pub(crate) use spawners;
