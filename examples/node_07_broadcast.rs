//! One message to ten workers: all of them are members of the same channel, and
//! none of them is addressed. The main thread does not hear itself. The same in
//! Node: `node/07-broadcast.js`.
//!
//! Run: `cargo run --example node_07_broadcast`

use std::error::Error;

use windlass::{Parent, Pool};

async fn run() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    let news = pool.broadcast::<&str>("news");

    let mut workers = Vec::new();
    for number in 0..10 {
        // A member hears what is said after it joined, so it joins here.
        let news = pool.broadcast::<&str>("news");
        let worker = pool.try_worker(move |(), parent: &Parent<String>| {
            parent.post(format!("worker {number} heard: {}", news.recv()?))?;
            Ok(())
        });
        workers.push(worker);
    }

    news.post("land in sight")?;
    for worker in &workers {
        // A handler runs for the worker's own mail, so this has it look.
        worker.post(())?;
    }
    for worker in &workers {
        println!("{}", worker.recv_async().await?);
    }
    let own = usize::from(news.try_recv().is_ok());
    println!("the main thread heard itself {own} times");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    pollster::block_on(run())
}
