//! Promise: where the system has no more processes, threads or descriptors to give, that
//! is what the error says; nothing waits for ever or tries without a pause, and all goes
//! on when there is room again.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::clusters::{self, BOTH, ROLE, ask, event, listening, role, until_listening};
use common::forks::{alone, leaving_no_thread, threads_here};
use common::limits::{Taken, as_a_user, is_a_user_alone, limit_descriptors, limit_processes};
use common::tasks::{self, Act, builder, children_here, descriptors_here, procs};
use common::{is_child_of, scratch, until, watched};
use windlass::process::{
    Cluster, ClusterEvent, ClusterWorker, ProcessParent, ProcessWorker, Scheduling, Tasks,
};

/// What is to be said where there are no processes and threads left.
const NO_PROCESSES: &str = "Resource temporarily unavailable";

/// What is to be said where there are no descriptors left.
const NO_DESCRIPTORS: &str = "Too many open files";

/// Where a client asks.
const ADDRESS: &str = "WINDLASS_TEST_ADDRESS";

/// A worker that gives its descriptors away when it is told, and has them back.
const GETS_POOR: &str = "gets poor";

fn echoing() -> Tasks {
    Tasks::new().with_worker("echo", |parent: &ProcessParent<u64, u64>| {
        while let Ok(number) = parent.recv() {
            let _ = parent.post(number);
        }
    })
}

#[test]
fn child() {
    tasks::child();
}

#[test]
fn echoing_child() {
    let _ = echoing().serve_if_child();
}

/// What a cluster's workers run.
#[test]
fn worker() {
    if !Cluster::is_worker() {
        return;
    }
    let worker = match Cluster::worker() {
        Ok(worker) => worker,
        Err(error) => {
            eprintln!("{error}");
            assert!(matches!(error, windlass::process::ClusterError::Start(_)));
            std::process::exit(11);
        }
    };
    if role() != GETS_POOR {
        return clusters::serve(&worker);
    }
    thread::scope(|scope| {
        scope.spawn(|| obey(&worker));
        clusters::serve(&worker);
    });
}

fn obey(worker: &ClusterWorker) {
    let mut taken = Taken::default();
    for message in worker.iter().unwrap() {
        match message.read::<bool>().unwrap() {
            true => taken = Taken::all(),
            false => drop(std::mem::take(&mut taken)),
        }
        worker.post(&()).unwrap();
    }
}

/// Asks when it is told to, several times at once.
#[test]
fn client() {
    if !is_child_of("client") {
        return;
    }
    let address: SocketAddr = std::env::var(ADDRESS).unwrap().parse().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let streams = [(); 5].map(|()| std::net::TcpStream::connect(address).unwrap());
    for mut stream in &streams {
        writeln!(stream, "who").unwrap();
    }
    println!("\nasked");
    for stream in streams {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.trim().parse::<u64>().is_ok(), "{line:?}");
        println!("\nanswered");
    }
}

/// Tries with no room, and with more and more, until it works; how often it did not.
/// `try_it` says what was told.
fn with_more_and_more(
    mut set: impl FnMut(Option<u64>),
    told: &str,
    mut try_it: impl FnMut() -> Result<(), String>,
) -> u32 {
    for room in 0..30 {
        let before = descriptors_here();
        set(Some(room));
        let tried = try_it();
        set(None);
        assert!(children_here().is_empty());
        assert_eq!(descriptors_here(), before, "with room for {room}");
        match tried {
            Ok(()) => return room as u32,
            Err(error) => assert!(error.contains(told), "with room for {room}: {error}"),
        }
    }
    panic!("there is room for thirty");
}

/// So many more processes and threads, where that is known, or no more.
fn processes(room: Option<u64>) {
    let here = match is_a_user_alone() {
        true => threads_here().unwrap() as u64,
        false => 0,
    };
    match room {
        // For others than that user there is no room, or as much as there is.
        Some(1..) if here == 0 => limit_processes(None),
        room => limit_processes(room.map(|room| (here + room).max(1))),
    }
}

