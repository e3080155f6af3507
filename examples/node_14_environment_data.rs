//! Environment data: what is set is seen by the workers started later, and by
//! those that they start. Each has its own copy: what one sets stays below it.
//! The same in Node: `node/14-environment-data.js`.
//!
//! Run: `cargo run --example node_14_environment_data`

use std::error::Error;
use std::sync::Arc;

use windlass::{BoxError, CurrentWorker, Parent, Pool, Worker, current_worker};

type Flag = &'static str;
type Crew = u32;

/// What somebody sees, in words.
fn describe(flag: Option<Arc<Flag>>, crew: Option<Arc<Crew>>) -> String {
    let flag = flag.map_or("not set".to_owned(), |flag| flag.to_string());
    let crew = crew.map_or("not set".to_owned(), |crew| crew.to_string());
    format!("flag {flag}, crew {crew}")
}

fn this_worker() -> CurrentWorker {
    current_worker().expect("this is called by workers")
}

/// The worker looks when it is told to, and posts what it sees.
fn look(name: &'static str, parent: &Parent<String>) -> Result<(), BoxError> {
    let this = this_worker();
    let seen = describe(this.environment_data("flag"), this.environment_data("crew"));
    parent.post(format!("{name}: {seen}"))?;
    Ok(())
}

fn outer((): (), parent: &Parent<String>) -> Result<(), BoxError> {
    look("outer", parent)?;
    this_worker().set_environment_data("crew", 12 as Crew);
    // It is waited for, so it has a thread of its own.
    let inner = Worker::dedicated().try_spawn(|parent| Ok(move |()| look("inner", &parent)))?;
    inner.post(())?;
    parent.post(inner.recv()?)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    pool.set_environment_data("flag", "blue");
    let outer = pool.try_worker(outer);
    // Too late for the one that is started, early enough for the next.
    pool.set_environment_data("flag", "red");
    let later = pool.try_worker(|(), parent: &Parent<String>| look("later", parent));

    for worker in [outer, later] {
        worker.post(())?;
        worker.close();
        for text in worker.iter()? {
            println!("{text}");
        }
    }
    let seen = describe(pool.environment_data("flag"), pool.environment_data("crew"));
    println!("main: {seen}");
    Ok(())
}
