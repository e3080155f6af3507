//! What the queues hold: 64 bytes, one cache line's worth.
//!
//! A fire-and-forget closure of up to 56 bytes lies in the slot itself, so
//! that handing it over allocates nothing of its own; a larger one is boxed. A job with a
//! handle is one pointer, the queue's end of its cell. A turn of something that
//! lives on after it is a counted reference to that.
//!
//! # Safety
//! `space` holds a value of the type that `vtable` was made for, from
//! construction until `run`, `refuse` or `drop` moves it out. All three take
//! the slot by value (or are its last use), so it is moved out once. A slot is
//! moved between threads by copying its bytes, which is what a Rust move is;
//! the value is `Send` by the bounds of the two constructors.

#![allow(unsafe_code)]

use std::mem::{ManuallyDrop, MaybeUninit};
use std::time::Instant;

use super::children::ScopedJob;
use super::ends::{CellJob, RefusedJob};
use super::half::HalfPtr;
use super::state::Reason;
use crate::metrics::{self, Event};
use crate::sync::Arc;
use crate::util::{PanicPayload, catch};

/// Room for what a slot carries.
type Space = MaybeUninit<[usize; 7]>;

/// A job in a queue. Dropping it drops a fire-and-forget closure unrun, and
/// resolves a job with a handle as closed.
pub(crate) struct Slot {
    vtable: &'static VTable,
    space: Space,
}

const _: () = assert!(size_of::<usize>() != 8 || size_of::<Slot>() == 64);

/// Where in the space the time is noted.
const STAMP_AT: usize = size_of::<Space>() - size_of::<Instant>();

const _: () = assert!(STAMP_AT.is_multiple_of(align_of::<Instant>()));

/// What became of a refused job.
pub(crate) enum Verdict {
    /// Its handle knows. `Err` is a panic that no handle will see.
    Told(Result<(), PanicPayload>),
    /// Somebody claimed it before, and sees to its closure.
    Late(Result<(), PanicPayload>),
    /// Nobody knows: it was fire and forget, and comes back as it was.
    Untold(Slot),
}

/// What a slot is to a pool that counts the jobs in its queues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Nothing.
    None,
    /// A job, for as long as the slot is there.
    Slot,
    /// A job, for as long as its closure is there.
    Closure,
}

/// A job that is refused, and does not know it yet.
pub(crate) enum Victim {
    /// It has a handle.
    Claimed(RefusedJob),
    /// It was fire and forget.
    Untold(Slot),
}

/// Something that lives on after its turn on a pool thread, as workers do.
pub(crate) trait Turn: Send + Sync + 'static {
    /// Takes its turn. Does not panic.
    fn run(self: Arc<Self>);

    /// There will be no turn, and never another one. Does not panic.
    fn refuse(self: Arc<Self>);
}

/// What a slot can do with what it carries. The pointers are to the `space` of
/// a slot whose value is not used again.
struct VTable {
    run: unsafe fn(*mut Space) -> Result<(), PanicPayload>,
    drop: unsafe fn(*mut Space),
    kind: Kind,
    /// Whether the last words of the space hold when the job was handed over.
    is_stamped: bool,
    /// The same with that, if the value leaves room for it.
    stamped: Option<&'static VTable>,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A fire-and-forget closure, boxed or not.
    Detached,
    /// A [`CellJob`], or something that begins with one and has nothing else to
    /// drop.
    Handle,
    /// A [`TurnJob`].
    Turn,
    /// A [`HalfJob`].
    Half,
    /// A [`ScopedJob`], which begins with a [`CellJob`].
    Scoped,
}

/// The kinds of job.
trait Work: Send + 'static {
    const KIND: Kind;
    const PLACE: Place;
    fn run(self) -> Result<(), PanicPayload>;
}

/// A closure nobody waits for.
struct Detached<F>(F);

