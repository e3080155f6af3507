//! What a pool counts itself, held against the ledger.

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use windlass::{Limit, Metrics, Spawner};

use super::tally::{Fault, found};
use super::{Kind, Ledger, fact};

/// The last that a pool said of itself.
#[derive(Default)]
pub(crate) struct Readings(Mutex<Option<Metrics>>);

impl Readings {
    /// Reads once more: nothing that counts may have become less.
    pub(crate) fn read(&self, spawner: &Spawner) -> Metrics {
        // Under the lock, so that the readings come one after another.
        let mut last = self.0.lock().unwrap();
        let now = spawner.metrics();
        if let Some(last) = last.replace(now.clone()) {
            for ((name, now), (_, before)) in counters(&now).into_iter().zip(counters(&last)) {
                if now < before {
                    found(Fault::Lost, || {
                        format!("{now} {name}, and there were {before}")
                    });
                }
            }
            let threads = last.threads.iter().zip(&now.threads);
            if threads.clone().count() != last.threads.len() {
                found(Fault::Lost, || "the count of a thread".to_owned());
            }
            for (before, now) in threads {
                if now.finished < before.finished {
                    found(Fault::Lost, || format!("{now:?}, and it was {before:?}"));
                }
            }
        }
        now
    }
}

fn counters(metrics: &Metrics) -> [(&'static str, u64); 12] {
    [
        ("finished", metrics.finished),
        ("panicked", metrics.panicked),
        ("cancelled", metrics.cancelled),
        ("expired", metrics.expired),
        ("timed out", metrics.timed_out),
        ("rejected", metrics.rejected),
        ("steals", metrics.steals),
        ("parks", metrics.parks),
        ("substitutes", metrics.substitutes),
        ("stalls", metrics.stalls),
        ("waits timed", metrics.wait_time.count()),
        ("runs timed", metrics.run_time.count()),
    ]
}

/// Whether nothing waits or runs.
pub(crate) fn is_at_rest(metrics: &Metrics) -> bool {
    metrics.queued == 0 && metrics.running == 0
}

/// The pool has ended: what it counted goes with what the ledger knows.
pub(crate) fn check(metrics: &Metrics, ledger: &Ledger) {
    let count = |is: fn(&super::Line) -> bool| {
        let lines = ledger.lines().filter(|(_, line)| is(line));
        lines.count() as u64
    };
    // Views have turns, which threads that wait take over.
    let ran = count(|line| is_job(line) && line.ran.load(Relaxed) > 0 && !is_hooks(line));
    if metrics.finished < ran {
        found(Fault::Lost, || {
            format!(
                "{} have finished, and {ran} ran: {metrics:?}",
                metrics.finished
            )
        });
    }
    let turned_away = count(|line| line.outcome.load(Relaxed) == super::REJECTED);
    let thrown_out = metrics.rejected + metrics.cancelled;
    if thrown_out < turned_away + ledger.rejects.load(Relaxed) as u64 {
        let rejects = ledger.rejects.load(Relaxed);
        found(Fault::Lost, || {
            format!("{turned_away} handles and {rejects} jobs rejected: {metrics:?}")
        });
    }
    let timed_out = count(|line| line.outcome.load(Relaxed) == super::TIMED_OUT);
    if metrics.timed_out < timed_out {
        found(Fault::Lost, || {
            format!("{timed_out} handles timed out: {metrics:?}")
        });
    }
    let panicked = count(|line| {
        is_job(line) && line.has(fact::PANICS) && line.ran.load(Relaxed) > 0 && !is_hooks(line)
    });
    if metrics.panicked < panicked {
        found(Fault::Lost, || format!("{panicked} panicked: {metrics:?}"));
    }
    let each = metrics.threads.iter().map(|thread| thread.finished);
    if each.sum::<u64>() != metrics.finished {
        found(Fault::Wrong, || {
            format!("the sum of all threads: {metrics:?}")
        });
    }
    if metrics.wait_time.count() != metrics.run_time.count() {
        found(Fault::Wrong, || format!("jobs timed in part: {metrics:?}"));
    }
}

/// Run by `on_reject`, and not by the pool.
fn is_hooks(line: &super::Line) -> bool {
    line.rejected.load(Relaxed) > 0
}

fn is_job(line: &super::Line) -> bool {
    let is_job = matches!(line.kind(), Kind::Executed | Kind::Spawned | Kind::Member);
    is_job && !line.has(fact::IN_VIEW)
}

/// A view at rest, of whose jobs so many ran.
pub(crate) fn check_view(at: usize, limit: &Limit, ran: u64, handed: Option<u64>) {
    let metrics = limit.metrics();
    let is_too_much = handed.is_some_and(|handed| metrics.finished > handed);
    if metrics.queued + metrics.running > 0 || metrics.finished < ran || is_too_much {
        found(Fault::Wrong, || {
            format!("view {at}: {metrics:?}, {ran} of {handed:?} ran")
        });
    }
}
