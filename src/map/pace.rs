//! [`Pace`]: how far ahead a map goes while its items are short.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::JoinError;
use crate::handle::JoinHandle;
use crate::job_set::JobSet;

/// The default look-ahead, for each thread of the pool.
const AHEAD: usize = 2;

/// The same while items are short, at most.
const AHEAD_MAX: usize = 64;

/// A wait of that long is worth its wake-up; one of twice that is too long.
const WORTH: Duration = Duration::from_micros(100);

/// The longest that a result is kept back, should items turn out to be longer than
/// those before them.
///
/// So long because of what a timer costs. One that is due before the next tick of the
/// clock (4 ms apart on most Linux systems) is set in hardware and taken back again,
/// which takes a virtual machine 10 us for each wait; a later one is a note in a list.
const LIMIT: Duration = Duration::from_millis(2);

/// What a map has learnt from its waits: for how many results beyond the oldest it is
/// to wait. The module's prose says why.
#[derive(Default)]
pub(super) struct Pace {
    stride: usize,
}

impl Pace {
    /// The default look-ahead in a pool of that many threads: of what is on the way
    /// when a wait begins, at least as much again is left when it ends.
    pub(super) fn look_ahead(&self, threads: usize) -> usize {
        let grown = self.stride.saturating_mul(2);
        grown.clamp(AHEAD * threads, AHEAD_MAX * threads)
    }

    /// Waits for one of the jobs: the oldest, or while items are short for a younger
    /// one. Who wants the oldest has to wait for that too.
    pub(super) fn wait<T>(&mut self, handles: &mut VecDeque<JoinHandle<T>>) {
        // The last quarter keeps the pool busy until this thread is awake.
        let at = self.stride.min(handles.len() / 4 * 3);
        let Some(handle) = handles.get_mut(at) else {
            return;
        };
        let begin = Instant::now();
        let deadline = (at > 0).then(|| begin + LIMIT);
        let has_ended = handle.wait_until_ended(deadline);
        self.learn(at, has_ended.then(|| begin.elapsed()));
    }

    /// Waits for whichever of the jobs ends next. Where the order does not matter, more of
    /// them on the way is all it takes for several to end until this thread is awake.
    pub(super) fn wait_any<T: Send + 'static>(
        &mut self,
        set: &mut JobSet<T>,
    ) -> Option<Result<T, JoinError>> {
        let at = self.stride.min(set.len() / 4 * 3);
        let begin = Instant::now();
        let result = set.join_next();
        self.learn(at, Some(begin.elapsed()));
        result
    }

    /// A wait for that job took so long, or was given up.
    fn learn(&mut self, at: usize, took: Option<Duration>) {
        self.stride = match took {
            None => 0,
            Some(took) if took > 2 * WORTH => at / 2,
            // If the look-ahead was what kept it from going further, no more of it helps.
            Some(took) if took < WORTH && at == self.stride => (2 * at).max(1),
            Some(_) => self.stride,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(waits: impl IntoIterator<Item = (usize, Option<Duration>)>) -> Pace {
        let mut pace = Pace::default();
        for (at, took) in waits {
            pace.learn(at, took);
        }
        pace
    }

    #[test]
    fn short_waits_make_it_go_further_until_they_are_worth_it() {
        let short = Some(WORTH / 2);
        assert_eq!(after([(0, short)]).stride, 1);
        assert_eq!(after([(0, short), (1, short), (2, short)]).stride, 4);
        assert_eq!(after([(0, short), (1, short), (2, Some(WORTH))]).stride, 2);
        // The look-ahead has no more.
        assert_eq!(after([(0, short), (1, short), (1, short)]).stride, 2);
    }

    #[test]
    fn long_waits_bring_it_back() {
        let far = || after((0..6).map(|n| (1 << n >> 1, Some(WORTH / 2))));
        assert_eq!(far().stride, 32);
        let mut pace = far();
        pace.learn(32, Some(3 * WORTH));
        assert_eq!(pace.stride, 16);
        let mut pace = far();
        pace.learn(32, None);
        assert_eq!(pace.stride, 0);
        pace.learn(0, Some(Duration::from_secs(1)));
        assert_eq!(pace.stride, 0);
    }

    #[test]
    fn the_default_look_ahead_has_both_ends() {
        let ahead = |stride, threads| Pace { stride }.look_ahead(threads);
        assert_eq!([ahead(0, 1), ahead(0, 8), ahead(4, 8)], [2, 16, 16]);
        assert_eq!([ahead(4, 2), ahead(32, 2), ahead(64, 2)], [8, 64, 128]);
        assert_eq!([ahead(1000, 2), ahead(usize::MAX, 1)], [128, 64]);
    }
}
