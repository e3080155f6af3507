//! The alarm on Linux: one timerfd.
//!
//! A timerfd is readable from the moment its time has come until it is set
//! again, so one descriptor says both "something is ready" (set to 1 ns from
//! now) and "a timer is due" (set to the time left). Setting it also forgets
//! an expiry that nobody read, so it is never read at all.
//!
//! The price is that "now" is an interrupt of the timer: 17 us on a virtual
//! machine where writing an eventfd takes less than 1 us. It is paid once per
//! turn, by the first notifier, and only by hosts that asked for a descriptor.
//!
//! # Safety
//! The file makes two system calls and adopts one descriptor.
//! - The descriptor is made in [`Alarm::new`], adopted there and then by an
//!   `OwnedFd`, and closed by it: nothing else ever closes it, so `self.fd` is
//!   an open timerfd for as long as `self` exists.
//! - `timerfd_settime` reads one struct on this stack and writes nothing of
//!   ours. The kernel applies concurrent calls one after the other, so any
//!   thread may make it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

/// The longest time the descriptor is set to. Seconds up to here fit a
/// `time_t` of any width; past it the descriptor is readable once for nothing.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// A descriptor that becomes readable now or at a given time.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// An open, non-blocking timerfd on the monotonic clock (the field
    /// invariant the safety comments below refer to).
    fd: OwnedFd,
}

impl Alarm {
    /// Makes an alarm that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: the call takes two integers and touches no memory of ours.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was returned just now, so it is open, and nobody else
        // knows of it, so nobody else closes it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// Makes the descriptor readable as soon as possible.
    pub(crate) fn arm_now(&self) {
        self.set(Some(Duration::ZERO));
    }

    /// Makes the descriptor unreadable until `deadline` (`None`: for good).
    pub(crate) fn arm_at(&self, deadline: Option<Instant>) {
        self.set(deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())));
    }

    /// Gives back what the alarm needs beside its descriptor: nothing here.
    // The portable alarm has a thread to stop, and both have one shape.
    #[allow(clippy::unused_self)]
    pub(crate) fn close(&self) {}

    fn set(&self, left: Option<Duration>) {
        // Zero means "not set" to the kernel, so the shortest time is 1 ns.
        let left = left.map_or(Duration::ZERO, |left| {
            left.clamp(Duration::from_nanos(1), LONGEST)
        });
        let once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = libc::itimerspec {
            it_interval: once,
            it_value: libc::timespec {
                tv_sec: left.as_secs() as libc::time_t,
                tv_nsec: left.subsec_nanos() as _,
            },
        };
        // SAFETY: the descriptor is an open timerfd (field invariant), `value`
        // is a whole itimerspec that outlives the call, and a null pointer for
        // the old value is what the call takes for "not wanted".
        let result =
            unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &value, ptr::null_mut()) };
        // It fails only for arguments that are out of range.
        debug_assert_eq!(result, 0, "timerfd_settime: {}", io::Error::last_os_error());
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
#[cfg(test)]
mod measure {
    use super::*;
    #[test]
    fn measure() {
        let alarm = Alarm::new().unwrap();
        for round in 0..3 {
            let n = 100_000u32;
            let mut now = Duration::ZERO; let mut at = Duration::ZERO; let mut same = Duration::ZERO;
            let far = Instant::now() + Duration::from_secs(1000);
            for i in 0..n {
                let a = Instant::now();
                alarm.arm_now();
                let b = Instant::now();
                alarm.arm_at(Some(far + Duration::from_nanos(u64::from(i))));
                let c = Instant::now();
                alarm.arm_at(Some(far + Duration::from_nanos(u64::from(i))));
                let d = Instant::now();
                now += b - a; at += c - b; same += d - c;
            }
            println!("{round}: arm_now {:?}, arm_at new {:?}, arm_at same {:?}", now / n, at / n, same / n);
        }
    }
}
