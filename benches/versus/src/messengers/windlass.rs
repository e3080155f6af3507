//! windlass: a worker on the pool.

use futures_lite::future;
use windlass::{Parent, Pool, Worker};

use super::{Messenger, Talk, Windlass};
use crate::libraries::Library;

impl Messenger for Windlass {
    const NAME: &'static str = <Self as Library>::NAME;

    type Home = Pool;
    type Worker = Worker<u64, u64>;

    fn home(threads: usize) -> Pool {
        <Self as Library>::start(threads).pool
    }

    fn start<H>(pool: &Pool, mut handler: H) -> Self::Worker
    where
        H: FnMut(u64) -> Option<u64> + Send + 'static,
    {
        pool.worker(move |message, parent: &Parent<u64>| {
            if let Some(answer) = handler(message) {
                let _ = parent.post(answer);
            }
        })
    }

    fn block_on<P: Future>(_: &Pool, program: P) -> P::Output {
        future::block_on(program)
    }
}

impl Talk for Worker<u64, u64> {
    #[inline]
    fn post(&self, message: u64) {
        Worker::post(self, message).unwrap();
    }

    #[inline]
    async fn recv(&mut self) -> u64 {
        Worker::recv(self).unwrap()
    }
}
