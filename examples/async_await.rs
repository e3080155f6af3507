//! A handle is a future: jobs awaited on tokio's current-thread runtime, whose
//! one thread goes on ticking, and a request that gives up and takes its job
//! out of the queue.
//!
//! `cargo run --release --example async_await`

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::time::{interval, timeout};
use windlass::Pool;

/// Enough work to be seen: some tenths of a second.
fn count_primes(below: u64) -> usize {
    let is_prime = |n: u64| {
        (2..)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
    };
    (2..below).filter(|&n| is_prime(n)).count()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // One thread, so that the second job has to queue behind the first.
    let pool = Pool::builder().num_threads(1).build()?;

    // This shares the runtime's only thread with everything below.
    let ticks = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&ticks);
    let ticker = tokio::spawn(async move {
        let mut beat = interval(Duration::from_millis(5));
        loop {
            beat.tick().await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let so_far = || ticks.load(Ordering::Relaxed);

    // However fast the machine is, it is not done before the request has timed out.
    let (go, wait) = mpsc::channel::<()>();
    let first = pool.spawn(move || {
        let primes = count_primes(2_000_000);
        let _ = wait.recv();
        primes
    });

    // Nobody wants this once the request has timed out, so dropping the handle
    // is to cancel the job instead of detaching it.
    let started = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&started);
    let request = pool
        .spawn(move || {
            flag.store(true, Ordering::Relaxed);
            count_primes(2_000_000)
        })
        .cancel_on_drop();
    match timeout(Duration::from_millis(30), request).await {
        Ok(primes) => println!("the request was served: {} primes", primes?),
        Err(_) => println!("the request timed out after {} ticks", so_far()),
    }

    drop(go);
    let primes = first.await?;
    println!(
        "the job ahead of it found {primes} primes, {} ticks",
        so_far()
    );

    // Everything accepted is finished and the threads have ended after this.
    pool.shutdown().await;
    match started.load(Ordering::Relaxed) {
        true => println!("the request's job had started, and ran to its end"),
        false => println!("the request's job was cancelled before it started"),
    }
    ticker.abort();
    Ok(())
}
