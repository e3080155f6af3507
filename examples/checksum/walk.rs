//! Listing directories, a part at a time, as jobs.
//!
//! The walk is a stack of [`Lead`]s: paths to look at and directories to list.
//! A job takes some off the top, follows them for a while, and gives back what
//! it found and what is still to be followed, the rest of a large directory
//! below its subdirectories. So however many files there are, only some are
//! known at a time, and only directories too large for one part are kept open.
//!
//! Symbolic links are followed. A directory is listed only if it is none of
//! those above it, so a loop of links ends where it closes.

use std::fs::{self, Metadata, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::text::complaint;

/// How many entries of one directory are listed at a time. A job ends with the
/// listing that makes it as many in all, or has taken too long.
const PART: usize = 512;
const LONG: Duration = Duration::from_millis(10);

/// Something that may lead to files.
pub(crate) enum Lead {
    /// Named on the command line: a file or a directory.
    Root(PathBuf),
    Directory(Directory),
}

/// A directory to be listed, or the rest of one.
pub(crate) struct Directory {
    path: PathBuf,
    above: Option<Arc<Above>>,
    /// Names that are left out.
    without: &'static [&'static str],
    /// Where the listing goes on, and this directory as its entries see it.
    rest: Option<(ReadDir, Arc<Above>)>,
}

/// A directory that is being listed, and those above it.
struct Above {
    id: Id,
    above: Option<Arc<Above>>,
}

/// A file that is to be hashed.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// When it was found; it may be another when it is read.
    pub(crate) bytes: u64,
}

/// What one job found.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<Found>,
    /// In the order in which they go onto the stack.
    pub(crate) leads: Vec<Lead>,
    /// One line for each path that could not be followed.
    pub(crate) complaints: Vec<String>,
    /// How many entries were looked at.
    pub(crate) entries: usize,
}

impl Lead {
    /// The current directory, without what is built and what git keeps.
    pub(crate) fn here() -> Self {
        Self::Directory(Directory {
            path: PathBuf::from("."),
            above: None,
            without: &["target", ".git"],
            rest: None,
        })
    }

    fn follow(self, listing: &mut Listing) {
        match self {
            Self::Root(path) => {
                let metadata = fs::metadata(&path);
                listing.add(path, metadata, None);
            }
            Self::Directory(directory) => {
                let path = directory.path.clone();
                if let Err(error) = directory.list(listing) {
                    listing.complaints.push(complaint(&path, error));
                }
            }
        }
    }
}

/// Follows leads for a while, the last one first. Blocks on the disk.
pub(crate) fn follow(leads: Vec<Lead>) -> Listing {
    let begin = Instant::now();
    let mut listing = Listing {
        leads,
        ..Listing::default()
    };
    while listing.entries < PART
        && begin.elapsed() < LONG
        && let Some(lead) = listing.leads.pop()
    {
        listing.entries += 1;
        lead.follow(&mut listing);
    }
    listing
}

impl Directory {
    fn list(mut self, listing: &mut Listing) -> io::Result<()> {
        let (mut entries, here) = match self.rest.take() {
            Some(rest) => rest,
            None => self.open()?,
        };
        let below = listing.leads.len();
        for _ in 0..PART {
            let Some(entry) = entries.next() else {
                return Ok(());
            };
            let entry = entry?;
            listing.entries += 1;
            if self.without.iter().any(|&name| entry.file_name() == name) {
                continue;
            }
            let path = entry.path();
            let metadata = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => fs::metadata(&path),
                Ok(_) => entry.metadata(),
                Err(error) => Err(error),
            };
            listing.add(path, metadata, Some(&here));
        }
        // Below the subdirectories, so that these are done first.
        self.rest = Some((entries, here));
        listing.leads.insert(below, Lead::Directory(self));
        Ok(())
    }

    fn open(&self) -> io::Result<(ReadDir, Arc<Above>)> {
        let id = id_of(&self.path)?;
        let mut above = self.above.as_deref();
        while let Some(directory) = above {
            if directory.id == id {
                return Err(io::Error::other(
                    "a loop of links: this leads back to a directory above it",
                ));
            }
            above = directory.above.as_deref();
        }
        let here = Above {
            id,
            above: self.above.clone(),
        };
        Ok((fs::read_dir(&self.path)?, Arc::new(here)))
    }
}

impl Listing {
    /// Enters a path according to what it is. Links were followed already.
    /// Nothing is above it if the user named it.
    fn add(&mut self, path: PathBuf, metadata: io::Result<Metadata>, above: Option<&Arc<Above>>) {
        match metadata {
            Ok(metadata) if metadata.is_dir() => self.leads.push(Lead::Directory(Directory {
                path,
                above: above.cloned(),
                without: &[],
                rest: None,
            })),
            Ok(metadata) if metadata.is_file() => self.files.push(Found {
                path,
                bytes: metadata.len(),
            }),
            // Pipes, sockets and devices have no content to speak of. In a
            // tree they are passed by; a user who names one expects something.
            Ok(_) if above.is_none() => {
                let line = complaint(&path, "neither a file nor a directory");
                self.complaints.push(line);
            }
            Ok(_) => {}
            Err(error) => self.complaints.push(complaint(&path, error)),
        }
    }
}

/// What tells one directory from another, whatever it is called.
#[cfg(unix)]
type Id = (u64, u64);

#[cfg(unix)]
fn id_of(path: &Path) -> io::Result<Id> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// What tells one directory from another: its name without links.
#[cfg(not(unix))]
type Id = PathBuf;

#[cfg(not(unix))]
fn id_of(path: &Path) -> io::Result<Id> {
    fs::canonicalize(path)
}
