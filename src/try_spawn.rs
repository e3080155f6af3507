//! Handing jobs over to a pool whose queue may be full, with the closure back if it
//! is: `try_spawn`, `try_execute`.

use crate::error::{TrySpawnError, Why};
use crate::handle::JoinHandle;
use crate::job::{Reason, Slot};
use crate::spawner::Spawner;

impl Spawner {
    /// Hands `f` over if there is room for it. See
    /// [`Pool::try_spawn`](crate::Pool::try_spawn).
    ///
    /// # Errors
    /// Gives `f` back if the queue is full or the pool is closed.
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>, TrySpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if let Err(why) = self.try_let_in() {
            return Err(TrySpawnError::new(why, f));
        }
        Ok(match self.scheduler.bounds() {
            Some(bounds) => self.spawn_if(Ok(Some(bounds.permit())), f),
            None => self.spawn(f),
        })
    }

    /// Hands `f` over, fire and forget, if there is room for it. See
    /// [`Pool::try_execute`](crate::Pool::try_execute).
    ///
    /// # Errors
    /// Gives `f` back if the queue is full or the pool is closed.
    pub fn try_execute<F>(&self, f: F) -> Result<(), TrySpawnError<F>>
    where
        F: FnOnce() + Send + 'static,
    {
        if let Err(why) = self.try_let_in() {
            return Err(TrySpawnError::new(why, f));
        }
        self.execute_let_in(Slot::detached(f));
        Ok(())
    }

    /// Takes a place for a job if there is one, and if jobs need one.
    fn try_let_in(&self) -> Result<(), Why> {
        let Some(bounds) = self.scheduler.bounds() else {
            return match self.scheduler.is_open_here() {
                true => Ok(()),
                false => Err(Why::Closed),
            };
        };
        self.scheduler
            .try_let_in(bounds)
            .map_err(|reason| match reason {
                Reason::Rejected => Why::Full {
                    capacity: bounds.room().capacity(),
                },
                _ => Why::Closed,
            })
    }
}
