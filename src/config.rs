//! What a pool is built from: checked numbers.

use crate::error::{BuildError, ResizeError};
use crate::util::limits::{ENV_THREADS, MAX_THREADS, MIN_STACK};

/// How many threads a pool gets: what the builder asked for, else what the
/// environment says, else one per core this process may use.
pub(crate) fn num_threads(asked: Option<usize>) -> Result<usize, BuildError> {
    match asked {
        Some(value) if (1..=MAX_THREADS).contains(&value) => Ok(value),
        Some(value) => Err(BuildError::NumThreads { value }),
        None => match std::env::var_os(ENV_THREADS) {
            Some(value) => from_env(value.to_string_lossy().into_owned()),
            None => Ok(num_cpus::get().clamp(1, MAX_THREADS)),
        },
    }
}

fn from_env(value: String) -> Result<usize, BuildError> {
    match value.trim().parse() {
        Ok(threads) if (1..=MAX_THREADS).contains(&threads) => Ok(threads),
        _ => Err(BuildError::Environment { value }),
    }
}

/// Checks a new number of threads.
pub(crate) fn resize(count: usize) -> Result<(), ResizeError> {
    if (1..=MAX_THREADS).contains(&count) {
        Ok(())
    } else {
        Err(ResizeError::NumThreads { value: count })
    }
}

/// Checks a stack size in bytes.
pub(crate) fn stack_size(asked: Option<usize>) -> Result<(), BuildError> {
    match asked {
        Some(value) if value < MIN_STACK => Err(BuildError::StackSize { value }),
        _ => Ok(()),
    }
}

/// Checks how many jobs may wait.
pub(crate) fn queue_capacity(asked: Option<usize>) -> Result<Option<usize>, BuildError> {
    match asked {
        Some(value @ 0) => Err(BuildError::QueueCapacity { value }),
        other => Ok(other),
    }
}

/// Checks a thread's name.
pub(crate) fn thread_name(index: usize, name: String) -> Result<String, BuildError> {
    if name.contains('\0') {
        Err(BuildError::ThreadName { index, name })
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_takes_whole_numbers_from_one_up() {
        assert_eq!(from_env(" 3 ".into()).unwrap(), 3);
        for bad in ["", "0", "-1", "two", "1.5", "4096", "99999999999999999999"] {
            let error = from_env(bad.into()).unwrap_err().to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
            assert!(error.contains(ENV_THREADS), "{error}");
        }
    }

    #[test]
    fn what_was_asked_for_comes_first() {
        assert_eq!(num_threads(Some(7)).unwrap(), 7);
        assert!(num_threads(Some(0)).is_err());
        assert!(num_threads(Some(usize::MAX)).is_err());
        assert!(num_threads(None).unwrap() >= 1);
    }
}
