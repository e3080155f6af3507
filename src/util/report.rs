//! [`report`]: a line to stderr, whatever state that is in.

use std::fmt;

/// Writes a line to stderr, past the lock of the standard library's, and without a panic
/// if that is not possible.
///
/// Who is waited for must not wait for that lock, which the waiter may hold; in a fork a
/// thread may have held it that is not there.
pub(crate) fn report(line: impl fmt::Display) {
    use std::io::Write;

    let line = format!("{line}\n");
    #[cfg(unix)]
    {
        use std::fs::File;
        use std::os::fd::AsFd;

        // There is nobody to tell that nobody can be told.
        if let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() {
            let _ = File::from(stderr).write_all(line.as_bytes());
        }
    }
    #[cfg(not(unix))]
    let _ = std::io::stderr().write_all(line.as_bytes());
}
