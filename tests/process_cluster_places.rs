//! Promise: who is in a cluster's places is what was asked for, whatever goes wrong just
//! then: quick deaths, a worker disconnected amid an exchange, one that closes its way or
//! forks, one that cannot be killed, and times that are too long to be counted.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::clusters::{ROLE, ask, builder, event, listening, role, serve, until_listening};
use common::forks::{alone, in_a_fork_with};
use common::limits::{drop_capabilities, limit_descriptors};
use common::tasks::{descriptors_here, is_there};
use common::{until, watched};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use windlass::process::{Cluster, ClusterEvent, Signal};

/// Serves once it has got a message.
const WAITS_FOR_ITS_TURN: &str = "waits for its turn";
const EXITS: &str = "exits";
const FORKS: &str = "forks";
/// Takes no connection, and goes on without its `ClusterWorker` when it has got a message.
const CLOSES_ITS_WAY: &str = "closes its way";
/// The same, and it listens once it has got a message before that.
const WAITS_AND_CLOSES: &str = "waits for its turn, and closes its way";
/// Becomes another user's process, if it may, and does not go when it is told.
const IS_ANOTHERS: &str = "is another's";

/// What the workers run.
#[test]
fn worker() {
    if !Cluster::is_worker() {
        return;
    }
    if role() == EXITS {
        std::process::exit(3);
    }
    let mut worker = Cluster::worker().unwrap();
    match &*role() {
        WAITS_FOR_ITS_TURN if worker.recv().is_err() => return,
        FORKS => worker = in_a_fork_with(worker, drop),
        role @ (CLOSES_ITS_WAY | WAITS_AND_CLOSES) => {
            if role == WAITS_AND_CLOSES && worker.recv().is_err() {
                return;
            }
            let _ = worker.incoming();
            worker.recv().unwrap();
            drop(worker);
            park()
        }
        IS_ANOTHERS => {
            let _ = worker.incoming();
            become_another_user();
            worker.post(&()).unwrap();
            park()
        }
        _ => {}
    }
    serve(&worker);
}

fn park() -> ! {
    loop {
        thread::park();
    }
}

#[allow(unsafe_code)]
fn become_another_user() {
    // SAFETY: takes a number.
    let _ = unsafe { libc::setuid(54_321) };
}

fn fork_of(event: &ClusterEvent) -> Option<u64> {
    match event {
        ClusterEvent::Fork { id, .. } => Some(*id),
        _ => None,
    }
}

/// Waits until this worker is gone.
fn until_exit(cluster: &Cluster, of: u64) {
    event(cluster, |event| match event {
        ClusterEvent::Exit { id, .. } if id == of => Some(()),
        _ => None,
    });
}

fn until_online(cluster: &Cluster, of: u64) {
    event(cluster, |event| {
        (event == ClusterEvent::Online { id: of }).then_some(())
    });
}

/// How the rolling restart that is under way ends.
fn restarted(cluster: &Cluster) -> Option<String> {
    event(cluster, |event| match event {
        ClusterEvent::Restarted { error } => Some(error),
        _ => None,
    })
}

#[test]
fn times_that_are_too_long_to_be_counted_are_for_ever() {
    watched(|| {
        let cluster = builder(1)
            .env(ROLE, WAITS_FOR_ITS_TURN)
            .grace(Duration::MAX)
            .start_timeout(Duration::MAX)
            .backoff(Duration::MAX, Duration::MAX);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        cluster.post(1, &()).unwrap();
        event(&cluster, |event| {
            (event == ClusterEvent::Listening { id: 1 }).then_some(())
        });
        // Two quick deaths in the one place, the second after twice the first one's wait.
        for _ in 0..2 {
            cluster.rolling_restart().unwrap();
            let new = event(&cluster, |event| fork_of(&event));
            cluster.kill(new, Signal::KILL).unwrap();
            assert!(restarted(&cluster).is_some());
        }
        assert_eq!(ask(cluster.local_addr()).unwrap(), 1);
        let pid = cluster.workers()[0].pid;
        cluster.disconnect(1).unwrap();
        until_exit(&cluster, 1);
        drop(cluster);
        assert!(!is_there(pid));
    });
}

#[test]
fn connections_go_when_descriptors_that_were_on_their_way_have_arrived() {
    const NAME: &str = "connections_go_when_descriptors_that_were_on_their_way_have_arrived";
    alone(NAME, || watched(too_many_on_their_way));
}

