//! Deliberate mistakes, for the models to catch.
//!
//! A model that passes proves little until it has been seen to fail. Each
//! hand-shake that a model covers asks here whether it is to be broken; the
//! answer is a constant `false` in every build but the models'.

/// A hand-shake that can be left out on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(loom), allow(dead_code))]
pub(crate) enum Mutant {
    /// The submitter's fence between its push and its look at the idle word.
    SubmitFence,
    /// The sleeper's fence between registering and its last look at the queues.
    SleepFence,
    /// The look at the queues after a searcher gave its credit back.
    SearcherHandsOn,
    /// The fence and look at the idle word after jobs were moved.
    BatchNotice,
    /// The emptying of the queues by whoever finds EXITED set.
    ExitSweep,
    /// A finisher says in one step that it is done with the cell and that the
    /// outcome is there, and reads the waker after that.
    FinishInOneStep,
    /// The claim is a compare-exchange from "nothing set" instead of a
    /// fetch-or, and so fails once a waker is registered.
    ClaimFromZero,
    /// A consumer that found nothing says that it waits without looking whether
    /// something came meanwhile.
    WaitUnseen,
    /// One of the last rank at a bell sees the condition although one of the first
    /// has not been told.
    LastUnheld,
    /// Who is the end of what the last rank at a bell waits for does not wake it.
    LastLeftWaiting,
    /// The fences between closing a lane and looking who receives, and between
    /// letting the claim go and looking whether the lane is closed.
    EndUnseen,
    /// A worker says that it waits for mail before it has put its body back.
    BodyKept,
    /// A part lets go of its buffer with a relaxed decrement.
    PartLetsGoRelaxed,
    /// A whole does not look again after it has left its waker.
    WholeLooksOnce,
    /// The notifier's fence between the store and its look at the number of
    /// waiters.
    NotifyFence,
    /// The waiter's fence between being counted and its look at the value.
    WaitFence,
    /// The value is compared before the lock of the waiters is taken, and not
    /// under it.
    WaitComparesEarly,
    /// A wait that is given up keeps the notification it was given.
    NotificationKept,
    /// A waiter whose time is up does not ask whether it was notified.
    TimeOutUnasked,
    /// The fence between making room and looking whether somebody has the list of
    /// those who wait, and between letting that go and looking at the room.
    RoomFence,
    /// A thread that waits inside a job does not look at the queues before it does.
    AbsentUnseen,
    /// Who gives a view's place back decides by an earlier look at how many jobs there
    /// are whether somebody waits for it.
    PlaceSeenEarly,
    /// A newcomer takes room although somebody waits for it.
    Overtakes,
    /// A wait for room that is given up keeps the room it was given.
    GrantKept,
    /// The last thread that falls asleep does not ask whether somebody has a turn in
    /// hand.
    HandUnseen,
    /// Who throws a job out that was claimed meanwhile keeps the place it took in
    /// advance.
    LatePlaceKept,
    /// A thief sets DONE before it takes the waiter out of the half.
    HalfDoneEarly,
    /// A child of a scope is counted no longer before it has taken out what wakes the
    /// scope.
    ChildEndsEarly,
    /// An owner takes a shown half back without asking whether it is still there.
    HalfTakenTwice,
    /// A thief does not say that it has taken something from a shelf.
    DemandUntold,
    /// An owner shows a half and does not look whether somebody sleeps.
    HalfUnnoticed,
}

/// Whether `mutant` is to be left out in this run.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn broken(_mutant: Mutant) -> bool {
    false
}

#[cfg(loom)]
std::thread_local! {
    // std's, not loom's: all threads of a model run on one OS thread.
    static BROKEN: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether `mutant` is to be left out in this run.
#[cfg(loom)]
pub(crate) fn broken(mutant: Mutant) -> bool {
    BROKEN.get() == Some(mutant)
}

/// Breaks `mutant` in every model this test thread runs from here on.
#[cfg(all(loom, test))]
pub(crate) fn set(mutant: Mutant) {
    BROKEN.set(Some(mutant));
}

/// Whether anything is broken on purpose.
#[cfg(all(loom, test))]
pub(crate) fn any() -> bool {
    BROKEN.get().is_some()
}
