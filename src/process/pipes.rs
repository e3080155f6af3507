//! A child's stdout and stderr, as its parent reads them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::output::Stream;

/// A line is cut when it is so long, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// How much is read at once, and how often in a row: a child that writes for ever is not
/// to keep its driver from all else.
const CHUNK: usize = 8 * 1024;
const IN_A_ROW: usize = 32;

/// Both of them.
pub(super) struct Pipes([Pipe; 2]);

struct Pipe {
    stream: Stream,
    /// `None` once it has ended.
    file: Option<File>,
    /// The beginning of a line.
    begun: Vec<u8>,
}

impl Pipes {
    pub(super) fn new(stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self([
            Pipe::new(Stream::Stdout, stdout)?,
            Pipe::new(Stream::Stderr, stderr)?,
        ]))
    }

    /// Those that have not ended.
    pub(super) fn open(&self) -> impl Iterator<Item = &File> {
        self.0.iter().filter_map(|pipe| pipe.file.as_ref())
    }

    /// Gives `take` the lines that have come, their ends included.
    pub(super) fn read(&mut self, mut take: impl FnMut(Stream, &[u8])) {
        for pipe in &mut self.0 {
            pipe.read(&mut take);
        }
    }

    /// The same, and what has been begun of further ones.
    pub(super) fn read_to_the_end(&mut self, mut take: impl FnMut(Stream, &[u8])) {
        for pipe in &mut self.0 {
            pipe.read(&mut take);
            let begun = std::mem::take(&mut pipe.begun);
            if !begun.is_empty() {
                take(pipe.stream, &begun);
            }
        }
    }
}

impl Pipe {
    fn new(stream: Stream, file: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(file) = &file {
            // This end alone: the child's is another one.
            fcntl_setfl(file, fcntl_getfl(file)? | OFlags::NONBLOCK)?;
        }
        Ok(Self {
            stream,
            file: file.map(File::from),
            begun: Vec::new(),
        })
    }

    fn read(&mut self, take: &mut impl FnMut(Stream, &[u8])) {
        let mut chunk = [0; CHUNK];
        for _ in 0..IN_A_ROW {
            let Some(mut file) = self.file.as_ref() else {
                return;
            };
            match file.read(&mut chunk) {
                Ok(0) => self.file = None,
                Ok(len) => self.split(&chunk[..len], take),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.file = None,
            }
        }
    }

    fn split(&mut self, bytes: &[u8], take: &mut impl FnMut(Stream, &[u8])) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let is_whole = piece.ends_with(b"\n");
            if self.begun.is_empty() && is_whole {
                take(self.stream, piece);
                continue;
            }
            self.begun.extend_from_slice(piece);
            if is_whole || self.begun.len() >= LONGEST_LINE {
                take(self.stream, &self.begun);
                self.begun.clear();
            }
        }
    }
}
