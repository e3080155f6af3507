//! What is started for a child, and how often that may go wrong.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// A program with its arguments, and what is added to its environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
}

/// This very program: not one that has taken its place on the disk since it was started.
pub(super) fn this_program() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    #[cfg(target_os = "linux")]
    {
        use std::fs::metadata;
        use std::os::unix::fs::MetadataExt;

        let running = PathBuf::from("/proc/self/exe");
        let id = |file: std::fs::Metadata| (file.dev(), file.ino());
        if let Ok(this) = metadata(&running)
            && metadata(&path).map(id).ok() != Some(id(this))
        {
            return Ok(running);
        }
    }
    Ok(path)
}

/// The arguments that make a test program run one test, and say little.
pub(super) fn test_args(name: &str) -> Vec<OsString> {
    let args = [
        name,
        "--exact",
        "--include-ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    args.map(OsString::from).to_vec()
}

/// After too many failures one more start is tried so often.
const RETRY: Duration = Duration::from_secs(1);

/// The starts of a pool's children that went wrong.
pub(super) struct Starts {
    /// How many in a row are too many.
    most: u32,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    in_a_row: u32,
    last: String,
    last_try: Option<Instant>,
}

impl Starts {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most: most.max(1),
            failures: Mutex::default(),
        }
    }

    /// Whether one more child may be started.
    ///
    /// # Errors
    /// What went wrong with the last one, if there were too many.
    pub(super) fn may_start(&self) -> Result<(), String> {
        let mut failures = self.failures.lock();
        let is_due = failures.last_try.is_none_or(|at| at.elapsed() >= RETRY);
        if failures.in_a_row >= self.most && !is_due {
            return Err(failures.last.clone());
        }
        failures.last_try = Some(Instant::now());
        Ok(())
    }

    /// Whether all is well, so that a child may be started before it is needed.
    pub(super) fn are_well(&self) -> bool {
        self.failures.lock().in_a_row == 0
    }

    pub(super) fn succeeded(&self) {
        self.failures.lock().in_a_row = 0;
    }

    pub(super) fn failed(&self, why: String) {
        let mut failures = self.failures.lock();
        failures.in_a_row = failures.in_a_row.saturating_add(1);
        failures.last = why;
    }
}
