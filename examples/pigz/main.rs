//! gzip on all cores, as [pigz](https://zlib.net/pigz/) does it, in one member that
//! `gunzip` reads, with bounded memory.
//!
//! `cargo run --release --example pigz -- [-LEVEL] [-p THREADS] [-c] [-f] [FILE]...`
//!
//! The pool reads the input in blocks and compresses them side by side; the main thread
//! takes what comes of it, in order, and writes. Neither gets further ahead of the other
//! than the look-ahead of [`windlass::TransformRead`], so that a slow reader of a pipe
//! holds everything back, and memory does not grow with the input. What a block and its
//! end look like is in `gzip`; how a block knows what was before it, in `overlap`.
//!
//! The input is kept. The output does not depend on the number of threads.
//!
//! Exit codes: 0, all was compressed; 1, something was not, and one line on stderr says
//! what and why; 141, as a shell has it, if the reader of the output hung up.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use windlass::Pool;

mod args;
mod gzip;
mod overlap;

use crate::args::{Args, Request, USAGE};
use crate::gzip::Trailer;
use crate::overlap::{FRAME, Overlap};

/// What a process has as its exit code that SIGPIPE ended.
const HUNG_UP: u8 = 128 + 13;

/// What went wrong, and with what.
struct Failure {
    name: String,
    error: io::Error,
}

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::Compress(args)) => compress_all(&args),
        Err(error) => {
            eprintln!("pigz: {error}\nTry `pigz --help`.");
            ExitCode::FAILURE
        }
    }
}

fn compress_all(args: &Args) -> ExitCode {
    let builder = match args.threads {
        Some(threads) => Pool::builder().num_threads(threads),
        None => Pool::builder(),
    };
    let pool = match builder.build() {
        Ok(pool) => pool,
        Err(error) => {
            eprintln!("pigz: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    for name in &args.files {
        let done = match name.to_str() {
            Some("-") => to_stdout(&pool, args, io::stdin(), "stdin"),
            _ if args.to_stdout => {
                open(name).and_then(|file| to_stdout(&pool, args, file, &said(name)))
            }
            _ => to_file(&pool, args, name),
        };
        match done {
            Ok(()) => {}
            // Whoever read it has seen enough.
            Err(failure) if failure.error.kind() == ErrorKind::BrokenPipe => {
                return ExitCode::from(HUNG_UP);
            }
            Err(failure) => {
                eprintln!("pigz: {}: {}", failure.name, failure.error);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn to_stdout(
    pool: &Pool,
    args: &Args,
    input: impl Read + Send + 'static,
    name: &str,
) -> Result<(), Failure> {
    let out = io::stdout().lock();
    if out.is_terminal() && !args.force {
        let text = "compressed data not written to a terminal; use -f to force it";
        return Err(failure("stdout")(io::Error::other(text)));
    }
    compress(pool, args.level, input, name, out, "stdout")
}

/// Writes `NAME.gz`, all of it or nothing.
fn to_file(pool: &Pool, args: &Args, name: &OsString) -> Result<(), Failure> {
    let refuse = |text| Err(failure(said(name))(io::Error::other(text)));
    if Path::new(name).extension().is_some_and(|it| it == "gz") {
        return refuse("already ends in .gz");
    }
    let input = open(name)?;
    let metadata = input.metadata().map_err(failure(said(name)))?;
    if !metadata.is_file() {
        return refuse("is not a regular file; use -c to read it all the same");
    }

    let mut path = name.clone();
    path.push(".gz");
    let (path, said_path) = (PathBuf::from(&path), said(&path));
    if args.force {
        // Not written through: it may be a link to something else.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(failure(said_path)(error));
            }
            _ => {}
        }
    }
    let out = create(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            failure(&said_path)(io::Error::other("is there already; use -f to overwrite it"))
        }
        _ => failure(&said_path)(error),
    })?;
    let done = compress(pool, args.level, input, &said(name), &out, &said_path).and_then(|()| {
        out.set_permissions(metadata.permissions())
            .map_err(failure(&said_path))
    });
    if done.is_err() {
        // What it failed of is told; half a file would be taken for a whole one.
        let _ = fs::remove_file(&path);
    }
    done
}

fn compress(
    pool: &Pool,
    level: u32,
    input: impl Read + Send + 'static,
    input_name: &str,
    mut out: impl Write,
    out_name: &str,
) -> Result<(), Failure> {
    let pieces = pool
        .transform_read(Overlap::new(input), move |frame| {
            gzip::deflate(&frame, level)
        })
        .block_size(FRAME);
    let mut trailer = Trailer::default();
    out.write_all(&gzip::header(level))
        .map_err(failure(out_name))?;
    for piece in pieces {
        let piece = piece.map_err(failure(input_name))?;
        trailer.add(&piece);
        out.write_all(&piece.deflated).map_err(failure(out_name))?;
    }
    out.write_all(&trailer.bytes())
        .and_then(|()| out.flush())
        .map_err(failure(out_name))
}

fn open(name: &OsString) -> Result<File, Failure> {
    File::open(name).map_err(failure(said(name)))
}

/// For its owner only until it is known to be whole.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;

        options.mode(0o600);
    }
    options.open(path)
}

fn failure(name: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let name = name.into();
    move |error| Failure { name, error }
}

fn said(name: &OsString) -> String {
    Path::new(name).display().to_string()
}
