//! Promise: a reader poured through the pool gives the result of each block once and in
//! order, errors and panics at their places, is read by the pool and no further ahead than
//! it may be, and is let go of with whoever takes the results.

mod common;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Cursor, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use common::{
    CountingWaker, Drops, EXPECTED, Occupied, for_each_size, hush, on_each_size, until, watched,
};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use proptest::prelude::*;
use windlass::{JoinError, Pool, Spawner, is_cancelled};

/// What a reader does when it is read.
#[derive(Clone, Debug)]
enum Step {
    /// Gives so many bytes, which count on from what it gave before.
    Give(usize),
    Interrupted,
    Fails,
    Panics,
}
use Step::{Fails, Give, Interrupted, Panics};

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    given: usize,
}

fn script(steps: &[Step]) -> Script {
    Script {
        steps: steps.to_vec().into(),
        given: 0,
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.steps.pop_front() {
            None => Ok(0),
            Some(Interrupted) => Err(ErrorKind::Interrupted.into()),
            Some(Fails) => Err(io::Error::new(ErrorKind::InvalidData, "by the script")),
            Some(Panics) => panic!("{EXPECTED}: the reader"),
            Some(Give(bytes)) => {
                let now = bytes.min(buffer.len());
                for byte in &mut buffer[..now] {
                    *byte = self.given as u8;
                    self.given += 1;
                }
                if now < bytes {
                    self.steps.push_front(Give(bytes - now));
                }
                Ok(now)
            }
        }
    }
}

/// The bytes that a script gives.
fn bytes(range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|n| n as u8).collect()
}

/// An endless reader, that counts how often it is read, and on which threads.
#[derive(Clone, Default)]
struct Endless {
    reads: Arc<AtomicUsize>,
    threads: Arc<Mutex<Vec<ThreadId>>>,
}

impl Endless {
    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.threads.lock().unwrap().push(thread::current().id());
        buffer.fill(self.reads.fetch_add(1, Ordering::SeqCst) as u8);
        Ok(buffer.len())
    }
}

/// Takes longer for some blocks than for those that come after them.
fn uneven(block: Vec<u8>) -> Vec<u8> {
    for _ in 0..u32::from(block[0] % 7) * 100 {
        std::hint::spin_loop();
    }
    block
}

/// The next one, waited for.
fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    pollster::block_on(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)))
}

/// Polled once.
fn poll<S: Stream + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

fn is_pending<S: Stream + Unpin>(stream: &mut S) -> bool {
    poll(stream, Waker::noop()).is_pending()
}

#[test]
fn blocks_come_in_order_and_whole() {
    on_each_size(|pool| {
        let input = bytes(0..10_007);
        for look_ahead in [1, 2, 3, 100] {
            for size in [1000, 10_006, 10_007, 10_008] {
                let reader = Cursor::new(input.clone());
                let blocks = pool.transform_read(reader, uneven);
                let blocks: io::Result<Vec<_>> =
                    blocks.block_size(size).look_ahead(look_ahead).collect();
                assert!(blocks.unwrap().iter().eq(input.chunks(size)));
            }
        }
        let default = pool.transform_read(Cursor::new(vec![1; 300 * 1024]), |block| block.len());
        let sizes: io::Result<Vec<_>> = default.collect();
        assert_eq!(sizes.unwrap(), [128 * 1024, 128 * 1024, 44 * 1024]);
    });
}

