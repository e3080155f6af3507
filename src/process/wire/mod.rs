//! What goes over the socket between a process and its parent, and how.
//!
//! | file | what it is |
//! |---|---|
//! | `frame` | frames: kinds, lengths, what arrived |
//! | `payload`, `source` | arguments, results and messages, written and read; the memory for large ones |
//! | `bytes` | [`Bytes`]: bytes in one piece |
//! | `descriptor` | [`Descriptor`]: sockets and files in a worker's messages |
//! | `descriptors` | how these go along |
//! | `patience` | looking again and again before a wait |

mod bytes;
pub(crate) mod descriptor;
pub(crate) mod descriptors;
pub(crate) mod frame;
pub(crate) mod patience;
pub(crate) mod payload;
pub(crate) mod source;

pub use self::bytes::Bytes;
pub use self::descriptor::Descriptor;
