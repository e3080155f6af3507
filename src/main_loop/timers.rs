//! Timers and immediates.
//!
//! Time is what [`Instant`] measures. Each turn that has timers takes the time
//! once, as a value later than that of the turn before, and every timer is set
//! to a time after the last such value. Two things follow, whatever the
//! clock's resolution: a timer set by a callback is not due in the same turn,
//! and one of no duration is due in the next.

use std::time::{Duration, Instant};

use super::id::SourceId;
use super::sources::{Source, Sources};
use super::{MainLoop, Once, Repeated};
use crate::util::{catch, discard};

const SHORTEST: Duration = Duration::from_nanos(1);

/// A timer that is due, taken out of the table.
pub(super) enum Due {
    Timeout(SourceId, Box<Once>),
    Interval(SourceId, Box<Repeated>),
}

impl Sources {
    /// The time for a turn that begins now.
    pub(super) fn tick(&mut self) -> Instant {
        let now = Instant::now();
        let now = self.clock.map_or(now, |last| now.max(last + SHORTEST));
        self.clock = Some(now);
        now
    }

    /// The deadline that lies `after` from now, unless no clock reaches it.
    fn deadline_in(&self, after: Duration) -> Option<Instant> {
        let deadline = Instant::now().checked_add(after)?;
        Some(
            self.clock
                .map_or(deadline, |last| deadline.max(last + SHORTEST)),
        )
    }

    /// Takes out the earliest timer that is due at `now`. An interval is set
    /// to its next deadline before its callback runs, so that a panic cannot
    /// leave it unset.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        loop {
            let &(deadline, id) = self
                .timers
                .first()
                .filter(|&&(deadline, _)| deadline <= now)?;
            if let Some(Source::Timeout { .. }) = self.get_mut(id)
                && let Some(Source::Timeout { callback, .. }) = self.remove(id)
            {
                return Some(Due::Timeout(id, callback));
            }
            self.timers.remove(&(deadline, id));
            let Some(Source::Interval {
                deadline: slot,
                period,
                callback,
            }) = self.get_mut(id)
            else {
                continue;
            };
            let next = next_deadline(deadline, *period, now);
            *slot = next;
            // The callback is not there while it runs: a nested turn passes it by.
            let callback = callback.take();
            if let Some(next) = next {
                self.timers.insert((next, id));
            }
            if let Some(callback) = callback {
                return Some(Due::Interval(id, callback));
            }
        }
    }
}

/// The first of the times `deadline + n * period` that lies after `now`.
fn next_deadline(deadline: Instant, period: Duration, now: Instant) -> Option<Instant> {
    let period = period.max(SHORTEST);
    let late = now.saturating_duration_since(deadline);
    let into_period = late.as_nanos() % period.as_nanos();
    // Less than `late`, so the seconds fit.
    let into_period = Duration::new(
        (into_period / 1_000_000_000) as u64,
        (into_period % 1_000_000_000) as u32,
    );
    now.checked_add(period - into_period)
}

impl MainLoop {
    /// Has `callback` run once, `after` from now or as soon after that as a
    /// turn comes.
    ///
    /// Time is monotonic; the resolution is the platform's. Due timers run in
    /// the order of their deadlines, and of their creation where these are
    /// equal. [`Duration::ZERO`] means the next turn, even if set in a
    /// callback. A time no clock reaches ([`Duration::MAX`]) never comes, but
    /// keeps the loop alive. Never blocks.
    ///
    /// The callback is dropped when it has run, is cleared, or with the loop.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// main.set_timeout(Duration::from_millis(5), |_main, _id| println!("five milliseconds"));
    /// main.run();
    /// ```
    pub fn set_timeout(
        &self,
        after: Duration,
        callback: impl FnOnce(&MainLoop, SourceId) + 'static,
    ) -> SourceId {
        let callback: Box<Once> = Box::new(callback);
        let mut sources = self.sources.borrow_mut();
        let deadline = sources.deadline_in(after);
        let id = sources.insert(Source::Timeout { deadline, callback });
        drop(sources);
        self.timers_changed();
        id
    }

