//! Everything the library can do, mixed at random for as long as you like, with
//! a ledger that accounts for every job exactly once.
//!
//! `cargo run --release --example soak -- --minutes M | --seconds S [--seed N]`
//!
//! It goes in rounds (`round`): each is the life of one pool of 1 to 8 threads,
//! which ends in one of eight ways, often in the middle of the work. Up to three
//! *hands* (`hand`), threads outside the pool, spawn, execute, join, await, cancel,
//! drop, listen, post and split; the jobs (`body`) do so among themselves, in views
//! and sets too, split themselves by joins (`splits`), and wait for messages and for another
//! pool; in every other round the
//! number of threads changes all the time; workers (`workers`), ports (`mail`) and buffers
//! (`memory`) come and go. Settings are drawn too (`settings`): bounded queues, where jobs
//! wait for room or come back (`room`), few substitutes, times and stalls. Now and then the
//! process forks (`forks`). Bodies, captures' drops and results' drops panic.
//!
//! Each job and each message has a line in the round's ledger (`ledger`), which it
//! writes by what it captures, returns and panics with (`ledger/tokens`). When the round
//! is over and nothing of it is left, each line must go together (`ledger/audit`): captures
//! dropped exactly once, the body run at most once, result and panic dropped once, and
//! the handle's answer possible after all that. A watchdog (`watch`) names whoever
//! waits for too long, and what is not over then.
//!
//! The seed gives the same programs again, but not the same timing.
//!
//! Exit codes: 0, all is accounted for; 1, something is not, and stderr says what; 2,
//! the arguments are no good.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

mod args;
mod body;
#[cfg(unix)]
mod forks;
mod hand;
mod ledger;
mod mail;
mod memory;
mod random;
mod room;
mod round;
mod scene;
mod settings;
mod splits;
mod waits;
mod watch;
mod workers;

use windlass::Pool;

use crate::args::{Args, Request, USAGE};
use crate::ledger::{scramble, tally, tokens};
use crate::random::Random;

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Ok(Request::Help) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Request::Soak(args)) => soak(&args),
        Err(error) => {
            eprintln!("soak: {error}\nTry `soak --help`.");
            ExitCode::from(2)
        }
    }
}

fn soak(args: &Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(clock);
    println!("seed {seed}, {:?}", args.length);
    tokens::hush();
    tally::show();
    let done = Arc::new(AtomicBool::new(false));
    let watchdog = watch::start(&done);
    // For jobs that wait for another pool.
    let other = match Pool::builder().num_threads(1).build() {
        Ok(other) => other,
        Err(error) => {
            eprintln!("soak: no pool: {error}");
            return ExitCode::FAILURE;
        }
    };
    let begin = Instant::now();
    let mut number = 0;
    while begin.elapsed() < args.length && tally::all_is_well() {
        number += 1;
        let random = Random::new(scramble(seed).wrapping_add(scramble(number)));
        if let Err(error) = round::run(number, random, &other) {
            eprintln!("soak: no pool for round {number}: {error}");
            return ExitCode::FAILURE;
        }
    }
    done.store(true, Ordering::Relaxed);
    let _ = watchdog.join();
    watch::look_for_time_keepers();
    print!("{}", tally::report());
    if tally::all_is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn clock() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.subsec_nanos().into())
}
