//! Programs that nobody vouches for, each in a process of its own: they loop for ever, eat
//! all memory, overflow the stack, abort, exit, panic. Each is reported in a line, and all
//! honest ones finish.
//!
//! ```sh
//! cargo run --release --features process --example untrusted
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::process::{Output, ProcessPool, Task, TaskContext, Tasks};

/// A program of somebody else's.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
enum Program {
    Honest(u64),
    LoopsForEver,
    EatsMemory,
    OverflowsTheStack,
    WritesAnywhere,
    Aborts,
    Exits,
    Panics,
}

impl Task for Program {
    const NAME: &'static str = "program";
    type Output = u64;

    fn run(self, _cx: &TaskContext) -> u64 {
        match self {
            Self::Honest(n) => (1..=n).filter(|n| n % 3 == 0).sum(),
            Self::LoopsForEver => loop {
                std::hint::spin_loop();
            },
            Self::EatsMemory => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&eaten);
                }
            }
            Self::OverflowsTheStack => deeper(1),
            #[allow(unsafe_code)]
            Self::WritesAnywhere => {
                // SAFETY: none; that is the point.
                unsafe { std::hint::black_box(std::ptr::dangling_mut::<u64>()).write(1) };
                0
            }
            Self::Aborts => std::process::abort(),
            Self::Exits => std::process::exit(3),
            Self::Panics => panic!("no more rope"),
        }
    }
}

#[allow(unconditional_recursion)]
fn deeper(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 128]);
    deeper(n + 1) + frame[0]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = Tasks::new().with::<Program>().serve_if_child();
    let procs = ProcessPool::builder(tasks)
        .memory_limit(256 << 20)
        // What they say last is in the errors; nothing else is wanted of it.
        .output(Output::Collect(1000))
        .build()?;
    println!("{} children: {:?}", procs.num_children(), procs.child_ids());

    let bad = [
        Program::LoopsForEver,
        Program::EatsMemory,
        Program::OverflowsTheStack,
        Program::WritesAnywhere,
        Program::Aborts,
        Program::Exits,
        Program::Panics,
    ];
    let submit = |program| {
        let job = procs.job().timeout(Duration::from_secs(2));
        (program, job.submit(program))
    };
    let mut jobs = Vec::new();
    for (n, program) in bad.into_iter().enumerate() {
        jobs.push(submit(program));
        jobs.extend((0..10).map(|m| submit(Program::Honest(1000 * n as u64 + m))));
    }

    let mut finished = 0;
    let mut reported = 0;
    for (program, job) in jobs {
        match (program, job.join()) {
            (Program::Honest(n), result) => {
                assert_eq!(result?, (1..=n).filter(|n| n % 3 == 0).sum());
                finished += 1;
            }
            (program, Ok(value)) => return Err(format!("{program:?} gave {value}").into()),
            (program, Err(error)) => {
                println!("{program:?}: {error}");
                reported += 1;
            }
        }
    }
    println!("{reported} reported, {finished} honest ones finished");
    assert_eq!((reported, finished), (7, 70));
    Ok(())
}
