//! Waits inside jobs for what other jobs of the same pool do.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use windlass::{SharedArray, channel};

use crate::ledger::Kind;
use crate::ledger::tally::{Fault, found};
use crate::scene::Scene;

/// Told even if the job does not run.
struct Tells(Arc<SharedArray<i32>>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.store(0, 1);
        self.0.notify(0, usize::MAX);
    }
}

pub(crate) fn for_message(scene: &Arc<Scene>) {
    let Some((tag, job)) = scene.ledger.open(Kind::Executed, 0) else {
        return;
    };
    let (here, there) = channel::<(), ()>();
    scene.near().execute(move || {
        let _begun = tag.begin();
        let _ = there.post(());
    });
    let must_come = !job.may_be_rejected();
    if here.recv().is_err() && must_come && !scene.ledger.closing.load(Relaxed) {
        job.fault(Fault::Lost, "a message that a job posts");
    }
}

pub(crate) fn for_number(scene: &Arc<Scene>) {
    let Some((tag, _)) = scene.ledger.open(Kind::Executed, 0) else {
        return;
    };
    let array = Arc::new(SharedArray::new(1));
    let tells = Tells(Arc::clone(&array));
    scene.near().execute(move || {
        let _begun = tag.begin();
        drop(tells);
    });
    let _ = array.wait(0, 0);
    if array.load(0) != 1 {
        found(Fault::Wrong, || "woken before it was told".to_owned());
    }
}
