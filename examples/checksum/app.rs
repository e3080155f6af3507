//! The main loop's part: handing out jobs, and putting the results together.
//!
//! A job is some [`Lead`]s to follow or a batch of files to hash. At any time a
//! bounded number of them is under way, and the walk goes ahead of the hashing
//! only so far; so memory does not grow with the number of files.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use windlass::{JoinError, MainLoop, Pool, SourceId};

use crate::hash::{self, Hashed, Shared};
use crate::lateness::{Lateness, PERIOD};
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::text::count;
use crate::walk::{self, Found, Lead, Listing};

/// Batches under way for each pool thread: enough that none runs dry between
/// one result and the next batch.
const BATCHES: usize = 4;

/// A batch ends with the file that reaches either. Small files share a job, so
/// that the loop is woken some hundred times a second and not some thousand: a
/// thread that has just run is not let onto a busy core again at once, and a
/// tick that comes due then is late.
const BATCH_FILES: usize = 256;
const BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// How many files the walk may be ahead.
const AHEAD: usize = 4096;

/// The most leads that one job is given to begin with.
const LEADS: usize = 64;

/// The bar is drawn every so many ticks.
const BAR_TICKS: u32 = 6;

struct App {
    pool: Pool,
    shared: Arc<Shared>,
    output: Output,
    begin: Instant,
    /// The interval that keeps time, and the loop alive.
    tick: Cell<Option<SourceId>>,
    lateness: RefCell<Lateness>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What is still to be followed, the next one last.
    leads: Vec<Lead>,
    /// What is still to be hashed.
    files: VecDeque<Found>,
    /// Jobs under way.
    following: usize,
    hashing: usize,
    /// Results that the next tick sends to be written.
    lines: Vec<u8>,
    complaints: String,
    ticks: u32,
    tally: Tally,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    files_found: u64,
    bytes_found: u64,
    files: u64,
    bytes: u64,
    failures: u64,
    /// How long it took, once it is over.
    took: Duration,
}

/// Hashes everything under `roots` and says how that went.
pub(crate) fn run(pool: Pool, roots: Vec<PathBuf>) -> ExitCode {
    if let Some(shortfall) = pool.shortfall() {
        eprintln!("checksum: {shortfall}");
    }
    let main = MainLoop::new();
    let output = match Output::start() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("checksum: cannot start a thread for the output: {error}");
            return ExitCode::FAILURE;
        }
    };
    let threads = pool.num_threads();
    let app = Rc::new(App {
        pool,
        shared: Arc::default(),
        output,
        begin: Instant::now(),
        tick: Cell::new(None),
        lateness: RefCell::new(Lateness::new()),
        state: RefCell::new(State::new(roots)),
    });
    let ticking = Rc::clone(&app);
    let tick = main.set_interval(PERIOD, move |main, _id| ticking.tick(main));
    app.tick.set(Some(tick));
    app.hand_out(&main);
    main.run();

    // The loop holds callbacks no more, so this is the last one.
    drop(main);
    let Some(app) = Rc::into_inner(app) else {
        unreachable!("every callback has run or was dropped with the loop");
    };
    let written = app.output.finish();
    let tally = app.state.into_inner().tally;
    report(written, tally, app.lateness.into_inner(), threads)
}

impl State {
    fn new(roots: Vec<PathBuf>) -> Self {
        let mut leads: Vec<_> = roots.into_iter().map(Lead::Root).rev().collect();
        if leads.is_empty() {
            leads.push(Lead::here());
        }
        Self {
            leads,
            ..Self::default()
        }
    }

    fn is_walking(&self) -> bool {
        self.following > 0 || !self.leads.is_empty()
    }

    /// Some leads, of which the other threads leave something.
    fn next_leads(&mut self, threads: usize) -> Option<Vec<Lead>> {
        let some = self.leads.len().div_ceil(threads).min(LEADS);
        let leads = self.leads.split_off(self.leads.len() - some);
        (!leads.is_empty()).then_some(leads)
    }

    /// A batch that is full; or any, if no more files are to come or the pool
    /// would have nothing to do.
    fn next_batch(&mut self, threads: usize) -> Option<Vec<Found>> {
        let mut bytes = 0;
        let mut full = false;
        let mut length = 0;
        for file in &self.files {
            length += 1;
            bytes += file.bytes;
            full = length == BATCH_FILES || bytes >= BATCH_BYTES;
            if full {
                break;
            }
        }
        let wanted = full || !self.is_walking() || self.hashing < threads;
        (length > 0 && wanted).then(|| self.files.drain(..length).collect())
    }

    fn complain(&mut self, complaints: &[String]) {
        self.tally.failures += complaints.len() as u64;
        self.complaints
            .extend(complaints.iter().map(String::as_str));
    }
}

