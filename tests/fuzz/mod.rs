//! Programs over the public API, read off bytes.
//!
//! Four bytes are one call: which row of [`calls::CALLS`], and three numbers that
//! the row makes of what it likes. A call that makes no sense where it comes, as
//! there is no handle to join, does nothing. Some calls hand over a job, and take
//! calls from what follows as that job's body; so all that can be done outside
//! can be done inside.
//!
//! A [`Desk`](desk::Desk) is where one thread, or one job, has what it made:
//! handles, sets, ports, workers, a main loop. What all of a program share, the
//! pool above all, is the [`Scene`](scene::Scene). What is handed over carries a
//! line of the ledger that the soak keeps its books with (examples/soak/ledger).
//!
//! # A new call
//! Write it as a method of the desk in one of these files, and give it a row in
//! `calls.rs`. Three rules, as a program must not lock itself up where the library
//! does not promise to help:
//! * only a desk outside a job waits for what is not its own job
//!   ([`is_outside`](desk::Desk::is_outside)); inside, look once, or with a short
//!   time limit; or for what other jobs of the pool bring about, if there may be
//!   threads in place of those that wait
//!   ([`may_wait`](desk::Desk::may_wait));
//! * whatever is handed over captures a tag (`open`), and what is said of it is
//!   entered in its line (`judge`, `enter_cancel`, facts);
//! * what is kept in the desk is settled in `leave`, outside so that nothing is
//!   left open.

pub(crate) mod calls;
mod desk;
mod ends;
mod handles;
mod jobs;
mod loops;
mod memory;
mod messages;
mod program;
mod room;
mod scene;
mod sets;
mod steer;
mod threads;
mod waits;
mod workers;

pub(crate) use program::{Program, STEP, run};
