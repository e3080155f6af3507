//! rayon: `join`, and parallel iterators.

use rayon::prelude::*;

use super::{Data, Execute, Join, Library, Rayon};

pub struct RayonJoin(Rayon);

impl Library for RayonJoin {
    const NAME: &'static str = "rayon join";

    fn start(threads: usize) -> Self {
        Self(Rayon::start(threads))
    }
}

impl Execute for RayonJoin {
    #[inline]
    fn execute<F>(&self, f: F) -> impl Sized
    where
        F: FnOnce() + Send + 'static,
    {
        self.0.pool.spawn(f);
    }
}

impl Join for RayonJoin {
    type Here<'a> = ();

    fn enter<P, R>(&self, program: P) -> R
    where
        P: FnOnce(&mut Self::Here<'_>) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.0.pool.install(|| program(&mut ()))
    }

    #[inline]
    fn join<A, B, RA, RB>((): &mut Self::Here<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut Self::Here<'_>) -> RA + Send,
        B: FnOnce(&mut Self::Here<'_>) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        rayon::join(|| a(&mut ()), || b(&mut ()))
    }
}

pub struct RayonIter(Rayon);

impl Library for RayonIter {
    const NAME: &'static str = "rayon par_iter";

    fn start(threads: usize) -> Self {
        Self(Rayon::start(threads))
    }
}

impl Data for RayonIter {
    const BY_HAND: &'static str = "rayon par_iter, best with_min_len";

    fn map<T, R, F>(&self, items: &[T], f: F) -> Vec<R>
    where
        T: Sync,
        R: Send,
        F: Fn(&T) -> R + Send + Sync,
    {
        self.0.pool.install(|| items.par_iter().map(f).collect())
    }

    fn map_by<T, R, F>(&self, items: &[T], grain: usize, f: F) -> Vec<R>
    where
        T: Sync,
        R: Send + Default + Clone,
        F: Fn(&T) -> R + Send + Sync,
    {
        self.0
            .pool
            .install(|| items.par_iter().with_min_len(grain).map(f).collect())
    }

    fn reduce<T, R, M, F>(&self, items: &[T], map: M, reduce: F) -> Option<R>
    where
        T: Sync,
        R: Send,
        M: Fn(&T) -> R + Send + Sync,
        F: Fn(R, R) -> R + Send + Sync,
    {
        self.0
            .pool
            .install(|| items.par_iter().map(map).reduce_with(reduce))
    }

    fn reduce_by<T, R, M, F>(&self, items: &[T], grain: usize, map: M, reduce: F) -> Option<R>
    where
        T: Sync,
        R: Send,
        M: Fn(&T) -> R + Send + Sync,
        F: Fn(R, R) -> R + Send + Sync,
    {
        let pieces = || items.par_iter().with_min_len(grain);
        self.0
            .pool
            .install(|| pieces().map(map).reduce_with(reduce))
    }
}
