//! The ways to talk to a thread or a worker, behind one trait.
//!
//! `channels`: a thread with a channel each way, for each library of channels;
//! `tokio`: a task with two; `windlass`: a worker.

use std::future::Future;

mod channels;
mod tokio;
mod windlass;

pub use self::channels::{CrossbeamThread, FlumeThread, KanalThread, StdThread};
pub use self::tokio::TokioMpsc;
/// The same pool as for jobs.
pub use crate::libraries::Windlass;

/// A library with something that handles messages elsewhere, and can answer.
pub trait Messenger {
    const NAME: &'static str;

    /// What must be there before workers are: a pool, a runtime.
    type Home: Send + Sync + 'static;

    /// One worker, and the way to it; dropping it ends it.
    type Worker: Talk;

    fn home(threads: usize) -> Self::Home;

    fn start<H>(home: &Self::Home, handler: H) -> Self::Worker
    where
        H: FnMut(u64) -> Option<u64> + Send + 'static;

    /// Runs the main thread's part, in the way the library's users would.
    fn block_on<P: Future>(home: &Self::Home, program: P) -> P::Output;
}

/// Talking to one worker.
pub trait Talk {
    fn post(&self, message: u64);

    /// The next answer. A library whose receivers block does so when this is
    /// first polled.
    fn recv(&mut self) -> impl Future<Output = u64>;
}

/// All, measured by one function.
macro_rules! messengers {
    ($measure:ident) => {
        $crate::question::Field::of(vec![
            $crate::messengers::contender!($measure, Windlass),
            $crate::messengers::contender!($measure, CrossbeamThread),
            $crate::messengers::contender!($measure, StdThread),
            $crate::messengers::contender!($measure, FlumeThread),
            $crate::messengers::contender!($measure, KanalThread),
            $crate::messengers::contender!($measure, TokioMpsc),
        ])
    };
}
pub(crate) use messengers;

macro_rules! contender {
    ($measure:ident, $library:ident) => {
        $crate::question::Contender::new(
            <$crate::messengers::$library as $crate::messengers::Messenger>::NAME,
            $measure::<$crate::messengers::$library>,
        )
    };
}
pub(crate) use contender;
