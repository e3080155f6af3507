//! What does a join cost?
//!
//! fib(32) by its definition, each call of which joins the two below: 3.5 million
//! joins of next to nothing, with no smallest size below which they would stop.
//! Timed, and by the processor time of the whole process, which also tells what
//! the other threads do to find work. It matters to whoever divides without
//! knowing where to stop.
//!
//! Floor: the same as plain calls, on one thread, of which the compiler makes what
//! it can: the second call is often a loop.

use std::time::Instant;

use crate::libraries::{Chili, Forte, Join, RayonJoin, Serial, Windlass};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings, field};
use crate::stats::nanos_per;
use crate::system::cpu_time;

pub const QUESTION: Question = Question {
    name: "fork_join",
    about: "fib(32) (quick: fib(29)) by fork and join, without a cut-off",
    figures: &[
        Figure::lower("fork_join_wall", "ns per join"),
        Figure::lower("fork_join_cpu", "CPU-ns per join"),
    ],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

fn field(_: &Settings) -> Field {
    field!(measure: Windlass, RayonJoin, Chili, Forte, Serial)
}

fn measure<L: Join>(settings: &Settings) -> Round {
    let (n, times) = (settings.pick(32, 29), settings.pick(3, 2));
    let library = L::start(settings.threads);
    assert_eq!(library.enter(|here| fib::<L>(here, 25)), plain(25));
    let before = cpu_time();
    let begin = Instant::now();
    let sum: u64 = (0..times)
        .map(|_| library.enter(move |here| fib::<L>(here, n)))
        .sum();
    let wall = begin.elapsed();
    let cpu = before.zip(cpu_time()).map(|(before, after)| after - before);
    assert_eq!(sum, times * plain(n));
    let joins = times * (plain(n + 1) - 1);
    let mut round = Round::of([("fork_join_wall", nanos_per(wall, joins))]);
    let cpu = cpu.map(|cpu| ("fork_join_cpu", nanos_per(cpu, joins)));
    round.figures.extend(cpu);
    round
}

fn fib<L: Join>(here: &mut L::Here<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (one, other) = L::join(
        here,
        |here| fib::<L>(here, n - 1),
        |here| fib::<L>(here, n - 2),
    );
    one + other
}

fn plain(n: u64) -> u64 {
    (0..n).fold((0, 1), |(this, next), _| (next, this + next)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_sum_of_the_two_before() {
        assert_eq!(plain(32), 2_178_309);
        assert_eq!(Serial.enter(|here| fib::<Serial>(here, 15)), plain(15));
    }
}
