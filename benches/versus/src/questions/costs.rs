//! Items that cost something, for `par`.

use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use crate::question::Settings;
use crate::stats::nanos_per;
use crate::system::rounds_per_micro;

/// How costs are spread over a slice, and what an item costs in the mean.
pub(super) struct Kind {
    pub(super) name: &'static str,
    shape: Shape,
    nanos: u64,
    work: OnceLock<Work>,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// All alike.
    Even,
    /// In proportion to the index.
    Rising,
    /// One in a hundred costs a hundred times as much as another.
    Rare,
}

pub(super) static KINDS: [Kind; 12] = [
    Kind::new("even_10ns", Shape::Even, 10),
    Kind::new("even_100ns", Shape::Even, 100),
    Kind::new("even_1us", Shape::Even, 1_000),
    Kind::new("even_10us", Shape::Even, 10_000),
    Kind::new("rising_10ns", Shape::Rising, 10),
    Kind::new("rising_100ns", Shape::Rising, 100),
    Kind::new("rising_1us", Shape::Rising, 1_000),
    Kind::new("rising_10us", Shape::Rising, 10_000),
    Kind::new("rare_10ns", Shape::Rare, 10),
    Kind::new("rare_100ns", Shape::Rare, 100),
    Kind::new("rare_1us", Shape::Rare, 1_000),
    Kind::new("rare_10us", Shape::Rare, 10_000),
];

/// A slice, and what comes out of it.
pub(super) struct Work {
    pub(super) items: Vec<Item>,
    /// Of all results.
    sum: u64,
    /// The same with each one's place.
    places: u64,
}

pub(super) struct Item {
    seed: u32,
    rounds: u32,
}

impl Item {
    #[inline]
    pub(super) fn cost(&self) -> u64 {
        let mut x = u64::from(self.seed);
        for _ in 0..self.rounds {
            x = x.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        }
        x
    }
}

impl Kind {
    const fn new(name: &'static str, shape: Shape, nanos: u64) -> Self {
        Self {
            name,
            shape,
            nanos,
            work: OnceLock::new(),
        }
    }

    /// What takes 20 ms on one thread (quick: 4), made by the first call.
    pub(super) fn work(&self, settings: &Settings) -> &Work {
        self.work.get_or_init(|| {
            let items = settings.pick(20_000_000, 4_000_000) / self.nanos;
            Work::new(self.shape, items, rounds(self.nanos))
        })
    }
}

impl Work {
    /// Items of so many rounds in the mean.
    fn new(shape: Shape, count: u64, rounds: f64) -> Self {
        let items = (0..count).map(|n| {
            let rounds = match shape {
                Shape::Even => rounds,
                Shape::Rising => 2.0 * rounds * n as f64 / count as f64,
                // Anywhere in their hundred.
                Shape::Rare if n % 100 == n / 100 * 37 % 100 => rounds * 100.0 / 1.99,
                Shape::Rare => rounds / 1.99,
            };
            Item {
                seed: n as u32,
                rounds: rounds.round() as u32,
            }
        });
        let mut work = Self {
            items: items.collect(),
            sum: 0,
            places: 0,
        };
        let results: Vec<_> = work.items.iter().map(Item::cost).collect();
        (work.sum, work.places) = sums(&results);
        work
    }

    pub(super) fn is_map(&self, results: &[u64]) -> bool {
        results.len() == self.items.len() && sums(results) == (self.sum, self.places)
    }

    pub(super) fn is_sum(&self, result: Option<u64>) -> bool {
        result == Some(self.sum)
    }
}

fn sums(results: &[u64]) -> (u64, u64) {
    results
        .iter()
        .zip(1_u64..)
        .fold((0, 0), |(sum, places), (&result, place)| {
            let placed = result.wrapping_mul(place);
            (sum.wrapping_add(result), places.wrapping_add(placed))
        })
}

/// How many rounds make up so many nanoseconds in a slice of items, of which a core
/// has some small ones in hand at a time.
fn rounds(nanos: u64) -> f64 {
    // One measurement at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap();
    let mut rounds = (rounds_per_micro() * nanos) as f64 / 1000.0;
    for _ in 0..3 {
        let work = Work::new(Shape::Even, 1_000_000 / nanos, rounds);
        let once = |_| {
            let begin = Instant::now();
            let results: Vec<_> = work.items.iter().map(Item::cost).collect();
            let time = begin.elapsed();
            assert!(work.is_map(&results));
            nanos_per(time, results.len() as u64)
        };
        let best = (0..5).map(once).fold(f64::MAX, f64::min);
        rounds *= nanos as f64 / best;
    }
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shapes_cost_the_same_in_the_mean() {
        for shape in [Shape::Even, Shape::Rising, Shape::Rare] {
            let work = Work::new(shape, 10_000, 200.0);
            let rounds: u64 = work.items.iter().map(|item| u64::from(item.rounds)).sum();
            assert!((1_980_000..2_020_000).contains(&rounds), "{rounds}");
            let dearest = work.items.iter().map(|item| item.rounds).max();
            let dear = match shape {
                Shape::Even => 200,
                Shape::Rising => 400,
                Shape::Rare => 10_050,
            };
            assert_eq!(dearest, Some(dear));
        }
    }

    #[test]
    fn results_in_the_wrong_order_are_noticed() {
        let work = Work::new(Shape::Rising, 100, 10.0);
        let mut results: Vec<_> = work.items.iter().map(Item::cost).collect();
        assert!(work.is_map(&results));
        assert!(work.is_sum(results.iter().copied().reduce(u64::wrapping_add)));
        results.swap(3, 50);
        assert!(!work.is_map(&results));
        assert!(!work.is_map(&results[1..]));
    }
}
