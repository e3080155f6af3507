//! Small helpers that know nothing of the crate.

pub(crate) mod limits;
mod panic;

pub(crate) use self::panic::{PanicPayload, catch, discard, payload_message};
