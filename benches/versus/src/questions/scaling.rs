//! Does a job cost more if the pool has more threads?
//!
//! The flood and the jobs of 10 us with 1 to 16 pool threads on this machine,
//! more than it has cores on most: what threads do to each other that have
//! nothing to do with each other. It matters to whoever moves from a laptop to a
//! server. One process for each number of threads.

use super::grain::{ideal, share};
use super::spawn_flood::flood;
use crate::libraries::{Execute, executors};
use crate::question::{Field, Figure, Processes, Question, Round, Rounds, Settings};
use crate::system::rounds_per_micro;

pub const QUESTION: Question = Question {
    name: "scaling",
    about: "the flood and the jobs of 10 us with 1, 2, 4, 8 and 16 pool threads",
    figures: &[
        Figure::lower(FIGURES[0].0, "ns per job"),
        Figure::lower(FIGURES[1].0, "ns per job"),
        Figure::lower(FIGURES[2].0, "ns per job"),
        Figure::lower(FIGURES[3].0, "ns per job"),
        Figure::lower(FIGURES[4].0, "ns per job"),
        Figure::higher(FIGURES[0].1, "% of the ideal"),
        Figure::higher(FIGURES[1].1, "% of the ideal"),
        Figure::higher(FIGURES[2].1, "% of the ideal"),
        Figure::higher(FIGURES[3].1, "% of the ideal"),
        Figure::higher(FIGURES[4].1, "% of the ideal"),
    ],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::PerThreads(&SIZES),
};

const SIZES: [usize; 5] = [1, 2, 4, 8, 16];

const FIGURES: [(&str, &str); 5] = [
    ("scaling_flood_1", "scaling_grain_1"),
    ("scaling_flood_2", "scaling_grain_2"),
    ("scaling_flood_4", "scaling_grain_4"),
    ("scaling_flood_8", "scaling_grain_8"),
    ("scaling_flood_16", "scaling_grain_16"),
];

fn field(_: &Settings) -> Field {
    rounds_per_micro();
    executors!(measure)
}

fn measure<L: Execute>(settings: &Settings) -> Round {
    let size = SIZES.iter().position(|&size| size == settings.threads);
    let (flood_figure, grain_figure) = FIGURES[size.expect("one of the sizes")];
    let library = L::start(settings.threads);
    let jobs = settings.pick(200_000, 30_000);
    // The same work in all, whatever number of threads shares it.
    let busy = settings.pick(200_000, 20_000) / settings.threads as u64;
    let ideal = ideal(settings.threads, busy);
    flood(&library, jobs / 10);
    Round::of([
        (flood_figure, flood(&library, jobs)),
        (
            grain_figure,
            share(&library, settings.threads, 10, busy, ideal),
        ),
    ])
}