#[test]
fn an_empty_input_has_no_blocks() {
    on_each_size(|pool| {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let mut none =
            pool.transform_read(io::empty(), move |_| count.fetch_add(1, Ordering::SeqCst));
        assert!(none.next().is_none() && none.next().is_none());
        assert_eq!(none.size_hint(), (0, Some(0)));
        // And what is a multiple of the block has no empty one at its end.
        let exact = pool.transform_read(&[7_u8; 20][..], |block| block.len());
        let sizes: io::Result<Vec<_>> = exact.block_size(10).collect();
        assert_eq!(sizes.unwrap(), [10, 10]);
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn blocks_are_filled_however_little_a_read_gives() {
    on_each_size(|pool| {
        let steps = [
            Give(3),
            Interrupted,
            Give(1),
            Give(9),
            Interrupted,
            Interrupted,
            Give(4),
        ];
        let blocks = pool.transform_read(script(&steps), |block| block);
        let blocks: io::Result<Vec<_>> = blocks.block_size(5).collect();
        let expected = [bytes(0..5), bytes(5..10), bytes(10..15), bytes(15..17)];
        assert_eq!(blocks.unwrap(), expected);
    });
}

#[test]
fn an_error_comes_after_what_was_read_before_it_and_ends_it() {
    on_each_size(|pool| {
        for look_ahead in [1, 2, 10] {
            let steps = [Give(17), Fails, Give(100)];
            let blocks = pool.transform_read(script(&steps), uneven);
            let mut blocks = blocks.block_size(5).look_ahead(look_ahead);
            for expected in [bytes(0..5), bytes(5..10), bytes(10..15), bytes(15..17)] {
                assert_eq!(blocks.next().unwrap().unwrap(), expected);
            }
            let error = blocks.next().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(blocks.next().is_none() && blocks.next().is_none());
        }
    });
}

#[test]
fn a_panic_comes_at_its_place_and_the_rest_after_it() {
    hush();
    on_each_size(|pool| {
        let mut blocks = pool.transform_read(script(&[Give(30)]), |block| {
            assert!(block[0] % 7 != 3, "{EXPECTED}: {}", block[0]);
            block[0]
        });
        blocks = blocks.block_size(1);
        for n in 0..30 {
            match catch_unwind(AssertUnwindSafe(|| blocks.next())) {
                Ok(result) => assert!(result.unwrap().unwrap() == n && n % 7 != 3),
                Err(payload) => {
                    assert_eq!(common::text(&*payload), Some(&*format!("{EXPECTED}: {n}")));
                }
            }
        }
        assert!(blocks.next().is_none());
    });
}

#[test]
fn a_panic_of_the_reader_comes_at_its_place_and_ends_it() {
    hush();
    on_each_size(|pool| {
        let steps = [Give(10), Panics, Give(10)];
        let mut sizes = pool
            .transform_read(script(&steps), |block| block.len())
            .block_size(5);
        assert_eq!(sizes.next().unwrap().unwrap(), 5);
        assert_eq!(sizes.next().unwrap().unwrap(), 5);
        let payload = common::panic_of(|| sizes.next());
        assert_eq!(common::text(&*payload), Some("expected: the reader"));
        assert!(sizes.next().is_none());
    });
}

/// A reader that says it gave more than it was asked for is told so.
#[test]
fn a_reader_that_lies_is_a_panic() {
    struct Lies;
    impl Read for Lies {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(buffer.len() + 1)
        }
    }
    watched(|| {
        let pool = common::pool(1);
        let lies = pool.transform_read(Lies, |block| block.len()).block_size(5);
        let mut lies = lies.stream();
        let payload = common::panic_of(|| next(&mut lies));
        let text = common::text(&*payload).unwrap();
        assert!(text.contains("gave more bytes"), "{text}");
    });
}

#[test]
fn it_is_read_no_further_ahead_than_it_may_be() {
    on_each_size(|pool| {
        for look_ahead in [1, 2, 3, 20] {
            let reader = Endless::default();
            let blocks = pool.transform_read(reader.clone(), uneven);
            let mut blocks = blocks.block_size(10).look_ahead(look_ahead);
            assert_eq!(reader.reads(), 0, "before it is asked");
            for given in 1..100 {
                blocks.next().unwrap().unwrap();
                assert!((given..=given + look_ahead).contains(&reader.reads()));
            }
        }
    });
}

/// A block that ends only when so many were read: less would hang.
#[test]
fn it_is_read_as_far_ahead_as_it_may_be() {
    on_each_size(|pool| {
        let default = 2 * pool.num_threads();
        for look_ahead in [None, Some(1), Some(2), Some(50)] {
            let reader = Endless::default();
            let seen = reader.clone();
            let wanted = look_ahead.unwrap_or(default);
            let blocks = pool.transform_read(reader.clone(), move |block| {
                windlass::blocking(|| until(|| seen.reads() >= wanted));
                block[0]
            });
            let mut blocks = blocks.block_size(10);
            if let Some(items) = look_ahead {
                blocks = blocks.look_ahead(items);
            }
            assert_eq!(blocks.next().unwrap().unwrap(), 0);
        }
    });
}

/// While the caller is busy with a result, the next block is read.
#[test]
fn it_goes_on_reading_between_two_calls() {
    on_each_size(|pool| {
        let reader = Endless::default();
        let blocks = pool.transform_read(reader.clone(), |block| block.len());
        let mut blocks = blocks.block_size(10).look_ahead(1);
        for given in 1..50 {
            blocks.next().unwrap().unwrap();
            until(|| reader.reads() == given + 1);
        }
    });
}

/// It waits for a block, not for a thread: the job that would read is no use to a pool
/// whose only thread waits in it.
#[test]
fn a_reader_that_blocks_leaves_its_thread_to_others() {
    struct Pipe(mpsc::Receiver<u8>);
    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Ok(byte) = self.0.recv() else {
                return Ok(0);
            };
            buffer[0] = byte;
            Ok(1)
        }
    }
    on_each_size(|pool| {
        let (give, pipe) = mpsc::channel();
        let blocks = pool.transform_read(Pipe(pipe), |block| block[0]);
        let mut blocks = blocks.block_size(1).stream();
        for n in 0..20 {
            assert!(is_pending(&mut blocks));
            let others: Vec<_> = (0..8).map(|_| pool.spawn(|| ())).collect();
            assert!(others.into_iter().all(|job| job.join().is_ok()));
            give.send(n).unwrap();
            assert_eq!(next(&mut blocks).unwrap().unwrap(), n);
        }
        drop(give);
        assert!(next(&mut blocks).is_none());
    });
}

