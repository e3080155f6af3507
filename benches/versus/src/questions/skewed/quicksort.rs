//! Sorts numbers, both sides of the pivot at once; the first pass over all of
//! them is nobody's but one thread's.

use super::mix;
use crate::libraries::Join;

/// From here on down the standard library sorts.
const SMALL: usize = 5_000;

pub(super) fn run<L: Join>(library: &L, count: u64) -> f64 {
    let mut numbers: Vec<_> = (0..count).map(|n| mix(n) as u32).collect();
    let sum = |numbers: &[u32]| numbers.iter().map(|&n| u64::from(n)).sum::<u64>();
    let before = sum(&numbers);
    let (sorted, time) = super::time(library, move |here| {
        sort::<L>(here, &mut numbers);
        numbers
    });
    assert!(sorted.is_sorted());
    assert_eq!(
        (sorted.len() as u64, sum(&sorted)),
        (count, before),
        "the same numbers"
    );
    time
}

fn sort<L: Join>(here: &mut L::Here<'_>, numbers: &mut [u32]) {
    if numbers.len() <= SMALL {
        numbers.sort_unstable();
        return;
    }
    let middle = partition(numbers);
    let (left, right) = numbers.split_at_mut(middle);
    L::join(
        here,
        |here| sort::<L>(here, left),
        |here| sort::<L>(here, &mut right[1..]),
    );
}

/// Where the pivot came to be, between those below it and the others.
fn partition(numbers: &mut [u32]) -> usize {
    let last = numbers.len() - 1;
    let mut three = [0, last / 2, last];
    three.sort_unstable_by_key(|&at| numbers[at]);
    numbers.swap(three[1], last);
    let pivot = numbers[last];
    let mut below = 0;
    for at in 0..last {
        // Without a branch, which would be guessed wrong every other time.
        let number = numbers[at];
        numbers.swap(at, below);
        below += usize::from(number < pivot);
    }
    numbers.swap(below, last);
    below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libraries::Serial;

    #[test]
    fn the_pivot_is_where_it_belongs() {
        let mut numbers: Vec<_> = (0..1000).map(|n| mix(n) as u32 % 100).collect();
        let middle = partition(&mut numbers);
        let pivot = numbers[middle];
        assert!(numbers[..middle].iter().all(|&number| number < pivot));
        assert!(numbers[middle..].iter().all(|&number| number >= pivot));
        run(&Serial, 20_000);
    }
}
