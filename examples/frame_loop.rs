//! A loop of one's own: sixty frames a second, each of which lets the main loop
//! run what is ready. Jobs are handed over and come back between frames, and
//! no frame waits for one.
//!
//! `cargo run --release --example frame_loop`

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use windlass::{MainLoop, Pool};

const FRAMES: u32 = 60;
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// The work: how many steps a number takes to 1, the longest of a range. Tens
/// of milliseconds, which is several frames.
fn longest_walk(range: std::ops::Range<u64>) -> u32 {
    let steps = |start: u64| {
        let (mut n, mut steps) = (start, 0);
        while n > 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        steps
    };
    range.map(steps).max().unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::new()?;
    let main = MainLoop::new();
    let done = Rc::new(Cell::new(0u32));
    let best = Rc::new(Cell::new(0u32));

    let begin = Instant::now();
    let mut handed_over = 0;
    let mut worst = Duration::ZERO;
    let mut worst_late = Duration::ZERO;
    for frame in 0..FRAMES {
        let due = begin + FRAME * frame;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        worst_late = worst_late.max(start - due);

        // The frame: input (a job every third one), whatever came back, drawing.
        if frame.is_multiple_of(3) {
            let from = u64::from(frame) * 50_000 + 1;
            let job = pool.spawn(move || longest_walk(from..from + 150_000));
            let (done, best) = (Rc::clone(&done), Rc::clone(&best));
            main.on_complete(job, move |_main, result| {
                if let Ok(steps) = result {
                    best.set(best.get().max(steps));
                }
                done.set(done.get() + 1);
            });
            handed_over += 1;
        }
        main.turn();
        draw(frame, done.get(), handed_over);

        worst = worst.max(start.elapsed());
    }
    println!(
        "{FRAMES} frames drawn in {:.2} s on {} pool threads",
        begin.elapsed().as_secs_f64(),
        pool.num_threads(),
    );
    println!("worst frame: {worst:.1?} of {FRAME:.1?}; latest: {worst_late:.1?}");

    // No more frames, so waiting for the rest stops nobody.
    main.run();
    println!("{} of {handed_over} jobs done", done.get());
    println!("the longest walk to 1 took {} steps", best.get());
    Ok(())
}

/// Stands in for a renderer: one line every ten frames.
fn draw(frame: u32, done: u32, handed_over: u32) {
    if frame.is_multiple_of(10) {
        println!("frame {frame:2}: {done:2} of {handed_over:2} jobs done");
    }
}
