//! Workers that start workers: a message goes up from the innermost through
//! those around it, and an error that nobody looks at ends its parent in turn,
//! until it reaches somebody who does. The same in Node:
//! `node/13-nested-workers.js`.
//!
//! Run: `cargo run --example node_13_nested_workers`

use std::error::Error;
use std::io;

use windlass::{BoxError, MainLoop, Parent, Pool, Spawner, Worker};

const DEEPEST: u32 = 3;

/// Starts a worker that reports. Each waits for the one that it starts; that
/// would hold a thread of the pool, so they have threads of their own.
fn start() -> io::Result<Worker<u32, String>> {
    Worker::dedicated().try_spawn(|parent| Ok(move |depth| report(depth, &parent)))
}

fn report(depth: u32, parent: &Parent<String>) -> Result<(), BoxError> {
    if depth == DEEPEST {
        parent.post(format!("worker {depth}"))?;
        return Ok(());
    }
    let child = start()?;
    child.post(depth + 1)?;
    parent.post(format!("{}, worker {depth}", child.recv()?))?;
    Ok(())
}

/// Starts a worker that fails, or starts one that does. Each keeps the one that
/// it starts: to drop a worker is to close it.
fn start_failing(spawner: &Spawner) -> Worker<u32, ()> {
    Worker::builder(spawner).try_spawn(|_parent| {
        let mut child = None;
        Ok(move |depth| {
            if depth == DEEPEST {
                return Err("sprung a leak".into());
            }
            let spawner = Spawner::current().ok_or("this is not the pool")?;
            let child = child.insert(start_failing(&spawner));
            child.post(depth + 1)?; // nobody looks at its error
            Ok(())
        })
    })
}

/// What began it all.
fn root(error: &dyn Error) -> &dyn Error {
    error.source().map_or(error, root)
}

fn main() -> Result<(), Box<dyn Error>> {
    let child = start()?;
    child.post(1)?;
    println!("the way up: {}", child.recv()?);

    let pool = Pool::new()?;
    let main = MainLoop::new();
    let child = start_failing(&pool.spawner());
    main.on_error(&child, |_main, error| {
        match root(&error).to_string().as_str() {
            "sprung a leak" => println!("error: the innermost failed"),
            _ => println!("error: {error}"),
        }
    });
    main.on_exit(&child, |_main, exit| println!("exit code {}", exit.code()));
    child.post(1)?;
    main.run();
    Ok(())
}
