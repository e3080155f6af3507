//! The children of a scope: jobs that borrow, counted where their scope waits for them.
//!
//! A child is a job with a cell like any other. What is different is that its closure and
//! its result may borrow from the frame that the scope is in, and that [`Children`] lies
//! in that frame itself. So whoever has claimed a child (by its slot, by its handle, or
//! from the list here) tells its `Children` when it has ended, and that is the last thing
//! that is done for it: the frame may be gone after that.
//!
//! ```text
//!   counted --- claimed: the closure runs ---> outcome in the cell, or dropped
//!                                              a panic nobody is told of: reported here
//!                                              the waker out, if it is the last one
//!                                              counted no longer; wake
//! ```
//!
//! # Who may touch what
//! 1. `word`, `unstarted`, `panics`: whoever runs a child that is counted, has a handle
//!    of one, or is the scope's owner.
//! 2. `waker`: the owner until it sets WAITING, after that the last child, until it is
//!    counted no longer, and then the owner again.
//!
//! There is one last child: the owner waits after its closure has returned, so that new
//! children come from children that are counted themselves. When one of them sees itself
//! counted alone, and the owner waiting, nothing changes the word any more but it.
//!
//! *What outlives its scope* is the slot of a child that was claimed elsewhere, a
//! tombstone: it lets go of the cell, in which there is nothing left to drop, and never
//! looks at its `Children`.
//!
//! What a child leaves in its cell is the scope's too: the result of a child without a
//! handle is dropped before the child is counted no longer, and a handle cannot leave its
//! scope (or is leaked, and with it the result).

#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use super::cell::Context;
use super::ends::{CellJob, Completion, HandleEnd, new_scoped_cell};
use super::party::CancelEnd;
use super::slot::Slot;
use super::state::Reason;
use crate::metrics::{self, Event};
use crate::sync::cell::UnsafeCell;
use crate::sync::mutant::{Mutant, broken};
use crate::sync::{AtomicUsize, ModelledMutex, Mutex, Ordering};
use crate::util::{PanicPayload, catch, discard};

/// The owner waits, and has said how it is woken.
const WAITING: usize = 1 << 0;

/// A child that has not ended.
const CHILD: usize = 1 << 1;

/// So long a list of unstarted children is not worth looking through.
const SHORT: usize = 64;

/// What a scope and its children share. It lies in the frame of the scope.
pub(crate) struct Children {
    word: AtomicUsize,
    waker: UnsafeCell<Option<Waker>>,
    unstarted: ModelledMutex<Unstarted>,
    panics: Mutex<Panics>,
}

// SAFETY: the waker is touched by one at a time, by rule 2; the rest is shareable.
unsafe impl Sync for Children {}

/// The children that can be claimed, and some that cannot any more.
#[derive(Default)]
struct Unstarted {
    /// The newest last.
    ends: Vec<CancelEnd>,
    /// How many may be there before it is looked through again.
    most: usize,
}

/// The panics of children.
#[derive(Default)]
struct Panics {
    /// How many there were.
    noted: u64,
    /// How many of those were told to somebody, or reported.
    settled: u64,
    /// The first of those that were reported, and its number.
    first: Option<(u64, PanicPayload)>,
}

/// What the closure of a child gives.
type Outcome<'scope, T> = Result<T, Box<Panicked<'scope>>>;

/// The panic of a child; dropped, it is reported to the scope.
struct Panicked<'scope> {
    children: &'scope Children,
    number: u64,
    payload: Option<PanicPayload>,
}

