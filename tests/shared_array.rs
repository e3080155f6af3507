//! Promise: a shared array is atomics of every integer width, sequentially
//! consistent, with JavaScript's operations; an index out of bounds is told.

mod common;

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use common::{panic_of, text, watched};
use windlass::{SharedArray, WaitOutcome};

/// Each operation on one type, from the least to the greatest value.
macro_rules! every_operation {
    ($($integer:ident),+) => {$(
        #[test]
        fn $integer() {
            let (least, greatest) = ($integer::MIN, $integer::MAX);
            let array = SharedArray::<$integer>::new(3);
            assert_eq!(array.to_vec(), [0, 0, 0]);
            array.store(1, 12);
            assert_eq!(array.load(1), 12);
            assert_eq!(array.add(1, 5), 12);
            assert_eq!(array.sub(1, 7), 17);
            assert_eq!(array.and(1, 6), 10);
            assert_eq!(array.or(1, 9), 2);
            assert_eq!(array.xor(1, 3), 11);
            assert_eq!(array.swap(1, greatest), 8);
            assert_eq!(array.add(1, 1), greatest, "wraps around");
            assert_eq!(array.sub(1, 1), least, "wraps around");
            assert_eq!(array.compare_exchange(1, least, 1), Err(greatest));
            assert_eq!(array.compare_exchange(1, greatest, least), Ok(greatest));
            assert_eq!(array.to_vec(), [0, least, 0], "and no other element");
            let from_iter: SharedArray<$integer> = [least, 7].into_iter().collect();
            assert_eq!(from_iter.to_vec(), [least, 7]);
            assert_eq!(SharedArray::from(vec![greatest]).load(0), greatest);
        }
    )+};
}

mod every_operation_on {
    use super::*;

    every_operation!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
}

#[test]
fn a_clone_has_the_same_elements() {
    let one = SharedArray::from(vec![1, 2, 3]);
    let two = one.clone();
    two.store(0, 10);
    assert_eq!(one.to_vec(), [10, 2, 3]);
    assert_eq!((one.len(), two.len()), (3, 3));
}

#[test]
fn it_may_be_empty() {
    let array = SharedArray::<u64>::new(0);
    assert!(array.is_empty() && array.to_vec().is_empty());
    assert!(!SharedArray::<u64>::new(1).is_empty());
    assert_eq!(
        format!("{array:?}"),
        "SharedArray { len: 0, waiting: 0, .. }"
    );
}

#[test]
fn an_index_out_of_bounds_is_told_by_every_method() {
    let check = |call: fn(&SharedArray<i32>, usize)| {
        let array = SharedArray::new(3);
        call(&array, 2);
        for index in [3, usize::MAX] {
            let panic = panic_of(|| call(&array, index));
            let message = format!("index {index} is out of bounds: the SharedArray has 3 elements");
            assert_eq!(text(&*panic), Some(&*message));
        }
    };
    check(|array, index| assert_eq!(array.load(index), 0));
    check(|array, index| array.store(index, 0));
    check(|array, index| assert_eq!(array.add(index, 1), 0));
    check(|array, index| assert_eq!(array.sub(index, 1), 0));
    check(|array, index| assert_eq!(array.and(index, 1), 0));
    check(|array, index| assert_eq!(array.or(index, 1), 0));
    check(|array, index| assert_eq!(array.xor(index, 1), 0));
    check(|array, index| assert_eq!(array.swap(index, 1), 0));
    check(|array, index| assert!(array.compare_exchange(index, 0, 1).is_ok()));
    check(|array, index| drop(array.wait_async(index, 0)));
    check(|array, index| assert_eq!(array.notify(index, 1), 0));
    // Expected to be something else, so as not to wait.
    check(|array, index| assert_eq!(array.wait(index, 1), WaitOutcome::NotEqual));
    check(|array, index| {
        let outcome = array.wait_timeout(index, 1, Duration::MAX);
        assert_eq!(outcome, WaitOutcome::NotEqual);
    });
}

#[test]
fn nothing_is_lost_between_threads() {
    watched(|| {
        let array = SharedArray::<u16>::new(2);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let array = array.clone();
                thread::spawn(move || {
                    for _ in 0..10_000 {
                        array.add(0, 1);
                        let mut seen = array.load(1);
                        while let Err(other) = array.compare_exchange(1, seen, seen + 1) {
                            seen = other;
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(array.to_vec(), [40_000, 40_000]);
    });
}

/// Of two threads that each write one element and read the other's, one sees
/// what the other wrote.
#[test]
fn all_agree_on_one_order() {
    watched(|| {
        let array = SharedArray::<i8>::new(2);
        let start = Barrier::new(2);
        for _ in 0..5000 {
            array.store(0, 0);
            array.store(1, 0);
            let look = |own: usize, other: usize| {
                start.wait();
                array.store(own, 1);
                array.load(other)
            };
            let (one, two) = thread::scope(|s| {
                let there = s.spawn(|| look(0, 1));
                (look(1, 0), there.join().unwrap())
            });
            assert!(one == 1 || two == 1, "neither saw the other");
        }
    });
}

/// As Node's `sharedarraybuffer-from-worker-thread`.
#[test]
fn it_outlives_the_thread_that_made_it() {
    let made = thread::spawn(|| SharedArray::from(vec![1_u8, 2, 3]));
    let array = made.join().unwrap();
    array.store(0, 9);
    assert_eq!(array.to_vec(), [9, 2, 3]);
}

#[test]
fn it_may_cross_threads_and_unwinding() {
    fn check<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    check::<SharedArray<u8>>();
    check::<windlass::WaitAsync<i64>>();
}
