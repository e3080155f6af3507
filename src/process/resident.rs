//! [`Resident`]: how much of a process is in memory.

use std::io;

/// Where the system tells the size of one process. It is one descriptor, kept open: the
/// number of a process that is gone may be another's, and what was opened of it is not.
#[cfg(target_os = "linux")]
pub(super) struct Resident(std::fs::File);

/// Elsewhere there is none.
#[cfg(not(target_os = "linux"))]
pub(super) enum Resident {}

#[cfg(target_os = "linux")]
impl Resident {
    /// Of a process that nobody has waited for; `None` where the system does not tell.
    pub(super) fn of(pid: u32) -> io::Result<Option<Self>> {
        match std::fs::File::open(format!("/proc/{pid}/statm")) {
            Ok(file) => Ok(Some(Self(file))),
            // Nothing is mounted there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is in memory, in bytes, if the process is there.
    pub(super) fn size(&self) -> Option<u64> {
        use std::os::unix::fs::FileExt;

        let mut text = [0; 128];
        let len = self.0.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(&text[..len]).ok()?;
        let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }
}

#[cfg(not(target_os = "linux"))]
impl Resident {
    pub(super) fn of(_pid: u32) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn size(&self) -> Option<u64> {
        match *self {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_grows_with_what_is_written_to() {
        let here = Resident::of(std::process::id()).unwrap().unwrap();
        let before = here.size().unwrap();
        let more = std::hint::black_box(vec![1_u8; 256 << 20]);
        let after = here.size().unwrap();
        drop(more);
        // Other tests come and go meanwhile.
        assert!(after > before + (128 << 20), "{before} and {after}");
        assert!(after < 64 << 30, "in bytes: {after}");
    }

    #[test]
    fn one_that_is_gone_has_no_size() {
        let mut gone = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let its = Resident::of(gone.id()).unwrap().unwrap();
        assert!(its.size().is_some_and(|size| size > 0));
        gone.kill().unwrap();
        gone.wait().unwrap();
        assert_eq!(its.size(), None);
    }
}
