//! Passwords hashed with scrypt: by the pool, and then on the main thread, which
//! stands still meanwhile. The digests are the same; how long it took and how
//! late the loop was is told on stderr. The same in Node: `node/12-scrypt.js`.
//!
//! Run: `cargo run --release --example node_12_scrypt`

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use scrypt::{Params, scrypt};
use windlass::{MainLoop, Pool, Spawner};

const PASSWORDS: [&str; 6] = [
    "anchor", "bollard", "capstan", "davit", "eyebolt", "fairlead",
];

type Digests = Result<Vec<String>, Box<dyn Error>>;

fn hash(password: &str) -> String {
    let cost = Params::new(10, 8, 1).expect("these are allowed"); // N is 1 << 10
    let salt = format!("salt of {password}");
    let mut digest = [0; 16];
    scrypt(password.as_bytes(), salt.as_bytes(), &cost, &mut digest)
        .expect("a digest may be that long");
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn pooled(spawner: Spawner) -> Digests {
    let jobs = PASSWORDS.map(|password| spawner.spawn(move || hash(password)));
    let mut digests = Vec::new();
    for job in jobs {
        digests.push(job.await?);
    }
    Ok(digests)
}

async fn unpooled() -> Digests {
    Ok(PASSWORDS.map(hash).to_vec())
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

fn measure(name: &'static str, hash_all: impl Future<Output = Digests> + 'static) {
    let main = MainLoop::new();
    let delay = monitor_delay(&main);
    let begin = Instant::now();
    main.on_complete(hash_all, move |main, digests| {
        let took = begin.elapsed();
        match digests {
            Ok(digests) => {
                for (password, digest) in PASSWORDS.iter().zip(digests) {
                    println!("{name} {password}: {digest}");
                }
            }
            Err(error) => println!("{name}: {error}"),
        }
        // One more beat, for the delay to be seen.
        main.set_timeout(Duration::from_millis(5), move |_main, _id| {
            let late = delay.get();
            eprintln!("{name}: {took:.1?}, the loop was late by {late:.1?} at most");
        });
    });
    main.run();
}

fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    measure("pooled", pooled(pool.spawner()));
    measure("unpooled", unpooled());
    Ok(())
}
