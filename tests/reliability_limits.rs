//! What is not promised, shown: what no pool of threads can survive ends the
//! process at once, and is not a hang.

mod common;

use std::fs;
use std::path::Path;

use common::{child, for_each_size, is_child_of};

/// 46: with `panic = "abort"` a panic is not a value. A test harness needs
/// unwinding, so what is held is that whoever asks is told.
#[test]
fn panic_abort_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["src/lib.rs", "docs/RELIABILITY.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.contains("panic = \"abort\""))
            .collect();
        assert!(!lines.is_empty(), "{page} says nothing of it");
    }
}

/// Panics while it is dropped because of a panic.
struct Second;

impl Drop for Second {
    fn drop(&mut self) {
        panic!("expected: the second one");
    }
}

/// Deeper than any stack.
#[inline(never)]
fn deep(steps: usize) -> usize {
    let filling = std::hint::black_box([steps; 128]);
    match filling[steps % 128] {
        0 => 0,
        left => 1 + deep(left - 1),
    }
}

/// 47: an abort, a stack overflow and a panic while unwinding cannot be contained
/// in a thread.
#[test]
#[cfg(unix)]
fn what_cannot_be_contained_ends_the_process_by_a_signal() {
    use std::os::unix::process::ExitStatusExt;

    const ME: &str = "what_cannot_be_contained_ends_the_process_by_a_signal";
    const HOW: &str = "WINDLASS_TEST_END";
    const SIZE: &str = "WINDLASS_TEST_THREADS";
    if is_child_of(ME) {
        let how = std::env::var(HOW).unwrap();
        let threads = std::env::var(SIZE).unwrap().parse().unwrap();
        let pool = common::pool(threads);
        let job = pool.spawn(move || match how.as_str() {
            "abort" => std::process::abort(),
            "overflow" => deep(usize::MAX),
            _ => {
                let _second = Second;
                panic!("expected: the first one");
            }
        });
        println!("survived: {:?}", job.join());
        return;
    }
    for_each_size(|threads| {
        for how in ["abort", "overflow", "unwinding"] {
            // Without a core dump.
            let script = "ulimit -c 0 && exec \"$0\" \"$@\"";
            let mut command = child(ME, &["sh", "-c", script]);
            command.env(HOW, how).env(SIZE, threads.to_string());
            let output = command.output().unwrap();
            assert!(output.status.signal().is_some(), "{how}: {output:?}");
        }
    });
}
