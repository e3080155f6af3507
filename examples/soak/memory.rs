//! A buffer whose parts are written by jobs.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use windlass::SharedBuffer;

use crate::ledger::tally::{Fault, did, found};
use crate::ledger::tokens::{Product, blow};
use crate::ledger::{Kind, fact};
use crate::random::Random;
use crate::scene::Scene;
use crate::watch::Post;

/// Splits a buffer, has jobs fill the parts, and looks at the whole.
pub(crate) fn split(scene: &Arc<Scene>, random: &mut Random, post: &Post) {
    let len = random.index(300);
    let vec = vec![0_u32; len];
    let address = vec.as_ptr();
    let split = match random.below(2) {
        0 => SharedBuffer::from(vec).split(1 + random.index(8)),
        _ => {
            let cut = random.index(len + 1);
            SharedBuffer::from(vec).split_ranges(&[cut..len, 0..cut / 2])
        }
    };
    let Ok((parts, whole)) = split else {
        return found(Fault::Wrong, || "a split that must be possible".to_owned());
    };
    did("buffers split", 1);
    let (mut ranges, mut handles) = (Vec::new(), Vec::new());
    for mut part in parts {
        let facts = if random.percent(10) { fact::PANICS } else { 0 };
        let Some((tag, job)) = scene.ledger.open(Kind::Spawned, facts | fact::MAY_CANCEL) else {
            break;
        };
        ranges.push((part.range(), job.clone()));
        let handle = scene.spawner.spawn(move || {
            let _begun = tag.begin();
            part.fill(tag.job().id as u32 + 1);
            if tag.job().line().has(fact::PANICS) {
                blow(tag.job());
            }
            Product::new(tag.job())
        });
        if random.percent(10) {
            job.enter_cancel(handle.cancel());
        }
        if random.percent(60) {
            handles.push((handle, job));
        }
    }
    post.at(
        "waits for the whole of a buffer",
        ranges.first().map_or(0, |(_, job)| job.id),
    );
    let whole = match random.below(4) {
        0 => Some(whole.wait()),
        1 => Some(pollster::block_on(whole)),
        2 => match whole.wait_timeout(random.micros(100)) {
            Ok(whole) => Some(whole),
            Err(whole) => Some(whole.wait()),
        },
        _ => {
            // The last part drops the elements.
            drop(whole);
            None
        }
    };
    if let Some(vec) = whole.map(SharedBuffer::into_vec) {
        if vec.len() != len || vec.as_ptr() != address {
            found(Fault::Wrong, || "the whole is another vector".to_owned());
        }
        for (range, job) in &ranges {
            let ran = job.line().ran.load(Relaxed) == 1;
            let expected = if ran { job.id as u32 + 1 } else { 0 };
            if vec[range.clone()]
                .iter()
                .any(|&element| element != expected)
            {
                job.fault(
                    Fault::Lost,
                    "what it wrote is not there, or something else is",
                );
            }
        }
    }
    for (handle, job) in handles {
        post.at("joins a job with a part of a buffer", job.id);
        job.judge(handle.join());
    }
}
