//! Promise: what may cross threads does, and what must not does not. A table:
//! the test is that this file compiles.

mod common;

use std::cell::Cell;
use std::iter::FusedIterator;
use std::marker::PhantomPinned as Pinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use futures_core::stream::FusedStream;
use windlass::{
    Broadcast, BuildError, CancelHandle, CurrentWorker, Exit, Exited, JoinError, JoinHandle,
    KeepAlive, MainLoop, Map, MapResults, MapStream, MessageStream, Parent, Pool, PoolBuilder,
    Port, PostError, Progress, ProgressHandle, RecvError, RejectedJob, Remote, Scope, ScopedHandle,
    ScopedMap, Shortfall, Shutdown, SourceId, SpawnAsync, Spawner, StillRunning, ThreadState,
    TransformRead, TransformStream, TrySpawnError, WhenFull, Worker, WorkerError,
};

/// Fails to compile unless the type has all of the traits.
macro_rules! is {
    ($type:ty: $($trait:path),+) => {{
        fn check<T: ?Sized + 'static $(+ $trait)+>() {}
        check::<$type>();
    }};
}

/// Fails to compile if the type has the trait: the call is ambiguous then.
macro_rules! is_not {
    ($type:ty: $($trait:path),+) => {{$({
        trait Ambiguous<A> {
            fn check() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $trait> Ambiguous<u8> for T {}
        <$type as Ambiguous<_>>::check();
    })+}};
}

/// A source of one thread.
type Lent = std::iter::FromFn<Box<dyn FnMut() -> Option<u8>>>;

type PinnedReader = std::io::Chain<std::io::Empty, MayNotMove>;

/// A reader that is not `Unpin`.
struct MayNotMove(#[allow(dead_code)] Pinned);

impl std::io::Read for MayNotMove {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Ok(0)
    }
}

/// Who may cross threads, be shared, be moved and be copied.
#[test]
fn the_table_of_auto_traits_holds() {
    is!(Pool: Send, Sync, Unpin, std::fmt::Debug);
    is_not!(Pool: Clone);
    is!(Spawner: Clone, Send, Sync, Unpin, std::fmt::Debug);
    is!(PoolBuilder: Unpin, Default, std::fmt::Debug);
    is!(Shutdown: Send, Sync, Unpin, Future<Output = ()>);
    is!(RejectedJob: Send, Unpin, std::fmt::Display, std::fmt::Debug);
    is!(Shortfall: Send, Sync, std::fmt::Display);

    is!(JoinHandle<u32>: Send, Sync, Unpin, Future<Output = Result<u32, JoinError>>);
    is_not!(JoinHandle<u32>: Clone);
    // A handle gives its result to one, so that the result need not be `Sync`,
    // nor movable in memory.
    is!(JoinHandle<Cell<u32>>: Send, Sync, Unpin);
    is!(JoinHandle<std::marker::PhantomPinned>: Send, Sync, Unpin);
    is_not!(JoinHandle<Rc<u32>>: Send, Sync);
    is!(CancelHandle: Clone, Send, Sync, Unpin);
    is!(SpawnAsync<fn() -> Rc<u8>, Rc<u8>>: Send, Sync, Unpin);
    is!(SpawnAsync<Cell<u8>, Cell<u8>>: Send, Unpin, UnwindSafe, RefUnwindSafe);
    is_not!(SpawnAsync<Rc<u8>, u8>: Send);
    // A map crosses threads if its source does, which need not. Its items are moved
    // to the pool, and never pinned.
    type Numbers = std::ops::Range<u32>;
    is!(Map<Numbers, fn(u32) -> Cell<u8>, Cell<u8>>: Send, Unpin, ExactSizeIterator, FusedIterator);
    is!(MapResults<Map<Numbers, fn(u32) -> u8, u8>>: Send, Unpin, ExactSizeIterator, FusedIterator);
    is!(Map<Lent, fn(u8) -> u8, u8>: Iterator<Item = u8>, FusedIterator);
    is_not!(Map<Lent, fn(u8) -> u8, u8>: Send, ExactSizeIterator, Clone);
    is!(MapStream<MessageStream<Pinned>, fn(Pinned) -> u8, u8>: Send, Unpin, FusedStream);
    is!(MapResults<MapStream<MessageStream<Pinned>, fn(Pinned) -> u8, u8>>: Send, Unpin, FusedStream);
    // And a reader goes to the pool and comes back.
    type Read<R> = TransformRead<R, fn(Vec<u8>) -> Cell<u8>, Cell<u8>>;
    is!(Read<std::fs::File>: Send, Unpin, FusedIterator, std::fmt::Debug);
    is_not!(Read<std::fs::File>: Clone, futures_core::Stream);
    type ReadStream<R> = TransformStream<R, fn(Vec<u8>) -> Cell<u8>, Cell<u8>>;
    is!(ReadStream<std::fs::File>: Send, Unpin, FusedStream, std::fmt::Debug);
    is_not!(ReadStream<std::fs::File>: Clone, Iterator);
    is!(ReadStream<PinnedReader>: Send, Unpin);
    // A scope is for its jobs to use, and its handles and maps may move into them.
    is!(Scope<'static, 'static>: Send, Sync, std::fmt::Debug);
    is_not!(Scope<'static, 'static>: Clone);
    is!(ScopedHandle<'static, Cell<u32>>: Send, Sync, Unpin, std::fmt::Debug);
    is_not!(ScopedHandle<'static, Rc<u32>>: Send, Sync);
    is!(ScopedMap<'static, Numbers, fn(u32) -> Cell<u8>, Cell<u8>>: Send, Unpin, ExactSizeIterator, FusedIterator);
    is_not!(ScopedMap<'static, Lent, fn(u8) -> u8, u8>: Send, ExactSizeIterator, Clone);
    is!(WhenFull: Copy, Eq, Default, std::fmt::Debug);

    is_not!(MainLoop: Send, Sync, Clone);
    is!(Remote: Clone, Send, Sync, Unpin);
    is!(KeepAlive: Send, Sync, Unpin);
    is!(SourceId: Copy, Eq, Send, Sync);
    is!(Port<Cell<u8>, Cell<u8>>: Send, Sync, Unpin);
    is!(Worker<Cell<u8>, Cell<u8>>: Send, Sync, Unpin);
    is!(Parent<Cell<u8>>: Clone, Send, Sync, Unpin);
    is!(Broadcast<String>: Send, Sync, Unpin);
    is!(ThreadState<Rc<u8>>: Clone, Send, Sync, Unpin);
    is!(ProgressHandle<Cell<u8>, Cell<u8>>: Send, Sync, Unpin, Future);
    is!(Progress<Cell<u8>>: Send, Sync, Unpin);
    is!(MessageStream<Cell<u8>>: Send, Unpin);
    is!(Exited: Send, Sync, Unpin, Future);
    is!(Exit: Clone, Send, Sync);
    is!(CurrentWorker: Clone, Send, Sync);
    #[cfg(unix)]
    is!(windlass::Pollable: Send, Sync, std::os::fd::AsFd);
}

/// What `?` needs to carry an error into an application's own.
#[test]
fn errors_are_send_sync_and_static() {
    is!(JoinError: std::error::Error, Send, Sync);
    is!(BuildError: std::error::Error, Send, Sync);
    is!(StillRunning: std::error::Error, Send, Sync, Clone, Eq);
    is!(PostError<Cell<u8>>: std::error::Error, Send, Sync);
    is!(TrySpawnError<Cell<u8>>: std::error::Error, Send, Sync);
    is!(RecvError: std::error::Error, Send, Sync, Copy, Eq);
    is!(WorkerError: std::error::Error, Send, Sync, Clone);
}

/// Who may pass through `catch_unwind` without `AssertUnwindSafe`: plain values.
#[test]
fn the_table_of_unwind_safety_holds() {
    is!(StillRunning: UnwindSafe, RefUnwindSafe);
    is!(SourceId: UnwindSafe, RefUnwindSafe);
}

/// Pools and handles say nothing about unwinding, as they hold what users gave
/// them; whoever asserts it for them is right.
#[test]
fn a_pool_is_whole_after_a_panic_passed_it_by() {
    common::hush();
    let pool = common::pool(1);
    let payload = common::panic_of::<()>(|| {
        let _handle = pool.spawn(|| 1);
        let error = pool
            .spawn(|| -> () { panic!("expected: it passes") })
            .join()
            .unwrap_err();
        std::panic::resume_unwind(error.into_panic())
    });
    assert_eq!(common::text(&*payload), Some("expected: it passes"));
    assert_eq!(pool.spawn(|| 2).join().unwrap(), 2);
}

/// Through `?`, into `anyhow` and into a boxed error.
#[test]
fn a_join_error_passes_through_an_applications_own() {
    common::hush();
    fn application(pool: &Pool) -> anyhow::Result<u32> {
        Ok(pool.spawn(|| 3).join()? + pool.spawn(|| -> u32 { panic!("expected") }).join()?)
    }
    fn boxed(pool: &Pool) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        Ok(pool.spawn(|| -> u32 { panic!("expected") }).join()?)
    }
    let pool = common::pool(1);
    let error = application(&pool).unwrap_err();
    assert_eq!(error.to_string(), "the job panicked: expected");
    assert!(error.downcast::<JoinError>().unwrap().is_panic());
    assert_eq!(
        boxed(&pool).unwrap_err().to_string(),
        "the job panicked: expected"
    );

    fn build() -> anyhow::Result<Pool> {
        Ok(Pool::builder().num_threads(0).build()?)
    }
    assert!(build().unwrap_err().to_string().contains("num_threads(0)"));
}

#[cfg(all(unix, feature = "process"))]
#[test]
fn the_table_of_auto_traits_of_processes_holds() {
    use windlass::process::{
        Cluster, ClusterBuilder, ClusterError, ClusterEvent, ClusterRemote, ClusterWorker,
        ConnectionStream, Connections, Descriptor, ProcessExit, ProcessExited, ProcessParent,
        ProcessPool, ProcessPoolBuilder, ProcessWorker, ProcessWorkerBuilder, Tasks,
    };

    is!(Tasks: Clone, Send, Sync, Unpin, std::fmt::Debug);
    is!(ProcessPool: Send, Sync, Unpin, std::fmt::Debug);
    is!(ProcessPoolBuilder: Send, Unpin, std::fmt::Debug);
    // A message that may cross threads is enough.
    is!(ProcessWorker<Cell<u8>, Cell<u8>>: Send, Sync, Unpin, UnwindSafe, std::fmt::Debug);
    is_not!(ProcessWorker<u8, u8>: Clone);
    is!(ProcessWorkerBuilder<Cell<u8>, Cell<u8>>: Send, Unpin, std::fmt::Debug);
    is!(ProcessParent<Cell<u8>, Cell<u8>>: Clone, Send, Sync, Unpin, std::fmt::Debug);
    is!(ProcessExit: Clone, Send, Sync, Unpin, UnwindSafe, std::fmt::Debug, std::fmt::Display);
    is!(ProcessExited: Send, Unpin, Future, std::fmt::Debug);
    is!(Cluster: Send, Sync, Unpin, std::fmt::Debug);
    is_not!(Cluster: Clone);
    is!(ClusterBuilder: Send, Sync, Unpin, std::fmt::Debug);
    is!(ClusterRemote: Clone, Send, Sync, Unpin, std::fmt::Debug);
    is!(ClusterWorker: Clone, Send, Sync, Unpin, std::fmt::Debug);
    is!(Connections: Send, Sync, Unpin, std::fmt::Debug);
    is!(ConnectionStream: Send, Unpin, futures_core::Stream, std::fmt::Debug);
    is!(Descriptor<std::fs::File>: Send, Sync, Unpin, std::fmt::Debug);
    is!(ClusterEvent: Clone, Send, Sync, Unpin, PartialEq, std::fmt::Debug);
    is!(ClusterError: Send, Sync, Unpin, std::error::Error);
}
