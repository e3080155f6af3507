//! The main loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use windlass::SourceId;

use super::desk::{Desk, moment, pick};
use super::program::Numbers;
use crate::ledger::Kind;
use crate::ledger::tally::{Fault, found};
use crate::ledger::tokens::quiet;

impl Desk {
    fn source(&self, number: u8) -> Option<SourceId> {
        Some(self.sources[pick(number, self.sources.len())?])
    }

    pub(super) fn set_timeout(&mut self, numbers: Numbers) {
        if let Some((tag, _)) = self.open_plain(Kind::Held) {
            let callback = move |_: &_, _| drop(tag.begin());
            let id = self.main.set_timeout(moment(numbers.0), callback);
            self.sources.push(id);
        }
    }

    /// A few times, or until it is cleared.
    pub(super) fn set_interval(&mut self, numbers: Numbers) {
        if let Some((tag, _)) = self.open_plain(Kind::Held) {
            let mut left = numbers.1;
            let id = self.main.set_interval(moment(numbers.0), move |main, id| {
                let _held = &tag;
                left = left.saturating_sub(1);
                if left == 0 {
                    main.clear(id);
                }
            });
            self.sources.push(id);
        }
    }

    /// One that asks for another one, while there is any left to ask for.
    pub(super) fn set_immediate(&mut self, numbers: Numbers) {
        if let Some((tag, _)) = self.open_plain(Kind::Held) {
            let again = numbers.flag();
            let id = self.main.set_immediate(move |main, _| {
                let begun = tag.begin();
                if again {
                    main.set_immediate(move |_, _| drop((begun, tag)));
                }
            });
            self.sources.push(id);
        }
    }

    pub(super) fn clear(&mut self, numbers: Numbers) {
        if let Some(id) = self.source(numbers.0) {
            self.main.clear(id);
            if self.main.has_ref(id) {
                found(Fault::Wrong, || "cleared, and it counts".to_owned());
            }
        }
    }

    pub(super) fn unref(&mut self, numbers: Numbers) {
        if let Some(id) = self.source(numbers.0) {
            if numbers.flag() {
                self.main.unref(id);
            } else {
                self.main.re_ref(id);
            }
        }
    }

    pub(super) fn remote_post(&mut self, _: Numbers) {
        if let Some((tag, _)) = self.open_plain(Kind::Letter) {
            let posted = self.main.remote().post(move |_| drop(tag.begin()));
            if posted.is_err() {
                found(Fault::Wrong, || "an open loop refuses".to_owned());
            }
        }
    }

    pub(super) fn remote_post_from_job(&mut self, _: Numbers) {
        // The job last: what is opened as one has to be handed over.
        let letters = self.open_plain(Kind::Letter);
        let Some(((letter, _), (tag, _))) = letters.zip(self.open_plain(Kind::Executed)) else {
            return;
        };
        let remote = self.main.remote();
        let guard = remote.keep_alive();
        self.scene.near().execute(move || {
            let _begun = tag.begin();
            let _guard = guard;
            // Only a loop that is gone refuses.
            let posted = remote.post(move |_| drop(letter.begin()));
            if posted.is_err() && !remote.is_closed() {
                found(Fault::Wrong, || "an open loop refuses".to_owned());
            }
        });
    }

    pub(super) fn set_waker(&mut self, numbers: Numbers) {
        if numbers.flag() {
            let (held, calls) = (Arc::clone(&self.scene.ledger), AtomicUsize::new(0));
            self.main.set_waker(move || {
                let _held = &held;
                calls.fetch_add(1, Relaxed);
            });
        } else {
            self.main.clear_waker();
        }
    }

    pub(super) fn pollable(&mut self, _: Numbers) {
        #[cfg(unix)]
        match self.main.pollable() {
            Ok(pollable) => drop(pollable),
            Err(error) => found(Fault::Wrong, || format!("no descriptor: {error}")),
        }
    }

    pub(super) fn turn(&mut self, _: Numbers) {
        self.main.turn();
    }

    pub(super) fn turn_for(&mut self, numbers: Numbers) {
        self.main.turn_for(moment(numbers.0));
        let late = self.main.next_deadline();
        let _ = late.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    }

    pub(super) fn clear_sources(&mut self) {
        for id in self.sources.drain(..) {
            self.main.clear(id);
        }
    }

    /// To its end; in a job that would take the thread away from the pool.
    pub(super) fn run_loop(&mut self, numbers: Numbers) {
        if self.is_outside() {
            self.clear_sources();
            self.main.run();
        } else {
            self.turn(numbers);
        }
    }

    pub(super) fn drop_loop(&mut self, _: Numbers) {
        self.sources.clear();
        let main = std::mem::take(&mut self.main);
        quiet(|| drop(main));
    }
}
