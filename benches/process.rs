//! What a job costs in a process of its own: the way there and back for small and large
//! arguments, a child's start, and the next job after a kill.
//!
//! ```sh
//! cargo bench --features process --bench process
//! ```

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use windlass::process::{
    Bytes, ProcessParent, ProcessPool, ProcessWorker, Task, TaskContext, Tasks,
};

#[derive(Serialize, Deserialize)]
struct Echo(Bytes);

impl Task for Echo {
    const NAME: &'static str = "echo";
    type Output = Bytes;

    fn run(self, _cx: &TaskContext) -> Bytes {
        self.0
    }
}

#[derive(Serialize, Deserialize)]
struct Length(Bytes);

impl Task for Length {
    const NAME: &'static str = "length";
    type Output = usize;

    fn run(self, _cx: &TaskContext) -> usize {
        self.0.len()
    }
}

#[derive(Serialize, Deserialize)]
struct Sum(Vec<u8>);

impl Task for Sum {
    const NAME: &'static str = "sum";
    type Output = u64;

    fn run(self, _cx: &TaskContext) -> u64 {
        self.0.iter().map(|&byte| u64::from(byte)).sum()
    }
}

#[derive(Serialize, Deserialize)]
struct Runaway;

impl Task for Runaway {
    const NAME: &'static str = "runaway";
    type Output = ();

    fn run(self, _cx: &TaskContext) {
        loop {
            std::hint::spin_loop();
        }
    }
}

/// The median, the 99th percentile and the least of so many.
fn show(what: &str, times: usize, mut once: impl FnMut() -> Duration) {
    for _ in 0..times / 10 + 1 {
        once();
    }
    let mut took: Vec<_> = (0..times).map(|_| once()).collect();
    took.sort();
    let (median, late, least) = (took[times / 2], took[times * 99 / 100], took[0]);
    println!("{what:42} {median:>10.1?} median {late:>10.1?} p99 {least:>10.1?} least");
}

fn timed<T>(f: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    std::hint::black_box(f());
    begin.elapsed()
}

fn main() {
    let tasks = Tasks::new()
        .with::<Echo>()
        .with::<Length>()
        .with::<Sum>()
        .with::<Runaway>()
        .with_worker("echo", |parent: &ProcessParent<Bytes, Bytes>| {
            while let Ok(bytes) = parent.recv() {
                let _ = parent.post(bytes);
            }
        })
        .serve_if_child();
    let procs = ProcessPool::builder(tasks.clone()).num_children(1);
    let procs = procs.build().unwrap();

    show("64 bytes there and back, one at a time", 20_000, || {
        let echo = Echo(Bytes(vec![7; 64]));
        timed(|| procs.submit(echo).join().unwrap())
    });
    show("64 bytes there and back, 1000 queued, each", 50, || {
        timed(|| {
            let echoes = (0..1000).map(|_| procs.submit(Echo(Bytes(vec![7; 64]))));
            echoes
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|echo| drop(echo.join().unwrap()));
        }) / 1000
    });
    for kibibytes in [64, 256, 1024, 16 * 1024] {
        let bytes = vec![7; kibibytes << 10];
        show(&format!("{kibibytes} KiB there"), 100, || {
            let length = Length(Bytes(bytes.clone()));
            timed(|| procs.submit(length).join().unwrap())
        });
    }
    let bytes = vec![7; 16 << 20];
    show("16 MiB there and back", 50, || {
        let echo = Echo(Bytes(bytes.clone()));
        timed(|| procs.submit(echo).join().unwrap())
    });
    show("1 MiB there as a Vec<u8>", 20, || {
        let sum = Sum(vec![7; 1 << 20]);
        timed(|| procs.submit(sum).join().unwrap())
    });
    let worker = ProcessWorker::<Bytes, Bytes>::start(&tasks, "echo").unwrap();
    let echo = |bytes: Bytes| {
        worker.post(bytes).unwrap();
        worker.recv().unwrap()
    };
    show("a worker: 64 bytes there and back", 20_000, || {
        timed(|| echo(Bytes(vec![7; 64])))
    });
    show("a worker: 1000 of them, each", 50, || {
        timed(|| {
            (0..1000).for_each(|_| worker.post(Bytes(vec![7; 64])).unwrap());
            (0..1000).for_each(|_| drop(worker.recv().unwrap()));
        }) / 1000
    });
    show("a worker: 16 MiB there and back", 20, || {
        let bytes = Bytes(bytes.clone());
        timed(|| echo(bytes))
    });
    show("a worker, from its start to its answer", 30, || {
        let begin = Instant::now();
        let worker = ProcessWorker::<Bytes, Bytes>::start(&tasks, "echo").unwrap();
        worker.post(Bytes(vec![7; 64])).unwrap();
        worker.recv().unwrap();
        let took = begin.elapsed();
        worker.terminate().wait();
        took
    });
    show("a pool of one child, from build to hello", 30, || {
        let builder = ProcessPool::builder(tasks.clone()).num_children(1);
        let begin = Instant::now();
        let pool = builder.build().unwrap();
        let took = begin.elapsed();
        drop(pool);
        took
    });
    let limit = Duration::from_millis(3);
    show("a kill by timeout, from when it is over", 30, || {
        let begin = Instant::now();
        let runs = procs.job().timeout(limit).submit(Runaway);
        runs.join().unwrap_err();
        begin.elapsed().saturating_sub(limit)
    });
    show("from then until the next job's end", 30, || {
        let runs = procs.job().timeout(limit).submit(Runaway);
        runs.join().unwrap_err();
        timed(|| procs.submit(Echo(Bytes(vec![7; 64]))).join().unwrap())
    });
    show("a cancel, then the next job's end", 30, || {
        let runs = procs.submit(Runaway);
        let next = procs.submit(Echo(Bytes(vec![7; 64])));
        std::thread::sleep(Duration::from_millis(10));
        timed(|| {
            runs.cancel();
            next.join().unwrap();
        })
    });
}
