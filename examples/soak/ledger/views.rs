//! A pool's views, and who is in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use windlass::{JoinHandle, Keyed, Latest, Limit, Pool, Priority};

use super::place::Order;
use super::tally::Fault;
use super::{Job, counts, fact};

/// The most threads outside the pool that hand jobs over.
pub(crate) const HANDS: usize = 3;

/// How many views there are.
pub(crate) const VIEWS: usize = 8;

/// A view whose jobs wait for others of it, so that it may have one too many.
pub(crate) const ROOMY: usize = 2;
/// The view that keeps the newest.
pub(crate) const LATEST: usize = 3;
/// A part of the pool whose jobs come last.
const LOW: usize = 6;

pub(crate) struct View {
    at: usize,
    pub(crate) way: Way,
    /// How many may be inside, where that is exact.
    bound: Option<usize>,
    inside: AtomicUsize,
    /// How many are at their beginning in the view that this is a part of.
    around: Option<Arc<Beginning>>,
    /// The last job of each hand that began, where they begin in order.
    last: [AtomicU64; HANDS],
    /// The last job of each hand that was handed over.
    next: [AtomicU64; HANDS],
    handed: AtomicU64,
    began: AtomicU64,
}

/// How many jobs are at their beginning, in a view and its parts.
struct Beginning {
    bound: usize,
    inside: AtomicUsize,
}

pub(crate) enum Way {
    Limit(Limit),
    Latest(Latest),
    /// One key of several.
    Key(Keyed<u8>, u8),
}

/// One of each kind, by their places above.
pub(crate) fn views(pool: &Pool) -> [View; VIEWS] {
    let beginning = |bound| {
        let inside = AtomicUsize::new(0);
        Some(Arc::new(Beginning { bound, inside }))
    };
    let view = |at, way, bound, around| View {
        at,
        way,
        bound,
        inside: AtomicUsize::new(0),
        around,
        last: Default::default(),
        next: Default::default(),
        handed: AtomicU64::new(0),
        began: AtomicU64::new(0),
    };
    let keyed = pool.keyed();
    let (low, in_low) = (pool.view().priority(Priority::Low).limit(2), beginning(2));
    let part = low.view().serial();
    [
        view(0, Way::Limit(pool.serial()), Some(1), None),
        view(1, Way::Limit(pool.limit(2)), None, beginning(2)),
        view(2, Way::Limit(pool.limit(3)), None, None),
        view(LATEST, Way::Latest(pool.latest()), Some(1), None),
        view(4, Way::Key(keyed.clone(), 1), Some(1), None),
        view(5, Way::Key(keyed, 2), Some(1), None),
        view(LOW, Way::Limit(low), None, in_low.clone()),
        view(7, Way::Limit(part), Some(1), in_low),
    ]
}

/// Whether its jobs run one after another, so that one that waits for another one
/// is told that this cannot be.
pub(crate) fn is_serial(at: usize) -> bool {
    !matches!(at, 1 | ROOMY | LOW)
}

/// Whether its bound is exact, and kept so.
pub(super) fn is_exact(at: usize) -> bool {
    matches!(at, 1 | LOW)
}

/// All of them are at rest, and say so themselves.
pub(crate) fn check(views: &[View]) {
    let of = |at: usize, count: fn(&View) -> &AtomicU64| count(&views[at]).load(Relaxed);
    for (at, view) in views.iter().enumerate() {
        let (mut ran, handed) = (of(at, |view| &view.began), of(at, |view| &view.handed));
        // Turns of its part are its jobs; a turn may come too late to be one.
        let handed = (at != LOW).then_some(handed);
        if at == LOW {
            ran += of(LOW + 1, |view| &view.began);
        }
        if let Way::Limit(limit) = &view.way {
            counts::check_view(at, limit, ran, handed);
        }
    }
}

impl View {
    /// Hands over a job with a handle.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        job: &Job,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.way {
            Way::Limit(limit) => limit.spawn(run),
            Way::Key(keyed, key) => keyed.spawn(key, run),
            Way::Latest(latest) => {
                job.add(fact::MAY_CANCEL);
                latest.spawn(run)
            }
        }
    }

    /// Hands over a job without one; in the view that keeps the newest there are none.
    pub(crate) fn execute(&self, run: impl FnOnce() + Send + 'static) {
        match &self.way {
            Way::Limit(limit) => limit.execute(run),
            Way::Key(keyed, key) => keyed.execute(key, run),
            Way::Latest(_) => unreachable!("it has handles only"),
        }
    }

    /// Whether nothing waits or runs in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.way {
            Way::Limit(limit) => limit.is_empty(),
            Way::Key(keyed, _) => keyed.is_empty(),
            Way::Latest(_) => true,
        }
    }

    /// The place of the next job that is handed over here: `hand` is who hands it
    /// over, if that is from outside.
    pub(crate) fn order(&self, job: &Job, hand: Option<usize>) -> Order {
        job.add(fact::IN_VIEW);
        job.line().view.store(self.at as u32 + 1, Relaxed);
        self.handed.fetch_add(1, Relaxed);
        let number = hand.map(|hand| (hand, self.next[hand].fetch_add(1, Relaxed) + 1));
        Order {
            at: self.at,
            number,
        }
    }

    /// A job of the view begins.
    pub(crate) fn enter(&self, order: &Order, job: &Job) -> Inside<'_> {
        let Order { at, number } = *order;
        self.began.fetch_add(1, Relaxed);
        if let Some(around) = &self.around {
            // A job that waits gives its place back, and takes it again without
            // asking: what is exact is how many are at their beginning at once.
            let inside = around.inside.fetch_add(1, Relaxed) + 1;
            if inside > around.bound {
                job.fault(
                    Fault::Wrong,
                    &format!("{inside} begin at once in view {at}"),
                );
            }
            std::thread::yield_now();
            around.inside.fetch_sub(1, Relaxed);
        }
        if self.bound.is_none() {
            return Inside(None);
        }
        let inside = self.inside.fetch_add(1, Relaxed) + 1;
        if self.bound.is_some_and(|bound| inside > bound) {
            job.fault(Fault::Wrong, &format!("{inside} run at once in view {at}"));
        }
        // One after another, so that nobody comes in between.
        if let Some((hand, number)) = number
            && self.last[hand].swap(number, Relaxed) >= number
        {
            let text = format!("began in view {at} before one that was handed over earlier");
            job.fault(Fault::Wrong, &text);
        }
        Inside(Some(&self.inside))
    }
}

/// See [`View::enter`].
pub(crate) struct Inside<'a>(Option<&'a AtomicUsize>);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let Some(inside) = self.0 {
            inside.fetch_sub(1, Relaxed);
        }
    }
}
