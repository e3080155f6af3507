//! The values that keep account of themselves: captures, results, panics.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use windlass::{RejectedJob, Spawner};

use super::tally::{Fault, found};
use super::{Job, Kind, Ledger, fact, scramble};

thread_local! {
    /// Whether `on_reject` has a job here.
    static REJECTING: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn is_rejecting() -> bool {
    REJECTING.try_with(Cell::get).unwrap_or(false)
}

/// Captured by whatever the line stands for.
pub(crate) struct Tag {
    job: Job,
    /// Where to spawn when it is dropped.
    spawner: Option<Spawner>,
}

impl Tag {
    pub(crate) fn new(job: Job) -> Self {
        Self { job, spawner: None }
    }

    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// Has it spawn when it is dropped.
    pub(crate) fn meddle(&mut self, spawner: &Spawner) {
        self.spawner = Some(spawner.clone());
    }

    /// A body begins, or a message is received; the guard sees it end.
    pub(crate) fn begin(&self) -> Begun {
        self.job.once(|line| &line.ran, "ran twice");
        Begun(self.job.clone())
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        self.job
            .once(|line| &line.dropped, "its captures were dropped twice");
        let line = self.job.line();
        if is_rejecting() && line.kind() == Kind::Executed {
            self.job.once(|line| &line.rejected, "rejected twice");
        }
        if let Some(spawner) = self.spawner.take()
            && let Some((tag, _)) = self.job.ledger.open(Kind::Executed, 0)
        {
            spawner.execute(move || drop(tag.begin()));
        }
        if line.has(fact::CAPTURE_BOMB) && !thread::panicking() {
            blow(&self.job);
        }
    }
}

/// See [`Tag::begin`].
pub(crate) struct Begun(Job);

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.once(|line| &line.left, "left twice");
    }
}

/// The end of a body: a panic, or the result.
pub(crate) fn end(tag: Tag, begun: Begun) -> Product {
    let job = tag.job().clone();
    let line = job.line();
    if line.has(fact::PANICS) {
        blow(&job);
    }
    if line.has(fact::CAPTURE_BOMB) {
        // Before there is a result: a panic on the way out would leak it.
        drop(tag);
    }
    drop(begun);
    Product::new(&job)
}

/// What a job returns.
pub(crate) struct Product(Job, u64);

impl Product {
    pub(crate) fn new(job: &Job) -> Self {
        job.once(|line| &line.results_made, "two results");
        Self(job.clone(), job.value())
    }

    pub(crate) fn job(&self) -> &Job {
        &self.0
    }

    pub(crate) fn value(&self) -> u64 {
        self.1
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        self.0
            .once(|line| &line.results_dropped, "its result was dropped twice");
        if self.0.line().has(fact::RESULT_BOMB) && !thread::panicking() {
            blow(&self.0);
        }
    }
}

/// What a deliberate panic carries.
pub(crate) struct Payload(Job);

impl Payload {
    pub(crate) fn job(&self) -> &Job {
        &self.0
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let line = self.0.line();
        let dropped = line.panics_dropped.fetch_add(1, Relaxed);
        if dropped >= line.panics_made.load(Relaxed) {
            self.0
                .fault(Fault::Duplicated, "its panic was dropped twice");
        }
    }
}

/// Panics in the name of the job.
pub(crate) fn blow(job: &Job) -> ! {
    job.line().panics_made.fetch_add(1, Relaxed);
    let payload = Payload(job.clone());
    if scramble(job.id as u64) & 1 == 0 {
        panic::panic_any(payload);
    }
    panic::resume_unwind(Box::new(payload));
}

/// Runs something whose panics are deliberate.
pub(crate) fn quiet(f: impl FnOnce()) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) {
        expect_payload(&*payload);
    }
}

/// Keeps deliberate panics off stderr.
pub(crate) fn hush() {
    let show = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Payload>() {
            show(info);
        }
    }));
}

fn expect_payload(payload: &(dyn Any + Send)) {
    if !payload.is::<Payload>() {
        let text = payload.downcast_ref::<String>().cloned();
        found(Fault::Wrong, || format!("a panic nobody meant: {text:?}"));
    }
}

/// `on_panic`: one that no handle sees.
pub(crate) fn hooked(payload: &(dyn Any + Send)) {
    if let Some(payload) = payload.downcast_ref::<Payload>() {
        payload.job().line().hooked.fetch_add(1, Relaxed);
    } else if !payload
        .downcast_ref::<String>()
        .is_some_and(|text| text.starts_with("worker "))
    {
        expect_payload(payload);
    }
}

/// `on_reject`: dropped, or run here.
pub(crate) fn rejected(ledger: &Ledger, job: RejectedJob) {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            REJECTING.set(self.0);
        }
    }

    let number = ledger.rejects.fetch_add(1, Relaxed);
    let ways = [
        (job.is_closed(), &ledger.closing),
        (job.is_cancelled(), &ledger.discarding),
        (job.is_rejected(), &ledger.bounded),
    ];
    let mut told = ways.iter().filter(|(is, _)| *is);
    let has_reason = told.next().is_some_and(|(_, reason)| reason.load(Relaxed));
    if !has_reason || told.next().is_some() {
        found(Fault::Wrong, || {
            format!("round {}: {job}, for no reason", ledger.round)
        });
    }
    let _before = Before(REJECTING.replace(true));
    if number.is_multiple_of(4) {
        job.run();
    } else {
        drop(job);
    }
}
