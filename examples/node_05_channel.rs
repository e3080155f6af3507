//! Channels: a port is handed to a worker in a message, and what the worker says
//! comes by the port. Then two workers get one end each, and talk to each other
//! without the main thread. The same in Node: `node/05-channel.js`.
//!
//! Run: `cargo run --example node_05_channel`

use std::error::Error;

use windlass::{BoxError, MainLoop, Parent, Pool, Port, Worker, channel};

fn hand_over(pool: &Pool) -> Result<(), Box<dyn Error>> {
    let main = MainLoop::new();
    let (port, other) = channel::<(), &str>();
    main.on_message(&port, |_main, text| println!("by the port: {text}"))?;
    main.on_complete(port.closed(), |_main, ()| println!("the port was closed"));
    let worker = pool.worker(|port: Port<&str, ()>, _parent: &Parent<()>| {
        let _ = port.post("hello"); // and to drop it is to close it
    });
    worker.post(other)?;
    worker.close();
    main.run();
    Ok(())
}

/// The pool's threads are for work. These two wait for each other, and each
/// gets a thread of its own to do so.
async fn talk_directly() -> Result<(), Box<dyn Error>> {
    let (port, other) = channel();
    let asks = Worker::dedicated().try_spawn(|parent| Ok(move |port: Talk| ask(&port, &parent)))?;
    let answers =
        Worker::dedicated().try_spawn(|parent| Ok(move |port: Talk| answer(&port, &parent)))?;
    asks.post(port)?;
    answers.post(other)?;
    for worker in [asks, answers] {
        println!("{}", worker.recv_async().await?);
    }
    Ok(())
}

type Talk = Port<u64, u64>;

fn ask(port: &Talk, parent: &Parent<String>) -> Result<(), BoxError> {
    let (mut asked, mut sum) = (0, 0);
    while asked < 3 {
        asked += 1;
        port.post(asked)?;
        sum += port.recv()?;
    }
    parent.post(format!("asked {asked} times, the answers add up to {sum}"))?;
    Ok(())
}

fn answer(port: &Talk, parent: &Parent<String>) -> Result<(), BoxError> {
    let mut answered = 0;
    for n in port.iter()? {
        answered += 1;
        port.post(n * n)?;
    }
    parent.post(format!("answered {answered} times"))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    hand_over(&Pool::new()?)?;
    pollster::block_on(talk_directly())
}
