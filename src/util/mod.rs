//! Small helpers that know nothing of the crate.

pub(crate) mod limits;
mod panic;
mod report;

pub(crate) use self::panic::{PanicPayload, Stays, catch, discard, payload_message};
pub(crate) use self::report::{report, report_past_locks};
