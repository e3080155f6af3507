//! [`ProcessWorker`]: a child of its own that talks by messages.
//!
//! | file | what it is |
//! |---|---|
//! | `handle` | [`ProcessWorker`]: the owner's end |
//! | `builder` | [`ProcessWorkerBuilder`] |
//! | `exit` | [`ProcessExit`]: how it ends, and who wants to know |
//! | `keeper`, `alarm` | the thread in the parent that looks after it; what wakes that |
//! | `ceiling` | the most memory that it may have |
//! | `parent` | [`ProcessParent`]: the child's end |
//! | `mail` | how that reads |

mod alarm;
mod builder;
mod ceiling;
mod exit;
mod handle;
mod keeper;
pub(crate) mod mail;
pub(crate) mod parent;

pub use self::builder::ProcessWorkerBuilder;
pub use self::exit::{ProcessExit, ProcessExited};
pub use self::handle::ProcessWorker;
pub use self::parent::ProcessParent;
