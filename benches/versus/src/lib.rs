//! windlass and its peers, question by question, round after round.
//!
//! Machines drift: they warm up, neighbours come and go. Two libraries that are
//! measured minutes apart are not compared. So every question takes all of its
//! libraries in turn, round after round, beginning with another one each time,
//! and gives each one's median with its best and its worst round.
//!
//! # Contents
//!
//! | file | purpose |
//! |---|---|
//! | `arguments` | what the command line says |
//! | `question` | what a question, a contender and a figure are |
//! | `questions` | the questions, one file each; each opens with what it means to a user |
//! | `libraries` | the pools, one file each, behind traits |
//! | `maps` | the ways to map a function over an iterator, the same |
//! | `messengers` | the ways to talk to a thread or a worker, the same |
//! | `processes` | the ways to have work done in another process, the same |
//! | `node` | Node's worker_threads, Piscina, child_process and cluster, each a process with a script |
//! | `floors` | what the machine itself allows |
//! | `tally` | counts and sums what jobs did, at next to no cost to them |
//! | `system` | burners, processor time, resident memory |
//! | `counting` | the allocator of this program, which can count |
//! | `child` | one question in this process |
//! | `parent` | one process per question, watched |
//! | `event` | what a child tells its parent |
//! | `stats` | medians and percentiles |
//! | `report`, `json`, `plot` | tables, rows for programs, pictures |

use std::process::ExitCode;

use arguments::{Arguments, Task};

mod arguments;
mod child;
mod counting;
mod event;
mod floors;
mod json;
mod libraries;
mod maps;
mod messengers;
mod node;
mod parent;
mod plot;
#[cfg(unix)]
mod processes;
mod question;
mod questions;
mod report;
mod stats;
mod system;
mod tally;

/// The program; its exit code is 0 if every question has an answer, 1 if one
/// has failed, and 2 if it was called wrongly.
#[must_use]
pub fn main() -> ExitCode {
    // Processes that a library has started go no further than this.
    #[cfg(unix)]
    processes::serve_if_child();
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("versus: {error}\nTry: cargo bench -p windlass-versus -- --help");
            return ExitCode::from(2);
        }
    };
    match &arguments.task {
        Task::Help => print!("{}", arguments::HELP),
        Task::List => print!("{}", report::list()),
        Task::Burn => system::burn_for_ever(),
        #[cfg(unix)]
        Task::Answer => processes::answer(),
        Task::Child(part) => child::run(part, &arguments.settings),
        Task::Compare(questions) => return parent::run(questions, &arguments),
    }
    ExitCode::SUCCESS
}
