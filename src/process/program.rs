//! What is started for a child, and how often that may go wrong.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// A program, and how it is started.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    path: PathBuf,
    /// It is this very program, and nothing else that may come to lie there.
    is_this: bool,
    args: Vec<OsString>,
    /// What is added to this process's environment.
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl Program {
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(match self.is_this {
            true => this_program(&self.path),
            false => &self.path,
        });
        command.args(&self.args);
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// What a builder was told of the program. Default: this very one.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) path: Option<PathBuf>,
    pub(super) args: Option<Vec<OsString>>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) folder: Option<PathBuf>,
}

impl Wanted {
    /// The program, with these arguments if nothing was said of any.
    pub(super) fn program(self, args: impl FnOnce() -> Vec<OsString>) -> io::Result<Program> {
        let Self {
            path,
            args: wanted,
            env,
            folder,
        } = self;
        let is_this = path.is_none();
        let path = match path {
            Some(path) => path,
            None => env::current_exe()?,
        };
        Ok(Program {
            path,
            is_this,
            args: wanted.unwrap_or_else(args),
            env,
            folder,
        })
    }
}

/// The settings of a builder's `wanted`, of those that it starts.
macro_rules! program_settings {
    ($those:literal, $program:literal, $args:literal) => {
        #[doc = concat!("What program ", $those, " run. Default: this very one", $program)]
        pub fn program(mut self, path: impl Into<std::path::PathBuf>) -> Self {
            self.wanted.path = Some(path.into());
            self
        }

        #[doc = concat!("Arguments for ", $those, ". Default: ", $args)]
        pub fn args<A: Into<std::ffi::OsString>>(
            mut self,
            args: impl IntoIterator<Item = A>,
        ) -> Self {
            let wanted = self.wanted.args.get_or_insert_default();
            wanted.extend(args.into_iter().map(Into::into));
            self
        }

        #[doc = concat!("Sets a variable in the environment of ", $those, ", which else is \
                         this process's.")]
        pub fn env(
            mut self,
            key: impl Into<std::ffi::OsString>,
            value: impl Into<std::ffi::OsString>,
        ) -> Self {
            self.wanted.env.push((key.into(), value.into()));
            self
        }

        #[doc = concat!("The working folder of ", $those, ". Default: this process's.")]
        pub fn current_dir(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
            self.wanted.folder = Some(folder.into());
            self
        }
    };
}
pub(super) use program_settings;

/// This very program, which was started from `path`: not one that has taken its place on
/// the disk since. So it is asked at each start.
fn this_program(path: &Path) -> &Path {
    #[cfg(target_os = "linux")]
    {
        use std::fs::metadata;
        use std::os::unix::fs::MetadataExt;

        let running = Path::new("/proc/self/exe");
        let id = |file: std::fs::Metadata| (file.dev(), file.ino());
        if let Ok(this) = metadata(running)
            && metadata(path).map(id).ok() != Some(id(this))
        {
            return running;
        }
    }
    path
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
    /// When one was tried, or had turned out to go wrong: that may take long.
    last_news: Option<Instant>,
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
        let is_due = failures.last_news.is_none_or(|at| at.elapsed() >= RETRY);
        if failures.in_a_row >= self.most && !is_due {
            return Err(failures.last.clone());
        }
        failures.last_news = Some(Instant::now());
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
        failures.last_news = Some(Instant::now());
    }
}