#[test]
fn who_takes_the_results_does_not_read() {
    on_each_size(|pool| {
        let reader = Endless::default();
        let readers = Arc::clone(&reader.threads);
        let blocks = pool.transform_read(reader, |block| block.len());
        assert_eq!(blocks.block_size(10).take(100).count(), 100);
        let readers = readers.lock().unwrap();
        assert!(readers.len() >= 100 && !readers.contains(&thread::current().id()));
    });
}

#[test]
fn dropping_it_cancels_what_is_on_the_way_and_drops_the_reader() {
    struct Held<R>(R, #[allow(dead_code)] common::Token);
    impl<R: Read> Read for Held<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    on_each_size(|pool| {
        let drops = Drops::default();
        // Before anything.
        let reader = Held(Endless::default(), drops.token());
        drop(pool.transform_read(reader, |block| block));
        assert_eq!(drops.count(), 1);

        // Before the reading has started.
        let busy = Occupied::all(&pool);
        let endless = Endless::default();
        let reader = Held(endless.clone(), drops.token());
        let mut blocks = pool.transform_read(reader, |block| block).stream();
        assert!(is_pending(&mut blocks));
        drop(blocks);
        assert_eq!(drops.count(), 2);
        busy.release();
        pool.spawn(|| ()).join().unwrap();
        assert_eq!(endless.reads(), 0);

        // While blocks are computed, on all threads.
        let (reader, started) = (Held(Endless::default(), drops.token()), Arc::default());
        let (captured, starts) = (drops.token(), Arc::clone(&started));
        let blocks = pool.transform_read(reader, move |_| {
            let _keep = &captured;
            AtomicUsize::fetch_add(&starts, 1, Ordering::SeqCst);
            until(is_cancelled);
        });
        let mut blocks = blocks.block_size(10).look_ahead(40).stream();
        while started.load(Ordering::SeqCst) < pool.num_threads() {
            assert!(is_pending(&mut blocks));
            thread::yield_now();
        }
        drop(blocks);
        until(|| drops.count() == 4);

        // After its end, at once.
        let reader = Held(script(&[Give(10)]), drops.token());
        let mut blocks = pool.transform_read(reader, |block| block);
        assert!(blocks.next().is_some() && blocks.next().is_none());
        assert_eq!(drops.count(), 5);
    });
}

/// A read that nobody wants any more is the last one, however small its gift.
#[test]
fn a_reader_that_is_being_read_is_dropped_when_it_comes_back() {
    struct Slow(
        mpsc::Receiver<()>,
        #[allow(dead_code)] common::Token,
        Arc<AtomicUsize>,
    );
    impl Read for Slow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.2.fetch_add(1, Ordering::SeqCst);
            let _ = self.0.recv();
            Ok(1)
        }
    }
    on_each_size(|pool| {
        let (drops, reads) = (Drops::default(), Arc::new(AtomicUsize::new(0)));
        let (open, gate) = mpsc::channel();
        let reader = Slow(gate, drops.token(), Arc::clone(&reads));
        let mut blocks = pool.transform_read(reader, |block| block).stream();
        assert!(is_pending(&mut blocks));
        until(|| reads.load(Ordering::SeqCst) == 1);
        drop(blocks);
        assert_eq!(drops.count(), 0);
        drop(open);
        until(|| drops.count() == 1);
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    });
}

