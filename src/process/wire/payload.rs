//! Arguments and results on their way: in the frame if they are small, in memory that
//! both processes share if they are large.
//!
//! The memory is a file without a name (Linux has it) which is written and read, not
//! mapped: so it can change under nobody's eyes, whatever the child does with it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use postcard::ser_flavors::Flavor;
use serde::Serialize;

use super::descriptor;
use super::frame::{self, Kind};
use super::source::{InMemory, Source};

/// Payloads beyond this are large, in bytes.
pub(crate) const SMALL: usize = 256 * 1024;

/// So much memory is kept for the next large payload, in bytes, in the file and in what
/// it is read into.
const KEPT: usize = 32 * 1024 * 1024;

/// How a payload went in.
pub(crate) enum Written {
    /// The frame holds it.
    InFrame,
    /// The file does, so many bytes.
    InMemory(u64),
}

/// The memory for large payloads, if there is one; the process that has the turn uses
/// it.
pub(crate) struct Memory {
    file: Option<File>,
}

impl Memory {
    /// With a file that is shared with the other process, if there is one.
    pub(crate) fn new(file: Option<File>) -> Self {
        Self { file }
    }

    /// A file to be shared, if the system has such.
    #[cfg(all(target_os = "linux", not(windlass_portable)))]
    pub(crate) fn share() -> io::Result<Self> {
        use rustix::fs::{MemfdFlags, memfd_create};

        let file = memfd_create("windlass", MemfdFlags::CLOEXEC)?;
        Ok(Self::new(Some(file.into())))
    }

    /// A file to be shared, if the system has such.
    #[cfg(any(not(target_os = "linux"), windlass_portable))]
    pub(crate) fn share() -> io::Result<Self> {
        Ok(Self::new(None))
    }

    pub(crate) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// The longest payload that is in a frame. What is said of a panic or a refusal goes into
    /// one however short arguments and results are to be.
    pub(crate) fn most_in_frame(&self, max_payload: u64) -> usize {
        let most = usize::try_from(max_payload).unwrap_or(usize::MAX);
        let most = most.clamp(SMALL, u32::MAX as usize - frame::HEADER);
        match self.file {
            // A bit more: what precedes an argument.
            Some(_) => most.min(SMALL) + 64,
            None => most,
        }
    }

    /// Writes a value behind what the frame holds already, or into the file.
    pub(crate) fn write<T: Serialize>(
        &self,
        value: &T,
        frame: &mut Vec<u8>,
        max_payload: u64,
    ) -> Result<Written, String> {
        let mut sink = Sink::new(frame, self.file.as_ref(), max_payload);
        let written = descriptor::nowhere(|| postcard::serialize_with_flavor(value, &mut sink));
        match written {
            Ok(()) => Ok(sink.written()),
            Err(error) => {
                let error = sink.error.unwrap_or(error);
                self.shed();
                Err(error)
            }
        }
    }

    /// What the other process has written into the file; `room` is where it is read to.
    pub(crate) fn source<'a>(
        &'a self,
        len: u64,
        max_payload: u64,
        room: &'a mut Vec<u8>,
    ) -> Result<Source<'a>, String> {
        if len > max_payload {
            return Err(format!(
                "it has {len} bytes, and {max_payload} are the most"
            ));
        }
        let Some(file) = &self.file else {
            return Err("there is no shared memory".into());
        };
        // So much is there, whoever says how much it is to be, and was written: what was not
        // costs the writer nothing.
        let there = size(file).map_err(|error| error.to_string())?;
        if there < len {
            return Err(format!("of its {len} bytes {there} are there"));
        }
        let len = usize::try_from(len).map_err(|error| error.to_string())?;
        if room.len() < len {
            // Pages that nobody writes to are none.
            *room = vec![0; len];
        }
        Ok(Source::InMemory(InMemory {
            file,
            room: &mut room[..len],
            read: 0,
            at: 0,
        }))
    }

    /// How much there is in it, in bytes.
    pub(crate) fn size(&self) -> u64 {
        let size = self.file.as_ref().map(size);
        size.and_then(Result::ok).unwrap_or(0)
    }

    /// A large job is over, both ways: what is large beyond measure goes back to the
    /// system.
    pub(crate) fn shed(&self) {
        if let Some(file) = &self.file
            && file.metadata().is_ok_and(|it| it.len() > KEPT as u64)
        {
            // If not, the next one that is as large comes into it.
            let _ = file.set_len(KEPT as u64);
        }
    }
}

