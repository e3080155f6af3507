//! Promise: no message is lost, doubled or reordered, whatever the program.
//! Random programs on channels are held against a sequential model of them.

mod common;
#[path = "messages_model/program.rs"]
mod program;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use program::{CHANNELS, Place, Step, check};

fn place() -> impl Strategy<Value = Place> {
    (0..CHANNELS, 0..2_usize)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => place().prop_map(Step::Post),
        3 => (place(), 1..6_usize).prop_map(|(place, times)| Step::Posts(place, times)),
        3 => place().prop_map(Step::Recv),
        3 => place().prop_map(Step::TryRecv),
        1 => place().prop_map(Step::RecvTimeout),
        2 => place().prop_map(Step::RecvAsync),
        1 => (place(), 0..4_usize).prop_map(|(place, most)| Step::Iterate(place, most)),
        4 => (place(), 1..40_usize).prop_map(|(place, most)| Step::Listen(place, most)),
        2 => place().prop_map(Step::Clear),
        5 => Just(Step::Turn),
        1 => place().prop_map(Step::OpenStream),
        3 => place().prop_map(Step::PollStream),
        1 => place().prop_map(Step::DropStream),
        1 => place().prop_map(Step::Close),
        1 => place().prop_map(Step::Drop),
        1 => (place(), 1..4_usize, 1..6_usize)
            .prop_map(|(place, producers, each)| Step::Burst(place, producers, each)),
        1 => (place(), prop::bool::weighted(0.2))
            .prop_map(|(place, closes)| Step::Meet(place, closes)),
    ]
}

fn capacities() -> impl Strategy<Value = [Option<usize>; CHANNELS]> {
    prop::array::uniform3(prop::option::of(1..4_usize))
}

/// All of it at once.
#[test]
fn random_programs_on_ports_do_what_the_model_says() {
    common::watched(|| {
        let config = Config {
            cases: 1500,
            // A program's outcome depends on timing, so that a seed alone does
            // not bring a failure back; the program itself is printed.
            failure_persistence: None,
            ..Config::default()
        };
        let programs = (capacities(), prop::collection::vec(step(), 1..80));
        let mut runner = TestRunner::new(config);
        let result = runner.run(&programs, |(capacities, steps)| {
            check(&capacities, &steps);
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{failure}");
        }
    });
}
