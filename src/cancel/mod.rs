//! Asking for an end: of jobs that have not started, exactly; of those that run,
//! by their leave.
//!
//! | file | what it is |
//! |---|---|
//! | [`token`] | [`CancelToken`]: one call that ends many jobs |
//! | [`ask`] | what a running job asks: am I to stop? |

mod ask;
mod token;

pub use self::ask::{Cancelled, checkpoint, is_cancelled};
pub use self::token::{CancelGuard, CancelToken, WaitForCancel};
