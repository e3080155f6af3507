//! Hashing a batch of files, as one job.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::text::{complaint, push_line};
use crate::walk::Found;

/// After this much time a job begins no other file, so that results come back
/// promptly also where files are slow to come by.
const LONG: Duration = Duration::from_millis(10);

/// How much is read at a time: enough to make the calls cheap, little enough
/// to stay in a core's cache.
const CHUNK: usize = 128 * 1024;

thread_local! {
    /// One buffer for each pool thread, because jobs come by the thousand.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What the jobs and the loop tell each other while the jobs run. The numbers
/// stand for themselves, so every access is Relaxed.
#[derive(Default)]
pub(crate) struct Shared {
    /// Bytes read so far, also of files that are not finished.
    pub(crate) read: AtomicU64,
    /// Set when nobody wants the results any more.
    pub(crate) stop: AtomicBool,
}

/// What became of a batch.
#[derive(Default)]
pub(crate) struct Hashed {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// One line for each file, ready to be written.
    pub(crate) lines: Vec<u8>,
    /// One line for each file that could not be read.
    pub(crate) complaints: Vec<String>,
    /// The files for which there was no time.
    pub(crate) left: Vec<Found>,
}

/// Hashes a batch, file after file, at least one. Blocks on the disk.
pub(crate) fn hash(batch: Vec<Found>, shared: &Shared) -> Hashed {
    let begin = Instant::now();
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(CHUNK, 0);
        let mut hashed = Hashed::default();
        let mut batch = batch.into_iter();
        for file in batch.by_ref() {
            match hash_file(&file.path, buffer, shared) {
                Ok((digest, bytes)) => {
                    hashed.files += 1;
                    hashed.bytes += bytes;
                    push_line(&mut hashed.lines, &digest, &file.path);
                }
                Err(error) => hashed.complaints.push(complaint(&file.path, error)),
            }
            if begin.elapsed() >= LONG || shared.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        hashed.left.extend(batch);
        hashed
    })
}

fn hash_file(path: &Path, buffer: &mut [u8], shared: &Shared) -> io::Result<([u8; 32], u64)> {
    let mut file = open(path)?;
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok((hasher.finalize().into(), bytes)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
                shared.read.fetch_add(read as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if shared.stop.load(Ordering::Relaxed) {
            return Err(ErrorKind::Interrupted.into());
        }
    }
}

/// Opens what was a file when it was found, and should still be one: reading a
/// pipe that took its place could wait for ever.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("is no longer a file"))
    }
}
