//! The alarm of systems without pollable descriptors: there is none.

use std::time::Instant;

/// An alarm that cannot be made, so that its users need no second version.
#[derive(Debug)]
pub(crate) enum Alarm {}

impl Alarm {
    /// Makes the descriptor readable as soon as possible.
    pub(crate) fn arm_now(&self) {
        match *self {}
    }

    /// Makes the descriptor unreadable until `deadline` (`None`: for good).
    pub(crate) fn arm_at(&self, _deadline: Option<Instant>) {
        match *self {}
    }

    /// Gives back what the alarm needs beside its descriptor.
    pub(crate) fn close(&self) {
        match *self {}
    }
}