/// The sizes of blocks of blocks, each consumed inside a job.
fn nested(depth: usize, look_ahead: usize) -> usize {
    if depth == 0 {
        return 1;
    }
    let pool = Spawner::current().unwrap();
    let inner = pool.transform_read(&[0_u8; 22][..], move |_| nested(depth - 1, look_ahead));
    let inner = inner.block_size(4).look_ahead(look_ahead);
    inner.map(Result::unwrap).sum()
}

#[test]
fn jobs_may_consume_it_in_their_own_pool_without_substitutes() {
    for_each_size(|threads| {
        for capacity in [None, Some(1), Some(3)] {
            let mut pool = Pool::builder().num_threads(threads).max_substitutes(0);
            if let Some(capacity) = capacity {
                pool = pool.queue_capacity(capacity);
            }
            let pool = pool.build().unwrap();
            for look_ahead in [1, 2, 5] {
                let sum = pool.spawn(move || nested(3, look_ahead)).join();
                assert_eq!(sum.unwrap(), 6 * 6 * 6);
            }
        }
    });
}

/// Strangers fill the queue, and the only thread that could make room is the one that
/// takes the results.
#[test]
fn a_job_without_room_reads_and_computes_itself() {
    watched(|| {
        let pool = Pool::builder().num_threads(1).max_substitutes(0);
        let pool = pool.queue_capacity(2).build().unwrap();
        let job = pool.spawn(|| {
            let pool = Spawner::current().unwrap();
            let strangers: Vec<_> = (0..2).map(|_| pool.spawn(|| ())).collect();
            let here = thread::current().id();
            let reader = Endless::default();
            let threads = Arc::clone(&reader.threads);
            let blocks = pool.transform_read(reader, move |block| {
                assert_eq!(thread::current().id(), here);
                block[0]
            });
            let blocks = blocks.block_size(10).take(9).map(Result::unwrap);
            assert!(blocks.eq(0..9));
            assert!(threads.lock().unwrap().iter().all(|&thread| thread == here));
            strangers
        });
        let strangers = job.join().unwrap();
        assert!(strangers.into_iter().all(|job| job.join().is_ok()));
    });
}

/// What it does itself it takes no room for, nor waits for any.
#[test]
fn a_job_that_reads_and_computes_itself_leaves_the_room_to_others() {
    watched(|| {
        let pool = Pool::builder().num_threads(1).max_substitutes(0);
        let pool = pool.queue_capacity(1).build().unwrap();
        let job = pool.spawn(|| {
            let pool = Spawner::current().unwrap();
            let stranger = pool.spawn(|| ());
            let blocks = pool.transform_read(script(&[Give(30)]), |block| block.len());
            let mut blocks = blocks.block_size(10);
            assert_eq!(blocks.next().unwrap().unwrap(), 10);
            assert!(stranger.cancel());
            pool.try_spawn(|| "there is room").is_ok()
        });
        assert!(job.join().unwrap());
    });
}

