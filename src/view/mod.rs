//! Views: a part of a pool, for jobs that must not have all of it.
//!
//! | file | what it is |
//! |---|---|
//! | [`builder`] | [`ViewBuilder`]: what a view is to be |
//! | [`limit`] | [`Limit`]: so many jobs at once; one after another |
//! | [`latest`] | [`Latest`]: only the newest job is worth the while |
//! | [`keyed`] | [`Keyed`]: one after another for each key |
//! | [`core`] | what is behind all of them: a queue, places, turns |
//! | [`wait`] | a job is waited for inside a job |
//!
//! # How a view works
//! A view has a queue of its own and a number of *places*. A *turn* of it, an entry
//! in the pool's queues, takes one job from the view's queue and runs it. There
//! are always as many turns, waiting or running, as there are jobs that have not
//! ended, but never more than places:
//!
//! - who hands a job over pushes it, counts it, and starts a turn if there were
//!   fewer jobs than places;
//! - who has run a job counts it off, and starts another turn if there were more
//!   jobs than places.
//!
//! Each count is one read-modify-write, so each job pays for its own turn or finds
//! that a later end will. A turn runs one job and goes to the back of the pool's
//! queues: views share the threads fairly with everything else.
//!
//! # Views of views
//! A view may be a part of another one: then its turns are jobs of that one, and wait
//! in its queue. So each job has a place in each of the views around it.
//!
//! # Waiting
//! A pool thread that waits for a job of a view may not simply run it: it would
//! take a place that is not there. It may take over a turn that nobody has begun,
//! of the outermost view, and does, until its job has ended: what waits in front of
//! that job is what the waiter depends on. If there is none, it parks, and is woken
//! when the next turn is started, because all the other threads may be waiting too.
//! A job that waits, for whatever, gives its places back meanwhile (it is told to by
//! [`crate::sync::absence`]), and takes them again without asking, so that for a
//! moment one more may run. With a single place that would break the order which such
//! views are for: that one it keeps, and if what it waits for needs the same place,
//! that is an error at once.

mod builder;
mod core;
mod keyed;
mod latest;
mod limit;
mod wait;

#[cfg(all(test, loom))]
mod models;

pub use self::builder::ViewBuilder;
pub use self::keyed::Keyed;
pub use self::latest::Latest;
pub use self::limit::{Limit, ViewMetrics};
