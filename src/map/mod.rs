//! Maps: a function over an iterator, a stream or a reader, on all cores, with so many items
//! on the way and no more.
//!
//! | file | what it is |
//! |---|---|
//! | [`iter`] | [`Map`]: an iterator of results |
//! | [`stream`] | [`MapStream`]: a stream of results |
//! | [`results`] | [`MapResults`]: either with each result as a `Result` |
//! | [`read`] | [`TransformRead`]: an iterator of results over the blocks of a reader |
//! | [`read_stream`] | [`TransformStream`]: the same as a stream |
//! | [`blocks`] | its source: a reader that jobs of the pool read, one after another |
//! | [`core`] | what is behind all: the function, the bound, the way into the pool |
//! | [`pace`] | how far ahead a map goes while its items are short |
//! | [`flight`] | the jobs whose results were not given out, in order or as they end |
//!
//! # How a map works
//! Each item is a job of its own. The source is asked for the next one by whoever
//! asks the map for a result, on that thread, and only while fewer items than the
//! look-ahead are on the way: pulled from the source, and not given out as a result.
//! That is the bound on memory, and the backpressure: who takes no results pulls no
//! items.
//!
//! # Waiting
//! In order, the map waits for the handle of the oldest job; as they end, for a
//! [`JobSet`](crate::JobSet). Both obey the wait rule: a thread of the pool runs what
//! it waits for itself if nobody has started it, and nothing else.
//!
//! # Short items
//! To be woken costs as much as dozens of items of a microsecond, and while this thread
//! gets up the pool has nothing but the look-ahead to do. So an iterator in order whose
//! waits are shorter than 100 us waits for a *younger* job than the oldest, twice as
//! far ahead each time, and then gives all those results out without another wait. A
//! default look-ahead grows with that, so that the pool has work meanwhile. (Items of 1 us
//! in a pool of two threads on two cores take 0.7 us each with this, and took 6 us
//! in a map without order before that had any of it.)
//!
//! Only waits teach: who takes results more slowly than they come goes no further
//! ahead. Longer waits bring it back, and one of 2 ms is given up for the oldest
//! result: an item may take for ever, and what came before it is to be had.
//! With `unordered` every wait is for the next job that ends, and only the default
//! look-ahead grows: several have ended then when this thread is awake.
//! A thread of the pool waits for the oldest at once, which it may run itself, and so
//! does a stream, which has no clock.
//!
//! # Bounds
//! In a pool whose queue has a bound an item may find no room. It is *held* then,
//! and a map that has other jobs on the way waits for those first: they may be what
//! fills the queue. With nothing else to wait for it waits for room; but a thread of the
//! pool runs the item itself, as it would have claimed it.
//!
//! # A reader as the source
//! Reading waits, which a task must not, and so it is a job as well, of one block: it
//! takes the reader along and brings it back with the block. Whoever asks for a result
//! looks after two jobs then, the one that reads and the oldest of those that compute,
//! and is woken by either: a block that comes is handed over, and the reader sent for the
//! next one, before anything else. There is one reader, so blocks come in order.
//!
//! The block that is being read counts as on the way. The look-ahead is also made use of
//! *after* a result was found: while the caller is busy with it, the next block is read.

mod blocks;
mod core;
mod flight;
mod iter;
mod pace;
mod read;
mod read_stream;
mod results;
mod stream;

pub use self::iter::Map;
pub use self::read::TransformRead;
pub use self::read_stream::TransformStream;
pub use self::results::MapResults;
pub use self::stream::MapStream;