impl<F: FnOnce() + Send + 'static> Work for Detached<F> {
    const KIND: Kind = Kind::Detached;
    const PLACE: Place = Place::Slot;

    #[inline]
    fn run(self) -> Result<(), PanicPayload> {
        let result = catch(self.0);
        if result.is_err() {
            metrics::note(Event::Panicked);
        }
        result
    }
}

impl Work for CellJob {
    const KIND: Kind = Kind::Handle;
    const PLACE: Place = Place::Closure;

    #[inline]
    fn run(self) -> Result<(), PanicPayload> {
        CellJob::run(self)
    }
}

/// A job with a handle that must start in time, if at all. `repr(C)` so that a
/// pointer to it is a pointer to a `CellJob`, as all of that kind are.
#[repr(C)]
struct PunctualJob {
    job: CellJob,
    deadline: Instant,
}

impl Work for PunctualJob {
    const KIND: Kind = Kind::Handle;
    const PLACE: Place = Place::Closure;

    fn run(self) -> Result<(), PanicPayload> {
        if Instant::now() < self.deadline || self.job.is_tombstone() {
            self.job.run()
        } else {
            let result = self.job.refuse(Reason::Expired).1;
            // Last, since its end is counted next: the two are one.
            metrics::note(Event::Expired);
            result
        }
    }
}

/// A job with a handle for one particular thread, which no queue counts.
#[repr(transparent)]
struct CallJob(CellJob);

impl Work for CallJob {
    const KIND: Kind = Kind::Handle;
    const PLACE: Place = Place::None;

    fn run(self) -> Result<(), PanicPayload> {
        self.0.run()
    }
}

/// A turn in a queue.
struct TurnJob(Arc<dyn Turn>);

impl Work for TurnJob {
    const KIND: Kind = Kind::Turn;
    const PLACE: Place = Place::None;

    #[inline]
    fn run(self) -> Result<(), PanicPayload> {
        self.0.run();
        Ok(())
    }
}

/// The second half of a join that somebody has taken.
struct HalfJob {
    half: HalfPtr,
    /// Where it runs, if it is in no queue.
    seat: Option<usize>,
}

impl Work for HalfJob {
    const KIND: Kind = Kind::Half;
    const PLACE: Place = Place::None;

    fn run(self) -> Result<(), PanicPayload> {
        // SAFETY: by `Slot::half` whoever has the slot is its thief.
        unsafe { self.half.run(self.seat) };
        // It is a part of a job.
        metrics::note(Event::Nothing);
        Ok(())
    }
}

impl Work for ScopedJob {
    const KIND: Kind = Kind::Scoped;
    const PLACE: Place = Place::None;

    fn run(self) -> Result<(), PanicPayload> {
        ScopedJob::run(self);
        Ok(())
    }
}

impl<W: Work> Work for Box<W> {
    // The other kinds are read from the space itself, not from a box.
    const KIND: Kind = {
        assert!(
            matches!(W::KIND, Kind::Detached),
            "only a closure is ever boxed"
        );
        Kind::Detached
    };
    const PLACE: Place = W::PLACE;

    #[inline]
    fn run(self) -> Result<(), PanicPayload> {
        W::run(*self)
    }
}

impl Slot {
    /// A fire-and-forget job.
    #[inline]
    pub(crate) fn detached(f: impl FnOnce() + Send + 'static) -> Self {
        let work = Detached(f);
        if fits(&work) {
            Self::inline(work)
        } else {
            Self::inline(Box::new(work))
        }
    }

    /// A job with a handle.
    #[inline]
    pub(crate) fn with_handle(job: CellJob) -> Self {
        Self::inline(job)
    }

    /// A job with a handle for one particular thread.
    pub(crate) fn call(job: CellJob) -> Self {
        Self::inline(CallJob(job))
    }

    /// A job with a handle that expires if its turn comes after the deadline.
    pub(crate) fn punctual(job: CellJob, deadline: Instant) -> Self {
        Self::inline(PunctualJob { job, deadline })
    }