/// So many more descriptors.
fn descriptors() -> impl FnMut(Option<u64>) {
    let mut taken = Taken::default();
    move |room| match room {
        Some(room) => {
            taken = Taken::all();
            let left = taken.files.len() - room as usize;
            taken.files.truncate(left);
        }
        None => drop(std::mem::take(&mut taken)),
    }
}

#[test]
fn a_pool_that_cannot_be_built_says_what_there_is_none_of() {
    const NAME: &str = "a_pool_that_cannot_be_built_says_what_there_is_none_of";
    watched(|| {
        as_a_user(NAME, || {
            let try_it = || {
                let mut built = Ok(());
                leaving_no_thread(|| built = builder(1).build().map(drop));
                built.map_err(|error| error.to_string())
            };
            // A thread, a process, a thread of that one's.
            let failed = with_more_and_more(processes, NO_PROCESSES, try_it);
            assert!(failed >= 3 || !is_a_user_alone(), "{failed}");
            let failed = with_more_and_more(descriptors(), NO_DESCRIPTORS, try_it);
            assert!(failed >= 4, "{failed}");
        });
    });
}

#[test]
fn a_pool_without_processes_fails_jobs_and_goes_on_when_there_are_some() {
    const NAME: &str = "a_pool_without_processes_fails_jobs_and_goes_on_when_there_are_some";
    watched(|| {
        as_a_user(NAME, || {
            let folder = scratch(NAME);
            let (program, started) = (folder.path("program"), folder.path("started"));
            let this = std::env::current_exe().unwrap();
            let script = format!(
                "#!/bin/sh\necho $$ >> '{started}'\nexec {} \"$@\"\n",
                this.display()
            );
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
            let starts = || fs::read_to_string(&started).unwrap().lines().count();

            let procs = builder(1).program(&program).build().unwrap();
            procs.submit(Act::Pid).join().unwrap();
            // For a process of its own there is room, for that one's thread there is none.
            for room in [0, 1] {
                let before = starts();
                let begin = Instant::now();
                processes(Some(room));
                if room > 0 && !is_a_user_alone() {
                    continue;
                }
                let killed = procs.submit(Act::Abort).join().unwrap_err();
                assert!(killed.is_crashed(), "{killed}");
                let mut failed = 0;
                // If they did not fail at once, each would have a start.
                while failed < 20 || begin.elapsed() < Duration::from_millis(300) {
                    let error = procs.submit(Act::Pid).join().unwrap_err();
                    assert!(error.is_start_failed(), "{error}");
                    assert!(error.to_string().contains(NO_PROCESSES), "{error}");
                    assert!(children_here().is_empty());
                    failed += 1;
                }
                let tried = starts() - before;
                let most = 4 + begin.elapsed().as_secs() as usize;
                assert!(tried <= most, "{tried} starts");
                processes(None);
                until(|| procs.submit(Act::Pid).join().is_ok());
            }
        });
    });
}

#[test]
fn a_process_worker_that_cannot_be_started_says_what_there_is_none_of() {
    const NAME: &str = "a_process_worker_that_cannot_be_started_says_what_there_is_none_of";
    watched(|| {
        as_a_user(NAME, || {
            let try_it = || {
                let mut told = Ok(());
                leaving_no_thread(|| told = echo());
                told
            };
            // The process, its keeper, the two threads of its own.
            let failed = with_more_and_more(processes, NO_PROCESSES, try_it);
            assert!(failed >= 4 || !is_a_user_alone(), "{failed}");
            let failed = with_more_and_more(descriptors(), NO_DESCRIPTORS, try_it);
            assert!(failed >= 6, "{failed}");
        });
    });
}

/// Starts a worker, and has it answer; or how it ended, with what it wrote.
fn echo() -> Result<(), String> {
    let worker = ProcessWorker::<u64, u64>::builder(&echoing(), "echo")
        .test_child("echoing_child")
        .start_timeout(Duration::from_secs(120))
        .output(windlass::process::Output::Collect(10_000))
        .start()
        .map_err(|error| error.to_string())?;
    let exited = worker.exited();
    let posted = worker.post(7).map_err(|error| error.to_string());
    let answer = worker.recv();
    drop(worker);
    let exit = exited.wait();
    match answer {
        Ok(answer) => assert_eq!(answer, 7),
        Err(_) => return Err(format!("{exit}: {}", exit.stderr())),
    }
    posted
}