#[test]
fn a_lock_held_while_it_is_consumed_does_not_deadlock() {
    for_each_size(|threads| {
        let pool = Pool::builder().num_threads(threads).max_substitutes(0);
        let pool = pool.build().unwrap();
        let job = pool.spawn(|| {
            let pool = Spawner::current().unwrap();
            let lock = Arc::new(Mutex::new(()));
            let held = lock.lock().unwrap();
            let theirs = Arc::clone(&lock);
            let stranger = pool.spawn(move || drop(theirs.lock().unwrap()));
            let reader = Cursor::new(bytes(0..500));
            let blocks = pool.transform_read(reader, uneven).block_size(10);
            let count = blocks.look_ahead(4).filter(Result::is_ok).count();
            drop(held);
            stranger.join().unwrap();
            count
        });
        assert_eq!(job.join().unwrap(), 50);
    });
}

#[test]
fn in_a_bounded_pool_blocks_wait_for_room() {
    for_each_size(|threads| {
        for capacity in [1, 2, 10] {
            let pool = Pool::builder().num_threads(threads);
            let pool = pool.queue_capacity(capacity).build().unwrap();
            let input = bytes(0..1003);
            let blocks = |pool: &Pool| {
                let blocks = pool.transform_read(Cursor::new(bytes(0..1003)), uneven);
                blocks.block_size(10).look_ahead(20)
            };
            let all: io::Result<Vec<_>> = blocks(&pool).collect();
            assert_eq!(all.unwrap().concat(), input);

            // Others fill the queue.
            let busy = Occupied::all(&pool);
            let fill: Vec<_> = (0..capacity).map(|_| pool.spawn(|| ())).collect();
            let mut stream = blocks(&pool).stream();
            assert!(is_pending(&mut stream));
            let waits = blocks(&pool);
            let waits = thread::spawn(move || waits.map(Result::unwrap).collect::<Vec<_>>());
            busy.release();
            let all = std::iter::from_fn(|| next(&mut stream)).map(Result::unwrap);
            assert_eq!(all.collect::<Vec<_>>().concat(), input);
            assert_eq!(waits.join().unwrap().concat(), input);
            assert!(fill.into_iter().all(|job| job.join().is_ok()));
        }
    });
}

#[test]
fn as_a_stream_it_is_woken_by_the_reader_and_by_the_blocks() {
    on_each_size(|pool| {
        let open = Arc::new(AtomicBool::new(false));
        let gate = Arc::clone(&open);
        let blocks = pool.transform_read(script(&[Give(3)]), move |block| {
            until(|| gate.load(Ordering::SeqCst));
            block.len()
        });
        let mut blocks = blocks.stream();
        let woken = Arc::new(CountingWaker::default());
        let waker = Waker::from(Arc::clone(&woken));
        let busy = Occupied::all(&pool);
        assert!(poll(&mut blocks, &waker).is_pending());
        assert_eq!(woken.count(), 0);
        busy.release();
        // It was read.
        until(|| woken.count() == 1);
        assert!(!blocks.is_terminated());
        assert!(poll(&mut blocks, &waker).is_pending());
        assert_eq!(blocks.size_hint(), (1, Some(1)));
        open.store(true, Ordering::SeqCst);
        until(|| woken.count() == 2);
        assert!(matches!(
            poll(&mut blocks, &waker),
            Poll::Ready(Some(Ok(3)))
        ));
        assert!(blocks.is_terminated());
        assert!(matches!(poll(&mut blocks, &waker), Poll::Ready(None)));
        assert_eq!(woken.count(), 2);
    });
}

#[test]
fn as_a_stream_it_is_the_same() {
    hush();
    on_each_size(|pool| {
        let steps = [Give(3), Interrupted, Give(8), Fails];
        let f = |block: Vec<u8>| {
            assert!(block[0] != 4, "{EXPECTED}: four");
            block
        };
        let mut blocks = pool
            .transform_read(script(&steps), f)
            .block_size(4)
            .stream();
        assert_eq!(next(&mut blocks).unwrap().unwrap(), bytes(0..4));
        let payload = common::panic_of(|| next(&mut blocks));
        assert_eq!(common::text(&*payload), Some("expected: four"));
        assert_eq!(next(&mut blocks).unwrap().unwrap(), bytes(8..11));
        assert!(!blocks.is_terminated());
        assert!(next(&mut blocks).unwrap().is_err());
        assert!(blocks.is_terminated() && next(&mut blocks).is_none());
    });
}

