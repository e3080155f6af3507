//! A stream of CSV rows into a worker, with backpressure: its mailbox is bounded,
//! and `post_async` waits while there is no room. The same in Node:
//! `node/09-csv-stream.js`.
//!
//! Run: `cargo run --example node_09_csv_stream`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass::{BoxError, MainLoop, Parent, Pool, Worker};

const ROWS: usize = 1000;
const BOUND: usize = 16;
const PORTS: [&str; 3] = ["Bergen", "Hull", "Lisbon"];

fn rows() -> impl Iterator<Item = String> {
    (0..ROWS).map(|id| format!("{id},{},{}", PORTS[id % PORTS.len()], id * 37 % 101))
}

#[derive(Clone)]
struct Total {
    port: &'static str,
    count: usize,
    sum: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    let main = MainLoop::new();

    let finished = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&finished);
    let worker = Worker::builder(&pool)
        .mailbox(BOUND - 1) // and one is in the worker's hand
        .try_spawn(move |parent: Parent<Vec<Total>>| {
            let counter = Arc::clone(&counter);
            let mut totals = PORTS.map(|port| Total {
                port,
                count: 0,
                sum: 0,
            });
            Ok(move |row: Option<String>| -> Result<(), BoxError> {
                let Some(row) = row else {
                    parent.post(totals.to_vec())?;
                    return Ok(());
                };
                let mut fields = row.split(',').skip(1);
                let (port, tons) = (fields.next(), fields.next().ok_or("a field is missing")?);
                let total = totals.iter_mut().find(|total| Some(total.port) == port);
                let total = total.ok_or("unknown port")?;
                total.count += 1;
                total.sum += tons.parse::<u32>()?;
                counter.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        });

    // The loop goes on while this waits for room, and for the answer.
    let feed = async move {
        let (mut most, mut pauses) = (0, 0);
        for (posted, row) in rows().enumerate() {
            if let Err(error) = worker.post(Some(row)) {
                pauses += 1;
                worker.post_async(error.into_inner()).await?;
            }
            most = most.max(posted + 1 - finished.load(Ordering::SeqCst));
        }
        worker.post_async(None).await?;
        Ok::<_, Box<dyn Error>>((worker.recv_async().await?, most, pauses))
    };
    main.on_complete(feed, |_main, result| match result {
        Ok((totals, most, pauses)) => {
            for Total { port, count, sum } in totals {
                println!("{port}: {count} rows, {sum} tons");
            }
            println!("never more than {BOUND} rows unfinished: {}", most <= BOUND);
            eprintln!("the stream was paused {pauses} times");
        }
        Err(error) => println!("{error}"),
    });
    main.run();
    Ok(())
}