/// How many bytes of a file have a place in memory, and are not beyond its end.
fn size(file: &File) -> io::Result<u64> {
    let metadata = file.metadata()?;
    Ok(metadata.len().min(metadata.blocks() * 512))
}

/// The same, for what was read from the memory.
pub(crate) fn shed(bytes: &mut Vec<u8>) {
    if bytes.len() > KEPT {
        *bytes = Vec::new();
    }
}

/// Writes a worker's message behind what the frame holds already, which is its head; the
/// descriptors that go along with it.
pub(crate) fn write_message<T: Serialize>(
    message: &T,
    frame: &mut Vec<u8>,
    max_payload: u64,
) -> Result<Vec<OwnedFd>, String> {
    let begin = frame.len() - frame::HEADER;
    let mut sink = Sink::new(frame, None, max_payload);
    let written = descriptor::writing(|| postcard::serialize_with_flavor(message, &mut sink));
    let ((), along) = written.map_err(|error| sink.error.unwrap_or(error))?;
    frame::finish(&mut frame[begin..]);
    if !along.is_empty() {
        frame::renumber(&mut frame[begin..], along.len() as u64);
    }
    Ok(along)
}

/// Where postcard writes.
struct Sink<'a> {
    frame: &'a mut Vec<u8>,
    /// Where the payload begins in it.
    begin: usize,
    file: Option<&'a File>,
    /// So much of the payload is in the file; the rest behind `begin`.
    in_file: u64,
    max_payload: u64,
    error: Option<String>,
}

impl<'a> Sink<'a> {
    fn new(frame: &'a mut Vec<u8>, file: Option<&'a File>, max_payload: u64) -> Self {
        Self {
            begin: frame.len(),
            frame,
            file,
            in_file: 0,
            max_payload,
            error: None,
        }
    }

    fn len(&self) -> u64 {
        self.in_file + (self.frame.len() - self.begin) as u64
    }

    fn fail(&mut self, error: impl Into<String>) -> postcard::Error {
        self.error = Some(error.into());
        postcard::Error::SerializeBufferFull
    }

    /// Writes what has come together into the file, and `more` behind it.
    #[cold]
    fn spill(&mut self, file: &File, more: &[u8]) -> io::Result<()> {
        for bytes in [&self.frame[self.begin..], more] {
            file.write_all_at(bytes, self.in_file)?;
            self.in_file += bytes.len() as u64;
        }
        self.frame.truncate(self.begin);
        Ok(())
    }

    fn written(&self) -> Written {
        match self.in_file {
            0 => Written::InFrame,
            len => Written::InMemory(len),
        }
    }
}

impl Flavor for &mut Sink<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        if self.len() + data.len() as u64 > self.max_payload {
            let most = self.max_payload;
            return Err(self.fail(format!("it has more than {most} bytes")));
        }
        if self.frame.len() - self.begin + data.len() > SMALL
            && let Some(file) = self.file
        {
            return self
                .spill(file, data)
                .map_err(|error| self.fail(format!("the shared memory: {error}")));
        }
        self.frame.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.try_extend(&[data])
    }

    fn finalize(self) -> postcard::Result<()> {
        if self.in_file > 0
            && let Some(file) = self.file
        {
            self.spill(file, &[])
                .map_err(|error| self.fail(format!("the shared memory: {error}")))?;
        }
        Ok(())
    }
}

/// Turns a frame whose payload went into the memory into one that says so; `head` is
/// what of the payload precedes the value.
pub(crate) fn finish(frame: &mut Vec<u8>, head: usize, written: &Written, large: Kind) {
    if let Written::InMemory(len) = written {
        frame.truncate(frame::HEADER + head);
        frame.extend_from_slice(&len.to_le_bytes());
        frame[4] = large as u8;
    }
    frame::finish(frame);
}
