//! The bell under loom: who is told before whom.
//!
//! Each model runs the real code; the loop is a stand-in, which does not sleep: it
//! takes a few turns while the end happens, and the rest of them after it, until
//! nobody is woken any more. The `#[should_panic]` models leave one step out and show
//! that the model notices.

use std::task::{Poll, Wake, Waker};

use loom::thread;

use super::bell::{Bell, Rank, Waiting};
use crate::sync::mutant::{self, Mutant};
use crate::sync::{Arc, AtomicBool, Ordering};

/// A bell and what it is rung for.
#[derive(Default)]
struct End {
    bell: Bell,
    happened: AtomicBool,
}

impl End {
    fn happen(&self) {
        self.happened.store(true, Ordering::Release);
        self.bell.ring();
    }

    fn poll(&self, waiting: &mut Waiting, waker: &Waker) -> Poll<()> {
        let happened = || self.happened.load(Ordering::Acquire);
        self.bell.poll(waiting, waker, happened)
    }
}

/// What a source is woken with.
struct Signal(AtomicBool);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        // As the real one: the swaps form one chain.
        self.0.swap(true, Ordering::AcqRel);
    }
}

/// A source of a [`Loop`].
struct Source {
    rank: Rank,
    waiting: Waiting,
    woken: Arc<Signal>,
    told: bool,
}

/// Polls its sources in their order, each if it was woken since its last poll: who is
/// woken after its place in a turn has to wait for the next.
struct Loop {
    end: Arc<End>,
    sources: Vec<Source>,
}

impl Loop {
    /// With a first look to be taken at each source.
    fn new(end: &Arc<End>, ranks: &[Rank]) -> Self {
        let source = |&rank: &Rank| Source {
            rank,
            waiting: end.bell.enter(rank),
            woken: Arc::new(Signal(AtomicBool::new(true))),
            told: false,
        };
        Self {
            end: Arc::clone(end),
            sources: ranks.iter().map(source).collect(),
        }
    }

    /// Whether there was something to look at.
    fn turn(&mut self) -> bool {
        let mut looked = false;
        for at in 0..self.sources.len() {
            let source = &mut self.sources[at];
            if source.told || !source.woken.0.swap(false, Ordering::AcqRel) {
                continue;
            }
            looked = true;
            let waker = Waker::from(Arc::clone(&source.woken));
            source.told = self.end.poll(&mut source.waiting, &waker).is_ready();
            if source.told && matches!(source.rank, Rank::Last(_)) {
                let is_late =
                    |source: &Source| !source.told && matches!(source.rank, Rank::First(_));
                assert!(!self.sources.iter().any(is_late), "the exit came first");
            }
        }
        looked
    }

    /// Once nobody else wakes anybody.
    fn finish(mut self) {
        while self.turn() {}
        let all = self.sources.iter().all(|source| source.told);
        assert!(all, "nobody told one of them");
    }
}

/// Runs `f` in every interleaving with up to three preemptions
/// (`LOOM_MAX_PREEMPTIONS` overrides), while the end happens; then the loops that it
/// gives back come to their end.
fn while_it_ends(f: impl Fn(&Arc<End>) -> Vec<Loop> + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(move || {
        let end = Arc::new(End::default());
        let ringer = thread::spawn({
            let end = Arc::clone(&end);
            move || end.happen()
        });
        let loops = f(&end);
        ringer.join().unwrap();
        loops.into_iter().for_each(Loop::finish);
    });
}

fn one_loop(ranks: &'static [Rank]) {
    while_it_ends(|end| {
        let mut main = Loop::new(end, ranks);
        main.turn();
        main.turn();
        vec![main]
    });
}

/// The end comes before, between or after the looks of a turn.
fn the_error_is_asked_for_first() {
    one_loop(&[Rank::First(1), Rank::Last(1)]);
}

fn the_exit_is_asked_for_first() {
    one_loop(&[Rank::Last(1), Rank::First(1)]);
}

#[test]
fn the_first_are_told_before_the_last() {
    the_error_is_asked_for_first();
    the_exit_is_asked_for_first();
}

#[test]
fn several_firsts_are_told_before_the_last() {
    one_loop(&[Rank::First(1), Rank::Last(1), Rank::First(1)]);
}

#[test]
#[should_panic(expected = "the exit came first")]
fn catches_a_last_that_only_asks_whether_it_happened() {
    mutant::set(Mutant::LastUnheld);
    the_error_is_asked_for_first();
}

#[test]
#[should_panic(expected = "nobody told one of them")]
fn catches_a_first_that_does_not_wake_the_last() {
    mutant::set(Mutant::LastLeftWaiting);
    the_exit_is_asked_for_first();
}

/// A first leaves while it ends, having looked or not.
fn a_first_leaves(looks: bool) {
    while_it_ends(move |end| {
        let mut main = Loop::new(end, &[Rank::Last(1)]);
        let mut waiting = end.bell.enter(Rank::First(1));
        if looks {
            let _ = end.poll(&mut waiting, Waker::noop());
        }
        main.turn();
        end.bell.leave(&mut waiting);
        main.turn();
        vec![main]
    });
}

#[test]
fn a_first_that_leaves_holds_up_nobody() {
    a_first_leaves(false);
    a_first_leaves(true);
}

#[test]
#[should_panic(expected = "nobody told one of them")]
fn catches_a_first_that_leaves_without_waking_the_last() {
    mutant::set(Mutant::LastLeftWaiting);
    a_first_leaves(false);
}

/// Nobody runs the loop of group 2.
#[test]
fn neither_another_group_nor_who_is_alone_waits_for_a_first() {
    while_it_ends(|end| {
        let _idle = end.bell.enter(Rank::First(2));
        let mut main = Loop::new(end, &[Rank::Alone, Rank::First(1), Rank::Last(1)]);
        main.turn();
        vec![main]
    });
}

#[test]
fn two_loops_hear_of_it() {
    while_it_ends(|end| {
        let other = thread::spawn({
            let end = Arc::clone(end);
            move || {
                let mut other = Loop::new(&end, &[Rank::Last(2), Rank::First(2)]);
                other.turn();
                other
            }
        });
        let mut main = Loop::new(end, &[Rank::First(1), Rank::Last(1)]);
        main.turn();
        vec![main, other.join().unwrap()]
    });
}
