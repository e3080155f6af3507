//! Waits inside jobs for what other jobs of the pool do.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use windlass::{SharedArray, blocking, channel};

use super::desk::{Desk, moment};
use super::program::Numbers;
use crate::ledger::Kind;
use crate::ledger::tally::{Fault, found};

/// Told even if the job does not run.
struct Tells(Arc<SharedArray<i32>>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.store(0, 1);
        self.0.notify(0, usize::MAX);
    }
}

impl Desk {
    /// For something that the pool cannot see, one in the other.
    pub(super) fn blocking(&mut self, numbers: Numbers) {
        let wait = || std::thread::sleep(moment(numbers.1));
        if numbers.flag() {
            blocking(|| blocking(wait));
        } else {
            blocking(wait);
        }
    }

    pub(super) fn wait_for_message(&mut self, numbers: Numbers) {
        if !self.may_wait() {
            return;
        }
        let Some((tag, job)) = self.open_plain(Kind::Executed) else {
            return;
        };
        let (here, there) = channel::<(), ()>();
        self.scene.near().execute(move || {
            let _begun = tag.begin();
            let _ = there.post(());
        });
        let heard = if numbers.flag() {
            here.recv()
        } else {
            here.recv_timeout(std::time::Duration::MAX)
        };
        let must_come = !job.may_be_rejected() && !self.scene.ledger.closing.load(Relaxed);
        if heard.is_err() && must_come {
            job.fault(Fault::Lost, "a message that a job posts");
        }
    }

    pub(super) fn wait_for_number(&mut self, _: Numbers) {
        if !self.may_wait() {
            return;
        }
        let Some((tag, _)) = self.open_plain(Kind::Executed) else {
            return;
        };
        let array = Arc::new(SharedArray::new(1));
        let tells = Tells(Arc::clone(&array));
        self.scene.near().execute(move || {
            let _begun = tag.begin();
            drop(tells);
        });
        let _ = array.wait(0, 0);
        if array.load(0) != 1 {
            found(Fault::Wrong, || "woken before it was told".to_owned());
        }
    }
}
