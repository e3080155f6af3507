//! The pools, one file each, used as their own documentation recommends.
//!
//! A trait says what a library can be asked for; one that lacks it does not take
//! part in the question. Measurements are generic functions over these traits,
//! so that every library runs the same closure bodies, and is inlined as it would
//! be in a program of its own.
//!
//! `affinitypool`, `async_executor`, `blocking`, `chili`, `forte`, `rayon`,
//! `rayon_fork`, `rusty_pool`, `serial`, `threadpool`, `tokio`, `tokio_rayon`,
//! `windlass`, `windlass_fork`

use std::future::Future;
use std::time::{Duration, Instant};

mod affinitypool;
mod async_executor;
mod blocking;
mod chili;
mod forte;
mod rayon;
mod rayon_fork;
mod rusty_pool;
mod serial;
mod threadpool;
mod tokio;
mod tokio_rayon;
mod windlass;
mod windlass_fork;

pub use self::affinitypool::AffinityPool;
pub use self::async_executor::AsyncExecutor;
pub use self::blocking::Blocking;
pub use self::chili::Chili;
pub use self::forte::Forte;
pub use self::rayon::{Rayon, RayonFifo, RayonInstall};
pub use self::rayon_fork::{RayonIter, RayonJoin};
pub use self::rusty_pool::RustyPool;
pub use self::serial::Serial;
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

/// Runs two closures that may run at once, and waits for both.
pub trait Join: Library {
    /// What both halves are handed, to join more. A program is written once, over
    /// this; those that find their pool by the thread hand nothing.
    type Here<'a>;

    /// Runs the program where it can join, and waits for it.
    fn enter<P, R>(&self, program: P) -> R
    where
        P: FnOnce(&mut Self::Here<'_>) -> R + Send + 'static,
        R: Send + 'static;

    fn join<A, B, RA, RB>(here: &mut Self::Here<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut Self::Here<'_>) -> RA + Send,
        B: FnOnce(&mut Self::Here<'_>) -> RB + Send,
        RA: Send,
        RB: Send;
}

/// Goes over slices, called from outside.
pub trait Data: Library {
    /// What the functions with a grain are called in the tables.
    const BY_HAND: &'static str;

    fn map<T, R, F>(&self, items: &[T], f: F) -> Vec<R>
    where
        T: Sync,
        R: Send,
        F: Fn(&T) -> R + Send + Sync;

    /// The same in pieces of `grain` items, or about as many.
    fn map_by<T, R, F>(&self, items: &[T], grain: usize, f: F) -> Vec<R>
    where
        T: Sync,
        R: Send + Default + Clone,
        F: Fn(&T) -> R + Send + Sync;

    fn reduce<T, R, M, F>(&self, items: &[T], map: M, reduce: F) -> Option<R>
    where
        T: Sync,
        R: Send,
        M: Fn(&T) -> R + Send + Sync,
        F: Fn(R, R) -> R + Send + Sync;

    /// The same in pieces of `grain` items, or about as many.
    fn reduce_by<T, R, M, F>(&self, items: &[T], grain: usize, map: M, reduce: F) -> Option<R>
    where
        T: Sync,
        R: Send,
        M: Fn(&T) -> R + Send + Sync,
        F: Fn(R, R) -> R + Send + Sync;
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
