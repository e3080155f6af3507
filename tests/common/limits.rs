//! What a process of a test may have, and what it can do about that.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Set where [`is_a_user_alone`].
const OWN_USER: &str = "WINDLASS_TEST_OWN_USER";

/// A limit of this process, whose hard one stays: `None` is as much as that allows.
#[allow(unsafe_code)]
fn limit(resource: i32, to: Option<u64>) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is there to be written.
    let got = unsafe { libc::getrlimit(resource as _, &raw mut limit) };
    assert_eq!(got, 0);
    limit.rlim_cur = to.map_or(limit.rlim_max, |to| to.min(limit.rlim_max));
    // SAFETY: the limit is there to be read.
    let set = unsafe { libc::setrlimit(resource as _, &raw const limit) };
    assert_eq!(set, 0);
}

pub(crate) fn limit_processes(to: Option<u64>) {
    limit(libc::RLIMIT_NPROC as i32, to);
}

pub(crate) fn limit_descriptors(to: Option<u64>) {
    limit(libc::RLIMIT_NOFILE as i32, to);
}

/// Takes all rights to go beyond limits and other users from this thread, and those
/// that it starts.
#[allow(unsafe_code)]
pub(crate) fn drop_capabilities() {
    // The third version of the call, and this thread; none of three sets of 64.
    let head = [0x2008_0522_u32, 0];
    let none = [0_u32; 6];
    // SAFETY: both are there to be read, and as large as that version has them.
    let set = unsafe { libc::syscall(libc::SYS_capset, head.as_ptr(), none.as_ptr()) };
    assert_eq!(set, 0);
}

/// All descriptors that this process may have, but for those that it lets go again.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) files: Vec<File>,
}

impl Taken {
    /// A limit that a process of this program's can live with, and no room below it.
    pub(crate) fn all() -> Self {
        limit_descriptors(Some(64));
        let mut taken = Self::default();
        taken.rest();
        taken
    }

    pub(crate) fn rest(&mut self) {
        while let Ok(file) = File::open("/dev/null") {
            self.files.push(file);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // The one that has none has set no limit.
        if !self.files.is_empty() {
            self.files.clear();
            limit_descriptors(None);
        }
    }
}

/// Runs `body` in a copy of this program that a limit on processes binds: root's it does
/// not bind, so there it is another user's, whom nothing else belongs to.
pub(crate) fn as_a_user(test: &str, body: impl FnOnce()) {
    static USERS: AtomicU32 = AtomicU32::new(0);
    if super::is_child_of(test) {
        return body();
    }
    if !is_root() {
        return drop(super::run_child(super::child(test, &[])));
    }
    let (program, _copy) = readable_program(test);
    let user = 10_000 + std::process::id() % 5000 * 10 + USERS.fetch_add(1, Ordering::SeqCst);
    let like = super::child(test, &[]);
    let mut command = Command::new(program);
    command.args(like.get_args());
    for (key, value) in like.get_envs() {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    command.env(OWN_USER, "").uid(user).gid(user);
    super::run_child(command);
}

#[allow(unsafe_code)]
fn is_root() -> bool {
    // SAFETY: it cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// This program, where everybody may run it: a copy, if it is not such a place.
fn readable_program(name: &str) -> (PathBuf, Option<super::Scratch>) {
    let this = std::env::current_exe().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let is_open = this.ancestors().skip(1).all(|path| mode(path) & 0o1 != 0);
    if is_open && mode(&this) & 0o5 == 0o5 {
        return (this, None);
    }
    let folder = super::scratch(name);
    let copy = PathBuf::from(folder.path("program"));
    fs::copy(&this, &copy).unwrap();
    fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    (copy, Some(folder))
}

/// Whether this process is a user of its own, and so knows how many processes that one
/// has.
pub(crate) fn is_a_user_alone() -> bool {
    std::env::var_os(OWN_USER).is_some()
}
