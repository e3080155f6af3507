//! The small examples run to their end and print what they promise.
//!
//! `cargo test` builds the examples; `cargo test --test` alone does not.

use std::process::Command;

/// What an example prints when it is run without arguments.
fn run(example: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap().join("examples");
    let program = directory
        .join(example)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{program:?} is not there: run `cargo build --examples` first"
    );
    let output = Command::new(program).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{complained}");
    assert_eq!(complained, "");
    said
}

/// The number between `before` and `after`.
fn number(said: &str, before: &str, after: &str) -> u32 {
    let line = said.lines().find_map(|line| line.split_once(before));
    line.and_then(|(_, rest)| rest.split_once(after))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("no number between {before:?} and {after:?} in {said:?}"))
}

#[test]
fn quickstart_ticks_while_the_pool_works() {
    let said = run("quickstart");
    assert!(said.starts_with("fib(30) = 832040\nfib(40) = 102334155\n"));
    assert!(number(&said, "the loop ticked ", " times") > 0, "{said}");
}

#[test]
fn async_await_ticks_and_takes_the_timed_out_job_out_of_the_queue() {
    let said = run("async_await");
    let at_timeout = number(&said, "the request timed out after ", " ticks");
    let at_end = number(&said, "148933 primes, ", " ticks");
    assert!(at_end >= at_timeout, "{said}");
    assert!(said.ends_with("the request's job was cancelled before it started\n"));
}

#[test]
fn frame_loop_draws_every_frame_and_finishes_every_job() {
    let said = run("frame_loop");
    assert!(said.contains("60 frames drawn in "), "{said}");
    assert!(said.contains("worst frame: "), "{said}");
    assert!(said.contains("20 of 20 jobs done"), "{said}");
    assert!(
        said.contains("the longest walk to 1 took 559 steps"),
        "{said}"
    );
}

#[test]
fn epoll_serves_the_socket_and_the_loop() {
    let said = run("epoll");
    if cfg!(unix) {
        for line in [
            "fib(30) = 832040",
            "fib(31) = 1346269",
            "fib(32) = 2178309",
            "\"thirty\" is not a number",
            "fib(33) = 3524578",
        ] {
            assert!(said.lines().any(|said| said == line), "{line} in {said}");
        }
        assert!(
            number(&said, "the client hung up; ", " ticks") > 0,
            "{said}"
        );
    }
}
