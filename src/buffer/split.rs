//! Where a buffer is cut. Safe code: all of it comes down to cutting one part
//! in two.

use std::ops::Range;

use super::Part;
use super::error::Why;

/// `n` parts (one at least) of `rows` rows with `width` elements each.
pub(super) fn evenly<T>(all: Part<T>, rows: usize, width: usize, n: usize) -> Vec<Part<T>> {
    let mut parts = Vec::with_capacity(n);
    let (short, longer) = (rows / n, rows % n);
    let mut rest = all;
    for index in 1..n {
        let rows = short + usize::from(index <= longer);
        let (part, behind) = rest.split_at(rows * width);
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

/// One part for each of the ranges, which [`check`] has found right; `order` is
/// what it gave.
pub(super) fn at_ranges<T>(
    mut all: Part<T>,
    ranges: &[Range<usize>],
    order: &[usize],
) -> Vec<Part<T>> {
    let mut parts: Vec<_> = ranges
        .iter()
        .map(|range| range.is_empty().then(|| all.empty_at(range.start)))
        .collect();
    let mut rest = all;
    for &index in order {
        let range = &ranges[index];
        let before = range.start - rest.start();
        let (gap, behind) = rest.split_at(before);
        drop(gap);
        let (part, behind) = behind.split_at(range.len());
        parts[index] = Some(part);
        rest = behind;
    }
    parts.into_iter().flatten().collect()
}

/// The order in the buffer of those `ranges` that are not empty, if all are
/// disjoint and within `len` elements; else what is wrong. An empty range covers
/// nothing, and so fits anywhere, also within another one.
pub(super) fn check(ranges: &[Range<usize>], len: usize) -> Result<Vec<usize>, Why> {
    for (index, range) in ranges.iter().enumerate() {
        let range = range.clone();
        if range.end < range.start {
            return Err(Why::Reversed { index, range });
        }
        if range.end > len {
            return Err(Why::OutOfBounds { index, range, len });
        }
    }
    let mut order: Vec<_> = (0..ranges.len())
        .filter(|&index| !ranges[index].is_empty())
        .collect();
    order.sort_unstable_by_key(|&index| (ranges[index].start, index));
    // Sorted by their starts, ranges overlap only if two neighbours do.
    for pair in order.windows(2) {
        if ranges[pair[1]].start < ranges[pair[0]].end {
            let (first, second) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            return Err(Why::Overlap {
                first,
                one: ranges[first].clone(),
                second,
                two: ranges[second].clone(),
            });
        }
    }
    Ok(order)
}
