//! [`ViewBuilder`]: what a view is to be.

use std::fmt;

use super::core::View;
use super::{Keyed, Latest, Limit};
use crate::port::Room;
use crate::priority::Priority;
use crate::scheduler::Scheduler;
use crate::spawner::Spawner;
use crate::sync::Arc;

/// Says what a part of a pool is to be; see [`Pool::view`](crate::Pool::view).
///
/// ```
/// use windlass::{Pool, Priority};
///
/// let pool = Pool::new()?;
/// let thumbnails = pool.view().priority(Priority::Low).limit(2);
/// let of_one_user = thumbnails.view().serial(); // of those two places, one at most
/// let job = of_one_user.spawn(|| "drawn");
/// assert_eq!(job.join()?, "drawn");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `limit`, `serial`, `latest` or `keyed`"]
#[derive(Clone)]
pub struct ViewBuilder {
    scheduler: Arc<Scheduler>,
    outer: Option<Arc<View>>,
    priority: Priority,
    capacity: Option<usize>,
}

impl Spawner {
    /// A part of the pool with more to say about it. See
    /// [`Pool::view`](crate::Pool::view).
    pub fn view(&self) -> ViewBuilder {
        ViewBuilder {
            scheduler: Arc::clone(&self.scheduler),
            outer: None,
            priority: Priority::Normal,
            capacity: None,
        }
    }

    /// See [`Pool::limit`](crate::Pool::limit).
    ///
    /// # Panics
    /// If `places` is zero.
    #[must_use]
    #[track_caller]
    pub fn limit(&self, places: usize) -> Limit {
        self.view().limit(places)
    }

    /// See [`Pool::serial`](crate::Pool::serial).
    #[must_use]
    pub fn serial(&self) -> Limit {
        self.view().serial()
    }

    /// See [`Pool::latest`](crate::Pool::latest).
    #[must_use]
    pub fn latest(&self) -> Latest {
        self.view().latest()
    }

    /// See [`Pool::keyed`](crate::Pool::keyed).
    #[must_use]
    pub fn keyed<K>(&self) -> Keyed<K> {
        self.view().keyed()
    }
}

impl ViewBuilder {
    /// Of a view within `outer`.
    pub(super) fn within(outer: &Arc<View>) -> Self {
        Self {
            scheduler: Arc::clone(outer.scheduler()),
            outer: Some(Arc::clone(outer)),
            priority: Priority::Normal,
            capacity: None,
        }
    }

    /// Which of the jobs that wait in the pool come first. Default:
    /// [`Priority::Normal`]. The jobs of a view keep their order among each other, and
    /// those of a view within another one come in the order of that one.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How many of the view's jobs may wait; of each key's, if it is
    /// [`keyed`](Self::keyed). Default: as many as there is memory for. Of those that
    /// are one too many the handle says
    /// [`is_rejected`](crate::JoinError::is_rejected), and those without a handle go
    /// to [`on_reject`](crate::PoolBuilder::on_reject). One that was cancelled counts
    /// until its turn would have come.
    ///
    /// # Panics
    /// If `capacity` is zero.
    ///
    /// ```
    /// let pool = windlass::Pool::new()?;
    /// let exports = pool.view().queue_capacity(100).limit(1);
    /// match exports.try_spawn(|| "exported") {
    ///     Ok(job) => assert_eq!(job.join()?, "exported"),
    ///     Err(full) => println!("{full}; try again later"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn queue_capacity(mut self, capacity: usize) -> Self {
        assert!(
            capacity > 0,
            "queue_capacity(0): a view without room for a job would never run one"
        );
        self.capacity = Some(capacity);
        self
    }

    /// A view of which so many jobs run at once; see [`Limit`].
    ///
    /// # Panics
    /// If `places` is zero.
    #[must_use]
    #[track_caller]
    pub fn limit(self, places: usize) -> Limit {
        assert!(places > 0, "limit(0): a view needs a place to run its jobs");
        Limit::new(Arc::new(self.build(places)))
    }

    /// A view whose jobs run one after another; see [`Limit`].
    #[must_use]
    pub fn serial(self) -> Limit {
        self.limit(1)
    }

    /// A view of which only the newest job is worth the while; see [`Latest`].
    #[must_use]
    pub fn latest(self) -> Latest {
        Latest::new(Arc::new(self.build(1)))
    }

    /// Views whose jobs run one after another, one for each key; see [`Keyed`].
    #[must_use]
    pub fn keyed<K>(self) -> Keyed<K> {
        Keyed::new(self)
    }

    pub(super) fn build(self, places: usize) -> View {
        View::new(
            self.scheduler,
            self.outer,
            self.priority,
            places,
            self.capacity.map(Room::new),
        )
    }
}

impl fmt::Debug for ViewBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewBuilder")
            .field("priority", &self.priority)
            .field("queue_capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
