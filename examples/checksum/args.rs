//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
Prints the SHA-256 of every file under the paths, as `sha256sum -c` reads it.

Usage: checksum [--threads N] [--] [PATH]...

  --threads N   how many pool threads (default: one per core)
  -h, --help    this text

A PATH may be a file or a directory; symbolic links are followed. Without any,
it is the current directory without `target` and `.git`.

Exit codes: 0, all hashed; 1, something was not (stderr says what); 2, usage.
";

/// What the user asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Hash(Args),
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Args {
    /// `None`: the pool's own default.
    pub(crate) threads: Option<usize>,
    /// Empty: the current directory, without what is built and what git keeps.
    pub(crate) roots: Vec<PathBuf>,
}

/// Reads the arguments; the error is for the user, and names what is wrong.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Request, String> {
    let mut args = args;
    let mut parsed = Args::default();
    while let Some(arg) = args.next() {
        let bytes = arg.as_encoded_bytes();
        match bytes {
            b"-h" | b"--help" => return Ok(Request::Help),
            b"--" => {
                parsed.roots.extend(args.by_ref().map(root));
            }
            b"--threads" => {
                let value = args
                    .next()
                    .ok_or("--threads needs a number of threads after it")?;
                parsed.threads = Some(threads(&value)?);
            }
            [b'-', _, ..] => match arg.to_str().and_then(|arg| arg.strip_prefix("--threads=")) {
                Some(value) => parsed.threads = Some(threads(OsStr::new(value))?),
                None => return Err(format!("unknown option {arg:?} (a path? put -- before it)")),
            },
            b"" => return Err("an empty path names nothing".into()),
            _ => parsed.roots.push(root(arg)),
        }
    }
    Ok(Request::Hash(parsed))
}

fn threads(value: &OsStr) -> Result<usize, String> {
    value
        .to_str()
        .and_then(|value| value.parse().ok())
        .filter(|&threads| threads > 0)
        .ok_or_else(|| format!("--threads takes a whole number from 1, not {value:?}"))
}

/// A file called `-` is standard input to `sha256sum -c`, unless spelt so.
fn root(arg: OsString) -> PathBuf {
    if arg == "-" {
        PathBuf::from("./-")
    } else {
        PathBuf::from(arg)
    }
}
