//! The queue, the lane and its bound under loom.
//!
//! Each model runs the real code. A consumer that is not told of a message, or
//! of the end, shows as a deadlock, which loom reports. The `#[should_panic]`
//! models leave one step of the protocol out and show that the model notices.

use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::bell::Waiting;
use super::lane::{Claim, Lane};
use super::post::PostFuture;
use super::queue::{Queue, Wait};
use super::room::Room;
use crate::sync::mutant::{self, Mutant};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, block_until};

/// Runs `f` in every interleaving with up to `preemptions` preemptions
/// (`LOOM_MAX_PREEMPTIONS` overrides).
fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(f);
}

/// Receives until the lane is over.
fn receive_all(lane: &Lane<u32>) -> Vec<u32> {
    // Not dropped if this wait is the deadlock that a model ends in.
    let mut claim = ManuallyDrop::new(Claim::new(lane).unwrap());
    let mut received = Vec::new();
    while let Some(message) = block_until(None, |waker| claim.poll_next(waker)).unwrap() {
        received.push(message);
    }
    drop(ManuallyDrop::into_inner(claim));
    received
}

fn post_then_close() {
    model(3, || {
        let lane = Arc::new(Lane::unbounded());
        if mutant::any() {
            // loom cannot run destructors of what a deadlock leaves behind.
            std::mem::forget(Arc::clone(&lane));
        }
        let poster = thread::spawn({
            let lane = Arc::clone(&lane);
            move || {
                lane.post(1).unwrap();
                lane.post(2).unwrap();
                lane.close();
            }
        });
        assert_eq!(receive_all(&lane), [1, 2]);
        poster.join().unwrap();
    });
}

#[test]
fn all_that_was_posted_before_the_close_arrives_in_order() {
    post_then_close();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_a_consumer_that_waits_without_a_last_look() {
    mutant::set(Mutant::WaitUnseen);
    post_then_close();
}

#[test]
fn a_post_against_a_close_is_accepted_and_arrives_or_comes_back() {
    model(3, || {
        let lane = Arc::new(Lane::unbounded());
        let poster = thread::spawn({
            let lane = Arc::clone(&lane);
            move || (0..2).filter(|&n| lane.post(n).is_ok()).collect::<Vec<_>>()
        });
        let closer = thread::spawn({
            let lane = Arc::clone(&lane);
            move || lane.close()
        });
        let received = receive_all(&lane);
        closer.join().unwrap();
        assert_eq!(received, poster.join().unwrap());
    });
}

#[test]
fn two_posters_each_keep_their_order() {
    model(2, || {
        let lane = Arc::new(Lane::unbounded());
        let posters: Vec<_> = [10, 20]
            .map(|tens| {
                let lane = Arc::clone(&lane);
                thread::spawn(move || {
                    lane.post(tens).unwrap();
                    lane.post(tens + 1).unwrap();
                })
            })
            .into();
        let mut claim = Claim::new(&*lane).unwrap();
        let received: Vec<u32> = (0..4)
            .map(|_| {
                block_until(None, |waker| claim.poll_next(waker))
                    .flatten()
                    .unwrap()
            })
            .collect();
        for poster in posters {
            poster.join().unwrap();
        }
        for tens in [10, 20] {
            let own: Vec<_> = received.iter().filter(|&n| n / 10 * 10 == tens).collect();
            assert_eq!(own, [&tens, &(tens + 1)]);
        }
    });
}

#[test]
fn a_drop_against_posts_frees_what_nobody_received() {
    model(3, || {
        // loom reports an `Arc` that is leaked.
        let message = loom::sync::Arc::new(());
        let lane = Arc::new(Lane::unbounded());
        let poster = thread::spawn({
            let lane = Arc::clone(&lane);
            let message = loom::sync::Arc::clone(&message);
            move || drop(lane.post(message))
        });
        lane.close();
        if let Ok(mut claim) = Claim::new(&*lane) {
            claim.discard_all();
        }
        drop(lane);
        poster.join().unwrap();
        assert_eq!(loom::sync::Arc::strong_count(&message), 1);
    });
}

#[test]
fn a_call_is_seen_by_a_consumer_that_waits_or_is_about_to() {
    model(3, || {
        let queue = Arc::new(Queue::<u32>::new());
        let caller = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.call()
        });
        let waits = queue.wait() == Wait::Waiting;
        let told = caller.join().unwrap();
        // Whoever ends a wait is told to tell, and else the consumer saw it.
        assert_eq!(told, waits);
        assert!(queue.take_call());
        assert!(!queue.take_call());
    });
}