#[test]
fn a_cluster_that_cannot_listen_says_what_there_is_none_of() {
    const NAME: &str = "a_cluster_that_cannot_listen_says_what_there_is_none_of";
    watched(|| {
        as_a_user(NAME, || {
            for scheduling in BOTH {
                let try_it = || {
                    let mut told = Ok(());
                    leaving_no_thread(|| told = listen(scheduling));
                    told
                };
                // The process, the cluster's thread, the two threads of the worker's.
                let failed = with_more_and_more(processes, NO_PROCESSES, try_it);
                assert!(failed >= 2 || !is_a_user_alone(), "{failed}");
                let failed = with_more_and_more(descriptors(), NO_DESCRIPTORS, try_it);
                assert!(failed >= 6, "{failed}");
            }
        });
    });
}

/// Starts a cluster, which either says why not or comes to listen.
fn listen(scheduling: Scheduling) -> Result<(), String> {
    let cluster = clusters::builder(2)
        .scheduling(scheduling)
        .max_quick_deaths(2)
        .min_uptime(Duration::from_secs(3600))
        .listen("127.0.0.1:0")
        .map_err(|error| error.to_string())?;
    let told = event(&cluster, |event| match event {
        ClusterEvent::Listening { .. } => Some(Ok(())),
        ClusterEvent::Failed { reason } => Some(Err(reason)),
        _ => None,
    });
    // What a worker writes is not for the primary to see, but its exit code is.
    told.map_err(|reason| match reason.contains("exit status: 11)") {
        true => NO_PROCESSES.into(),
        false => reason,
    })
}

/// Kills a worker, and has its place be empty for want of something; what comes of it.
fn a_worker_cannot_be_replaced(told: &str, lack: impl Fn(bool)) {
    for scheduling in BOTH {
        let cluster = clusters::builder(3).scheduling(scheduling);
        let cluster = cluster.max_quick_deaths(1).listen("127.0.0.1:0").unwrap();
        until_listening(&cluster, 3);
        let engine = Engine::find();
        let begin = Instant::now();
        lack(true);
        cluster.kill(1, 9).unwrap();
        let mut failed = 0;
        let twelfth = |event| match event {
            ClusterEvent::StartFailed { place, reason } => {
                assert!(place == 0 && reason.contains(told), "{reason}");
                failed += 1;
                // One and two milliseconds, and so on, and then twenty.
                (failed == 12).then(|| begin.elapsed())
            }
            ClusterEvent::Failed { reason } => panic!("one listens: {reason}"),
            _ => None,
        };
        let waits = engine.is_quiet_amid(|| event(&cluster, twelfth));
        assert!(waits >= Duration::from_millis(31 + 6 * 20), "{waits:?}");
        cluster.rolling_restart().unwrap();
        let error = event(&cluster, |event| match event {
            ClusterEvent::Restarted { error } => Some(error.unwrap()),
            _ => None,
        });
        assert!(error.contains(told), "{error}");
        assert_eq!(listening(&cluster), [2, 3]);
        lack(false);
        assert!(ask(cluster.local_addr()).is_ok());
        until_listening(&cluster, 3);
        cluster.rolling_restart().unwrap();
        let error = event(&cluster, |event| match event {
            ClusterEvent::Restarted { error } => Some(error),
            _ => None,
        });
        assert_eq!(error, None);
        // The last one gives up when none is left.
        lack(true);
        for worker in cluster.workers() {
            cluster.kill(worker.id, 9).unwrap();
        }
        let reason = event(&cluster, |event| match event {
            ClusterEvent::Failed { reason } => Some(reason),
            _ => None,
        });
        let error = cluster.run().unwrap_err().to_string();
        assert!(error.contains(&reason), "{error}");
        lack(false);
        assert!(children_here().is_empty());
    }
}

