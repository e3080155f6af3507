//! Parsing off the loop: a worker parses one text and ends. A broken text ends
//! it too: first comes the error, then the exit with code 1. The same in Node:
//! `node/02-parse-json.js`.
//!
//! A job does it in one line, `pool.spawn(move || serde_json::from_str(&text))`;
//! this shows what a worker's error looks like.
//!
//! Run: `cargo run --example node_02_parse_json`

use std::error::Error;

use serde_json::Value;
use windlass::{MainLoop, Parent, Pool};

fn parse(pool: &Pool, name: &'static str, text: &str) -> Result<(), Box<dyn Error>> {
    let main = MainLoop::new();
    let worker = pool.try_worker(|text: String, parent: &Parent<Value>| {
        parent.post(serde_json::from_str(&text)?)?;
        Ok(())
    });
    main.on_message(&worker, move |_main, order| {
        let item = order["item"].as_str().unwrap_or("nothing");
        println!("{name}: {} of {item}", order["quantity"]);
    })?;
    main.on_error(&worker, move |_main, error| match error.source() {
        Some(cause) if cause.is::<serde_json::Error>() => println!("{name}: not JSON"),
        _ => println!("{name}: {error}"),
    });
    main.on_exit(&worker, move |_main, exit| {
        println!("{name}: exit code {}", exit.code());
    });
    worker.post(text.to_owned())?;
    // There is nothing more to parse, so the worker exits after this text.
    worker.close();
    main.run();
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    parse(&pool, "good", r#"{ "item": "rope", "quantity": 12 }"#)?;
    parse(&pool, "broken", r#"{ "item": "rope", "quantity": }"#)
}
