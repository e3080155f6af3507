//! The turn of a worker under loom.
//!
//! Each model runs the real code; only the host is a stand-in, which runs a turn
//! on the spot, on the thread that got it. So turns of one worker run on several
//! threads, and two at once show as a body that is not there. A message that no
//! turn comes for shows as one that was not handled.

use std::sync::Mutex;

use loom::thread;

use super::actor::Actor;
use super::body::Body;
use super::core::{AnyWorker, Core, Host};
use crate::port::Lane;
use crate::scheduler::Resident;
use crate::sync::Arc;
use crate::sync::mutant::{self, Mutant};

/// What a worker has handled.
type Log = Arc<Mutex<Vec<u32>>>;

/// Runs `f` in every interleaving with up to `preemptions` preemptions
/// (`LOOM_MAX_PREEMPTIONS` overrides).
fn model(preemptions: usize, f: impl Fn(Arc<Actor<u32>>, &Log) + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(move || {
        let log = Log::default();
        let outbox = Arc::new(Lane::<()>::unbounded());
        let core = Core::new(None, Host::Model, None, outbox);
        let actor = Arc::new(Actor::new(core, Lane::mailbox(None)));
        let entries = Arc::clone(&log);
        actor.embody(Body::of(Box::new(move |message| {
            entries.lock().unwrap().push(message);
            Ok(())
        })));
        if mutant::any() {
            std::mem::forget(Arc::clone(&actor));
        }
        f(actor, &log);
    });
}

fn on_a_thread(
    actor: &Arc<Actor<u32>>,
    f: impl FnOnce(Arc<Actor<u32>>) + 'static,
) -> thread::JoinHandle<()> {
    let actor = Arc::clone(actor);
    thread::spawn(move || f(actor))
}

fn two_posters() {
    model(3, |actor, log| {
        let poster = on_a_thread(&actor, |actor| actor.post(1).unwrap());
        actor.post(2).unwrap();
        poster.join().unwrap();
        let mut handled = log.lock().unwrap().clone();
        handled.sort_unstable();
        assert_eq!(handled, [1, 2], "nobody came for a message");
    });
}

#[test]
fn every_message_gets_a_turn_and_no_two_turns_meet() {
    two_posters();
}

#[test]
#[should_panic(expected = "whoever has the turn finds the body")]
fn catches_a_turn_that_waits_before_it_has_put_the_body_back() {
    mutant::set(Mutant::BodyKept);
    two_posters();
}

#[test]
#[should_panic(expected = "nobody came for a message")]
fn catches_a_turn_that_ends_without_a_last_look() {
    mutant::set(Mutant::WaitUnseen);
    two_posters();
}

#[test]
fn what_was_posted_before_the_close_is_handled_before_the_exit() {
    model(3, |actor, log| {
        let closer = on_a_thread(&actor, |actor| actor.close());
        let accepted: Vec<u32> = (0..2).filter(|&n| actor.post(n).is_ok()).collect();
        closer.join().unwrap();
        assert!(actor.core().exit().unwrap().is_success());
        assert_eq!(*log.lock().unwrap(), accepted);
    });
}

#[test]
fn terminating_ends_the_worker_once_whoever_has_the_turn() {
    model(3, |actor, log| {
        let terminator = on_a_thread(&actor, |actor| {
            (actor as Arc<dyn AnyWorker>).terminate();
        });
        let accepted = actor.post(1).is_ok();
        terminator.join().unwrap();
        assert!(actor.core().exit().unwrap().is_terminated());
        let handled = log.lock().unwrap().len();
        assert!(handled <= usize::from(accepted));
    });
}

#[test]
fn the_end_of_the_pool_ends_it_once_too() {
    model(3, |actor, _log| {
        let end = on_a_thread(&actor, Resident::pool_ended);
        let closer = on_a_thread(&actor, |actor| actor.close());
        end.join().unwrap();
        closer.join().unwrap();
        assert!(actor.core().exit().is_some());
    });
}
