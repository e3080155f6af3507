//! What is large must not cost more than what is small: nothing is copied.

use std::mem;

use criterion::{BenchmarkId, Criterion};
use windlass::{Parent, SharedBuffer};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What does it cost to hand an image, a file or a table to a worker, and to get
/// it back?
///
/// A `Vec<u8>` there, its first and last byte changed, and back again: 64 KiB and
/// 64 MiB, whose times are to be the same. The same allocation comes back.
pub(crate) fn hand_over(criterion: &mut Criterion) {
    let pool = crate::pool();
    let worker = pool.worker(|mut bytes: Vec<u8>, parent: &Parent<Vec<u8>>| {
        let last = bytes.len() - 1;
        bytes[0] = bytes[0].wrapping_add(1);
        bytes[last] = bytes[last].wrapping_add(1);
        let _ = parent.post(bytes);
    });
    let mut group = crate::group(criterion, "hand_over");
    for (name, len) in [("64_KiB", 64 * KIB), ("64_MiB", 64 * MIB)] {
        // Written to, so that the memory is there.
        let mut bytes = vec![1_u8; len];
        let address = bytes.as_ptr();
        group.bench_function(BenchmarkId::new("worker", name), |bencher| {
            bencher.iter(|| {
                worker.post(mem::take(&mut bytes)).unwrap();
                bytes = worker.recv().unwrap();
            });
        });
        assert_eq!((bytes.as_ptr(), bytes.len()), (address, len));
    }
    group.finish();
}

const PARTS: usize = 64;

/// What does it cost to let many jobs write to one buffer, besides their work?
///
/// A buffer is split into 64 parts, each is dropped, and the whole put together
/// again, all on this thread: 1 MiB and 64 MiB, whose times are to be the same.
/// The same allocation comes back.
pub(crate) fn split(criterion: &mut Criterion) {
    let mut group = crate::group(criterion, "split");
    for (name, len) in [("1_MiB", MIB), ("64_MiB", 64 * MIB)] {
        let mut buffer = SharedBuffer::from(vec![1_u8; len]);
        let address = buffer.as_ptr();
        group.bench_function(BenchmarkId::new("64_parts", name), |bencher| {
            bencher.iter(|| {
                let taken = mem::replace(&mut buffer, SharedBuffer::from(Vec::new()));
                let (parts, whole) = taken.split(PARTS).unwrap();
                assert_eq!(parts.len(), PARTS);
                for part in parts {
                    drop(part);
                }
                buffer = whole.wait();
            });
        });
        assert_eq!((buffer.as_ptr(), buffer.len()), (address, len));
    }
    group.finish();
}
