//! The questions, one file each, in the order of the table.

use crate::question::Question;

mod burst;
#[cfg(unix)]
mod cluster;
mod coarse;
mod costs;
mod fork_join;
mod grain;
mod idle;
mod lateness;
mod loop_callbacks;
mod map_ordered;
mod memory;
mod messages;
mod nested_flat;
mod nested_join;
mod nested_tree;
mod options;
mod oversubscribed;
mod par;
#[cfg(unix)]
mod process;
mod producers;
mod round_trip;
mod scaling;
mod skewed;
mod spawn_await;
mod spawn_flood;
mod tree_sum;
mod waits;
mod workers;

#[cfg(unix)]
pub use self::cluster::serve_if_worker;
pub use self::grain::GRAINS;
pub use self::lateness::{ALONE, NEIGHBOUR};

pub static ALL: &[Question] = &[
    spawn_flood::QUESTION,
    spawn_await::QUESTION,
    burst::QUESTION,
    round_trip::HOT,
    round_trip::IDLE,
    nested_flat::QUESTION,
    nested_tree::QUESTION,
    nested_join::QUESTION,
    fork_join::QUESTION,
    tree_sum::SMALL,
    tree_sum::LARGE,
    skewed::QUESTION,
    coarse::QUESTION,
    par::MAP,
    par::REDUCE,
    waits::QUESTION,
    options::QUESTION,
    producers::QUESTION,
    oversubscribed::QUESTION,
    grain::QUESTION,
    map_ordered::QUESTION,
    lateness::QUESTION,
    loop_callbacks::QUESTION,
    idle::QUESTION,
    memory::QUESTION,
    scaling::QUESTION,
    messages::ROUND_TRIP_HOT,
    messages::ROUND_TRIP_IDLE,
    messages::FLOOD,
    workers::START,
    workers::MEMORY,
    #[cfg(unix)]
    process::ECHO,
    #[cfg(unix)]
    process::FLOOD,
    #[cfg(unix)]
    process::ARGUMENT,
    #[cfg(unix)]
    process::START,
    #[cfg(unix)]
    cluster::QUESTION,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;
    use crate::question::{OURS, Settings};

    /// What a reader finds in the tables is explained to him, and the other way
    /// round.
    #[test]
    fn the_page_explains_every_question_and_has_every_figure() {
        let page = include_str!("../../../../docs/BENCHMARKS.md");
        for question in ALL {
            let short = question
                .name
                .rsplit_once("_idle")
                .map_or(question.name, |(stem, _)| stem);
            assert!(page.contains(&format!("`{short}")), "{}", question.name);
            for figure in question.figures {
                let row = format!("\n| {} |", figure.name);
                assert!(page.contains(&row), "{}", figure.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_a_figure_is_named_after_its_question() {
        let mut names = BTreeSet::new();
        let mut figures = BTreeSet::new();
        for question in ALL {
            assert!(names.insert(question.name), "{}", question.name);
            assert!(!question.figures.is_empty(), "{}", question.name);
            for figure in question.figures {
                assert!(figures.insert(figure.name), "{}", figure.name);
                assert!(figure.name.starts_with(question.name), "{}", figure.name);
            }
        }
    }

    #[test]
    fn every_question_is_asked_of_ours_and_of_others() {
        let settings = Settings {
            threads: 2,
            quick: true,
        };
        for question in ALL {
            let field = (question.field)(&settings);
            let libraries: Vec<_> = field.contenders.iter().map(|each| each.library).collect();
            let unique: BTreeSet<_> = libraries.iter().collect();
            assert_eq!(
                unique.len(),
                libraries.len(),
                "{}: {libraries:?}",
                question.name
            );
            assert!(
                libraries.contains(&OURS),
                "{}: {libraries:?}",
                question.name
            );
            assert!(libraries.len() > 1, "{}: {libraries:?}", question.name);
        }
    }
}