    /// A turn of something that lives on.
    pub(crate) fn turn(turn: Arc<dyn Turn>) -> Self {
        Self::inline(TurnJob(turn))
    }

    /// A half that was taken from a shelf: for this thread, which is in no join, to run on
    /// its seat, or for anybody.
    pub(crate) fn half(half: HalfPtr, seat: Option<usize>) -> Self {
        Self::inline(HalfJob { half, seat })
    }

    /// A child of a scope.
    pub(super) fn scoped(job: ScopedJob) -> Self {
        Self::inline(job)
    }

    /// Runs the job. `Err` is a panic that no handle will see.
    #[inline]
    pub(crate) fn run(self) -> Result<(), PanicPayload> {
        let mut slot = ManuallyDrop::new(self);
        // SAFETY: the space is initialised for this vtable, and the slot is
        // not used again.
        unsafe { (slot.vtable.run)(&raw mut slot.space) }
    }

    /// Whether it is a job, and not the turn of something else or a part of a job.
    pub(crate) fn is_job(&self) -> bool {
        matches!(self.vtable.kind, Kind::Detached | Kind::Handle)
    }

    /// Whether it is a part of a job that has begun, and so is never refused.
    pub(crate) fn is_part(&self) -> bool {
        matches!(self.vtable.kind, Kind::Half | Kind::Scoped)
    }

    /// Notes when the job was handed over, if there is room for it beside the
    /// closure.
    pub(crate) fn stamp(&mut self, now: Instant) {
        if let Some(stamped) = self.vtable.stamped {
            // SAFETY: the value ends before `STAMP_AT`, and an `Instant` fits from
            // there to the end of the space.
            let place = unsafe { self.space.as_mut_ptr().byte_add(STAMP_AT) };
            // SAFETY: as above; the offset is aligned for it.
            unsafe { place.cast::<Instant>().write(now) };
            self.vtable = stamped;
        }
    }

    /// When the job was handed over, if that was noted.
    #[inline]
    pub(crate) fn stamped_at(&self) -> Option<Instant> {
        if !self.vtable.is_stamped {
            return None;
        }
        // SAFETY: the offset lies in the space.
        let place = unsafe { self.space.as_ptr().byte_add(STAMP_AT) };
        // SAFETY: `stamp` has written it there when it changed the vtable.
        Some(unsafe { place.cast::<Instant>().read() })
    }

    /// Where the place of the job is kept that this is, if it has one.
    #[inline]
    pub(crate) fn place(&self) -> Place {
        self.vtable.place
    }

    /// Whether there is nothing left to run: the job was claimed elsewhere.
    #[inline]
    pub(crate) fn is_tombstone(&self) -> bool {
        self.cell_job().is_some_and(CellJob::is_tombstone)
    }

    /// Lets go of a tombstone.
    pub(crate) fn let_go(self) {
        if self.is_tombstone() {
            let slot = ManuallyDrop::new(self);
            // SAFETY: tombstones are of the kinds that begin with a `CellJob` and have
            // nothing else to drop, and the slot is not used again.
            unsafe { slot.space.as_ptr().cast::<CellJob>().read() }.let_go();
        }
    }

    #[inline]
    fn cell_job(&self) -> Option<&CellJob> {
        if !matches!(self.vtable.kind, Kind::Handle | Kind::Scoped) {
            return None;
        }
        // SAFETY: all of these kinds begin with a `CellJob`, and are small enough
        // to lie in the space itself.
        Some(unsafe { &*self.space.as_ptr().cast::<CellJob>() })
    }

