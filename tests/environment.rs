//! Promise: `WINDLASS_NUM_THREADS` sets the default number of threads, a value
//! that is none is a clear error, and the builder's word comes first.
//!
//! Each case is a process of its own, as the environment is the process's.

mod common;

use common::{child, is_child_of, run_child, watched};
use windlass::{BuildError, Pool};

const VARIABLE: &str = "WINDLASS_NUM_THREADS";

/// Checklist 15.
#[test]
fn the_variable_sets_the_default() {
    const ME: &str = "the_variable_sets_the_default";
    if is_child_of(ME) {
        assert_eq!(Pool::new().unwrap().num_threads(), 5);
        let pool = Pool::builder().build().unwrap();
        assert_eq!(pool.num_threads(), 5);
        assert_eq!(common::thread_ids(&pool).len(), 5);
        return;
    }
    watched(|| {
        let mut command = child(ME, &[]);
        command.env(VARIABLE, "5");
        run_child(command);
    });
}

/// Checklist 16.
#[test]
fn a_nonsense_value_is_an_error_that_names_variable_and_value() {
    const ME: &str = "a_nonsense_value_is_an_error_that_names_variable_and_value";
    if is_child_of(ME) {
        let value = std::env::var(VARIABLE).unwrap();
        let error = Pool::new().unwrap_err();
        let BuildError::Environment { value: named } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*named, value);
        let text = error.to_string();
        assert!(
            text.contains(VARIABLE) && text.contains(&format!("{value:?}")),
            "{text}"
        );
        // Who says how many threads does not meet the variable.
        assert_eq!(
            Pool::builder()
                .num_threads(2)
                .build()
                .unwrap()
                .num_threads(),
            2
        );
        return;
    }
    watched(|| {
        for value in [
            "",
            "0",
            "-1",
            "four",
            "1.5",
            "0x4",
            "4096",
            "18446744073709551617",
        ] {
            let mut command = child(ME, &[]);
            command.env(VARIABLE, value);
            run_child(command);
        }
    });
}

/// Checklist 16.
#[test]
#[cfg(unix)]
fn a_value_that_is_not_even_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    const ME: &str = "a_value_that_is_not_even_text_is_an_error";
    if is_child_of(ME) {
        let error = Pool::new().unwrap_err().to_string();
        assert!(error.contains(VARIABLE), "{error}");
        return;
    }
    watched(|| {
        let mut command = child(ME, &[]);
        command.env(VARIABLE, std::ffi::OsStr::from_bytes(b"\xff4"));
        run_child(command);
    });
}

/// The builder's word comes first.
#[test]
fn an_explicit_number_wins_over_the_variable() {
    const ME: &str = "an_explicit_number_wins_over_the_variable";
    if is_child_of(ME) {
        assert_eq!(
            Pool::builder()
                .num_threads(3)
                .build()
                .unwrap()
                .num_threads(),
            3
        );
        assert_eq!(Pool::new().unwrap().num_threads(), 7);
        return;
    }
    watched(|| {
        let mut command = child(ME, &[]);
        command.env(VARIABLE, "7");
        run_child(command);
    });
}
