//! Promise: a child that cannot be started, or is not one, ends in an error that says
//! what to do, and not in a hang or in a flood of processes.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::time::{Duration, Instant};

use common::forks::alone;
use common::tasks::{self, Act, builder, children_here, procs, tasks};
use common::{is_child_of, run_child, scratch, watched};
use windlass::process::{ProcessPool, StartError};

#[test]
fn child() {
    tasks::child();
}

/// What a program looks like that has forgotten the line: it builds a pool again. The
/// file counts how often it was started.
#[test]
fn forgetful() {
    let Ok(counter) = std::env::var("WINDLASS_TEST_COUNTER") else {
        return;
    };
    std::fs::write(format!("{counter}-{}", std::process::id()), "").unwrap();
    match builder(1).test_child("forgetful").build() {
        Ok(_) => panic!("there is a pool in a child that does not serve"),
        Err(error) => {
            assert!(matches!(error, StartError::NotServing));
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

#[test]
fn a_program_without_the_line_is_told_so_and_starts_no_avalanche() {
    alone(
        "a_program_without_the_line_is_told_so_and_starts_no_avalanche",
        || {
            let folder = scratch("forgetful");
            let pool = builder(2)
                .test_child("forgetful")
                .env("WINDLASS_TEST_COUNTER", folder.path("started"));
            let error = pool.build().unwrap_err();
            assert!(matches!(error, StartError::Children { .. }));
            let text = error.to_string();
            assert!(text.contains("serve_if_child"), "{text}");
            assert!(
                text.contains("runs the program instead"),
                "what it wrote: {text}"
            );
            let started = std::fs::read_dir(folder.path("")).unwrap().count();
            assert!((1..=4).contains(&started), "{started} were started");
            assert!(children_here().is_empty());
        },
    );
}

#[test]
fn a_child_has_the_folder_and_the_variables_that_it_is_given() {
    watched(|| {
        let procs = builder(1)
            .current_dir("/")
            .env("WINDLASS_TEST_VARIABLE", "first")
            .env("WINDLASS_TEST_VARIABLE", "last")
            .build()
            .unwrap();
        let ask = |act: Act| procs.submit(act).join().unwrap().text();
        assert_eq!(ask(Act::Folder), "/");
        assert_eq!(ask(Act::Variable("WINDLASS_TEST_VARIABLE".into())), "last");
        let nowhere = builder(1).current_dir("/there is no such folder");
        let error = nowhere.build().unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
    });
}

#[test]
fn a_program_that_goes_on_without_a_word_is_ended() {
    alone("a_program_that_goes_on_without_a_word_is_ended", || {
        let pool = ProcessPool::builder(tasks())
            .num_children(2)
            .program("/bin/sleep")
            .args(["3600"])
            .max_start_failures(1)
            .start_timeout(Duration::from_millis(100));
        let text = pool.build().unwrap_err().to_string();
        assert!(text.contains("serve_if_child"), "{text}");
        assert!(children_here().is_empty());
    });
}

/// Also if each start takes longer than the time between two tries.
#[test]
fn starts_that_take_long_to_go_wrong_are_not_tried_for_ever() {
    alone(
        "starts_that_take_long_to_go_wrong_are_not_tried_for_ever",
        || {
            let pool = ProcessPool::builder(tasks())
                .num_children(1)
                .program("/bin/sleep")
                .args(["3600"])
                .max_start_failures(2)
                .start_timeout(Duration::from_millis(1100));
            let text = pool.build().unwrap_err().to_string();
            assert!(text.contains("it went on for 1.1s"), "{text}");
            assert!(children_here().is_empty());
        },
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    watched(|| {
        let pool = ProcessPool::builder(tasks()).program("/nowhere/at/all");
        let text = pool.build().unwrap_err().to_string();
        assert!(text.contains("/nowhere/at/all"), "{text}");
    });
}

#[test]
fn settings_that_are_not_possible_are_errors() {
    let error = builder(0).build().unwrap_err();
    assert!(matches!(error, StartError::ChildCount(0)), "{error}");
    assert!(error.to_string().contains("num_children(0)"), "{error}");
}

#[test]
fn starts_that_go_wrong_later_fail_jobs_at_once_and_are_tried_again() {
    alone(
        "starts_that_go_wrong_later_fail_jobs_at_once_and_are_tried_again",
        || {
            let folder = scratch("flaky");
            let (program, works) = (folder.path("program"), folder.path("works"));
            // It serves as long as the file is there.
            let this = std::env::current_exe().unwrap();
            let script = format!(
                "#!/bin/sh\n[ -e '{works}' ] || exit 9\nexec {} \"$@\"\n",
                this.display()
            );
            std::fs::write(&works, "").unwrap();
            std::fs::write(&program, script).unwrap();
            let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(&program, executable).unwrap();

            let procs = builder(1).program(&program).build().unwrap();
            procs.submit(Act::Pid).join().unwrap();
            std::fs::remove_file(&works).unwrap();
            assert!(procs.submit(Act::Abort).join().unwrap_err().is_crashed());
            let begin = Instant::now();
            let mut failed = 0;
            while failed < 20 || begin.elapsed() < Duration::from_millis(300) {
                let error = procs.submit(Act::Pid).join().unwrap_err();
                assert!(error.is_start_failed(), "{error}");
                assert!(error.to_string().contains("exit status: 9"), "{error}");
                assert!(children_here().is_empty());
                failed += 1;
            }
            std::fs::write(&works, "").unwrap();
            common::until(|| procs.submit(Act::Pid).join().is_ok());
            procs.submit(Act::Pid).join().unwrap();
        },
    );
}

/// A child that takes long to start, or does not.
#[test]
fn a_deadline_holds_while_a_child_is_started() {
    watched(|| {
        let folder = scratch("slow");
        let (program, slow) = (folder.path("program"), folder.path("slow"));
        let this = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nwhile [ -e '{slow}' ]; do sleep 0.01; done\nexec {} \"$@\"\n",
            this.display()
        );
        std::fs::write(&program, script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&program, executable).unwrap();

        let limit = Duration::from_secs(3600);
        let procs = builder(1).program(&program).start_timeout(limit);
        let procs = procs.build().unwrap();
        std::fs::write(&slow, "").unwrap();
        assert!(procs.submit(Act::Abort).join().unwrap_err().is_crashed());
        let late = procs.job().deadline(Duration::from_millis(100));
        let error = late.submit(Act::Pid).join().unwrap_err();
        assert!(error.is_expired() && !error.is_cancelled(), "{error}");
        assert!(
            error.to_string().contains("before there was a process"),
            "{error}"
        );
        // Nor does a cancelled one wait for it.
        let waits = procs.submit(Act::Pid);
        waits.cancel_handle().cancel();
        assert!(waits.join().unwrap_err().is_cancelled());
        std::fs::remove_file(&slow).unwrap();
        let in_time = procs.job().deadline(limit).submit(Act::Pid);
        assert_eq!(
            in_time.join().unwrap().number(),
            u64::from(procs.child_ids()[0])
        );
    });
}

/// The program that runs, and not one that lies in its place by now, or none.
#[test]
fn children_are_of_this_program_whatever_has_become_of_its_file() {
    const NAME: &str = "children_are_of_this_program_whatever_has_become_of_its_file";
    if !is_child_of(NAME) {
        watched(|| {
            // A copy that can be done away with.
            let folder = scratch("moved");
            let copy = folder.path("copy");
            std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
            let mut command = std::process::Command::new(&copy);
            command.args(common::child(NAME, &[]).get_args());
            for (key, value) in common::child(NAME, &[]).get_envs() {
                match value {
                    Some(value) => command.env(key, value),
                    None => command.env_remove(key),
                };
            }
            run_child(command);
        });
        return;
    }
    let this = std::env::current_exe().unwrap();
    let procs = procs(1);
    let next = || {
        assert!(procs.submit(Act::Abort).join().unwrap_err().is_crashed());
        procs.submit(Act::Pid).join().unwrap();
    };
    std::fs::remove_file(&this).unwrap();
    next();
    std::fs::write(&this, "").unwrap();
    next();
}

#[test]
fn without_descriptors_jobs_fail_and_go_on_when_there_are_some() {
    const NAME: &str = "without_descriptors_jobs_fail_and_go_on_when_there_are_some";
    if !is_child_of(NAME) {
        watched(|| drop(run_child(common::child(NAME, &[]))));
        return;
    }
    let procs = procs(1);
    procs.submit(Act::Pid).join().unwrap();
    // The child's own are closed when it is replaced, and so all are taken after that.
    let mut taken = Vec::new();
    let pid = procs.child_ids()[0];
    set_limit(64);
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    // With the child gone there is room for some of the next one's, but not for all.
    tasks::kill(pid);
    let mut failed = 0;
    for _ in 0..20 {
        match procs.submit(Act::Pid).join() {
            Err(error) if error.is_start_failed() => failed += 1,
            Err(error) => assert!(error.is_crashed(), "{error}"),
            Ok(_) => {}
        }
        while let Ok(file) = std::fs::File::open("/dev/null") {
            taken.push(file);
        }
    }
    assert!(failed > 0);
    drop(taken);
    common::until(|| procs.submit(Act::Pid).join().is_ok());
}

#[allow(unsafe_code)]
fn set_limit(descriptors: u64) {
    let limit = libc::rlimit {
        rlim_cur: descriptors,
        rlim_max: descriptors,
    };
    // SAFETY: the limit is there to be read.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0);
}

#[test]
fn what_a_child_starts_is_not_taken_for_a_child() {
    watched(|| {
        let procs = procs(1);
        assert_eq!(procs.submit(Act::ReadStdin).join().unwrap().text(), "");
        // The mark is inherited by whatever the task starts; the socket is not.
        let mark = procs.submit(Act::Variable("WINDLASS_CHILD".into()));
        let mark = mark.join().unwrap().text();
        assert!(!mark.is_empty());
        let mut again = common::child("child", &[]);
        run_child({
            again.env("WINDLASS_CHILD", mark);
            again
        });
    });
}
