//! A progress bar: the job says how far it is, and the loop draws. On a terminal
//! the bar is drawn over, elsewhere it is a line each time. The same in Node:
//! `node/08-progress.js`.
//!
//! Run: `cargo run --example node_08_progress`

use std::error::Error;
use std::io::{IsTerminal, Write, stdout};

use windlass::{MainLoop, Pool, Progress};

const STEPS: usize = 10;
const BELOW: usize = 200_000;

fn is_prime(n: usize) -> bool {
    n >= 2
        && (2..)
            .take_while(|divisor| divisor * divisor <= n)
            .all(|divisor| !n.is_multiple_of(divisor))
}

fn draw(done: usize) {
    let bar = "#".repeat(done);
    let percent = 100 * done / STEPS;
    let over = stdout().is_terminal() && done < STEPS;
    print!(
        "[{bar:.<STEPS$}] {percent:3} %{}",
        if over { '\r' } else { '\n' }
    );
    let _ = stdout().flush();
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    let main = MainLoop::new();
    let job = pool
        .job()
        .on_progress(&main, |_main, done| draw(done))
        .spawn(|progress: &Progress<usize>| {
            let step = BELOW / STEPS;
            let mut primes = 0;
            for done in 1..=STEPS {
                primes += ((done - 1) * step..done * step)
                    .filter(|&n| is_prime(n))
                    .count();
                let _ = progress.post(done);
            }
            primes
        });
    main.on_complete(job, |_main, result| match result {
        Ok(primes) => println!("{primes} primes"),
        Err(error) => println!("{error}"),
    });
    main.run();
    Ok(())
}