impl Children {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicUsize::new(0),
            waker: UnsafeCell::new(None),
            unstarted: ModelledMutex::default(),
            panics: Mutex::default(),
        }
    }

    /// A new child, which runs `f` in the name of `context`: for a queue, and for its
    /// handle.
    ///
    /// # Safety
    /// For as long as `'scope` the value is not moved, and `'scope` does not end before
    /// [`is_over`](Self::is_over). `context` outlives it too.
    pub(crate) unsafe fn spawn<'scope, F, T>(
        &'scope self,
        context: Context,
        f: F,
    ) -> (Slot, Child<'scope, T>)
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let body = move || -> Outcome<'scope, T> {
            let _entered = context.enter();
            catch(f).map_err(|payload| {
                metrics::note(Event::Panicked);
                Box::new(Panicked {
                    children: self,
                    number: self.note_panic(),
                    payload: Some(payload),
                })
            })
        };
        // SAFETY: by the caller `'scope` lasts until the child is counted no longer, and
        // that comes after the closure and an outcome without a handle; with a handle it
        // is dropped by that, in `'scope`.
        let (job, end) = unsafe { new_scoped_cell(body) };
        // Relaxed: the caller keeps the scope from its end.
        self.word.fetch_add(CHILD, Ordering::Relaxed);
        let job = ScopedJob {
            job: ManuallyDrop::new(job),
            children: NonNull::from(self),
        };
        let children = self;
        (Slot::scoped(job), Child { end, children })
    }

    /// Enters a child in the list of those that the owner may run.
    pub(crate) fn list<T>(&self, child: &Child<'_, T>) {
        let Some(end) = child.end.cancel_end() else {
            return;
        };
        let mut list = self.unstarted.lock();
        if list.ends.len() >= list.most {
            // They let go of cells in which nothing is left to drop.
            list.ends.retain(|end| !end.is_claimed());
            list.most = (2 * list.ends.len()).max(SHORT);
        }
        list.ends.push(end);
    }

    /// Runs the newest child that nobody has started; `false` if there is none.
    ///
    /// In a fork of the process somebody who is not there may have the list; then it is
    /// taken for empty.
    pub(crate) fn run_newest(&self, is_forked: bool) -> bool {
        loop {
            let list = if is_forked {
                self.unstarted.try_lock()
            } else {
                Some(self.unstarted.lock())
            };
            let Some(end) = list.and_then(|mut list| list.ends.pop()) else {
                return false;
            };
            if let Some(result) = end.run_unstarted() {
                // SAFETY: it was counted, and claimed by this call.
                unsafe { Self::ended(NonNull::from(self), result) };
                return true;
            }
        }
    }

    /// Whether all have ended.
    pub(crate) fn is_over(&self) -> bool {
        // Acquire, partner: `count_off`. What they have done is done.
        self.word.load(Ordering::Acquire) < CHILD
    }

    /// Ready once all have ended; `waker` is woken then. For the owner, whose closure has
    /// returned, and with the same waker each time.
    pub(crate) fn poll_over(&self, waker: &Waker) -> Poll<()> {
        if self.is_over() {
            return Poll::Ready(());
        }
        // Relaxed: only the owner sets it.
        if self.word.load(Ordering::Relaxed) & WAITING == 0 {
            let waker = waker.clone();
            // SAFETY: rule 2: WAITING is not set, and this is the owner.
            self.waker.with_mut(|field| unsafe { *field = Some(waker) });
            // Release, partner: the loads in `count_off`. Acquire: as in `is_over`.
            if self.word.fetch_or(WAITING, Ordering::AcqRel) < CHILD {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// For the owner, once all have ended: the first panic that nobody was told of.
    pub(crate) fn take_panic(&self) -> Option<PanicPayload> {
        // SAFETY: rule 2: all have ended, and the caller is the owner. (The look is how a
        // model sees one that has not.)
        drop(self.waker.with_mut(|field| unsafe { (*field).take() }));
        let mut panics = self.panics.lock();
        if let Some((_, payload)) = panics.first.take() {
            return Some(payload);
        }
        let is_lost = panics.settled < panics.noted;
        is_lost.then(|| Box::new("a job of the scope panicked, and its handle was leaked") as _)
    }

    /// A child has panicked: which one of all that did.
    fn note_panic(&self) -> u64 {
        let mut panics = self.panics.lock();
        panics.noted += 1;
        panics.noted
    }

    /// A panic that nobody else is going to be told of.
    fn report(&self, number: u64, payload: PanicPayload) {
        let mut panics = self.panics.lock();
        panics.settled += 1;
        let later = match &panics.first {
            Some((first, _)) if *first < number => Some(payload),
            _ => panics.first.replace((number, payload)).map(|it| it.1),
        };
        drop(panics);
        discard(later);
    }

    /// A child has ended. `Err` is a panic in the `Drop` of its result.
    ///
    /// Safety: the caller has claimed it, has not told before, and may not touch what
    /// this is afterwards, unless something else keeps it there.
    unsafe fn ended(this: NonNull<Self>, result: Result<(), PanicPayload>) {
        if let Err(payload) = result {
            // SAFETY: the child is counted, and keeps it there.
            let children = unsafe { this.as_ref() };
            children.report(children.note_panic(), payload);
        }
        // SAFETY: handed on from the caller.
        unsafe { Self::count_off(this) };
    }

    /// Safety: as [`Children::ended`].
    unsafe fn count_off(this: NonNull<Self>) {
        // SAFETY: the child is counted; the reference covers this field only, an atomic
        // that may be gone after its last use.
        let word = unsafe { &(*this.as_ptr()).word };
        if broken(Mutant::ChildEndsEarly) {
            let is_last = word.fetch_sub(CHILD, Ordering::AcqRel) == CHILD | WAITING;
            // SAFETY: none: the mistake.
            let waker = is_last.then(|| unsafe { Self::waker(this) });
            waker.flatten().inspect(Waker::wake_by_ref);
            return;
        }
        let mut seen = word.load(Ordering::Acquire);
        loop {
            // Out before it is counted no longer: the frame may be gone after that.
            let waker = (seen == CHILD | WAITING).then(|| {
                // SAFETY: rule 2; WAITING was seen by an Acquire.
                unsafe { Self::waker(this) }
            });
            let next = seen - CHILD;
            // Release, partner: the loads in `is_over` and `poll_over`. Acquire: the waker.
            match word.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if let Some(waker) = waker.flatten() {
                        waker.wake();
                    }
                    return;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Safety: rule 2.
    unsafe fn waker(this: NonNull<Self>) -> Option<Waker> {
        // SAFETY: the reference covers this field only.
        let field = unsafe { &(*this.as_ptr()).waker };
        // SAFETY: rule 2.
        field.with_mut(|waker| unsafe { (*waker).clone() })
    }
}

impl Panicked<'_> {
    /// For who is told of it.
    fn into_payload(mut self) -> Option<PanicPayload> {
        let payload = self.payload.take();
        self.children.panics.lock().settled += 1;
        payload
    }
}

impl Drop for Panicked<'_> {
    fn drop(&mut self) {
        if let Some(payload) = self.payload.take() {
            self.children.report(self.number, payload);
        }
    }
}

/// The handle's end of a child. Dropped, it leaves the child's panic to the scope.
pub(crate) struct Child<'scope, T> {
    end: HandleEnd<Outcome<'scope, T>>,
    children: &'scope Children,
}

impl<T> Child<'_, T> {
    /// Whether it has ended; its captures are gone then.
    pub(crate) fn is_resolved(&self) -> bool {
        self.end.is_resolved()
    }

    /// Runs it here and now if nobody has started it; whether it did.
    pub(crate) fn run_unstarted(&mut self) -> bool {
        let ran = self.end.run_unstarted();
        if ran {
            // SAFETY: it was counted, and claimed by this call.
            unsafe { Children::ended(NonNull::from(self.children), Ok(())) };
        }
        ran
    }

    /// Takes what it gave, if it has ended.
    pub(crate) fn try_take(&mut self) -> Option<Completion<T>> {
        self.end.try_take().map(into_completion)
    }

    /// As [`HandleEnd::poll`].
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Completion<T>> {
        self.end.poll(waker).map(into_completion)
    }

    /// As [`HandleEnd::give_up`]: whoever runs it is not in this process.
    pub(crate) fn give_up(&self) {
        self.end.give_up(Reason::Forked);
    }
}

