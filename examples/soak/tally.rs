//! What the whole run did, and what went wrong in it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something that had to happen did not.
    Lost,
    /// Something that may happen once happened again.
    Duplicated,
    /// What happened does not go together.
    Wrong,
    /// Somebody waits for ever.
    Hung,
}

const FAULTS: [&str; 4] = ["lost", "duplicated", "wrong", "hung"];

/// So many faults are told in full.
const TOLD: u64 = 20;

static FOUND: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static DID: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Enters a fault, and says on stderr what it is.
pub(crate) fn found(fault: Fault, text: impl FnOnce() -> String) {
    let before: u64 = FOUND.iter().map(|one| one.load(Ordering::Relaxed)).sum();
    FOUND[fault as usize].fetch_add(1, Ordering::Relaxed);
    if before < TOLD {
        eprintln!("soak: {}: {}", FAULTS[fault as usize], text());
    }
}

/// Whether nothing went wrong so far.
pub(crate) fn all_is_well() -> bool {
    FOUND.iter().all(|one| one.load(Ordering::Relaxed) == 0)
}

/// Enters that something was done so many times.
pub(crate) fn did(what: &'static str, times: u64) {
    *DID.lock().unwrap().entry(what).or_default() += times;
}

pub(crate) fn times(what: &str) -> u64 {
    DID.lock().unwrap().get(what).copied().unwrap_or(0)
}

/// All of it, for stdout.
pub(crate) fn report() -> String {
    let did = DID.lock().unwrap();
    let lines = did
        .iter()
        .map(|(what, times)| format!("{times:>12}  {what}\n"));
    let mut text: String = lines.collect();
    for (name, count) in FAULTS.iter().zip(&FOUND) {
        text += &format!("{:>12}  {name}\n", count.load(Ordering::Relaxed));
    }
    text
}
