//! The limits that both a check and its error message name.

/// Overrides the default number of threads.
pub(crate) const ENV_THREADS: &str = "WINDLASS_NUM_THREADS";

/// The most threads one pool can have: what the idle word has room for.
pub(crate) const MAX_THREADS: usize = 4095;

/// The smallest stack a pool thread may have, in bytes; below it, starting a
/// thread and running its destructors is not safe on every platform.
pub(crate) const MIN_STACK: usize = 16 * 1024;
