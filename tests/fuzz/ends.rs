//! The pool's end.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::desk::{Desk, moment, poll_once};
use super::program::Numbers;
use crate::ledger::Kind;
use crate::ledger::tally::{Fault, found};

/// The pool ends amid the calls in so many of 256 cases, so that most programs
/// keep theirs for a while.
const CHANCE: u8 = 100;

/// So many threads there may be of a pool that has had its number changed.
const MOST_THREADS: usize = 8;

/// So many threads there may be in place of others that wait.
const SUBSTITUTES: usize = 256;

impl Desk {
    fn wants_an_end(numbers: Numbers) -> bool {
        numbers.0 > 255 - CHANCE
    }

    /// A job that waits for its own pool waits for ever: it looks.
    pub(super) fn shutdown(&mut self, numbers: Numbers) {
        if let Some(pool) = self.scene.pool()
            && Self::wants_an_end(numbers)
        {
            self.scene.closes();
            let mut end = pool.shutdown();
            if self.is_outside() && numbers.flag() {
                pollster::block_on(end);
            } else {
                let _ = poll_once(&mut end);
            }
            is_closed(pool.is_closed());
        }
    }

    pub(super) fn shutdown_timeout(&mut self, numbers: Numbers) {
        if let Some(pool) = self.scene.pool()
            && Self::wants_an_end(numbers)
        {
            self.scene.closes();
            if let Err(error) = pool.shutdown_timeout(moment(numbers.1))
                && error.threads().len() > MOST_THREADS + SUBSTITUTES
            {
                found(Fault::Wrong, || error.to_string());
            }
            is_closed(pool.is_closed());
        }
    }

    pub(super) fn shutdown_now(&mut self, numbers: Numbers) {
        if let Some(pool) = self.scene.pool()
            && Self::wants_an_end(numbers)
        {
            self.scene.discards();
            pool.shutdown_now();
            is_closed(pool.is_closed());
        }
    }

    /// The owner, or the last who has it, waits for the end.
    pub(super) fn drop_pool(&mut self, numbers: Numbers) {
        if Self::wants_an_end(numbers) {
            self.scene.closes();
            drop(self.scene.take_pool());
        }
    }

    pub(super) fn drop_pool_in_job(&mut self, numbers: Numbers) {
        if Self::wants_an_end(numbers)
            && let Some(pool) = self.scene.take_pool()
        {
            self.scene.closes();
            if let Some((tag, _)) = self.open_plain(Kind::Executed) {
                let near = self.scene.near();
                let ends = move || {
                    let _begun = tag.begin();
                    drop(pool);
                };
                near.execute(ends);
            }
        }
    }

    pub(super) fn counts(&mut self, _: Numbers) {
        let threads = self.scene.spawner.num_threads();
        if let Some(pool) = self.scene.pool() {
            let fits = pool.num_threads() == threads
                && threads == self.scene.threads
                && pool.queue_capacity() == self.scene.capacity
                && pool.threads_aboard() >= 1
                && pool.shortfall().is_none();
            if !fits && !self.scene.ledger.resizing.load(Relaxed) {
                found(Fault::Wrong, || format!("{pool:?}, {threads} threads"));
            }
            let _ = (pool.panic_count(), pool.rejected_count());
            windlass::request_short_slice();
        }
    }

    /// The end of the program, in one of the ways there are; all is over then.
    pub(super) fn end(self, way: u8) {
        let Some(pool) = self.scene.take_pool() else {
            return;
        };
        self.scene.closes();
        match way % 5 {
            0 => {}
            1 => pollster::block_on(pool.shutdown()),
            2 => {
                if let Err(error) = pool.shutdown_timeout(Duration::MAX) {
                    found(Fault::Lost, || format!("after for ever: {error}"));
                }
            }
            3 => {
                self.scene.discards();
                pool.shutdown_now();
            }
            _ => drop(pool.shutdown()),
        }
        drop(pool);
    }
}

fn is_closed(is_closed: bool) {
    if !is_closed {
        found(Fault::Wrong, || "it was closed, and is open".to_owned());
    }
}
