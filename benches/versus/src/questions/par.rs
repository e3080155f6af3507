//! How near to a hand-tuned loop does one come without tuning?
//!
//! A function over the items of a slice, into a vector or into one value: all items
//! alike, each one dearer than the one before, and one in a hundred that costs a
//! hundred times as much; with items of 10 ns to 10 us in the mean. It matters to
//! whoever has a slice.
//!
//! The rows "best .." cut the slice by hand, as finely as was best of four ways in
//! the round ahead of those that count.
//!
//! Floor: a plain loop, on one thread.

use std::time::{Duration, Instant};

use super::costs::{Item, KINDS, Kind, Work};
use crate::libraries::{Data, RayonIter, Windlass};
use crate::question::{Contender, Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::stats::nanos_per;

pub const MAP: Question = Question {
    name: "par_map",
    about: "a function over a slice into a vector: items of 10 ns to 10 us, even and skewed",
    figures: &[
        Figure::lower("par_map_even_10ns", UNIT),
        Figure::lower("par_map_even_100ns", UNIT),
        Figure::lower("par_map_even_1us", UNIT),
        Figure::lower("par_map_even_10us", UNIT),
        Figure::lower("par_map_rising_10ns", UNIT),
        Figure::lower("par_map_rising_100ns", UNIT),
        Figure::lower("par_map_rising_1us", UNIT),
        Figure::lower("par_map_rising_10us", UNIT),
        Figure::lower("par_map_rare_10ns", UNIT),
        Figure::lower("par_map_rare_100ns", UNIT),
        Figure::lower("par_map_rare_1us", UNIT),
        Figure::lower("par_map_rare_10us", UNIT),
    ],
    field: field::<Map>,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

pub const REDUCE: Question = Question {
    name: "par_reduce",
    about: "the same, into one value",
    figures: &[
        Figure::lower("par_reduce_even_10ns", UNIT),
        Figure::lower("par_reduce_even_100ns", UNIT),
        Figure::lower("par_reduce_even_1us", UNIT),
        Figure::lower("par_reduce_even_10us", UNIT),
        Figure::lower("par_reduce_rising_10ns", UNIT),
        Figure::lower("par_reduce_rising_100ns", UNIT),
        Figure::lower("par_reduce_rising_1us", UNIT),
        Figure::lower("par_reduce_rising_10us", UNIT),
        Figure::lower("par_reduce_rare_10ns", UNIT),
        Figure::lower("par_reduce_rare_100ns", UNIT),
        Figure::lower("par_reduce_rare_1us", UNIT),
        Figure::lower("par_reduce_rare_10us", UNIT),
    ],
    field: field::<Reduce>,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const UNIT: &str = "ns per item";

/// In how many pieces the slice is cut by hand, for each thread.
const PIECES: [usize; 4] = [1, 4, 16, 64];

/// A figure's program.
trait Program: 'static {
    const QUESTION: &'static Question;

    fn serial(work: &Work) -> Answer;
    fn adaptive<L: Data>(library: &L, work: &Work) -> Answer;
    fn by_hand<L: Data>(library: &L, work: &Work, grain: usize) -> Answer;
}

/// How long it took, and whether it was right.
struct Answer {
    time: Duration,
    right: bool,
}

fn field<P: Program>(_: &Settings) -> Field {
    Field::of(vec![
        adaptive::<P, Windlass>(),
        adaptive::<P, RayonIter>(),
        by_hand::<P, Windlass>(),
        by_hand::<P, RayonIter>(),
        Contender::floor(|settings| all::<P>(|kind| P::serial(kind.work(settings)), settings)),
    ])
}

fn adaptive<P: Program, L: Data>() -> Contender {
    Contender::new(L::NAME, |settings| {
        let library = L::start(settings.threads);
        P::adaptive(&library, KINDS[0].work(settings));
        all::<P>(|kind| P::adaptive(&library, kind.work(settings)), settings)
    })
}

fn by_hand<P: Program, L: Data>() -> Contender {
    let mut grains = None;
    Contender::new(L::BY_HAND, move |settings| {
        let library = L::start(settings.threads);
        P::adaptive(&library, KINDS[0].work(settings));
        let grains = grains.get_or_insert_with(|| {
            KINDS
                .each_ref()
                .map(|kind| best_grain::<P, L>(&library, kind.work(settings), settings.threads))
        });
        let mut grains = grains.iter();
        let mut run = |kind: &Kind| {
            let grain = *grains.next().expect("as many as kinds");
            P::by_hand(&library, kind.work(settings), grain)
        };
        all::<P>(&mut run, settings)
    })
}

fn best_grain<P: Program, L: Data>(library: &L, work: &Work, threads: usize) -> usize {
    let grains = PIECES.map(|pieces| work.items.len().div_ceil(threads * pieces));
    let best_of_three = |grain| {
        let times = (0..3).map(|_| P::by_hand(library, work, grain).time);
        times.min()
    };
    grains
        .into_iter()
        .min_by_key(|&grain| best_of_three(grain))
        .unwrap()
}

/// A figure for each kind, in their order.
fn all<P: Program>(mut run: impl FnMut(&Kind) -> Answer, settings: &Settings) -> Round {
    let figures = P::QUESTION
        .figures
        .iter()
        .zip(&KINDS)
        .map(|(figure, kind)| {
            let answer = run(kind);
            assert!(answer.right, "{} {}", P::QUESTION.name, kind.name);
            let items = kind.work(settings).items.len() as u64;
            (figure.name, nanos_per(answer.time, items))
        });
    Round {
        figures: figures.collect(),
        curves: Vec::new(),
    }
}

struct Map;

impl Program for Map {
    const QUESTION: &'static Question = &MAP;

    fn serial(work: &Work) -> Answer {
        mapped(work, || work.items.iter().map(Item::cost).collect())
    }

    fn adaptive<L: Data>(library: &L, work: &Work) -> Answer {
        mapped(work, || library.map(&work.items, Item::cost))
    }

    fn by_hand<L: Data>(library: &L, work: &Work, grain: usize) -> Answer {
        mapped(work, || library.map_by(&work.items, grain, Item::cost))
    }
}

fn mapped(work: &Work, run: impl FnOnce() -> Vec<u64>) -> Answer {
    let begin = Instant::now();
    let results = run();
    let time = begin.elapsed();
    let right = work.is_map(&results);
    Answer { time, right }
}

struct Reduce;

impl Program for Reduce {
    const QUESTION: &'static Question = &REDUCE;

    fn serial(work: &Work) -> Answer {
        reduced(work, || {
            work.items.iter().map(Item::cost).reduce(u64::wrapping_add)
        })
    }

    fn adaptive<L: Data>(library: &L, work: &Work) -> Answer {
        reduced(work, || {
            library.reduce(&work.items, Item::cost, u64::wrapping_add)
        })
    }

    fn by_hand<L: Data>(library: &L, work: &Work, grain: usize) -> Answer {
        reduced(work, || {
            library.reduce_by(&work.items, grain, Item::cost, u64::wrapping_add)
        })
    }
}

fn reduced(work: &Work, run: impl FnOnce() -> Option<u64>) -> Answer {
    let begin = Instant::now();
    let result = run();
    let time = begin.elapsed();
    let right = work.is_sum(result);
    Answer { time, right }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_the_order_of_the_kinds() {
        for question in [&MAP, &REDUCE] {
            assert_eq!(question.figures.len(), KINDS.len());
            for (figure, kind) in question.figures.iter().zip(&KINDS) {
                assert!(figure.name.ends_with(kind.name), "{}", figure.name);
            }
        }
    }
}