#[test]
fn a_worker_comes_back_when_there_are_processes_again() {
    const NAME: &str = "a_worker_comes_back_when_there_are_processes_again";
    watched(|| {
        as_a_user(NAME, || {
            a_worker_cannot_be_replaced(NO_PROCESSES, |lacks| {
                limit_processes(lacks.then_some(1));
            });
        });
    });
}

#[test]
fn a_worker_comes_back_when_there_are_descriptors_again() {
    const NAME: &str = "a_worker_comes_back_when_there_are_descriptors_again";
    watched(|| {
        alone(NAME, || {
            // Fewer than there are, and too few to poll for.
            a_worker_cannot_be_replaced(NO_DESCRIPTORS, |lacks| {
                limit_descriptors(lacks.then_some(3));
            });
        });
    });
}

/// What the cluster's thread of this process does; the files are open already.
struct Engine {
    status: File,
    stat: File,
}

impl Engine {
    fn find() -> Self {
        loop {
            let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
            let is_it = |path: &PathBuf| {
                let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
                name.starts_with("windlass-clust")
            };
            let all: Vec<_> = tasks.map(|task| task.path()).filter(is_it).collect();
            // One of a cluster before may still be on its way out.
            if let [its] = &all[..] {
                return Self {
                    status: File::open(its.join("status")).unwrap(),
                    stat: File::open(its.join("stat")).unwrap(),
                };
            }
            thread::yield_now();
        }
    }

    /// How often it has gone to sleep, and for how many milliseconds it has run.
    fn has_done(&self) -> [u64; 2] {
        let read = |file: &File| {
            let mut text = vec![0; 8192];
            let len = file.read_at(&mut text, 0).unwrap();
            text.truncate(len);
            String::from_utf8(text).unwrap()
        };
        let number = |text: Option<&str>| text.unwrap().parse::<u64>().unwrap();
        let status = read(&self.status);
        let mut lines = status.lines();
        let line = lines.find(|line| line.starts_with("voluntary_ctxt"));
        let sleeps = number(line.unwrap().split_whitespace().nth(1));
        let stat = read(&self.stat);
        // In hundredths of a second.
        let mut times = stat.rsplit(')').next().unwrap().split_whitespace().skip(11);
        let ran = number(times.next()) + number(times.next());
        [sleeps, ran * 10]
    }

    /// Runs `body`, in which it has nothing to do but to try now and then.
    fn is_quiet_amid<T>(&self, body: impl FnOnce() -> T) -> T {
        let (begin, before) = (Instant::now(), self.has_done());
        let result = body();
        let [sleeps, ran] = self.has_done();
        let (sleeps, ran) = (sleeps - before[0], ran - before[1]);
        let time = begin.elapsed().as_millis() as u64;
        assert!(sleeps <= 40 + time / 5, "{sleeps} times in {time} ms");
        assert!(ran <= 30 + time * 3 / 4, "{ran} ms of {time}");
        result
    }
}

/// Some time.
fn pass() {
    thread::sleep(Duration::from_millis(300));
}

#[test]
fn connections_wait_while_the_primary_has_no_descriptors() {
    const NAME: &str = "connections_wait_while_the_primary_has_no_descriptors";
    watched(|| {
        alone(NAME, || {
            // So much time there is to take all descriptors after the end of a worker.
            let pause = Duration::from_secs(5);
            let cluster = clusters::builder(1)
                .backoff(pause, pause)
                .min_uptime(Duration::from_secs(3600))
                .max_quick_deaths(u32::MAX);
            let cluster = cluster.listen("127.0.0.1:0").unwrap();
            until_listening(&cluster, 1);
            let engine = Engine::find();
            let mut client = common::child("client", &[]);
            client.env(ADDRESS, cluster.local_addr().to_string());
            client.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut client = client.spawn().unwrap();
            let mut to_client = client.stdin.take().unwrap();
            let lines = BufReader::new(client.stdout.take().unwrap()).lines();
            let (tell, told) = mpsc::channel();
            let reader = thread::spawn(move || {
                let said = lines.map(Result::unwrap);
                let said = said.filter(|line| line == "asked" || line == "answered");
                said.for_each(|line| tell.send(line).unwrap());
            });

            let mut taken = Taken::all();
            to_client.write_all(b"go\n").unwrap();
            assert_eq!(told.recv().unwrap(), "asked");
            engine.is_quiet_amid(pass);
            assert!(told.try_recv().is_err(), "there is nothing to answer with");
            // There is nobody to give one to, either.
            cluster.kill(1, 9).unwrap();
            event(&cluster, |event| {
                matches!(event, ClusterEvent::Exit { .. }).then_some(())
            });
            taken.rest();
            engine.is_quiet_amid(|| {
                event(&cluster, |event| {
                    matches!(event, ClusterEvent::StartFailed { .. }).then_some(())
                });
            });
            assert!(told.try_recv().is_err());
            drop(taken);
            let answers = (0..5).map(|_| told.recv().unwrap());
            assert!(answers.into_iter().all(|line| line == "answered"));
            reader.join().unwrap();
            assert!(client.wait().unwrap().success());
            assert_eq!(listening(&cluster), [2]);
        });
    });
}

