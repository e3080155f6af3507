//! The ways to map a function over an iterator on all cores, and have the results in
//! order with a bound on memory, each as its own documentation has it. One that has no
//! such map is given what its users write around it.
//!
//! Each has at most [`BUFFER`] items on the way.

use std::collections::VecDeque;

use crossbeam_channel::bounded;
use futures_util::{StreamExt, stream};
use pariter::IteratorExt;
use rayon::iter::{IntoParallelIterator, ParallelBridge, ParallelIterator};
use tokio::runtime::Runtime;
use windlass::Pool;

use crate::libraries::{Library, Rayon, TokioBlocking, Windlass};

/// The most that are on the way.
pub const BUFFER: usize = 256;

/// Maps numbers to numbers. Starting the library starts its threads, if it keeps any.
pub trait Maps: Library {
    const IN_ORDER: bool = true;

    /// Gives the results of `f` to `sink`, on the thread that calls.
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        sink: impl FnMut(u64),
    );
}

impl Maps for Windlass {
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        sink: impl FnMut(u64),
    ) {
        self.pool.map(source, f).for_each(sink);
    }
}

/// windlass with as large a look-ahead as the others may have.
pub struct FarAhead(Pool);

impl Library for FarAhead {
    const NAME: &'static str = "windlass, look_ahead(256)";

    fn start(threads: usize) -> Self {
        Self(Windlass::start(threads).pool)
    }
}

impl Maps for FarAhead {
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        sink: impl FnMut(u64),
    ) {
        let results = self.0.map(source, f).look_ahead(BUFFER);
        results.for_each(sink);
    }
}

/// windlass, results as they come.
pub struct Unordered(Pool);

impl Library for Unordered {
    const NAME: &'static str = "windlass, unordered";

    fn start(threads: usize) -> Self {
        Self(Windlass::start(threads).pool)
    }
}

impl Maps for Unordered {
    const IN_ORDER: bool = false;

    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        sink: impl FnMut(u64),
    ) {
        self.0.map(source, f).unordered().for_each(sink);
    }
}

/// pariter's `parallel_map`, with its default buffer: two for each thread.
pub struct Pariter {
    threads: usize,
}

impl Library for Pariter {
    const NAME: &'static str = "pariter parallel_map";

    fn start(threads: usize) -> Self {
        Self { threads }
    }
}

impl Maps for Pariter {
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        sink: impl FnMut(u64),
    ) {
        let threads = self.threads;
        let results = source.parallel_map_custom(|options| options.threads(threads), f);
        results.for_each(sink);
    }
}

/// The same with as large a buffer as there may be: it pulls the next item before it
/// gives a result out.
pub struct PariterBuffer {
    threads: usize,
}

impl Library for PariterBuffer {
    const NAME: &'static str = "pariter parallel_map, buffer_size(255)";

    fn start(threads: usize) -> Self {
        Self { threads }
    }
}

impl Maps for PariterBuffer {
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        sink: impl FnMut(u64),
    ) {
        let threads = self.threads;
        let options = |options: pariter::ParallelMapBuilder<_>| {
            options.threads(threads).buffer_size(BUFFER - 1)
        };
        source.parallel_map_custom(options, f).for_each(sink);
    }
}

/// futures' `buffered` over tokio's `spawn_blocking`.
pub struct Buffered {
    runtime: Runtime,
}

impl Library for Buffered {
    const NAME: &'static str = "futures buffered(256) + tokio spawn_blocking";

    fn start(threads: usize) -> Self {
        let runtime = TokioBlocking::start(threads).runtime;
        Self { runtime }
    }
}

impl Maps for Buffered {
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        mut sink: impl FnMut(u64),
    ) {
        let job = |n| {
            let f = f.clone();
            tokio::task::spawn_blocking(move || f(n))
        };
        let mut results = stream::iter(source).map(job).buffered(BUFFER);
        self.runtime.block_on(async {
            while let Some(result) = results.next().await {
                sink(result.unwrap());
            }
        });
    }
}

/// rayon's way from one iterator to another: a chunk at a time.
pub struct RayonChunks(Rayon);

impl Library for RayonChunks {
    const NAME: &'static str = "rayon into_par_iter, chunks of 256";

    fn start(threads: usize) -> Self {
        Self(Rayon::start(threads))
    }
}

impl Maps for RayonChunks {
    fn map(
        &self,
        mut source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        mut sink: impl FnMut(u64),
    ) {
        loop {
            let chunk: Vec<_> = source.by_ref().take(BUFFER).collect();
            if chunk.is_empty() {
                return;
            }
            let results: Vec<_> = self
                .0
                .pool
                .install(|| chunk.into_par_iter().map(&f).collect());
            results.into_iter().for_each(&mut sink);
        }
    }
}

/// rayon's `par_bridge`, which is in no order: its results are put into one by who
/// takes them. It pulls on its own threads; a token for each item keeps it from doing
/// so without end.
pub struct RayonBridge(Rayon);

impl Library for RayonBridge {
    const NAME: &'static str = "rayon par_bridge, put in order";

    fn start(threads: usize) -> Self {
        Self(Rayon::start(threads))
    }
}

impl Maps for RayonBridge {
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        mut sink: impl FnMut(u64),
    ) {
        let (give_back, tokens) = bounded::<()>(BUFFER);
        (0..BUFFER).for_each(|_| give_back.send(()).unwrap());
        let (sender, results) = bounded(BUFFER);
        self.0.pool.spawn(move || {
            // A token, then an item: the other way round one would be pulled too many.
            let source = source.enumerate();
            let tokens = tokens.into_iter();
            let bounded = tokens.zip(source).map(|((), item)| item);
            bounded
                .par_bridge()
                .for_each_with(sender, |sender, (at, n)| {
                    sender.send((at, f(n))).unwrap();
                });
        });
        let mut waiting = VecDeque::new();
        let mut given = 0;
        for (at, result) in results {
            let place = at - given;
            if waiting.len() <= place {
                waiting.resize(place + 1, None);
            }
            waiting[place] = Some(result);
            while let Some(Some(result)) = waiting.front().copied() {
                waiting.pop_front();
                given += 1;
                sink(result);
                // At the end nobody takes it.
                let _ = give_back.send(());
            }
        }
    }
}

/// No pool at all.
pub struct Serial;

impl Library for Serial {
    const NAME: &'static str = "Iterator::map, one thread";

    fn start(_: usize) -> Self {
        Self
    }
}

impl Maps for Serial {
    fn map(
        &self,
        source: impl Iterator<Item = u64> + Send + 'static,
        f: impl Fn(u64) -> u64 + Send + Sync + Clone + 'static,
        sink: impl FnMut(u64),
    ) {
        source.map(f).for_each(sink);
    }
}
