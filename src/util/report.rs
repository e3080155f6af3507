//! A line to stderr, whatever state that is in.

use std::fmt;

use super::panic::catch;

/// Writes a line to stderr, without a panic if that is not possible.
pub(crate) fn report(line: impl fmt::Display) {
    // There is nobody to tell that nobody can be told.
    let _ = catch(|| eprintln!("{line}"));
}

/// The same, past the lock of the standard library's.
///
/// Who is waited for must not wait for that lock, which the waiter may hold; in a fork a
/// thread may have held it that is not there.
pub(crate) fn report_past_locks(line: impl fmt::Display) {
    #[cfg(unix)]
    {
        use std::fs::File;
        use std::io::Write;
        use std::os::fd::AsFd;

        if let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() {
            let _ = File::from(stderr).write_all(format!("{line}\n").as_bytes());
        }
    }
    #[cfg(not(unix))]
    report(line);
}
