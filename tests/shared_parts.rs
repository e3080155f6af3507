//! Promise: a split buffer is in disjoint owned parts, cut where it was asked for,
//! and comes back with all that was written to them; a buffer that cannot be
//! split comes back at once.

mod common;

use std::cell::Cell;
use std::ops::Range;
use std::{slice, thread};

use common::{panic_of, text, watched};
use windlass::{Part, SharedBuffer, Whole};

fn ranges<T>(parts: &[Part<T>]) -> Vec<Range<usize>> {
    parts.iter().map(Part::range).collect()
}

fn numbers(len: usize) -> SharedBuffer<usize> {
    SharedBuffer::from((0..len).collect::<Vec<_>>())
}

#[test]
fn parts_are_even_in_order_and_cover_everything() {
    for len in 0..40 {
        for n in 1..50 {
            let (parts, whole) = numbers(len).split(n).unwrap();
            assert_eq!(parts.len(), n);
            let mut next = 0;
            for part in &parts {
                assert_eq!(part.start(), next);
                assert_eq!(part.range(), next..next + part.len());
                assert!(part.iter().copied().eq(part.range()));
                assert!([len / n, len.div_ceil(n)].contains(&part.len()));
                next += part.len();
            }
            assert_eq!(next, len);
            assert!(parts.is_sorted_by(|one, two| one.len() >= two.len()));
            drop(parts);
            assert!(whole.wait().iter().copied().eq(0..len));
        }
    }
}

#[test]
fn rows_are_not_cut() {
    for (rows, width, n) in [(7, 3, 2), (1, 10, 4), (0, 5, 3), (100, 1, 7), (8, 4, 8)] {
        let (parts, whole) = numbers(rows * width).split_rows(width, n).unwrap();
        assert_eq!(parts.len(), n);
        let mut next = 0;
        for part in &parts {
            assert_eq!(part.start(), next);
            assert_eq!(part.len() % width, 0);
            assert!([rows / n, rows.div_ceil(n)].contains(&(part.len() / width)));
            next += part.len();
        }
        assert_eq!(next, rows * width);
        drop(parts);
        assert!(whole.is_whole());
    }
}

/// As Node's `message-channel-sharedarraybuffer` and
/// `workerdata-sharedarraybuffer`: both threads write disjoint halves.
#[test]
fn two_threads_write_their_halves() {
    watched(|| {
        let (mut parts, whole) = SharedBuffer::from(vec![b' '; 12]).split(2).unwrap();
        let (mut world, mut hello) = (parts.pop().unwrap(), parts.pop().unwrap());
        let there = thread::spawn(move || hello.copy_from_slice(b"Hello "));
        world.copy_from_slice(b"world!");
        drop(world);
        assert_eq!(whole.wait().into_vec(), b"Hello world!");
        there.join().unwrap();
    });
}

#[test]
fn the_same_allocation_comes_back_with_its_capacity() {
    let mut vec = Vec::with_capacity(64);
    vec.extend(0..10);
    let address = vec.as_ptr();
    let (mut parts, whole) = SharedBuffer::from(vec).split(3).unwrap();
    for part in &mut parts {
        part.reverse();
    }
    drop(parts);
    let buffer = whole.wait();
    assert!(buffer.is_unique());
    let vec = buffer.into_vec();
    assert_eq!((vec.as_ptr(), vec.capacity()), (address, 64));
    assert_eq!(vec, [3, 2, 1, 0, 6, 5, 4, 9, 8, 7]);
}

#[test]
fn whoever_waits_sees_what_all_have_written() {
    watched(|| {
        let mut buffer = numbers(64);
        for round in 0..500 {
            let (parts, whole) = buffer.split(4).unwrap();
            let threads: Vec<_> = parts
                .into_iter()
                .map(|mut part| thread::spawn(move || part.fill(round)))
                .collect();
            buffer = if round % 2 == 0 {
                whole.wait()
            } else {
                pollster::block_on(whole)
            };
            assert!(buffer.iter().all(|&element| element == round));
            for thread in threads {
                thread.join().unwrap();
            }
        }
    });
}