fn into_completion<T>(completion: Completion<Outcome<'_, T>>) -> Completion<T> {
    match completion {
        Completion::Value(Ok(value)) => Completion::Value(value),
        Completion::Value(Err(panicked)) => {
            let payload = panicked.into_payload();
            Completion::Panic(payload.expect("a panic is told of once"))
        }
        Completion::Panic(payload) => Completion::Panic(payload),
        Completion::Refused(reason) => Completion::Refused(reason),
    }
}

/// The queue's end of a child. Dropped, it leaves the child to its scope. `repr(C)` so
/// that a pointer to it is a pointer to a `CellJob`.
#[repr(C)]
pub(super) struct ScopedJob {
    job: ManuallyDrop<CellJob>,
    /// There for as long as the job is no tombstone.
    children: NonNull<Children>,
}

// SAFETY: as for `CellJob`; `Children` is `Sync`.
unsafe impl Send for ScopedJob {}

impl ScopedJob {
    /// Runs the child, unless it was claimed before.
    pub(super) fn run(self) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the value is not dropped, nor used again.
        let job = unsafe { ManuallyDrop::take(&mut this.job) };
        match job.run_unclaimed() {
            // SAFETY: it was counted, and claimed by this call.
            Some(result) => unsafe { Children::ended(this.children, result) },
            None => metrics::note(Event::Nothing),
        }
    }
}

impl Drop for ScopedJob {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        unsafe { ManuallyDrop::take(&mut self.job) }.let_go();
    }
}

#[cfg(all(test, loom))]
impl Children {
    /// What the models have for the frame of a scope: a block of the magazine's, so that a
    /// look at it after it is gone is a race. `f` returns when all children have ended.
    pub(super) fn in_a_frame<R>(f: impl FnOnce(&'static Self) -> R) -> R {
        let block = crate::magazine::put(Self::new());
        // SAFETY: it is given back below; `f` keeps it in children only.
        let result = f(unsafe { block.as_ref() });
        // SAFETY: it came from `put`, and all children have ended.
        drop(unsafe { crate::magazine::take(block) });
        result
    }

    pub(super) fn spawn_static<T: Send + 'static>(
        &'static self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> (Slot, Child<'static, T>) {
        // SAFETY: by `in_a_frame`; no job is its context.
        unsafe { self.spawn(Context::current(), f) }
    }
}
