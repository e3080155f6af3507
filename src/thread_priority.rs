//! How the operating system is to treat a pool's threads beside others.
//!
//! A feature of its own, `thread-priority`, because of the crate that knows how
//! each system says it.

use crate::error::BuildError;
use ::thread_priority::{self as system, ThreadPriority as Value};

/// How the operating system is to treat a pool's threads when others want the
/// same processors; for [`PoolBuilder::thread_priority`](crate::PoolBuilder::thread_priority).
///
/// Without it they are ordinary threads, which on Linux ask for long time slices
/// instead: a main loop is then about as punctual, and nothing is given up to
/// other programs. These are for work that *should* give way.
///
/// | | Linux | Windows | macOS |
/// |---|---|---|---|
/// | `Nice(1..=9)` | nice value | below normal | lower priority |
/// | `Nice(10..=19)` | nice value | lowest | lower priority |
/// | `Batch` | `SCHED_BATCH` | as it is | as it is |
/// | `Idle` | `SCHED_IDLE` | idle | lowest priority |
///
/// A program that was started with a higher nice value keeps that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ThreadPriority {
    /// Gives way by degrees, from 1, hardly, to 19, nearly always: a nice value,
    /// where each step is about a tenth of the processor's time.
    Nice(u8),
    /// Wakes others up later rather than earlier, and is otherwise ordinary: for
    /// throughput. (Such threads have no long time slices: Linux gives those to
    /// ordinary ones only.)
    Batch,
    /// Gets what nobody else wants.
    Idle,
}

impl ThreadPriority {
    /// An error if there is no such thing.
    pub(crate) fn check(self) -> Result<(), BuildError> {
        match self {
            Self::Nice(value) if !(1..=19).contains(&value) => Err(BuildError::NiceValue { value }),
            _ => Ok(()),
        }
    }

    /// Sets the calling thread's.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn apply(self) -> Result<(), system::Error> {
        use thread_priority::NormalThreadSchedulePolicy as Normal;
        use thread_priority::ThreadSchedulePolicy as Policy;

        // It cannot be lowered again without privileges.
        let least = crate::sys::slice::nice().clamp(0, 19) as u8;
        let (policy, nice) = match self {
            Self::Nice(value) => (Normal::Other, value.max(least)),
            Self::Batch => (Normal::Batch, least),
            Self::Idle => (Normal::Idle, least),
        };
        let thread = system::thread_native_id();
        let priority = Value::Crossplatform(value(of_nice(nice)));
        system::set_thread_priority_and_policy(thread, priority, Policy::Normal(policy))
    }

    /// Sets the calling thread's.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn apply(self) -> Result<(), system::Error> {
        // macOS has 15 to 47 for ordinary threads, which start at 31.
        let mac = cfg!(any(target_os = "macos", target_os = "ios"));
        system::set_current_thread_priority(match self {
            Self::Nice(nice) if mac => Value::Crossplatform(value(31 - nice * 16 / 19)),
            Self::Nice(..=9) => Value::Crossplatform(value(30)),
            Self::Nice(_) => Value::Crossplatform(value(10)),
            Self::Batch => return Ok(()),
            Self::Idle => Value::Min,
        })
    }
}

fn value(value: u8) -> system::ThreadPriorityValue {
    value.try_into().expect("one from 0 to 99")
}

/// Where a nice value is on the crate's scale, which spreads 19 to -20 over 0 to
/// 99 and rounds down: the middle of what becomes this value.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn of_nice(nice: u8) -> u8 {
    (99.0 * (1.0 - (f32::from(nice) + 20.5) / 39.0)).round() as u8
}

#[cfg(all(test, target_os = "linux", not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_nice_value_is_set_as_it_is() {
        for nice in 1..=19 {
            std::thread::spawn(move || {
                ThreadPriority::Nice(nice).apply().unwrap();
                assert_eq!(crate::sys::slice::nice(), i32::from(nice));
                // A lower one is not asked for.
                ThreadPriority::Nice(1).apply().unwrap();
                assert_eq!(crate::sys::slice::nice(), i32::from(nice));
            })
            .join()
            .unwrap();
        }
    }
}