#[test]
fn ten_thousand_parts_come_together() {
    watched(|| {
        let (mut parts, whole) = numbers(25_000).split(10_000).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mine = parts.split_off(parts.len().saturating_sub(2500));
                thread::spawn(move || {
                    for mut part in mine {
                        part.iter_mut().for_each(|element| *element *= 2);
                    }
                })
            })
            .collect();
        assert!(parts.is_empty());
        assert!(whole.wait().iter().copied().eq((0..25_000).map(|n| n * 2)));
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn ranges_come_in_any_order_and_leave_gaps_alone() {
    let wanted = [7..9, 0..2, 5..5, 3..4, 7..7, 8..8, 10..10, 0..0];
    let (mut parts, whole) = numbers(10).split_ranges(&wanted).unwrap();
    assert_eq!(ranges(&parts), wanted);
    for (index, part) in parts.iter_mut().enumerate() {
        part.fill(100 + index);
    }
    assert!(!whole.is_whole());
    drop(parts);
    let vec = whole.wait().into_vec();
    assert_eq!(vec, [101, 101, 2, 103, 4, 5, 6, 100, 100, 9]);
}

#[test]
fn no_ranges_are_no_parts() {
    let (parts, whole) = numbers(3).split_ranges(&[]).unwrap();
    assert!(parts.is_empty() && whole.is_whole());
    assert_eq!(whole.wait().into_vec(), [0, 1, 2]);
}

proptest::proptest! {
    /// Any ranges: refused exactly if one is out of bounds or two overlap, and
    /// else each part is its range.
    #[test]
    fn any_ranges_are_cut_or_refused(
        wanted in proptest::collection::vec((0..14_usize, 0..14_usize), 0..6)
    ) {
        let wanted: Vec<_> = wanted.into_iter().map(|(start, end)| start..end).collect();
        let outside = wanted.iter().any(|range| range.start > range.end || range.end > 12);
        let mut owners = [0; 14];
        for range in &wanted {
            range.clone().for_each(|element| owners[element] += 1);
        }
        let overlap = owners.iter().any(|&count| count > 1);
        match numbers(12).split_ranges(&wanted) {
            Ok((parts, whole)) => {
                assert!(!outside && !overlap);
                assert_eq!(ranges(&parts), wanted);
                assert!(parts.iter().all(|part| part.iter().copied().eq(part.range())));
                drop(parts);
                assert!(whole.wait().iter().copied().eq(0..12));
            }
            Err(error) => {
                assert_eq!(error.is_out_of_bounds(), outside);
                assert_eq!(error.is_overlapping(), !outside && overlap);
                assert_eq!(error.into_inner().len(), 12);
            }
        }
    }
}

/// Each error gives the buffer back, names the value, and says what would be
/// right.
#[test]
fn a_buffer_that_cannot_be_split_comes_back() {
    let address = Cell::new(std::ptr::null());
    let buffer = || {
        let buffer = numbers(10);
        address.set(buffer.as_ptr());
        buffer
    };
    let error = buffer().split(0).unwrap_err();
    assert!(error.is_no_parts() && !error.is_shared() && !error.is_bad_width());
    assert!(!error.is_overlapping() && !error.is_out_of_bounds());
    let message = "a buffer cannot be split into 0 parts: 1 is the least";
    assert_eq!(error.to_string(), message);
    assert_eq!(format!("{error:?}"), format!("SplitError({message})"));
    assert_eq!(error.into_inner().as_ptr(), address.get());
    assert!(buffer().split_rows(5, 0).unwrap_err().is_no_parts());

    let error = buffer().split_rows(0, 2).unwrap_err();
    assert!(error.is_bad_width());
    assert!(error.to_string().contains("width 0"), "{error}");
    assert_eq!(error.into_inner().as_ptr(), address.get());

    let error = buffer().split_rows(4, 2).unwrap_err();
    assert!(error.is_bad_width() && !error.is_no_parts());
    let message = error.to_string();
    assert!(
        message.contains("10 elements") && message.contains("width 4"),
        "{message}"
    );
    assert_eq!(error.into_inner().as_ptr(), address.get());

    let error = buffer().split_ranges(&[0..2, 5..11]).unwrap_err();
    assert!(error.is_out_of_bounds() && !error.is_overlapping());
    let message = error.to_string();
    assert!(message.contains("range 1 is 5..11"), "{message}");
    assert!(message.contains("ends at 10"), "{message}");
    assert_eq!(error.into_inner().as_ptr(), address.get());

    let reversed = Range { start: 4, end: 3 };
    let error = buffer()
        .split_ranges(slice::from_ref(&reversed))
        .unwrap_err();
    assert!(error.is_out_of_bounds());
    assert!(error.to_string().contains("range 0 is 4..3"), "{error}");
    // An empty one has to be in bounds too.
    assert!(
        buffer()
            .split_ranges(slice::from_ref(&(11..11)))
            .unwrap_err()
            .is_out_of_bounds()
    );

    let error = buffer().split_ranges(&[6..9, 0..1, 2..7]).unwrap_err();
    assert!(error.is_overlapping() && !error.is_out_of_bounds());
    let message = error.to_string();
    assert!(message.contains("range 0 (6..9)"), "{message}");
    assert!(message.contains("range 2 (2..7)"), "{message}");
    assert_eq!(error.into_inner().as_ptr(), address.get());
}

#[test]
fn only_the_single_owner_can_split() {
    let one = numbers(3);
    let two = one.clone();
    let error = one.split(2).unwrap_err();
    assert!(error.is_shared() && !error.is_no_parts());
    assert!(error.to_string().contains("2 owners"), "{error}");
    let error = error.into_inner().split_rows(3, 2).unwrap_err();
    assert!(error.is_shared());
    let error = error.into_inner().split_ranges(&[0..1, 1..2]).unwrap_err();
    assert!(error.is_shared());
    drop(two);
    let (parts, whole) = error.into_inner().split(2).unwrap();
    drop(parts);
    assert_eq!(whole.wait().into_vec(), [0, 1, 2]);
}

#[test]
fn a_part_is_cut_further() {
    let (mut parts, whole) = numbers(10).split(2).unwrap();
    let (front, back) = parts.pop().unwrap().split_at(2);
    assert_eq!((front.range(), back.range()), (5..7, 7..10));
    let (none, all) = back.split_at(0);
    assert_eq!((none.range(), all.range()), (7..7, 7..10));
    let (all, none_either) = all.split_at(3);
    assert_eq!((all.range(), none_either.range()), (7..10, 10..10));
    drop((parts, front, none, none_either));
    assert!(!whole.is_whole());
    assert_eq!(all[..], [7, 8, 9]);
    drop(all);
    assert!(whole.is_whole());

    let (mut parts, whole) = numbers(10).split(2).unwrap();
    let part = parts.pop().unwrap();
    let panic = panic_of(|| part.split_at(6));
    assert_eq!(
        text(&*panic),
        Some("split_at(6) on a part of 5 elements: at most 5 is possible")
    );
    drop(parts);
    assert_eq!(whole.wait().len(), 10, "and the part is dropped");
}

#[test]
fn nothing_at_all_is_split_and_reunited() {
    let (parts, whole) = SharedBuffer::from(Vec::<String>::new()).split(3).unwrap();
    assert!(parts.iter().all(|part| part.is_empty()));
    assert!(!whole.is_whole(), "an empty part is a part");
    drop(parts);
    assert!(whole.wait().into_vec().is_empty());

    let (mut parts, whole) = SharedBuffer::from(vec![(); 10]).split(4).unwrap();
    assert_eq!(ranges(&parts), [0..3, 3..6, 6..8, 8..10]);
    assert_eq!(parts[3].iter_mut().count(), 2);
    drop(parts);
    assert_eq!(whole.try_into_vec().unwrap().len(), 10);
    let (parts, whole) = SharedBuffer::from(vec![(); usize::MAX]).split(2).unwrap();
    assert_eq!(parts[0].len(), usize::MAX / 2 + 1);
    drop(parts);
    assert_eq!(whole.wait().into_vec().len(), usize::MAX);
}

/// Who may cross threads; what must not is in `src/buffer/compile_fail.rs`.
#[test]
fn parts_cross_threads_if_their_elements_do() {
    fn sends<T: Send + 'static>() {}
    fn shares<T: Sync>() {}
    fn moves<T: Unpin>() {}
    // Exclusive access needs no `Sync`.
    sends::<Part<Cell<u32>>>();
    sends::<Whole<Cell<u32>>>();
    shares::<Part<u32>>();
    shares::<Whole<Cell<u32>>>();
    sends::<SharedBuffer<u32>>();
    shares::<SharedBuffer<u32>>();
    moves::<Whole<std::marker::PhantomPinned>>();
    moves::<Part<std::marker::PhantomPinned>>();
}
