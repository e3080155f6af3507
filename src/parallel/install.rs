//! [`install`]: the way into the pool.

#![allow(unsafe_code)]

use std::panic::resume_unwind;

use crate::job::{Context, Slot, new_cell};
use crate::spawner::Spawner;
use crate::util::{PanicPayload, Stays, catch};

/// Runs `f` on a thread of the pool and waits for it; here, if this is one, and if the
/// pool takes no more jobs. `f` takes no place in a queue that has a bound: its caller
/// waits anyway.
///
/// # Panics
/// With the panic of `f`.
pub(crate) fn install<R: Send>(spawner: &Spawner, f: impl FnOnce() -> R + Send) -> R {
    if spawner.scheduler.is_current() {
        return f();
    }
    let mut task = Task::Closure(f);
    let errand = Errand {
        task: (&raw mut task).cast(),
        run: run_task(&task),
    };
    let stays = Stays;
    let context = Context::current();
    let (job, end) = new_cell(move || {
        // The job that waits here, if it is one of another pool.
        let _entered = context.enter();
        let Errand { task, run } = errand.into_inner();
        // SAFETY: the frame below stays until this job has an outcome, and does not
        // touch the task meanwhile; a job runs once.
        unsafe { run(task) }
    });
    let handle = spawner.submit_slot(Slot::call(job), end);
    // An error is a job that was refused: it has not run, and never will.
    let _ = handle.join();
    std::mem::forget(stays);
    match task {
        Task::Result(Ok(result)) => result,
        Task::Result(Err(payload)) => resume_unwind(payload),
        Task::Closure(f) => f(),
        Task::Begun => unreachable!("a job that has ended has a result"),
    }
}

/// What lies on the caller's stack.
enum Task<F, R> {
    Closure(F),
    Begun,
    Result(Result<R, PanicPayload>),
}

/// The way to a task, without the lifetimes of what it borrows.
struct Errand {
    task: *mut (),
    run: unsafe fn(*mut ()),
}

// SAFETY: `install` asks for a closure and a result that are.
unsafe impl Send for Errand {}

impl Errand {
    /// A method, so that a closure captures the whole.
    fn into_inner(self) -> Self {
        self
    }
}

/// How a task of this type is run.
fn run_task<F: FnOnce() -> R, R>(_: &Task<F, R>) -> unsafe fn(*mut ()) {
    /// Safety: it points to a task of this type, and nobody else uses that.
    unsafe fn run<F: FnOnce() -> R, R>(task: *mut ()) {
        // SAFETY: handed on from the caller.
        let task = unsafe { &mut *task.cast::<Task<F, R>>() };
        if let Task::Closure(f) = std::mem::replace(task, Task::Begun) {
            *task = Task::Result(catch(f));
        }
    }
    run::<F, R>
}
