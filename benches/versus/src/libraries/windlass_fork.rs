//! windlass: `join`, `par_map`, `par_reduce`, `par_chunks_mut`.

use super::{Data, Join, Windlass};
use windlass::join;

impl Join for Windlass {
    type Here<'a> = ();

    fn enter<P, R>(&self, program: P) -> R
    where
        P: FnOnce(&mut Self::Here<'_>) -> R + Send + 'static,
        R: Send + 'static,
    {
        // A job, not `Pool::join`: the other half of that would be the oldest in
        // line, ahead of what is to be measured.
        let (sender, receiver) = oneshot::channel();
        self.pool.execute(move || {
            let _ = sender.send(program(&mut ()));
        });
        receiver.recv().unwrap()
    }

    #[inline]
    fn join<A, B, RA, RB>((): &mut Self::Here<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut Self::Here<'_>) -> RA + Send,
        B: FnOnce(&mut Self::Here<'_>) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        join(|| a(&mut ()), || b(&mut ()))
    }
}

impl Data for Windlass {
    const BY_HAND: &'static str = "windlass, best chunks";

    fn map<T, R, F>(&self, items: &[T], f: F) -> Vec<R>
    where
        T: Sync,
        R: Send,
        F: Fn(&T) -> R + Send + Sync,
    {
        self.pool.par_map(items, f)
    }

    fn map_by<T, R, F>(&self, items: &[T], grain: usize, f: F) -> Vec<R>
    where
        T: Sync,
        R: Send + Default + Clone,
        F: Fn(&T) -> R + Send + Sync,
    {
        let mut results = vec![R::default(); items.len()];
        self.pool
            .par_chunks_mut(&mut results, grain, |index, results| {
                for (result, item) in results.iter_mut().zip(&items[index * grain..]) {
                    *result = f(item);
                }
            });
        results
    }

    fn reduce<T, R, M, F>(&self, items: &[T], map: M, reduce: F) -> Option<R>
    where
        T: Sync,
        R: Send,
        M: Fn(&T) -> R + Send + Sync,
        F: Fn(R, R) -> R + Send + Sync,
    {
        self.pool.par_reduce(items, map, reduce)
    }

    fn reduce_by<T, R, M, F>(&self, items: &[T], grain: usize, map: M, reduce: F) -> Option<R>
    where
        T: Sync,
        R: Send,
        M: Fn(&T) -> R + Send + Sync,
        F: Fn(R, R) -> R + Send + Sync,
    {
        let chunks: Vec<_> = items.chunks(grain).collect();
        let one = |chunk: &&[T]| chunk.iter().map(&map).reduce(&reduce);
        let two = |a: Option<R>, b: Option<R>| match (a, b) {
            (Some(a), Some(b)) => Some(reduce(a, b)),
            (one, other) => one.or(other),
        };
        self.pool.par_reduce(&chunks, one, two).flatten()
    }
}
