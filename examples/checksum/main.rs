//! SHA-256 of every file under some paths, on every core, in the format of
//! `sha256sum`, while the main loop keeps a 60 Hz tick.
//!
//! `cargo run --release --example checksum -- [--threads N] [PATH]...`
//!
//! The main loop hands out jobs, a bounded number at a time, and puts the
//! results together (`app`). Everything that reads a disk is a job: listing
//! directories (`walk`) and hashing (`hash`). Everything that writes is done by
//! one thread of its own (`output`), because whoever reads the other end of a
//! pipe may be slow. So the loop's tick, which measures how late it comes
//! (`lateness`) and draws the progress bar (`progress`), has nothing to wait for.
//!
//! Exit codes: 0, everything was hashed; 1, something was not, and one line on
//! stderr says what and why; 2, the arguments (or `WINDLASS_NUM_THREADS`) are no
//! good.

use std::process::ExitCode;

use windlass::Pool;

mod app;
mod args;
mod hash;
mod lateness;
mod output;
mod progress;
mod text;
mod walk;

use crate::args::{Args, Request, USAGE};

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)) {
        Ok(Request::Help) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::Hash(args)) => hash(args),
        Err(error) => {
            eprintln!("checksum: {error}\nTry `checksum --help`.");
            ExitCode::from(2)
        }
    }
}

fn hash(args: Args) -> ExitCode {
    let builder = match args.threads {
        Some(threads) => Pool::builder().num_threads(threads),
        None => Pool::builder(),
    };
    match builder.build() {
        Ok(pool) => app::run(pool, args.roots),
        Err(error) => {
            eprintln!("checksum: {error}");
            ExitCode::from(2)
        }
    }
}
