//! Memory that four workers share: a counter that all add to atomically, and one
//! that is only read and written, behind a mutex made of wait and notify. The
//! same in Node: `node/06-shared-memory.js`.
//!
//! `SharedArray::wait` blocks its thread, as `Atomics.wait` does, so the workers
//! have threads of their own: on the pool's they would be in the way of its jobs,
//! and with fewer threads than workers some might wait for one that never gets to
//! run. (In Rust `std::sync::Mutex` is the mutex; this is how one is made.)
//!
//! Run: `cargo run --example node_06_shared_memory`

use std::io;

use windlass::{Parent, SharedArray, Worker};

const WORKERS: usize = 4;
const ROUNDS: usize = 1000;

// What is where in the shared memory.
const START: usize = 0;
const ATOMIC: usize = 1;
const GUARDED: usize = 2;
const MUTEX: usize = 3;

// The mutex: free, held, or held with somebody waiting.
const FREE: i32 = 0;
const HELD: i32 = 1;
const AWAITED: i32 = 2;

fn lock(cells: &SharedArray<i32>) {
    if cells.compare_exchange(MUTEX, FREE, HELD).is_ok() {
        return;
    }
    while cells.swap(MUTEX, AWAITED) != FREE {
        cells.wait(MUTEX, AWAITED);
    }
}

fn unlock(cells: &SharedArray<i32>) {
    if cells.swap(MUTEX, FREE) == AWAITED {
        cells.notify(MUTEX, 1);
    }
}

fn count(cells: &SharedArray<i32>) {
    // All begin together.
    cells.wait(START, 0);
    for _round in 0..ROUNDS {
        cells.add(ATOMIC, 1);

        lock(cells);
        let seen = cells.load(GUARDED);
        cells.store(GUARDED, seen + 1);
        unlock(cells);
    }
}

fn main() -> io::Result<()> {
    let cells = SharedArray::<i32>::new(4);
    let mut exits = Vec::new();
    for _ in 0..WORKERS {
        let worker = Worker::dedicated()
            .spawn(|_parent: Parent<()>| |cells: SharedArray<i32>| count(&cells))?;
        worker.post(cells.clone()).map_err(io::Error::other)?;
        exits.push(worker.exited());
    }
    cells.store(START, 1);
    cells.notify(START, usize::MAX);
    for exit in exits {
        exit.wait();
    }

    println!("added atomically: {}", cells.load(ATOMIC));
    println!("behind the mutex: {}", cells.load(GUARDED));
    println!("the mutex is free: {}", cells.load(MUTEX) == FREE);
    Ok(())
}
