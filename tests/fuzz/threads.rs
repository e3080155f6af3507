//! What there is once per thread, or once per pool; and who one is.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::desk::{Desk, pick};
use super::program::Numbers;
use crate::ledger::tally::{Fault, found};
use crate::ledger::tokens::Tag;
use crate::ledger::{Kind, Ledger};

impl Desk {
    /// A thread that waits in a job for all threads waits for itself.
    pub(super) fn on_each_thread(&mut self, numbers: Numbers) {
        let Some((tag, job)) = self.open_plain(Kind::Held) else {
            return;
        };
        let handles = self.scene.spawner.on_each_thread(move |index| {
            let _held = &tag;
            (index, windlass::current_thread_index())
        });
        let resizing = self.scene.ledger.resizing.load(Relaxed);
        if handles.len() != self.scene.threads && !resizing {
            job.fault(Fault::Lost, "a handle for each thread, but not all");
        }
        if !self.is_outside() || numbers.flag() {
            return drop(handles);
        }
        for (index, handle) in handles.into_iter().enumerate() {
            match handle.join() {
                Ok((same, thread)) if same == index && thread == Some(index) => {}
                Ok(_) => job.fault(Fault::Wrong, "it ran on another thread"),
                Err(error) if error.is_panic() => {
                    job.fault(Fault::Wrong, "a panic nobody meant");
                }
                Err(_) if self.scene.ledger.closing.load(Relaxed) => {}
                Err(error) if error.is_closed() && self.scene.ledger.resizing.load(Relaxed) => {}
                Err(error) => job.fault(Fault::Lost, &format!("on_each_thread: {error}")),
            }
        }
    }

    pub(super) fn thread_state(&mut self, numbers: Numbers) {
        let here = windlass::current_thread_index();
        let told = self.scene.state.with(|state| {
            state.uses.set(state.uses.get() + 1);
            state.thread
        });
        let fits = match told {
            Some(thread) => !self.is_outside() && thread == here,
            None => self.is_outside(),
        };
        if !fits {
            found(Fault::Wrong, || {
                format!("the state of {told:?} on thread {here:?}")
            });
        }
        // One that comes and goes.
        if numbers.flag()
            && let Some((tag, _)) = self.open_plain(Kind::Held)
        {
            let tag = Arc::new(tag);
            let state = self.scene.spawner.thread_state(move || Arc::clone(&tag));
            state.with(|tag| drop(Arc::clone(tag)));
        }
    }

    /// From outside, or from one of those threads.
    pub(super) fn set_num_threads(&mut self, numbers: Numbers) {
        let Some(pool) = self.scene.pool() else {
            return;
        };
        self.scene.ledger.resizing.store(true, Relaxed);
        let threads = usize::from(numbers.0 % 5);
        match pool.set_num_threads(threads) {
            Ok(()) if threads > 0 => {}
            Err(_) if threads == 0 || self.scene.ledger.closing.load(Relaxed) => {}
            result => found(Fault::Wrong, || format!("{threads} threads: {result:?}")),
        }
    }

    pub(super) fn metrics(&mut self, _: Numbers) {
        drop(self.scene.readings.read(&self.scene.spawner));
    }

    pub(super) fn environment(&mut self, numbers: Numbers) {
        const KEYS: [&str; 3] = ["one", "two", "three"];
        let Some(pool) = self.scene.pool() else {
            return;
        };
        let key = KEYS[pick(numbers.0, KEYS.len()).expect("some")];
        match numbers.1 % 3 {
            0 => {
                if let Some((tag, _)) = self.open_plain(Kind::Held) {
                    pool.set_environment_data(key, tag);
                }
            }
            1 => pool.remove_environment_data(key),
            _ => {
                let tag = pool.environment_data::<Tag>(key);
                if tag.is_some_and(|tag| tag.job().line().dropped.load(Relaxed) != 0) {
                    found(Fault::Wrong, || "data that was dropped".to_owned());
                }
                if pool.environment_data::<Ledger>(key).is_some() {
                    found(Fault::Wrong, || "data of another type".to_owned());
                }
            }
        }
    }

    pub(super) fn who_am_i(&mut self, _: Numbers) {
        let is_outside = windlass::current_thread_index().is_none();
        let no_worker = windlass::current_worker().is_none();
        if is_outside != self.is_outside() || !no_worker || windlass::is_main_thread() != is_outside
        {
            found(Fault::Wrong, || "this thread is somebody else".to_owned());
        }
    }
}
