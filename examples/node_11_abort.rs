//! Ending what would never end, while the loop's delay is watched. An abort is a
//! flag that the job looks at, and so is `terminate`: nothing in Rust stops a
//! thread from outside. The same in Node: `node/11-abort.js`.
//!
//! Run: `cargo run --example node_11_abort`

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use windlass::{MainLoop, Parent, Pool};

/// Ends only if it is told to.
fn work(is_aborted: impl Fn() -> bool) -> &'static str {
    while !is_aborted() {
        std::hint::spin_loop();
    }
    "aborted"
}

/// Calls back after five beats of the loop, which a busy loop would never have.
fn after_five_ticks(main: &MainLoop, callback: impl FnOnce(u32) + 'static) {
    let mut ticks = 0;
    let mut callback = Some(callback);
    main.set_interval(Duration::from_millis(5), move |main, ticker| {
        ticks += 1;
        if ticks == 5 {
            main.clear(ticker);
            if let Some(callback) = callback.take() {
                callback(ticks);
            }
        }
    });
}

/// How late the loop was for a beat every millisecond, at most.
fn monitor_delay(main: &MainLoop) -> Rc<Cell<Duration>> {
    const BEAT: Duration = Duration::from_millis(1);
    let worst = Rc::new(Cell::new(Duration::ZERO));
    let delay = Rc::clone(&worst);
    let mut last = Instant::now();
    let monitor = main.set_interval(BEAT, move |_main, _id| {
        delay.set(delay.get().max(last.elapsed().saturating_sub(BEAT)));
        last = Instant::now();
    });
    main.unref(monitor); // it keeps nobody waiting
    worst
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    let main = MainLoop::new();
    let delay = monitor_delay(&main);

    let flag = Arc::new(AtomicBool::new(false));
    let is_aborted = Arc::clone(&flag);
    let job = pool.spawn(move || work(|| is_aborted.load(Ordering::Relaxed)));
    main.on_complete(job, |_main, result| match result {
        Ok(ending) => println!("the job ended: {ending}"),
        Err(error) => println!("{error}"),
    });
    after_five_ticks(&main, move |ticks| {
        println!("the loop ticked {ticks} times beside the job");
        flag.store(true, Ordering::Relaxed);
    });
    main.run();

    let worker = pool.worker(|(), parent: &Parent<()>| {
        work(|| parent.is_terminating());
    });
    worker.post(())?;
    main.on_exit(&worker, |_main, exit| {
        println!("the worker was terminated: code {}", exit.code());
    });
    after_five_ticks(&main, move |ticks| {
        println!("the loop ticked {ticks} times beside the worker");
        worker.terminate();
    });
    main.run();

    eprintln!("the loop was late by {:.1?} at most", delay.get());
    Ok(())
}