#[test]
fn connections_wait_while_the_worker_has_no_descriptors() {
    const NAME: &str = "connections_wait_while_the_worker_has_no_descriptors";
    watched(|| {
        alone(NAME, || {
            for scheduling in BOTH {
                let cluster = clusters::builder(1).scheduling(scheduling);
                let cluster = cluster.env(ROLE, GETS_POOR).listen("127.0.0.1:0").unwrap();
                until_listening(&cluster, 1);
                let address = cluster.local_addr();
                let engine = Engine::find();
                let tell = |poor: bool| {
                    cluster.post(1, &poor).unwrap();
                    event(&cluster, |event| {
                        matches!(event, ClusterEvent::Message { .. }).then_some(())
                    });
                };
                // It has had no connection so far, whose end would make room for one.
                tell(true);
                let asking = [(); 6].map(|()| thread::spawn(move || ask(address).unwrap()));
                engine.is_quiet_amid(pass);
                assert!(asking.iter().all(|it| !it.is_finished()));
                tell(false);
                for asking in asking {
                    assert_eq!(asking.join().unwrap(), 1, "it was there all the time");
                }
            }
        });
    });
}

#[test]
fn what_a_poor_worker_cannot_have_goes_to_another() {
    watched(|| {
        let cluster = clusters::builder(2).env_of(0, ROLE, GETS_POOR);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        until_listening(&cluster, 2);
        let address = cluster.local_addr();
        let tell = |poor: bool| {
            cluster.post(1, &poor).unwrap();
            event(&cluster, |event| {
                matches!(event, ClusterEvent::Message { .. }).then_some(())
            });
        };
        tell(true);
        assert!((0..50).all(|_| ask(address).unwrap() == 2));
        tell(false);
        until(|| ask(address).unwrap() == 1);
    });
}

#[test]
#[allow(unsafe_code)]
fn workers_whose_ends_somebody_else_is_told_are_replaced() {
    const NAME: &str = "workers_whose_ends_somebody_else_is_told_are_replaced";
    watched(|| {
        alone(NAME, || {
            // SAFETY: it is no handler, and nothing here needs the signal.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            let cluster = clusters::builder(2).listen("127.0.0.1:0").unwrap();
            until_listening(&cluster, 2);
            let engine = Engine::find();
            cluster.kill(1, 9).unwrap();
            let end = event(&cluster, |event| match event {
                ClusterEvent::Exit {
                    id, code, signal, ..
                } => Some((id, code, signal)),
                _ => None,
            });
            assert_eq!(end, (1, None, None));
            until_listening(&cluster, 2);
            engine.is_quiet_amid(pass);
            assert_eq!(listening(&cluster), [2, 3]);
            cluster.stop(Duration::from_secs(60)).unwrap();
            cluster.run().unwrap();
            // A pool's jobs, and its children, end as well.
            let procs = procs(1);
            let error = procs.submit(Act::Abort).join().unwrap_err();
            assert_eq!(error.crash().unwrap().signal(), None, "{error}");
            procs.submit(Act::Pid).join().unwrap();
        });
    });
}