/// Waits until the lane is over.
fn wait_for_the_end(lane: &Lane<u32>) {
    let mut waiting = Waiting::alone();
    block_until(None, |waker| lane.poll_over(&mut waiting, waker)).unwrap();
}

fn end_against_claim() {
    model(3, || {
        let lane = Arc::new(Lane::<u32>::unbounded());
        if mutant::any() {
            std::mem::forget(Arc::clone(&lane));
        }
        let receiver = thread::spawn({
            let lane = Arc::clone(&lane);
            move || drop(Claim::new(&*lane))
        });
        let closer = thread::spawn({
            let lane = Arc::clone(&lane);
            move || lane.close()
        });
        wait_for_the_end(&lane);
        receiver.join().unwrap();
        closer.join().unwrap();
    });
}

#[test]
fn who_waits_for_the_end_of_a_lane_hears_of_it() {
    end_against_claim();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_an_end_that_both_sides_leave_to_the_other() {
    mutant::set(Mutant::EndUnseen);
    end_against_claim();
}

#[test]
fn the_end_is_after_the_last_message_of_who_receives() {
    model(2, || {
        let lane = Arc::new(Lane::<u32>::unbounded());
        lane.post(1).unwrap();
        let mut claim = Claim::new(Arc::clone(&lane)).unwrap();
        let received = Arc::new(AtomicBool::new(false));
        let receiver = thread::spawn({
            let received = Arc::clone(&received);
            move || {
                let first = block_until(None, |waker| claim.poll_next(waker));
                assert_eq!(first, Some(Some(1)));
                received.store(true, Ordering::Relaxed);
                assert_eq!(
                    block_until(None, |waker| claim.poll_next(waker)),
                    Some(None)
                );
            }
        });
        let closer = thread::spawn({
            let lane = Arc::clone(&lane);
            move || lane.close()
        });
        wait_for_the_end(&lane);
        assert!(received.load(Ordering::Relaxed), "the end came first");
        receiver.join().unwrap();
        closer.join().unwrap();
    });
}

/// Posts when there is room, waiting for it.
fn post_patiently(lane: &Lane<u32>, message: u32) {
    let mut future = ManuallyDrop::new(PostFuture::new(lane, message));
    let posted = block_until(None, |waker| {
        Pin::new(&mut *future).poll(&mut Context::from_waker(waker))
    });
    assert!(posted.unwrap().is_ok());
    drop(ManuallyDrop::into_inner(future));
}

fn room_for_one() {
    model(2, || {
        let lane = Arc::new(Lane::bounded(1));
        if mutant::any() {
            std::mem::forget(Arc::clone(&lane));
        }
        lane.post(0).unwrap();
        let poster = thread::spawn({
            let lane = Arc::clone(&lane);
            move || post_patiently(&lane, 1)
        });
        let mut claim = ManuallyDrop::new(Claim::new(&*lane).unwrap());
        for expected in 0..2 {
            let next = block_until(None, |waker| claim.poll_next(waker));
            assert_eq!(next, Some(Some(expected)));
        }
        drop(ManuallyDrop::into_inner(claim));
        poster.join().unwrap();
    });
}

#[test]
fn who_waits_for_room_gets_it() {
    room_for_one();
}

/// Room is made while the one who waits for it has the list in hand.
fn room_made_while_one_is_listed() {
    model(3, || {
        let room = Arc::new(Room::new(1));
        assert!(room.enter());
        let patient = thread::spawn({
            let room = Arc::clone(&room);
            move || enter_patiently(&room)
        });
        room.leave();
        patient.join().unwrap();
    });
}

#[test]
fn room_that_is_made_while_one_is_listed_is_seen() {
    room_made_while_one_is_listed();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_room_that_each_leaves_to_the_other() {
    mutant::set(Mutant::RoomFence);
    room_made_while_one_is_listed();
}

#[test]
fn two_who_wait_for_room_get_it_and_neither_is_forgotten() {
    model(1, || {
        let lane = Arc::new(Lane::bounded(1));
        lane.post(0).unwrap();
        let posters: Vec<_> = [1, 2]
            .map(|message| {
                let lane = Arc::clone(&lane);
                thread::spawn(move || post_patiently(&lane, message))
            })
            .into();
        let mut claim = Claim::new(&*lane).unwrap();
        let mut received: Vec<_> = (0..3)
            .map(|_| {
                block_until(None, |waker| claim.poll_next(waker))
                    .flatten()
                    .unwrap()
            })
            .collect();
        received.sort_unstable();
        assert_eq!(received, [0, 1, 2]);
        for poster in posters {
            poster.join().unwrap();
        }
    });
}

#[test]
fn a_close_reaches_who_waits_for_room() {
    model(2, || {
        let lane = Arc::new(Lane::bounded(1));
        lane.post(0).unwrap();
        let poster = thread::spawn({
            let lane = Arc::clone(&lane);
            move || {
                let mut future = PostFuture::new(&*lane, 1);
                let result = block_until(None, |waker| {
                    Pin::new(&mut future).poll(&mut Context::from_waker(waker))
                });
                assert!(result.unwrap().unwrap_err().is_closed());
            }
        });
        lane.close();
        poster.join().unwrap();
        let mut claim = Claim::new(&*lane).unwrap();
        assert!(matches!(claim.try_next(), Poll::Ready(Some(0))));
        assert!(matches!(claim.try_next(), Poll::Ready(None)));
    });
}

/// Waits until it is let in.
fn enter_patiently(room: &Room) {
    let mut place = None;
    let entered = block_until(None, |waker| room.poll_enter(&mut place, waker, || false));
    assert_eq!(entered, Some(true));
}

#[test]
fn never_more_are_let_in_than_there_is_room_for() {
    model(2, || {
        let room = Arc::new(Room::new(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let visit = |room: &Room, inside: &AtomicUsize| {
            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
            inside.fetch_sub(1, Ordering::Relaxed);
            room.leave();
        };
        let patient: Vec<_> = (0..2)
            .map(|_| {
                let (room, inside) = (Arc::clone(&room), Arc::clone(&inside));
                thread::spawn(move || {
                    enter_patiently(&room);
                    visit(&room, &inside);
                })
            })
            .collect();
        if room.enter() {
            visit(&room, &inside);
        }
        for thread in patient {
            thread.join().unwrap();
        }
        assert!(room.enter() && !room.enter());
    });
}

/// Of two who wait, the first gives up while room is made.
fn who_gives_up_passes_it_on() {
    model(2, || {
        let room = Arc::new(Room::new(1));
        assert!(room.enter());
        let mut place = None;
        let poll = room.poll_enter(&mut place, Waker::noop(), || false);
        assert!(poll.is_pending());
        let maker = thread::spawn({
            let room = Arc::clone(&room);
            move || room.leave()
        });
        let second = thread::spawn({
            let room = Arc::clone(&room);
            move || enter_patiently(&room)
        });
        room.give_up(&mut place);
        second.join().unwrap();
        maker.join().unwrap();
        assert!(!room.enter(), "let in twice");
    });
}

#[test]
fn who_gives_up_waiting_passes_the_room_on() {
    who_gives_up_passes_it_on();
}

#[test]
#[should_panic(expected = "deadlock")]
fn catches_one_who_gives_up_and_keeps_the_room() {
    mutant::set(Mutant::GrantKept);
    who_gives_up_passes_it_on();
}

/// One waits already when room is made; somebody new comes at the same time.
fn newcomer_against_who_waits() {
    model(3, || {
        let room = Arc::new(Room::new(1));
        assert!(room.enter());
        let mut place = None;
        let mut poll = || room.poll_enter(&mut place, Waker::noop(), || false);
        assert!(poll().is_pending());
        let newcomer = thread::spawn({
            let room = Arc::clone(&room);
            move || assert!(!room.enter(), "overtaken")
        });
        room.leave();
        assert_eq!(poll(), Poll::Ready(true));
        newcomer.join().unwrap();
    });
}

#[test]
fn a_newcomer_does_not_overtake_who_waits() {
    newcomer_against_who_waits();
}

#[test]
#[should_panic(expected = "overtaken")]
fn catches_a_newcomer_that_overtakes_who_waits() {
    mutant::set(Mutant::Overtakes);
    newcomer_against_who_waits();
}

/// Whoever is called asks whether it is over, and waits on if it is not.
#[test]
fn a_call_reaches_all_who_wait_or_are_about_to() {
    model(2, || {
        let room = Arc::new(Room::new(1));
        assert!(room.enter());
        let over = Arc::new(AtomicBool::new(false));
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let (room, over) = (Arc::clone(&room), Arc::clone(&over));
                thread::spawn(move || {
                    let mut place = None;
                    let is_over = || over.load(Ordering::Relaxed);
                    let entered =
                        block_until(None, |waker| room.poll_enter(&mut place, waker, is_over));
                    assert_eq!(entered, Some(false));
                })
            })
            .collect();
        over.store(true, Ordering::Relaxed);
        room.call_all();
        for thread in waits {
            thread.join().unwrap();
        }
    });
}
