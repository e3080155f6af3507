//! Promise: what a task writes in its process is passed on by line with its name, given
//! to a hook, or kept for its error; and nothing of it is lost when the process dies.
#![cfg(all(unix, feature = "process"))]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::tasks::{self, Act, builder};
use common::{is_child_of, watched};
use windlass::process::{Output, Stream};

#[test]
fn child() {
    tasks::child();
}

type Log = Arc<Mutex<Vec<(String, Stream, String)>>>;

fn logged() -> (Log, Output) {
    let log = Log::default();
    let hook = Arc::clone(&log);
    let output = Output::lines(move |task, stream, line| {
        let line = (task.to_owned(), stream, line.to_owned());
        hook.lock().unwrap().push(line);
    });
    (log, output)
}

fn lines(log: &Log, of: Stream) -> Vec<String> {
    let log = log.lock().unwrap();
    let lines = log
        .iter()
        .filter(|(task, stream, _)| task == "act" && *stream == of);
    lines.map(|(_, _, line)| line.clone()).collect()
}

#[test]
fn a_hook_is_given_every_line_by_the_end_of_its_job() {
    watched(|| {
        let (log, output) = logged();
        let procs = builder(1).output(output).build().unwrap();
        assert!(
            log.lock().unwrap().is_empty(),
            "the harness's own lines are none"
        );
        let stdout: Vec<_> = (0..500).map(|n| format!("line {n} of many")).collect();
        let stderr = vec!["".to_owned(), "one\ntwo".into(), "x".repeat(30_000)];
        for _ in 0..3 {
            log.lock().unwrap().clear();
            procs
                .submit(Act::Print(stdout.clone(), stderr.clone()))
                .join()
                .unwrap();
            assert_eq!(lines(&log, Stream::Stdout), stdout);
            let expected = ["", "one", "two", &*"x".repeat(30_000)];
            assert_eq!(lines(&log, Stream::Stderr), expected);
        }
    });
}

/// Around the time at which the driver looks at its job for the first time.
#[test]
fn a_line_that_comes_just_before_the_answer_is_not_overlooked() {
    watched(|| {
        let (log, output) = logged();
        let procs = builder(1).output(output).build().unwrap();
        for round in 0..600 {
            log.lock().unwrap().clear();
            let line = format!("line {round}");
            let micros = 700 + round % 60 * 5;
            let print = Act::PrintAfter(micros, line.clone());
            procs.submit(print).join().unwrap();
            assert_eq!(lines(&log, Stream::Stdout), [line], "{micros}");
        }
    });
}

#[test]
fn the_last_words_of_a_process_arrive() {
    watched(|| {
        let (log, output) = logged();
        let procs = builder(1).output(output).build().unwrap();
        let error = procs
            .submit(Act::PrintAndAbort("farewell".into()))
            .join()
            .unwrap_err();
        assert_eq!(lines(&log, Stream::Stdout), ["farewell on stdout"]);
        assert_eq!(lines(&log, Stream::Stderr), ["farewell on stderr"]);
        assert_eq!(error.crash().unwrap().stderr(), "farewell on stderr\n");
        assert!(
            error.to_string().ends_with(": farewell on stderr"),
            "{error}"
        );
        assert_eq!(error.output(), None);
    });
}

#[test]
fn what_is_kept_is_the_end_of_it_and_comes_with_the_error() {
    watched(|| {
        let procs = builder(1).output(Output::Collect(100)).build().unwrap();
        let error = procs
            .submit(Act::PrintAndAbort("farewell".into()))
            .join()
            .unwrap_err();
        let kept = error.output().unwrap();
        assert!(kept.contains("farewell on stdout") && kept.contains("farewell on stderr"));
        // And of one that writes more than there is room for.
        let long = Act::PrintAndAbort("x".repeat(10_000));
        let error = procs.submit(long).join().unwrap_err();
        let kept = error.output().unwrap();
        assert_eq!(kept.len(), 100);
        assert!(
            kept.ends_with("x on stdout\n") || kept.ends_with("x on stderr\n"),
            "{kept}"
        );
        // How far one comes that is stopped by the clock is the machine's to say.
        let limits = (0..12).map(|n| Duration::from_millis(30 << n));
        let mut kept = limits.map(|limit| {
            let endless = procs.job().timeout(limit).submit(Act::PrintForEver);
            let error = endless.join().unwrap_err();
            assert!(error.is_timed_out());
            error.output().unwrap().len()
        });
        assert!(kept.any(|kept| kept == 100));
        // Each job has its own.
        let error = procs.submit(Act::Abort).join().unwrap_err();
        assert_eq!(error.output(), Some(""));
    });
}

#[test]
fn a_hook_that_panics_harms_nobody() {
    watched(|| {
        common::hush();
        let output = Output::lines(|_, _, _| panic!("{}: a hook", common::EXPECTED));
        let procs = builder(1).output(output).build().unwrap();
        for _ in 0..3 {
            let print = Act::Print(vec!["one".into(), "two".into()], vec!["three".into()]);
            assert_eq!(procs.submit(print).join().unwrap().text(), "printed");
        }
    });
}

#[test]
fn by_default_lines_are_passed_on_with_the_tasks_name() {
    const NAME: &str = "by_default_lines_are_passed_on_with_the_tasks_name";
    if is_child_of(NAME) {
        let procs = builder(1).output(Output::Inherit).build().unwrap();
        let print = Act::Print(vec!["on stdout".into()], vec!["on stderr".into()]);
        procs.submit(print).join().unwrap();
        return;
    }
    watched(|| {
        let output = common::child(NAME, &[]).output().unwrap();
        assert!(output.status.success());
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stdout.lines().any(|line| line.ends_with("[act] on stdout")),
            "{stdout}"
        );
        assert!(
            stderr.lines().any(|line| line == "[act] on stderr"),
            "{stderr}"
        );
        assert_eq!(
            stdout.matches("running 1 test").count(),
            1,
            "the child's is left out"
        );
    });
}
