//! [`Tasks`]: what a child process can run.

use std::any::{TypeId, type_name};
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::serve;
use super::task::{Task, TaskContext};
use super::wire::payload::{Memory, Written};
use super::wire::source::Source;
use super::worker::parent::{self, Line, ProcessParent};
use crate::sync::Arc;

/// The tasks that a child process can run, by their names.
///
/// A [`ProcessPool`](super::ProcessPool) starts this very program again for its
/// children. One line at the top of `main` tells them apart:
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use windlass::process::{Task, TaskContext};
/// # #[derive(Serialize, Deserialize)]
/// # struct Thumbnail;
/// # impl Task for Thumbnail {
/// #     const NAME: &'static str = "thumbnail";
/// #     type Output = ();
/// #     fn run(self, _cx: &TaskContext) {}
/// # }
/// use windlass::process::Tasks;
///
/// fn main() {
///     let tasks = Tasks::new().with::<Thumbnail>().serve_if_child();
///     // from here on it is the program itself
///     # let _ = tasks;
/// }
/// ```
#[derive(Clone, Default)]
pub struct Tasks {
    entries: Vec<Entry>,
    workers: Vec<WorkerEntry>,
}

/// A worker that a child can be.
#[derive(Clone)]
struct WorkerEntry {
    name: &'static str,
    /// Of its messages, both ways.
    id: TypeId,
    types: [&'static str; 2],
    body: Arc<dyn Fn(Line) -> i32 + Send + Sync>,
}

#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    id: TypeId,
    /// The task's and its output's; they tell builds of a program apart.
    types: [&'static str; 2],
    run: fn(Source<'_>, &mut Reply<'_>) -> Result<(), String>,
}

/// Where a task's result goes.
pub(super) struct Reply<'a> {
    pub(super) frame: &'a mut Vec<u8>,
    pub(super) memory: &'a Memory,
    pub(super) max_payload: u64,
    pub(super) written: Written,
}

impl Tasks {
    /// No tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One task more.
    ///
    /// # Panics
    /// If there is one of that name.
    #[must_use]
    #[track_caller]
    pub fn with<T: Task>(mut self) -> Self {
        let is_there = self.entries.iter().any(|entry| entry.name == T::NAME);
        assert!(!is_there, "there are two tasks of the name {:?}", T::NAME);
        self.entries.push(Entry {
            name: T::NAME,
            id: TypeId::of::<T>(),
            types: [type_name::<T>(), type_name::<T::Output>()],
            run: run::<T>,
        });
        self
    }

    /// One worker more, of which a [`ProcessWorker`](super::ProcessWorker) is the owner's
    /// end. In the child, `body` receives and posts until it returns; with it the process
    /// ends, with the code 0, or with 101 if it panicked.
    ///
    /// ```
    /// use windlass::process::{ProcessParent, Tasks};
    ///
    /// let tasks = Tasks::new().with_worker("square", |parent: &ProcessParent<u64, u64>| {
    ///     while let Ok(n) = parent.recv() {
    ///         let _ = parent.post(n * n); // an error means that the parent is gone
    ///     }
    /// });
    /// # let _ = tasks;
    /// ```
    ///
    /// # Panics
    /// If there is a worker of that name.
    #[must_use]
    #[track_caller]
    pub fn with_worker<In, Out>(
        mut self,
        name: &'static str,
        body: impl Fn(&ProcessParent<In, Out>) + Send + Sync + 'static,
    ) -> Self
    where
        In: DeserializeOwned + Send + 'static,
        Out: Serialize + Send + 'static,
    {
        let is_there = self.workers.iter().any(|entry| entry.name == name);
        assert!(!is_there, "there are two workers of the name {name:?}");
        self.workers.push(WorkerEntry {
            name,
            id: TypeId::of::<fn(In) -> Out>(),
            types: [type_name::<In>(), type_name::<Out>()],
            body: Arc::new(move |line| parent::live(&body, line)),
        });
        self
    }

    /// In a process that a [`ProcessPool`](super::ProcessPool) has started: runs tasks
    /// until the pool has no more, and then **ends the process**. In every other process
    /// it gives the tasks back, at once.
    ///
    /// It is to be the first line of `main`: what comes before it happens in every child
    /// as well. A child whose program has no such line is ended by its pool, whose
    /// [`build`](super::ProcessPoolBuilder::build) gives an error that says so; and a
    /// process pool that such a child would build itself is an error too, so that no
    /// avalanche of processes comes of it.
    ///
    /// Afterwards the child's stdin is empty (`/dev/null`), and its stdout and stderr go
    /// to the pool's [`Output`](super::Output).
    #[must_use = "the tasks are what a `ProcessPool` is made of"]
    pub fn serve_if_child(self) -> Self {
        match serve::parents_socket() {
            None => self,
            Some(socket) => serve::serve(&self, socket),
        }
    }

    /// The tasks' names, in the order in which they came.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|entry| entry.name)
    }

    /// What a task is called on the wire.
    pub(super) fn number_of<T: Task>(&self) -> Option<u32> {
        let id = TypeId::of::<T>();
        let number = self.entries.iter().position(|entry| entry.id == id)?;
        u32::try_from(number).ok()
    }

    /// What a worker is called on the wire.
    pub(super) fn number_of_worker<In: 'static, Out: 'static>(
        &self,
        name: &str,
    ) -> Option<(u32, &'static str)> {
        let id = TypeId::of::<fn(In) -> Out>();
        let is_it = |entry: &WorkerEntry| entry.name == name && entry.id == id;
        let number = self.workers.iter().position(is_it)?;
        Some((u32::try_from(number).ok()?, self.workers[number].name))
    }

    /// Is the worker of a number, in the child; what it ends with.
    pub(super) fn be_worker(&self, number: u32, line: Line) -> Option<i32> {
        let entry = self.workers.get(number as usize)?;
        Some((entry.body)(line))
    }

    /// Runs the task of a number, in the child.
    pub(super) fn run(
        &self,
        number: u32,
        argument: Source<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), String> {
        match self.entries.get(number as usize) {
            Some(entry) => (entry.run)(argument, reply),
            None => Err(format!("there is no task of number {number}")),
        }
    }

    /// A number that is another one if the names, their order or their types are others
    /// (FNV-1a).
    pub(super) fn hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let tasks = self.entries.iter().map(|it| (it.name, it.types));
        // Nothing is called so: it tells the two lists apart.
        let between = (!self.workers.is_empty()).then_some(("\u{1}", [""; 2]));
        let workers = self.workers.iter().map(|it| (it.name, it.types));
        for (name, types) in tasks.chain(between).chain(workers) {
            for text in [name, types[0], types[1]] {
                for byte in text.bytes().chain([0]) {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
                }
            }
        }
        hash
    }
}

fn run<T: Task>(argument: Source<'_>, reply: &mut Reply<'_>) -> Result<(), String> {
    let task: T = argument
        .read()
        .map_err(|error| format!("its argument could not be read, and it did not run: {error}"))?;
    let value = task.run(&TaskContext::new(T::NAME, true));
    reply.written = reply
        .memory
        .write(&value, reply.frame, reply.max_payload)
        .map_err(|error| format!("it ran, but its result could not be written: {error}"))?;
    Ok(())
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.workers.iter().map(|entry| entry.name);
        f.debug_list().entries(self.names().chain(workers)).finish()
    }
}
