//! The ways to have work done in another process, behind one trait.
//!
//! `procspawn`: its `Pool`, with one process; `socket`: none but the system's own, for
//! the floor; `windlass`: a `ProcessPool` with one child, and a `ProcessWorker`.
//!
//! Node's is a script; see [`node`](crate::node).

mod procspawn;
mod socket;
mod windlass;

pub use self::procspawn::{Procspawn, ProcspawnShared, first_answer};
pub use self::socket::{Socket, answer};
pub use self::windlass::{WindlassPool, WindlassWorker};
use crate::questions;

/// How long a small message is, in bytes. Who answers messages of any length gives one
/// of these back as it is, and of a longer one only how long it was.
pub const SMALL: usize = 64;

/// Small messages, each another one than those around it.
pub fn message(n: usize) -> Vec<u8> {
    vec![n as u8; SMALL]
}

/// A library with something that answers in another process; dropping it ends that.
pub trait Child: Sized {
    const NAME: &'static str;

    /// Starts one process. It may still be on its way.
    fn start() -> Self;

    /// A small message, and the answer.
    fn echo(&mut self, message: Vec<u8>) -> Vec<u8>;

    /// So many of them, all handed over before the first answer is taken; all answers
    /// are checked.
    fn flood(&mut self, count: usize);

    /// Many bytes, and how many they were.
    fn length(&mut self, bytes: Vec<u8>) -> usize;
}

/// In a process that one of the libraries has started: does what it is for, and ends.
pub fn serve_if_child() {
    ::procspawn::init();
    let _ = windlass::tasks().serve_if_child();
    questions::serve_if_worker();
}