#[test]
fn a_task_of_tokio_consumes_it_beside_others() {
    on_each_size(|pool| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        let turns = runtime.block_on(async move {
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            let other = tokio::spawn(async move {
                let mut turns = 0_u64;
                while !stopped.load(Ordering::SeqCst) {
                    turns += 1;
                    tokio::task::yield_now().await;
                }
                turns
            });
            let reader = Cursor::new(bytes(0..100_000));
            let mut blocks = pool.transform_read(reader, uneven).block_size(999).stream();
            let mut all = Vec::new();
            while let Some(block) = poll_fn(|cx| Pin::new(&mut blocks).poll_next(cx)).await {
                all.extend(block.unwrap());
            }
            assert_eq!(all, bytes(0..100_000));
            stop.store(true, Ordering::SeqCst);
            other.await.unwrap()
        });
        assert!(turns > 0);
    });
}

fn is_closed(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    error.kind() == ErrorKind::Other && inner.is_some_and(JoinError::is_closed)
}

#[test]
fn a_closed_pool_is_an_error_at_its_place_and_the_end() {
    on_each_size(|pool| {
        let spawner = pool.spawner();
        let reader = Cursor::new(bytes(0..100));
        let blocks = |reader| spawner.transform_read(reader, |block| block.len());
        let mut some = blocks(reader.clone()).block_size(1).look_ahead(3);
        let mut none = blocks(reader.clone());
        let mut stream = blocks(reader).stream();
        assert_eq!(some.next().unwrap().unwrap(), 1);
        drop(pool);
        // What was on the way is given out.
        let mut rest: Vec<_> = some.by_ref().collect();
        let last = rest.pop().unwrap().unwrap_err();
        assert!(is_closed(&last), "{last}");
        assert!(rest.len() <= 3);
        assert!(some.next().is_none());
        assert!(is_closed(&none.next().unwrap().unwrap_err()));
        assert!(none.next().is_none());
        assert!(is_closed(&next(&mut stream).unwrap().unwrap_err()));
        assert!(next(&mut stream).is_none() && stream.is_terminated());
    });
}

#[test]
#[should_panic(expected = "block_size(0)")]
fn blocks_of_nothing_are_a_mistake() {
    let _ = common::pool(1)
        .transform_read(io::empty(), |_| ())
        .block_size(0);
}

#[test]
#[should_panic(expected = "look_ahead(0)")]
fn a_look_ahead_of_nothing_is_a_mistake() {
    let _ = common::pool(1)
        .transform_read(io::empty(), |_| ())
        .look_ahead(0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_the_sequential_map_over_chunks(
        steps in prop::collection::vec(
            prop_oneof![
                8 => (1_usize..40).prop_map(Give),
                2 => Just(Interrupted),
                1 => Just(Fails),
            ],
            0..40,
        ),
        block_size in 1_usize..30,
        look_ahead in 1_usize..12,
        size in 0_usize..3,
        capacity in prop::option::of(1_usize..5),
        is_stream: bool,
    ) {
        watched(move || {
            let mut pool = Pool::builder().num_threads(common::SIZES[size]);
            if let Some(capacity) = capacity {
                pool = pool.queue_capacity(capacity);
            }
            let pool = pool.build().unwrap();
            let until_error = steps.iter().take_while(|step| !matches!(step, Fails));
            let given = until_error.map(|step| if let Give(bytes) = step { *bytes } else { 0 });
            let input = bytes(0..given.sum());
            let fails = steps.iter().any(|step| matches!(step, Fails));

            let blocks = pool.transform_read(script(&steps), uneven);
            let blocks = blocks.block_size(block_size).look_ahead(look_ahead);
            let results: Vec<_> = if is_stream {
                let mut stream = blocks.stream();
                std::iter::from_fn(|| next(&mut stream)).collect()
            } else {
                blocks.collect()
            };
            let errors = results.iter().filter(|result| result.is_err()).count();
            assert_eq!(errors, usize::from(fails));
            assert_eq!(results.last().is_some_and(Result::is_err), fails);
            let blocks = results.into_iter().filter_map(Result::ok);
            assert!(blocks.eq(input.chunks(block_size).map(<[u8]>::to_vec)));
        });
    }
}