fn too_many_on_their_way() {
    // Else who may go beyond limits may do it here, too.
    drop_capabilities();
    let cluster = builder(1).listen("127.0.0.1:0").unwrap();
    until_listening(&cluster, 1);
    // So many may be on their way, too, of all of this user's processes together.
    limit_descriptors(Some(64));
    let null = File::open("/dev/null").unwrap();
    let (from, to) = UnixStream::pair().unwrap();
    for _ in 0..2 {
        send_often(&from, &null);
    }
    let before = descriptors_here();
    let mut clients = Vec::new();
    // The first one was to be sent by the time at which the second is accepted.
    for count in 1..=2 {
        clients.push(TcpStream::connect(cluster.local_addr()).unwrap());
        until(|| descriptors_here() >= before + 2 * count);
    }
    drop((from, to));
    for mut client in clients {
        writeln!(client, "who").unwrap();
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "1");
    }
}

/// Sends one descriptor fifty times.
fn send_often(socket: &UnixStream, what: &File) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(50))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let along = [what.as_fd(); 50];
    assert!(control.push(SendAncillaryMessage::ScmRights(&along)));
    let sent = sendmsg(
        socket,
        &[IoSlice::new(b"1")],
        &mut control,
        SendFlags::empty(),
    );
    assert_eq!(sent, Ok(1));
}

#[test]
fn one_that_has_served_ends_the_row_of_quick_deaths_though_it_was_told_to_go() {
    watched(|| {
        let cluster = builder(2)
            .env_of(1, ROLE, WAITS_FOR_ITS_TURN)
            .max_quick_deaths(2);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        until_listening(&cluster, 1);
        cluster.kill(2, Signal::KILL).unwrap();
        until_exit(&cluster, 2);
        until_online(&cluster, 3);
        cluster.disconnect(1).unwrap();
        until_exit(&cluster, 1);
        // The first in a row.
        cluster.kill(3, Signal::KILL).unwrap();
        let goes_on = event(&cluster, |event| match event {
            ClusterEvent::Fork { .. } => Some(true),
            ClusterEvent::Failed { .. } => Some(false),
            _ => None,
        });
        assert!(goes_on);
    });
}

#[test]
fn one_that_is_still_starting_is_waited_for_before_the_cluster_gives_up() {
    watched(|| {
        for comes in [true, false] {
            let cluster = builder(2)
                .env_of(0, ROLE, WAITS_FOR_ITS_TURN)
                .env_of(1, ROLE, EXITS)
                .max_quick_deaths(2);
            let cluster = cluster.listen("127.0.0.1:0").unwrap();
            let mut deaths = 0;
            event(&cluster, |event| {
                deaths += u32::from(matches!(event, ClusterEvent::Exit { .. }));
                (deaths == 2).then_some(())
            });
            // Nothing more is started before it is known what becomes of the one.
            match comes {
                true => cluster.post(1, &()).unwrap(),
                false => cluster.kill(1, Signal::KILL).unwrap(),
            }
            let mut goes_on = false;
            let next = event(&cluster, |event| match event {
                ClusterEvent::Listening { id: 1 } => {
                    goes_on = true;
                    None
                }
                ClusterEvent::Fork { .. } => Some(true),
                ClusterEvent::Failed { .. } => Some(false),
                _ => None,
            });
            assert_eq!((goes_on, next), (comes, comes));
        }
    });
}

#[test]
fn disconnecting_one_that_is_on_its_way_out_leaves_the_place_to_the_next() {
    watched(|| {
        let cluster = builder(1).listen("127.0.0.1:0").unwrap();
        until_listening(&cluster, 1);
        // Keeps the worker there after it was told to go.
        let mut client = TcpStream::connect(cluster.local_addr()).unwrap();
        cluster.rolling_restart().unwrap();
        until(|| listening(&cluster) == [2]);
        cluster.disconnect(1).unwrap();
        writeln!(client, "who").unwrap();
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "1");
        assert_eq!(restarted(&cluster), None);
        cluster.kill(2, Signal::KILL).unwrap();
        event(&cluster, |event| {
            (event == ClusterEvent::Listening { id: 3 }).then_some(())
        });
    });
}

