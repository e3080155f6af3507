//! Two workers with a queue of tasks, in the shape of the pool in Node's
//! documentation of `AsyncResource`: a free worker takes the next task, and one
//! that dies fails its task and is replaced. The same in Node:
//! `node/03-worker-pool.js`.
//!
//! For tasks without a state of their own `Pool::spawn` is all of this, and a
//! worker of `Worker::builder(..).restart(..)` replaces itself.
//!
//! Run: `cargo run --example node_03_worker_pool`

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::rc::Rc;

use windlass::{MainLoop, Parent, Pool, Worker, WorkerError, WorkerId};

type Callback = Box<dyn FnOnce(Result<u64, WorkerError>)>;

struct WorkerPool {
    pool: Pool,
    queue: RefCell<VecDeque<(u64, Callback)>>,
    free: RefCell<Vec<WorkerId>>,
    workers: RefCell<HashMap<WorkerId, Worker<u64, u64>>>,
    /// Of the workers that have a task.
    callbacks: RefCell<HashMap<WorkerId, Callback>>,
    replaced: Cell<u32>,
}

impl WorkerPool {
    fn new(main: &MainLoop, size: usize) -> Result<Rc<Self>, Box<dyn Error>> {
        let this = Rc::new(Self {
            pool: Pool::new()?,
            queue: RefCell::default(),
            free: RefCell::default(),
            workers: RefCell::default(),
            callbacks: RefCell::default(),
            replaced: Cell::new(0),
        });
        for _ in 0..size {
            this.add_worker(main);
        }
        Ok(this)
    }

    fn run(&self, task: u64, callback: impl FnOnce(Result<u64, WorkerError>) + 'static) {
        self.queue
            .borrow_mut()
            .push_back((task, Box::new(callback)));
        self.hand_out();
    }

    fn add_worker(self: &Rc<Self>, main: &MainLoop) {
        let worker = self.pool.try_worker(square);
        let id = worker.id();
        let this = Rc::clone(self);
        main.on_message(&worker, move |_main, result| {
            this.free.borrow_mut().push(id);
            this.finish(id, Ok(result));
        })
        .expect("nobody else listens to a new worker");
        let this = Rc::clone(self);
        main.on_error(&worker, move |main, error| {
            this.workers.borrow_mut().remove(&id);
            this.replaced.set(this.replaced.get() + 1);
            this.add_worker(main);
            this.finish(id, Err(error));
        });
        self.workers.borrow_mut().insert(id, worker);
        self.free.borrow_mut().push(id);
    }

    fn finish(&self, id: WorkerId, result: Result<u64, WorkerError>) {
        let callback = self.callbacks.borrow_mut().remove(&id);
        self.hand_out();
        if let Some(callback) = callback {
            callback(result);
        }
    }

    fn hand_out(&self) {
        let mut free = self.free.borrow_mut();
        let mut queue = self.queue.borrow_mut();
        while !free.is_empty() && !queue.is_empty() {
            let (Some(id), Some((task, callback))) = (free.pop(), queue.pop_front()) else {
                return;
            };
            self.callbacks.borrow_mut().insert(id, callback);
            let _ = self.workers.borrow()[&id].post(task);
        }
    }

    fn close(&self) {
        self.workers.borrow_mut().clear();
    }
}

fn square(task: u64, parent: &Parent<u64>) -> Result<(), windlass::BoxError> {
    if task == 5 {
        return Err("cannot do five".into());
    }
    parent.post(task * task)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let main = MainLoop::new();
    let pool = WorkerPool::new(&main, 2)?;
    let lines = Rc::new(RefCell::new(Vec::new()));
    for task in 1..=8 {
        let (owner, lines) = (Rc::clone(&pool), Rc::clone(&lines));
        pool.run(task, move |result| {
            let mut lines = lines.borrow_mut();
            lines.push(match result {
                Ok(square) => format!("task {task}: {square}"),
                Err(_) => format!("task {task}: its worker died"),
            });
            if lines.len() == 8 {
                // They end in any order.
                lines.sort();
                lines.iter().for_each(|line| println!("{line}"));
                let (workers, replaced) = (owner.workers.borrow().len(), owner.replaced.get());
                println!("{workers} workers, {replaced} replaced");
                owner.close();
            }
        });
    }
    main.run();
    Ok(())
}
