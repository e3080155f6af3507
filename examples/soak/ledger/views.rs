//! A pool's views, and who is in them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use windlass::{Latest, Limit, Pool};

use super::Job;
use super::place::Order;
use super::tally::Fault;

/// The most threads outside the pool that hand jobs over.
pub(crate) const HANDS: usize = 3;

/// The view of one place.
pub(crate) const SERIAL: usize = 0;
/// A view whose jobs wait for others of it, so that it may have one too many.
pub(crate) const ROOMY: usize = 2;
/// The view that keeps the newest.
pub(crate) const LATEST: usize = 3;

pub(crate) struct View {
    pub(crate) way: Way,
    /// How many may be inside, where that is exact.
    bound: Option<usize>,
    inside: AtomicUsize,
    /// The last job of each hand that began, where they begin in order.
    last: [AtomicU64; HANDS],
    /// The last job of each hand that was handed over.
    next: [AtomicU64; HANDS],
}

pub(crate) enum Way {
    Limit(Limit),
    Latest(Latest),
}

/// One of each kind, by their places above.
pub(crate) fn views(pool: &Pool) -> [View; 4] {
    let view = |way, bound| View {
        way,
        bound,
        inside: AtomicUsize::new(0),
        last: Default::default(),
        next: Default::default(),
    };
    [
        view(Way::Limit(pool.serial()), Some(1)),
        view(Way::Limit(pool.limit(2)), Some(2)),
        view(Way::Limit(pool.limit(3)), None),
        view(Way::Latest(pool.latest()), Some(1)),
    ]
}

impl View {
    /// The place of the next job that is handed over here: `at` is the view's
    /// own among the others, `hand` who hands it over, if that is from outside.
    pub(crate) fn order(&self, at: usize, hand: Option<usize>) -> Order {
        let number = hand.map(|hand| (hand, self.next[hand].fetch_add(1, Relaxed) + 1));
        Order { at, number }
    }

    /// A job of the view begins.
    pub(crate) fn enter(&self, order: &Order, job: &Job) -> Inside<'_> {
        let Order { at, number } = *order;
        let inside = self.inside.fetch_add(1, Relaxed) + 1;
        if self.bound.is_some_and(|bound| inside > bound) {
            job.fault(Fault::Wrong, &format!("{inside} run at once in view {at}"));
        }
        // One after another, so that nobody comes in between.
        if self.bound == Some(1)
            && let Some((hand, number)) = number
            && self.last[hand].swap(number, Relaxed) >= number
        {
            let text = format!("began in view {at} before one that was handed over earlier");
            job.fault(Fault::Wrong, &text);
        }
        let inside = Inside(Some(&self.inside));
        if self.bound.is_some_and(|bound| bound > 1) {
            // A job that waits gives its place back, and takes it again without
            // asking: what is exact is how many are at their beginning at once.
            std::thread::yield_now();
            drop(inside);
            return Inside(None);
        }
        inside
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