    /// Has `callback` run every `period`, first one `period` from now, until
    /// it is cleared.
    ///
    /// The beat does not drift: each deadline is the one before plus `period`.
    /// Deadlines that have passed when a turn comes are one call, not many,
    /// and the beat goes on in step. A period of [`Duration::ZERO`] fires once
    /// per turn. A callback that panics stays registered. Never blocks.
    ///
    /// The callback is dropped when it is cleared, or with the loop.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// let mut frames = ["-", "/", "|"].iter();
    /// main.set_interval(Duration::from_millis(1), move |main, id| match frames.next() {
    ///     Some(frame) => print!("{frame}"),
    ///     None => main.clear(id),
    /// });
    /// main.run();
    /// ```
    pub fn set_interval(
        &self,
        period: Duration,
        callback: impl FnMut(&MainLoop, SourceId) + 'static,
    ) -> SourceId {
        let callback: Option<Box<Repeated>> = Some(Box::new(callback));
        let mut sources = self.sources.borrow_mut();
        let deadline = sources.deadline_in(period);
        let id = sources.insert(Source::Interval {
            deadline,
            period,
            callback,
        });
        drop(sources);
        self.timers_changed();
        id
    }

    /// Has `callback` run in the next turn, after that turn's timers,
    /// completions and posts.
    ///
    /// Immediates run in the order in which they were set; one set by a
    /// callback runs in the turn after. Never blocks.
    ///
    /// The callback is dropped when it has run, is cleared, or with the loop.
    ///
    /// ```
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// main.set_immediate(|_main, _id| println!("second"));
    /// println!("first");
    /// assert_eq!(main.turn(), 1);
    /// ```
    pub fn set_immediate(&self, callback: impl FnOnce(&MainLoop, SourceId) + 'static) -> SourceId {
        let callback: Box<Once> = Box::new(callback);
        let id = self
            .sources
            .borrow_mut()
            .insert(Source::Immediate { callback });
        // A turn that is running looks for what it leaves when it ends.
        if !self.in_turn() {
            self.shared.notify_here();
        }
        id
    }

    /// Runs and counts the timers that are due at `now`.
    pub(super) fn run_timers(&self, now: Instant, ran: &mut usize) {
        loop {
            let due = self.sources.borrow_mut().pop_due(now);
            match due {
                None => return,
                Some(Due::Timeout(id, callback)) => {
                    *ran += 1;
                    callback(self, id);
                }
                Some(Due::Interval(id, callback)) => {
                    *ran += 1;
                    self.run_interval(id, callback);
                }
            }
        }
    }

    fn run_interval(&self, id: SourceId, mut callback: Box<Repeated>) {
        let outcome = catch(|| callback(self, id));
        let cleared = self.sources.borrow_mut().put_back_interval(id, callback);
        match outcome {
            Ok(()) => drop(cleared),
            Err(payload) => {
                // One panic is on its way already.
                discard(cleared);
                std::panic::resume_unwind(payload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_next_deadline_keeps_the_beat_and_skips_what_was_missed() {
        let start = Instant::now();
        let next = |period, late| next_deadline(start, period, start + late).map(|at| at - start);
        assert_eq!(next(ms(10), ms(0)), Some(ms(10)));
        assert_eq!(next(ms(10), ms(9)), Some(ms(10)));
        assert_eq!(next(ms(10), ms(10)), Some(ms(20)));
        assert_eq!(next(ms(10), ms(35)), Some(ms(40)));
        assert_eq!(next(Duration::ZERO, ms(3)), Some(ms(3) + SHORTEST));
        assert_eq!(next(Duration::MAX, ms(3)), None);
    }

    #[test]
    fn the_loops_clock_never_stands_still() {
        let mut sources = Sources::default();
        let mut last = sources.tick();
        for _ in 0..1000 {
            assert!(sources.deadline_in(Duration::ZERO).unwrap() > last);
            let now = sources.tick();
            assert!(now > last);
            last = now;
        }
    }
}
