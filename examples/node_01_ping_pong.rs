//! A worker that answers: the main loop posts a text, the worker posts one back.
//! It ends when it is closed, and its exit is the last thing heard of it. The
//! same in Node: `node/01-ping-pong.js`.
//!
//! Run: `cargo run --example node_01_ping_pong`

use std::error::Error;
use std::rc::Rc;

use windlass::{MainLoop, Parent, Pool};

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    let main = MainLoop::new();

    let worker = Rc::new(pool.worker(|text: String, parent: &Parent<String>| {
        let _ = parent.post(text.replace("ping", "pong"));
    }));

    let mut round = 1;
    let partner = Rc::clone(&worker);
    main.on_message(&*worker, move |_main, answer| {
        println!("ping {round} is answered by {answer}");
        round += 1;
        if round <= 3 {
            let _ = partner.post(format!("ping {round}"));
        } else {
            partner.close();
        }
    })?;
    main.on_exit(&worker, |_main, exit| {
        println!("the worker exited with code {}", exit.code());
    });
    worker.post(format!("ping {round}"))?;
    main.run();
    Ok(())
}
