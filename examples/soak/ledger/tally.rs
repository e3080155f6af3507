//! What the whole run did, and what went wrong in it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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

impl Fault {
    /// What it is if so many were expected, and so many came.
    pub(crate) fn of(heard: u64, came: u64) -> Self {
        if came > heard {
            Self::Lost
        } else {
            Self::Duplicated
        }
    }
}

const FAULTS: [&str; 4] = ["lost", "duplicated", "wrong", "hung"];

/// So many faults are told in full.
const TELL: u64 = 20;

static FOUND: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static SHOWN: AtomicBool = AtomicBool::new(false);
static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
static DID: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// From now on, faults are shown on stderr.
pub(crate) fn show() {
    SHOWN.store(true, Ordering::Relaxed);
}

/// Enters a fault, and says what it is: in the list, and on stderr if that was
/// asked for.
pub(crate) fn found(fault: Fault, text: impl FnOnce() -> String) {
    let before: u64 = FOUND.iter().map(|one| one.load(Ordering::Relaxed)).sum();
    FOUND[fault as usize].fetch_add(1, Ordering::Relaxed);
    if before < TELL {
        let text = format!("{}: {}", FAULTS[fault as usize], text());
        if SHOWN.load(Ordering::Relaxed) {
            eprintln!("{text}");
        }
        TOLD.lock().unwrap().push(text);
    }
}

/// Whether nothing went wrong so far.
pub(crate) fn all_is_well() -> bool {
    FOUND.iter().all(|one| one.load(Ordering::Relaxed) == 0)
}

/// What went wrong since this was asked last; from now on all is well again.
// The soak ends with its first faults; the fuzz goes on.
#[allow(dead_code)]
pub(crate) fn take_faults() -> Vec<String> {
    FOUND.iter().for_each(|one| one.store(0, Ordering::Relaxed));
    std::mem::take(&mut *TOLD.lock().unwrap())
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