#[test]
fn disconnecting_the_old_one_amid_an_exchange_is_the_end_of_both() {
    watched(|| {
        let cluster = builder(1).env(ROLE, WAITS_FOR_ITS_TURN);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        cluster.post(1, &()).unwrap();
        until_listening(&cluster, 1);
        cluster.rolling_restart().unwrap();
        until(|| cluster.workers().len() == 2);
        cluster.disconnect(1).unwrap();
        let error = restarted(&cluster).unwrap();
        assert!(error.contains("disconnected"), "{error}");
        let mut exits = Vec::new();
        for event in cluster.iter().unwrap() {
            if let ClusterEvent::Exit { id, was_told, .. } = event {
                assert!(was_told);
                exits.push(id);
            }
        }
        exits.sort_unstable();
        assert_eq!(exits, [1, 2]);
        cluster.run().unwrap();
    });
}

#[test]
fn disconnecting_the_new_one_amid_an_exchange_leaves_the_place_to_the_old() {
    watched(|| {
        let cluster = builder(1).env(ROLE, WAITS_FOR_ITS_TURN);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        cluster.post(1, &()).unwrap();
        until_listening(&cluster, 1);
        cluster.rolling_restart().unwrap();
        until(|| cluster.workers().len() == 2);
        cluster.disconnect(2).unwrap();
        assert!(restarted(&cluster).is_some());
        cluster.kill(1, Signal::KILL).unwrap();
        until_online(&cluster, 3);
    });
}

#[test]
fn disconnecting_the_old_one_leaves_the_place_to_a_new_one_that_listens() {
    watched(|| {
        let cluster = builder(1).env(ROLE, WAITS_AND_CLOSES);
        let cluster = cluster.listen("127.0.0.1:0").unwrap();
        cluster.post(1, &()).unwrap();
        until_listening(&cluster, 1);
        cluster.rolling_restart().unwrap();
        until(|| cluster.workers().len() == 2);
        // It is on its way out, though nobody has told it to go.
        cluster.post(1, &()).unwrap();
        event(&cluster, |event| {
            (event == ClusterEvent::Disconnect { id: 1 }).then_some(())
        });
        cluster.post(2, &()).unwrap();
        until(|| listening(&cluster) == [2]);
        cluster.disconnect(1).unwrap();
        cluster.kill(1, Signal::KILL).unwrap();
        assert_eq!(restarted(&cluster), None);
        assert_eq!(listening(&cluster), [2]);
        cluster.kill(2, Signal::KILL).unwrap();
        until_online(&cluster, 3);
    });
}

#[test]
fn a_fork_of_a_worker_does_not_close_its_way() {
    watched(|| {
        let cluster = builder(1).env(ROLE, FORKS).listen("127.0.0.1:0").unwrap();
        let came = event(&cluster, |event| match event {
            ClusterEvent::Listening { .. } => Some(true),
            ClusterEvent::Disconnect { .. } => Some(false),
            _ => None,
        });
        assert!(came);
        assert_eq!(ask(cluster.local_addr()).unwrap(), 1);
    });
}

#[test]
fn what_one_that_closes_its_way_had_not_taken_goes_to_others_at_once() {
    watched(|| {
        let cluster = builder(2)
            .env_of(0, ROLE, CLOSES_ITS_WAY)
            .grace(Duration::MAX)
            .restart(false)
            .listen("127.0.0.1:0")
            .unwrap();
        until_listening(&cluster, 2);
        let address = cluster.local_addr();
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    assert_eq!(ask(address).unwrap(), 2);
                    answered.fetch_add(1, Ordering::SeqCst);
                });
            }
            // Every other one waits with it.
            until(|| answered.load(Ordering::SeqCst) == 3);
            cluster.post(1, &()).unwrap();
        });
        assert!(cluster.workers().iter().any(|it| it.id == 1), "it goes on");
        cluster.kill(1, Signal::KILL).unwrap();
    });
}

#[test]
fn a_worker_that_may_not_be_killed_ends_when_its_way_is_closed() {
    const NAME: &str = "a_worker_that_may_not_be_killed_ends_when_its_way_is_closed";
    alone(NAME, || {
        watched(|| {
            // Else the system's administrator may. (Nobody else's worker can become another
            // user's, and this one is killed like any other.)
            drop_capabilities();
            let cluster = builder(1).env(ROLE, IS_ANOTHERS);
            let cluster = cluster.listen("127.0.0.1:0").unwrap();
            event(&cluster, |event| {
                matches!(event, ClusterEvent::Message { .. }).then_some(())
            });
            cluster.stop(Duration::from_millis(10)).unwrap();
            until_exit(&cluster, 1);
            cluster.run().unwrap();
        });
    });
}