impl App {
    /// Hands out as many jobs as there may be, and ends the loop if there are
    /// none and will be none.
    fn hand_out(self: &Rc<Self>, main: &MainLoop) {
        let mut state = self.state.borrow_mut();
        let threads = self.pool.num_threads();
        while !self.output.is_behind() {
            if state.following < threads
                && state.files.len() < AHEAD
                && let Some(leads) = state.next_leads(threads)
            {
                state.following += 1;
                self.start_following(main, leads);
            } else if state.hashing < threads * BATCHES
                && let Some(batch) = state.next_batch(threads)
            {
                state.hashing += 1;
                self.start_hashing(main, batch);
            } else {
                break;
            }
        }
        if state.hashing == 0 && !state.is_walking() && state.files.is_empty() {
            drop(state);
            self.end(main);
        }
    }

    fn start_hashing(self: &Rc<Self>, main: &MainLoop, batch: Vec<Found>) {
        let shared = Arc::clone(&self.shared);
        let job = self.pool.spawn(move || hash::hash(batch, &shared));
        let app = Rc::clone(self);
        main.on_complete(job, move |main, hashed| app.hashed(main, hashed));
    }

    fn start_following(self: &Rc<Self>, main: &MainLoop, leads: Vec<Lead>) {
        let job = self.pool.spawn(move || walk::follow(leads));
        let app = Rc::clone(self);
        main.on_complete(job, move |main, listing| app.followed(main, listing));
    }

    fn hashed(self: &Rc<Self>, main: &MainLoop, hashed: Result<Hashed, JoinError>) {
        let hashed = hashed.unwrap_or_else(|error| Hashed {
            complaints: vec![format!("checksum: some files: {error}\n")],
            ..Hashed::default()
        });
        let mut state = self.state.borrow_mut();
        state.hashing -= 1;
        state.tally.files += hashed.files;
        state.tally.bytes += hashed.bytes;
        state.lines.extend_from_slice(&hashed.lines);
        state.complain(&hashed.complaints);
        if !self.shared.stop.load(Ordering::Relaxed) {
            // To the front, in the order they had.
            for file in hashed.left.into_iter().rev() {
                state.files.push_front(file);
            }
        }
        drop(state);
        self.hand_out(main);
    }

    fn followed(self: &Rc<Self>, main: &MainLoop, listing: Result<Listing, JoinError>) {
        let listing = listing.unwrap_or_else(|error| Listing {
            complaints: vec![format!("checksum: some directories: {error}\n")],
            ..Listing::default()
        });
        let mut state = self.state.borrow_mut();
        state.following -= 1;
        if !self.shared.stop.load(Ordering::Relaxed) {
            state.tally.files_found += listing.files.len() as u64;
            state.tally.bytes_found += listing.files.iter().map(|file| file.bytes).sum::<u64>();
            state.files.extend(listing.files);
            state.leads.extend(listing.leads);
        }
        state.complain(&listing.complaints);
        drop(state);
        self.hand_out(main);
    }

    /// Sixty times a second: notes how late it is, sends what has come in to be
    /// written, and goes on if that had to wait for the output.
    fn tick(self: &Rc<Self>, main: &MainLoop) {
        self.lateness.borrow_mut().tick();
        let mut state = self.state.borrow_mut();
        state.ticks += 1;
        // Before the lines, because it is not drawn if something is ahead of it.
        if state.ticks.is_multiple_of(BAR_TICKS) {
            self.output.bar(|| self.progress(&state).bar());
        }
        drop(state);
        self.write_out();
        self.hand_out(main);
    }

    fn write_out(&self) {
        let mut state = self.state.borrow_mut();
        self.output.complaints(mem::take(&mut state.complaints));
        self.output.lines(mem::take(&mut state.lines));
        if self.output.is_closed() {
            // Nobody reads the results: no more work, and what is under way
            // ends at the next look at this flag.
            self.shared.stop.store(true, Ordering::Relaxed);
            state.leads.clear();
            state.files.clear();
        }
    }

    fn end(&self, main: &MainLoop) {
        if let Some(tick) = self.tick.take() {
            main.clear(tick);
            self.state.borrow_mut().tally.took = self.begin.elapsed();
            self.write_out();
        }
    }

    fn progress(&self, state: &State) -> Progress {
        Progress {
            files_done: state.tally.files,
            files_found: state.tally.files_found,
            bytes_done: self.shared.read.load(Ordering::Relaxed),
            bytes_found: state.tally.bytes_found,
            walking: state.is_walking(),
            elapsed: self.begin.elapsed(),
        }
    }
}

/// The end on stderr, and the exit code.
fn report(written: io::Result<()>, tally: Tally, lateness: Lateness, threads: usize) -> ExitCode {
    if let Err(error) = written {
        // A reader that hung up has seen enough, and need not be told.
        if !output::is_hang_up(&error) {
            eprintln!("checksum: cannot write the results: {error}");
        }
        return ExitCode::FAILURE;
    }
    let seconds = tally.took.as_secs_f64();
    eprintln!(
        "{}, {} in {seconds:.2} s: {:.1} MiB/s on {}",
        count(tally.files, "file"),
        count(tally.bytes, "byte"),
        tally.bytes as f64 / (1024.0 * 1024.0) / seconds.max(1e-9),
        count(threads as u64, "pool thread"),
    );
    eprintln!("{}", lateness.into_report());
    if tally.failures == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} could not be hashed", count(tally.failures, "path"));
    ExitCode::FAILURE
}
