//! The first two rungs: hand a closure over and wait for it, then let the result
//! come back to a main loop that ticks meanwhile.
//!
//! `cargo run --release --example quickstart`

use std::{cell::Cell, error::Error, rc::Rc, time::Duration};

use windlass::{MainLoop, Pool};

fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

fn main() -> Result<(), Box<dyn Error>> {
    // Rung 1: one thread per core; spawn never blocks, join waits.
    let pool = Pool::new()?;
    let answer = pool.spawn(|| fib(30));
    println!("fib(30) = {}", answer.join()?);

    // Rung 2: nobody waits. The callbacks run on this thread, so an Rc will do.
    let main = MainLoop::new();
    let ticks = Rc::new(Cell::new(0));
    let counter = Rc::clone(&ticks);
    let ticker = main.set_interval(Duration::from_millis(5), move |_main, _id| {
        counter.set(counter.get() + 1);
    });
    main.on_complete(pool.spawn(|| fib(40)), move |main, result| {
        match result {
            Ok(n) => println!("fib(40) = {n}"),
            Err(error) => println!("fib(40): {error}"),
        }
        println!("the loop ticked {} times meanwhile", ticks.get());
        main.clear(ticker); // nothing is left to wait for, so `run` returns
    });
    main.run();
    Ok(())
}
