//! The alarm on Linux: an epoll descriptor over an eventfd and a timerfd.
//!
//! The eventfd says "something is ready": it is readable from a write until it
//! is read. The timerfd says "a timer is due": it is readable from the moment
//! its time has come until it is set again, which also forgets an expiry that
//! nobody read. The epoll descriptor, which is the one to poll, is readable
//! while either is; it never collects events, so both keep their own level.
//!
//! One timerfd could say both, "ready" being a nanosecond from now. But that is
//! an interrupt of the timer: 18 us on a virtual machine where the write takes
//! 0.4 us, paid by the pool thread whose job is the first to end in a turn.
//!
//! Only the main loop's thread calls `arm_at`; any thread may call `arm_now`.
//! What `arm_at` undoes of a concurrent `arm_now` is the write to the eventfd,
//! and the kernel applies that and the read one after the other, so a caller
//! whose write was undone did what it did before writing before `arm_at`
//! returned.
//!
//! # Safety
//! The file makes five system calls and adopts three descriptors.
//! - The descriptors are made in [`Alarm::new`], adopted there and then by an
//!   `OwnedFd` each, and closed by it: nothing else ever closes them, so each
//!   is open, and of its kind, for as long as the alarm exists.
//! - `epoll_ctl` and `timerfd_settime` read one struct on this stack and write
//!   nothing of ours.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

/// The longest time the timer is set to. Seconds up to here fit a `time_t` of
/// any width; past it the descriptor is readable once for nothing.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// The deadline that never comes.
const NEVER: u64 = u64::MAX;

/// Some other deadline than any that can be asked for.
const UNKNOWN: u64 = u64::MAX - 1;

/// A descriptor that becomes readable now or at a given time.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// Readable while one of the other two is.
    epoll: OwnedFd,
    /// A non-blocking eventfd. As a file, because it is read and written only,
    /// which the standard library can do.
    ready: File,
    /// An open timerfd on the monotonic clock (the field invariant that the
    /// safety comments below refer to).
    timer: OwnedFd,
    /// Where deadlines count from.
    base: Instant,
    /// What the timer was last set to, in nanoseconds after `base`; [`NEVER`]
    /// if it is not set. Only the main loop's thread uses it, so every access
    /// is Relaxed; it is atomic because the alarm is shared.
    set_to: AtomicU64,
}

impl Alarm {
    /// Makes an alarm that is not set.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes an integer and touches no memory of ours.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        // SAFETY: `epoll` is what the call just returned, and known here only.
        let epoll = unsafe { adopt(epoll) }?;
        // SAFETY: the call takes two integers and touches no memory of ours.
        let ready = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        // SAFETY: `ready` is what the call just returned, and known here only.
        let ready = unsafe { adopt(ready) }?;
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: the call takes two integers and touches no memory of ours.
        let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        // SAFETY: `timer` is what the call just returned, and known here only.
        let timer = unsafe { adopt(timer) }?;
        watch(&epoll, ready.as_fd())?;
        watch(&epoll, timer.as_fd())?;
        Ok(Self {
            epoll,
            ready: File::from(ready),
            timer,
            base: Instant::now(),
            set_to: AtomicU64::new(NEVER),
        })
    }

    /// Makes the descriptor readable as soon as possible.
    pub(crate) fn arm_now(&self) {
        // It fails only if the counter is full, and then it is readable.
        let _ = (&self.ready).write(&1u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable until `deadline` (`None`: for good).
    pub(crate) fn arm_at(&self, deadline: Option<Instant>) {
        // One read takes all that was written; without anything it fails.
        let _ = (&self.ready).read(&mut [0; 8]);
        let nanos = deadline.map_or(NEVER, |deadline| {
            let after = deadline.saturating_duration_since(self.base).as_nanos();
            u64::try_from(after).unwrap_or(UNKNOWN).min(UNKNOWN)
        });
        // Most turns leave the first deadline as it was. If its time has come
        // since, the descriptor is readable, as it should be.
        if nanos != UNKNOWN && nanos == self.set_to.load(Ordering::Relaxed) {
            return;
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.set_timer(left);
        // A time that was cut short is not the one that was asked for.
        let cut = left.is_some_and(|left| left > LONGEST);
        let nanos = if cut { UNKNOWN } else { nanos };
        self.set_to.store(nanos, Ordering::Relaxed);
    }

    /// Gives back what the alarm needs beside its descriptors: nothing here.
    // The portable alarm has a thread to stop, and both have one shape.
    #[allow(clippy::unused_self)]
    pub(crate) fn close(&self) {}

    /// Whether the descriptor is readable, for tests within the crate.
    #[cfg(test)]
    pub(crate) fn is_set(&self) -> bool {
        let mut fd = libc::pollfd {
            fd: self.epoll.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: the pointer is to one pollfd that is ours for the call.
        unsafe { libc::poll(&raw mut fd, 1, 0) == 1 }
    }

    fn set_timer(&self, left: Option<Duration>) {
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
            unsafe { libc::timerfd_settime(self.timer.as_raw_fd(), 0, &value, ptr::null_mut()) };
        // It fails only for arguments that are out of range.
        debug_assert_eq!(result, 0, "timerfd_settime: {}", io::Error::last_os_error());
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Takes over what a system call returned: a descriptor, or -1 for an error.
///
/// # Safety
/// The call was the thread's last, and nobody else knows of the descriptor.
unsafe fn adopt(fd: libc::c_int) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was returned just now, so it is open, and nobody else knows
    // of it, so nobody else closes it (the caller's promise).
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes `epoll` readable while `fd` is, for as long as both are open.
fn watch(epoll: &OwnedFd, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    let (epoll, fd) = (epoll.as_raw_fd(), fd.as_raw_fd());
    // SAFETY: both descriptors are open, as they are borrowed, and `event` is a
    // whole epoll_event that outlives the call.
    let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_deadline_takes_back_now_and_a_deadline_that_has_come() {
        let alarm = Alarm::new().unwrap();
        assert!(!alarm.is_set());
        for later in [None, Some(Instant::now() + ms(3_600_000))] {
            alarm.arm_now();
            alarm.arm_now();
            assert!(alarm.is_set());
            alarm.arm_at(later);
            assert!(!alarm.is_set());

            alarm.arm_at(Some(Instant::now()));
            std::thread::sleep(ms(1));
            assert!(alarm.is_set());
            alarm.arm_at(later);
            assert!(!alarm.is_set());
        }
    }

    #[test]
    fn a_deadline_set_twice_still_comes() {
        let alarm = Alarm::new().unwrap();
        let deadline = Some(Instant::now() + ms(2));
        alarm.arm_at(deadline);
        alarm.arm_now();
        alarm.arm_at(deadline);
        std::thread::sleep(ms(3));
        assert!(alarm.is_set());
        // Nothing was done about it, so it stays.
        alarm.arm_at(deadline);
        assert!(alarm.is_set());
        alarm.arm_at(None);
        assert!(!alarm.is_set());
    }

    #[test]
    fn a_deadline_further_than_the_timer_reaches_is_not_now() {
        let alarm = Alarm::new().unwrap();
        let far = Instant::now().checked_add(LONGEST * 4);
        for _ in 0..2 {
            alarm.arm_at(far);
            assert!(!alarm.is_set());
            alarm.arm_now();
            alarm.arm_at(far);
            assert!(!alarm.is_set());
        }
    }
}