    /// Tells the job's handle that it will not run, if it has one.
    pub(crate) fn refuse(self, reason: Reason) -> Verdict {
        match self.vtable.kind {
            Kind::Detached => return Verdict::Untold(self),
            // Its job has begun, and goes on.
            Kind::Half => return Verdict::Told(self.run()),
            // The same; it is left to its scope.
            Kind::Scoped => return Verdict::Told(Ok(())),
            Kind::Handle | Kind::Turn => {}
        }
        let slot = ManuallyDrop::new(self);
        let space = slot.space.as_ptr();
        if slot.vtable.kind == Kind::Turn {
            // SAFETY: of this kind is `TurnJob` only, which is small enough to
            // lie in the space itself, and the slot is not used again.
            let TurnJob(turn) = unsafe { space.cast::<TurnJob>().read() };
            turn.refuse();
            return Verdict::Told(Ok(()));
        }
        // SAFETY: as above; the kind that is left begins with a `CellJob`, and
        // has nothing else to drop.
        let job = unsafe { space.cast::<CellJob>().read() };
        match job.refuse(reason) {
            (true, told) => Verdict::Told(told),
            (false, told) => Verdict::Late(told),
        }
    }

    /// Claims a job in order to refuse it later; `Err` lets go of one that was claimed
    /// before, and of what is no job.
    pub(crate) fn claim_to_refuse(self, reason: Reason) -> Result<Victim, ()> {
        match self.vtable.kind {
            Kind::Detached => Ok(Victim::Untold(self)),
            Kind::Turn | Kind::Half | Kind::Scoped => Err(()),
            Kind::Handle => {
                let slot = ManuallyDrop::new(self);
                // SAFETY: of this kind is what begins with a `CellJob` and has nothing
                // else to drop, and the slot is not used again.
                let job = unsafe { slot.space.as_ptr().cast::<CellJob>().read() };
                job.claim_to_refuse(reason)
                    .map(Victim::Claimed)
                    .map_err(CellJob::let_go)
            }
        }
    }

    #[inline]
    fn inline<W: Work>(work: W) -> Self {
        let mut space = Space::uninit();
        assert!(fits(&work));
        // SAFETY: it fits, in size and alignment.
        unsafe { space.as_mut_ptr().cast::<W>().write(work) };
        Self {
            vtable: &OfType::<W>::VTABLE,
            space,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: the space is initialised for this vtable, and this is the
        // slot's end.
        unsafe { (self.vtable.drop)(&raw mut self.space) };
    }
}

#[inline]
fn fits<W>(_: &W) -> bool {
    size_of::<W>() <= size_of::<Space>() && align_of::<W>() <= align_of::<Space>()
}

/// Carries the vtable of one type.
struct OfType<W>(W);

impl<W: Work> OfType<W> {
    const VTABLE: VTable = VTable {
        run: Self::run,
        drop: Self::drop,
        kind: W::KIND,
        place: W::PLACE,
        is_stamped: false,
        stamped: if size_of::<W>() <= STAMP_AT {
            Some(&Self::STAMPED)
        } else {
            None
        },
    };

    const STAMPED: VTable = VTable {
        run: Self::run,
        drop: Self::drop,
        kind: W::KIND,
        place: W::PLACE,
        is_stamped: true,
        stamped: None,
    };

    /// Safety: see [`VTable`]; the space holds a `W`.
    #[inline]
    unsafe fn run(space: *mut Space) -> Result<(), PanicPayload> {
        // SAFETY: the space holds a `W` that is not used again.
        let work = unsafe { space.cast::<W>().read() };
        work.run()
    }

    /// Safety: as `run`.
    unsafe fn drop(space: *mut Space) {
        // SAFETY: the space holds a `W` that is not used again.
        drop(unsafe { space.cast::<W>().read() });
    }
}

const _: () = assert!(size_of::<CellJob>() <= size_of::<Space>());
const _: () = assert!(size_of::<CallJob>() <= size_of::<Space>());
const _: () = assert!(size_of::<PunctualJob>() <= size_of::<Space>());
const _: () = assert!(size_of::<TurnJob>() <= size_of::<Space>());
const _: () = assert!(size_of::<HalfJob>() <= size_of::<Space>());
const _: () = assert!(size_of::<ScopedJob>() <= size_of::<Space>());
