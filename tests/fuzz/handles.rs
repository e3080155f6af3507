//! What becomes of handles.

use std::thread;

use windlass::JoinHandle;

use super::desk::{Desk, moment, pick, poll_once};
use super::program::Numbers;
use crate::ledger::tokens::{Product, quiet};
use crate::ledger::{Job, fact};

impl Desk {
    fn take_handle(&mut self, number: u8) -> Option<(JoinHandle<Product>, Job)> {
        let at = pick(number, self.handles.len())?;
        Some(self.handles.swap_remove(at))
    }

    pub(super) fn join(&mut self, numbers: Numbers) {
        if let Some((handle, job)) = self.take_handle(numbers.0) {
            job.judge(handle.join());
        }
    }

    pub(super) fn join_timeout(&mut self, numbers: Numbers) {
        if let Some((handle, job)) = self.take_handle(numbers.0) {
            match handle.join_timeout(moment(numbers.1)) {
                Ok(result) => job.judge(result),
                Err(handle) => self.handles.push((handle, job)),
            }
        }
    }

    pub(super) fn try_join(&mut self, numbers: Numbers) {
        if let Some((mut handle, job)) = self.take_handle(numbers.0) {
            match handle.try_join() {
                Some(result) => job.judge(result),
                None => self.handles.push((handle, job)),
            }
        }
    }

    /// As an executor does, once.
    pub(super) fn poll(&mut self, numbers: Numbers) {
        if let Some((mut handle, job)) = self.take_handle(numbers.0) {
            match poll_once(&mut handle) {
                Some(result) => job.judge(result),
                None => self.handles.push((handle, job)),
            }
        }
    }

    /// In a job an executor's wait takes the thread away from the pool.
    pub(super) fn block_on(&mut self, numbers: Numbers) {
        if !self.is_outside() {
            return self.poll(numbers);
        }
        if let Some((handle, job)) = self.take_handle(numbers.0) {
            job.judge(pollster::block_on(handle));
        }
    }

    /// What has ended has its result there.
    pub(super) fn is_finished(&mut self, numbers: Numbers) {
        let Some((mut handle, job)) = self.take_handle(numbers.0) else {
            return;
        };
        if !handle.is_finished() || !handle.cancel_handle().is_finished() {
            return self.handles.push((handle, job));
        }
        match handle.try_join() {
            Some(result) => job.judge(result),
            None => {
                let fault = crate::ledger::tally::Fault::Lost;
                job.fault(fault, "it has finished, and there is no result");
            }
        }
    }

    pub(super) fn cancel(&mut self, numbers: Numbers) {
        if let Some((handle, job)) = self.take_handle(numbers.0) {
            job.add(fact::MAY_CANCEL);
            let cancelled = handle.cancel();
            job.enter_cancel(cancelled);
            if handle.cancel() != cancelled {
                let fault = crate::ledger::tally::Fault::Wrong;
                job.fault(fault, "a second cancel said something else");
            }
            self.handles.push((handle, job));
        }
    }

    /// On another thread, while this one waits.
    pub(super) fn cancel_from_afar(&mut self, numbers: Numbers) {
        if let Some((handle, job)) = self.take_handle(numbers.0) {
            job.add(fact::MAY_CANCEL);
            let cancel = handle.cancel_handle();
            thread::scope(|scope| {
                let afar = scope.spawn(|| job.enter_cancel(cancel.cancel()));
                job.judge(handle.join());
                // A sanitizer sees what this orders, and not what the scope's end does.
                afar.join().unwrap();
            });
        }
    }

    pub(super) fn cancel_on_drop(&mut self, numbers: Numbers) {
        if let Some((handle, job)) = self.take_handle(numbers.0) {
            job.add(fact::MAY_CANCEL);
            let handle = handle.cancel_on_drop();
            if numbers.flag() {
                self.handles.push((handle, job));
            } else {
                quiet(|| drop(handle));
            }
        }
    }

    pub(super) fn drop_handle(&mut self, numbers: Numbers) {
        if let Some((handle, _)) = self.take_handle(numbers.0) {
            quiet(|| drop(handle));
        }
    }

    /// Gives it to the main loop.
    pub(super) fn on_complete(&mut self, numbers: Numbers) {
        if let Some((handle, job)) = self.take_handle(numbers.0) {
            self.main
                .on_complete(handle, move |_, result| job.judge(result));
        }
    }
}
