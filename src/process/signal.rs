//! [`Signal`]: what a process can be sent.

use std::fmt;

use rustix::process::Signal as Known;

use crate::error::signal_name;

/// A signal, for [`ProcessWorker::kill`](super::ProcessWorker::kill) and
/// [`Cluster::kill`](super::Cluster::kill): one of these, or the number of any named signal,
/// as `libc` has them. (Real-time signals have none, and are refused.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(i32);

impl Signal {
    /// `SIGTERM`: ends a process that does not handle it.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// `SIGKILL`: ends every process.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// `SIGINT`, as by Ctrl-C.
    pub const INT: Self = Self(libc::SIGINT);
    /// `SIGHUP`.
    pub const HUP: Self = Self(libc::SIGHUP);
    /// `SIGUSR1`.
    pub const USR1: Self = Self(libc::SIGUSR1);
    /// `SIGUSR2`.
    pub const USR2: Self = Self(libc::SIGUSR2);
    /// `SIGSTOP`: the process stands still until [`CONT`](Self::CONT).
    pub const STOP: Self = Self(libc::SIGSTOP);
    /// `SIGCONT`.
    pub const CONT: Self = Self(libc::SIGCONT);

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// `None` if the system knows no such signal by a name.
    pub(super) fn known(self) -> Option<Known> {
        Known::from_named_raw(self.0)
    }
}

/// Its name, as `SIGKILL`, if it is one that ends or steers processes; else its number.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match signal_name(self.0) {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl From<i32> for Signal {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_called_by_its_name() {
        assert_eq!(Signal::KILL.to_string(), "SIGKILL");
        assert_eq!(Signal::from(0).to_string(), "signal 0");
        for signal in [
            Signal::HUP,
            Signal::USR1,
            Signal::USR2,
            Signal::STOP,
            Signal::CONT,
        ] {
            assert!(signal.to_string().starts_with("SIG"), "{signal}");
        }
    }
}
