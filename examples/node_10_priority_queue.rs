//! A priority queue before a worker: while it is busy, tasks collect on the main
//! thread, and the most urgent one is next. Equally urgent ones keep their order.
//! The same in Node: `node/10-priority-queue.js`.
//!
//! Run: `cargo run --example node_10_priority_queue`

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::rc::Rc;

use windlass::{MainLoop, Parent, Pool, Worker};

/// The most urgent one is the greatest, and of those the first that was added.
type Task = (u32, Reverse<usize>, &'static str);

struct PriorityWorker {
    tasks: RefCell<BinaryHeap<Task>>,
    added: Cell<usize>,
    busy: Cell<bool>,
    worker: Worker<&'static str, &'static str>,
}

impl PriorityWorker {
    fn new(pool: &Pool) -> Self {
        Self {
            tasks: RefCell::default(),
            added: Cell::new(0),
            busy: Cell::new(false),
            worker: pool.worker(|name: &'static str, parent: &Parent<&'static str>| {
                let _ = parent.post(name);
            }),
        }
    }

    fn add(&self, name: &'static str, priority: u32) {
        self.added.set(self.added.get() + 1);
        let task = (priority, Reverse(self.added.get()), name);
        self.tasks.borrow_mut().push(task);
        self.hand_out();
    }

    fn hand_out(&self) {
        if self.busy.get() {
            return;
        }
        if let Some((_, _, name)) = self.tasks.borrow_mut().pop() {
            self.busy.set(true);
            let _ = self.worker.post(name);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    let main = MainLoop::new();
    let queue = Rc::new(PriorityWorker::new(&pool));

    let mut done = 0;
    let owner = Rc::clone(&queue);
    main.on_message(&queue.worker, move |_main, name| {
        owner.busy.set(false);
        done += 1;
        println!("{done}. {name}");
        owner.hand_out();
        if done == 6 {
            owner.worker.close();
        }
    })?;
    queue.add("coil the ropes", 1); // the worker is free, so this one starts
    queue.add("paint the rail", 0);
    queue.add("reef the sails", 5);
    queue.add("man the pumps", 9);
    queue.add("cook dinner", 3);
    queue.add("trim the sails", 5);
    main.run();
    Ok(())
}
