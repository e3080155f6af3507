//! Promise: whatever is called in whatever order, each job is accounted for
//! exactly once, each value is dropped once, each handle resolves, and nothing
//! hangs. Random bytes are read as programs over the whole public API
//! (`fuzz/mod.rs`), and what they hand over is entered in the soak's ledger.
//!
//! `WINDLASS_FUZZ_CASES` says how many programs, `WINDLASS_FUZZ_BYTES` how long
//! they may be: `WINDLASS_FUZZ_CASES=100000 cargo test --release --test fuzz`.
//! `WINDLASS_FUZZ_PROGRAM=1,0,2,...` runs one program that was printed, again and
//! again, as many times as there are cases.
//!
//! A failure is made simpler, printed as bytes and as calls, and the seed of its
//! program is kept in `tests/fuzz.seeds`, to be tried first from then on. What a
//! program does depends on timing too, so that it may take some runs to come back.

mod common;
#[path = "fuzz/mod.rs"]
mod fuzz;
#[path = "../examples/soak/ledger/mod.rs"]
#[allow(dead_code)] // The soak uses more of it.
mod ledger;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

use fuzz::{Program, STEP, run};
use ledger::tally::{Fault, found, report, take_faults};
use ledger::tokens;
use ledger::{Kind, Ledger};

/// The faults are counted for the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static HUSH: Once = Once::new();
    HUSH.call_once(|| {
        common::hush();
        tokens::hush();
    });
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    drop(take_faults());
    alone
}

/// A setting from the environment.
fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| {
        let number = value.parse().ok().filter(|&number| number > 0);
        number.unwrap_or_else(|| panic!("{name}={value}: a number above 0 is wanted"))
    })
}

fn cases() -> usize {
    setting("WINDLASS_FUZZ_CASES", 1500)
}

/// Whole calls, so that a simpler program has fewer of them, and no others.
fn programs() -> impl Strategy<Value = Program> {
    let most = setting("WINDLASS_FUZZ_BYTES", 320).div_ceil(STEP).max(2);
    let calls = prop::collection::vec(any::<[u8; STEP]>(), 2..=most);
    calls.prop_map(|calls| Program(calls.concat()))
}

#[test]
fn whatever_is_called_all_is_accounted_for() {
    let _alone = alone();
    if let Ok(program) = std::env::var("WINDLASS_FUZZ_PROGRAM") {
        return again(&program);
    }
    let config = Config {
        cases: cases().try_into().unwrap(),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/fuzz.seeds"))),
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    // A fault may need some tries to come back while its program is made simpler;
    // to wait for a hang again and again takes too long.
    let (tries, is_hung) = (Cell::new(1), Cell::new(false));
    let result = runner.run(&programs(), |program| {
        if is_hung.get() {
            return Ok(());
        }
        let mut faults = (0..tries.get()).map(|_| run(&program));
        match faults.find(|faults| !faults.is_empty()) {
            None => Ok(()),
            Some(faults) => {
                tries.set(30);
                is_hung.set(faults.iter().any(|fault| fault.starts_with("hung")));
                Err(TestCaseError::fail(faults.join("\n")))
            }
        }
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    // What the programs did, for whoever asks with `--nocapture`.
    print!("{}", report());
    if cases() >= 500 {
        let never = fuzz::calls::never_made();
        assert!(never.is_empty(), "in all programs, no call of {never:?}");
    }
}

/// One program, as many times as there are cases.
fn again(program: &str) {
    let bytes = program.split([',', ' ']).filter(|byte| !byte.is_empty());
    let program = Program(bytes.map(|byte| byte.parse().unwrap()).collect());
    for time in 0..cases() {
        let faults = run(&program);
        assert!(faults.is_empty(), "time {time}, {program:?}: {faults:#?}");
    }
}

/// The books can tell that something is amiss.
#[test]
fn what_is_amiss_is_found() {
    let _alone = alone();
    let ledger = Ledger::new(0, 8);
    // Handed over, dropped, and nobody was told.
    drop(ledger.open(Kind::Executed, 0));
    drop(ledger.open(Kind::Spawned, 0));
    // Run twice.
    let (tag, _) = ledger.open(Kind::Held, 0).unwrap();
    drop((tag.begin(), tag.begin()));
    // Never dropped.
    std::mem::forget(tag);
    ledger::audit::audit(&ledger);
    let faults = take_faults();
    for text in [
        "neither ran nor was rejected",
        "nothing says why",
        "ran twice",
        "captures never dropped",
    ] {
        let times = faults.iter().filter(|fault| fault.contains(text)).count();
        assert_eq!(times, 1, "{text}: {faults:#?}");
    }
    found(Fault::Hung, || "expected".to_owned());
    assert_eq!(take_faults().len(), 1);
    assert!(take_faults().is_empty());
}
