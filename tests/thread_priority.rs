//! Promise: pool threads give way as they are told to, and to as much as that.
#![cfg(all(feature = "thread-priority", target_os = "linux"))]

use windlass::{Pool, ThreadPriority};

/// What the kernel says of the calling thread: its nice value and its policy.
fn standing() -> (i64, i64) {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name, in brackets, may contain anything; fields count from 3 after it.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let field = |number: usize| fields[number - 3].parse().unwrap();
    (field(19), field(41))
}

const OTHER: i64 = 0;
const BATCH: i64 = 3;
const IDLE: i64 = 5;

#[test]
fn threads_give_way_as_they_are_told_to() {
    let (own, _) = standing();
    for (priority, expected) in [
        (ThreadPriority::Nice(1), (own.max(1), OTHER)),
        (ThreadPriority::Nice(10), (own.max(10), OTHER)),
        (ThreadPriority::Nice(19), (19, OTHER)),
        (ThreadPriority::Batch, (own.max(0), BATCH)),
        (ThreadPriority::Idle, (own.max(0), IDLE)),
    ] {
        let pool = Pool::builder()
            .num_threads(2)
            .thread_priority(priority)
            .build()
            .unwrap();
        for standing in pool.on_each_thread(|_| standing()) {
            assert_eq!(standing.join().unwrap(), expected, "{priority:?}");
        }
        // And still once they have asked for slices, slept and woken.
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            assert_eq!(
                pool.spawn(standing).join().unwrap(),
                expected,
                "{priority:?}"
            );
        }
    }
    assert_eq!(standing(), (own, OTHER), "the caller's is its own");
}

#[test]
fn a_nice_value_that_is_none_is_an_error_that_names_it() {
    for nice in [0, 20, 255] {
        let error = Pool::builder()
            .thread_priority(ThreadPriority::Nice(nice))
            .build()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("Nice({nice})")) && error.contains("1 to 19"),
            "{error}"
        );
    }
}
