//! Promise: a socket, a listener or a file in a message to or from a process worker arrives
//! with it and with no other one, and none is left behind, however either side ends.
#![cfg(all(target_os = "linux", feature = "process"))]

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use common::forks::{alone, leaving_no_thread};
use common::limits::drop_capabilities;
use common::tasks::{START, children_here, descriptors_here};
use common::{Scratch, is_child_of, run_child, scratch, until, watched};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use windlass::Pool;
use windlass::process::{
    Bytes, Descriptor, Output, ProcessParent, ProcessPool, ProcessWorker, ProcessWorkerBuilder,
    Signal, Task, TaskContext, Tasks,
};

type Files = Vec<Descriptor<File>>;

#[derive(Serialize, Deserialize, Debug)]
enum Say {
    /// Answers on it.
    Stream(Descriptor<TcpStream>),
    /// Accepts one connection, and answers on that.
    Listener(Descriptor<TcpListener>),
    /// Tells what is in them, or as an answer is just that.
    Files(Files),
    /// Opens that file, and gives it so often.
    Open(String, usize),
    Texts(Vec<String>),
    Untaken(Untaken),
    /// The same, back.
    GiveUntaken,
    HowMany,
    Number(usize),
    /// Leaves room for so many descriptors more.
    Exhaust(usize),
    /// Writes this to the parent, past the protocol, with so many descriptors.
    Raw(Vec<u8>, usize),
    Park,
}

/// Written as a descriptor, and read as what is none.
#[derive(Serialize, Debug)]
struct Untaken(Descriptor<File>);

impl<'de> Deserialize<'de> for Untaken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert_eq!(u32::deserialize(deserializer)?, 0);
        Ok(Self(null()))
    }
}

/// Says how many it is, and comes with a file that holds the number, or with none.
type Numbered = (u64, Bytes, Option<Descriptor<File>>);

/// One of each kind.
#[derive(Serialize, Deserialize, Debug)]
struct Kinds {
    stream: Descriptor<TcpStream>,
    listener: Descriptor<TcpListener>,
    udp: Descriptor<UdpSocket>,
    unix: Descriptor<UnixStream>,
    unix_listener: Descriptor<UnixListener>,
    datagram: Option<Descriptor<UnixDatagram>>,
    file: Descriptor<File>,
    any: Descriptor<OwnedFd>,
}

fn act(parent: &ProcessParent<Say, Say>) {
    let post = |say| parent.post(say).unwrap();
    let mut taken = Vec::new();
    while let Ok(say) = parent.recv() {
        match say {
            Say::Stream(mut stream) => {
                let mut line = String::new();
                let read = BufReader::new(&*stream).read_line(&mut line);
                read.unwrap();
                write!(stream, "you said {line}").unwrap();
            }
            Say::Listener(listener) => {
                let (mut stream, _) = listener.accept().unwrap();
                write!(stream, "from {}", std::process::id()).unwrap();
            }
            Say::Files(files) => post(Say::Texts(files.iter().map(text).collect())),
            Say::Open(path, times) => {
                let open = |_| Descriptor(File::open(&path).unwrap());
                post(Say::Files((0..times).map(open).collect()));
            }
            Say::Untaken(_) => {}
            Say::GiveUntaken => post(Say::Untaken(Untaken(null()))),
            Say::HowMany => post(Say::Number(descriptors_here())),
            Say::Exhaust(left) => {
                exhaust(&mut taken, left);
                post(Say::Number(0));
            }
            Say::Raw(bytes, descriptors) => raw(&bytes, descriptors),
            Say::Park => loop {
                std::thread::park();
            },
            other => panic!("{other:?}"),
        }
    }
}

fn tasks() -> Tasks {
    Tasks::new()
        .with::<Holds>()
        .with::<Gives>()
        .with_worker("act", act)
        .with_worker("echo", |parent: &ProcessParent<Numbered, Numbered>| {
            while let Ok(message) = parent.recv() {
                parent.post(message).unwrap();
            }
        })
        .with_worker("kinds", |parent: &ProcessParent<Kinds, Kinds>| {
            while let Ok(mut kinds) = parent.recv() {
                kinds.stream.write_all(b"stream").unwrap();
                kinds.udp.send(b"udp").unwrap();
                kinds.unix.write_all(b"unix").unwrap();
                let datagram = kinds.datagram.take().unwrap();
                datagram.send(b"datagram").unwrap();
                parent.post(kinds).unwrap();
            }
        })
}

#[test]
fn child() {
    let _ = tasks().serve_if_child();
}

fn builder<In, Out>(name: &str) -> ProcessWorkerBuilder<In, Out>
where
    In: Serialize + Send + 'static,
    Out: DeserializeOwned + Send + 'static,
{
    ProcessWorker::builder(&tasks(), name)
        .start_timeout(START)
        .test_child("child")
        .env("RUST_BACKTRACE", "0")
        .output(Output::Collect(1000))
}

fn start() -> ProcessWorker<Say, Say> {
    builder("act").start().unwrap()
}

fn null() -> Descriptor<File> {
    Descriptor(File::open("/dev/null").unwrap())
}

/// A file that holds its number.
fn numbered(folder: &Scratch, n: u64) -> Descriptor<File> {
    let path = folder.path(&n.to_string());
    std::fs::write(&path, n.to_string()).unwrap();
    Descriptor(File::open(path).unwrap())
}

fn text(of: &Descriptor<File>) -> String {
    let mut text = [0; 20];
    let len = of.read_at(&mut text, 0).unwrap();
    String::from_utf8(text[..len].to_vec()).unwrap()
}

/// A connection's two ends.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Takes all descriptors that there are but so many; there are to be few.
fn exhaust(taken: &mut Vec<File>, left: usize) {
    set_limit(100);
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken.truncate(taken.len() - left);
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

/// Writes to the parent; a child has no other socket than that.
#[allow(unsafe_code)]
fn raw(bytes: &[u8], descriptors: usize) {
    let socket = std::fs::read_dir("/proc/self/fd").unwrap().find_map(|it| {
        let it = it.unwrap();
        let target = std::fs::read_link(it.path()).unwrap_or_default();
        let fd = it.file_name().to_str().unwrap().parse().unwrap();
        target
            .to_str()
            .unwrap()
            .starts_with("socket:")
            .then_some(fd)
    });
    // SAFETY: it is open, and nothing closes it meanwhile.
    let socket = unsafe { BorrowedFd::borrow_raw(socket.unwrap()) };
    let file = null();
    let along = vec![file.as_fd(); descriptors];
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(along.is_empty() || control.push(SendAncillaryMessage::ScmRights(&along)));
    let flags = SendFlags::empty();
    let sent = sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags).unwrap();
    assert_eq!(sent, bytes.len());
}

#[test]
fn a_connected_socket_is_the_childs_from_the_post_on() {
    watched(|| {
        let worker = start();
        for n in 0..50 {
            let (mut client, server) = connection();
            worker.post(Say::Stream(Descriptor(server))).unwrap();
            writeln!(client, "{n}").unwrap();
            let mut answer = String::new();
            // It ends when the child drops its own: there is none here any more.
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, format!("you said {n}\n"));
        }
    });
}

#[test]
fn a_listener_is_accepted_from_by_the_child() {
    watched(|| {
        let worker = start();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        worker.post(Say::Listener(Descriptor(listener))).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, format!("from {}", worker.id()));
    });
}

#[test]
fn a_file_comes_back_from_the_child() {
    watched(|| {
        let folder = scratch("descriptors-back");
        numbered(&folder, 77);
        let worker = start();
        for times in [1, 3, 64] {
            worker.post(Say::Open(folder.path("77"), times)).unwrap();
            let Say::Files(files) = worker.recv().unwrap() else {
                panic!("no files");
            };
            assert_eq!(files.len(), times);
            assert!(files.iter().all(|file| text(file) == "77"));
        }
    });
}

#[test]
fn whatever_has_a_descriptor_can_be_sent_and_comes_back() {
    watched(|| {
        let folder = scratch("descriptors-kinds");
        let worker = builder::<Kinds, Kinds>("kinds").start().unwrap();
        let (mut client, stream) = connection();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (here, udp) = (
            UdpSocket::bind("127.0.0.1:0"),
            UdpSocket::bind("127.0.0.1:0"),
        );
        let (here, udp) = (here.unwrap(), udp.unwrap());
        udp.connect(here.local_addr().unwrap()).unwrap();
        let (mut unix_here, unix) = UnixStream::pair().unwrap();
        let (datagram_here, datagram) = UnixDatagram::pair().unwrap();
        let kinds = Kinds {
            stream: Descriptor(stream),
            listener: listener.into(),
            udp: udp.into(),
            unix: unix.into(),
            unix_listener: UnixListener::bind(folder.path("socket")).unwrap().into(),
            datagram: Some(datagram.into()),
            file: numbered(&folder, 5),
            any: OwnedFd::from(numbered(&folder, 6).0).into(),
        };
        worker.post(kinds).unwrap();
        let kinds = worker.recv().unwrap();
        let mut read = [0; 100];
        assert_eq!(client.read(&mut read).unwrap(), 6);
        assert_eq!(here.recv(&mut read).unwrap(), 3);
        assert_eq!(unix_here.read(&mut read).unwrap(), 4);
        assert_eq!(datagram_here.recv(&mut read).unwrap(), 8);
        assert_eq!(kinds.listener.local_addr().unwrap(), address);
        let _client = UnixStream::connect(folder.path("socket")).unwrap();
        kinds.unix_listener.accept().unwrap();
        assert_eq!(text(&kinds.file), "5");
        assert_eq!(text(&Descriptor(kinds.any.0.into())), "6");
    });
}

#[test]
fn so_many_in_one_message_keep_their_order_and_more_are_an_error() {
    common::hush();
    watched(|| {
        let folder = scratch("descriptors-many");
        let worker = start();
        for count in [0, 1, 2, 63, 64] {
            let files = (0..count).map(|n| numbered(&folder, n)).collect();
            worker.post(Say::Files(files)).unwrap();
            let Say::Texts(texts) = worker.recv().unwrap() else {
                panic!("no texts");
            };
            let numbers: Vec<_> = (0..count).map(|n| n.to_string()).collect();
            assert_eq!(texts, numbers);
        }
        let files = (0..65).map(|_| null()).collect();
        worker.post(Say::Files(files)).unwrap();
        let exit = worker.exited().wait();
        let problem = exit.problem().unwrap();
        assert!(problem.contains("can have 64 descriptors"), "{problem}");

        let worker = start();
        worker.post(Say::Open("/dev/null".into(), 65)).unwrap();
        let exit = worker.exited().wait();
        let panic = exit.panic().unwrap();
        assert!(panic.contains("can have 64 descriptors"), "{panic}");
    });
}

#[test]
fn large_and_small_messages_with_and_without_keep_what_is_theirs_both_ways_at_once() {
    watched(|| {
        let folder = scratch("descriptors-mixed");
        let worker = builder::<Numbered, Numbered>("echo").start().unwrap();
        let message = |n: u64| {
            let len = if n % 100 == 50 { 1 << 20 } else { n % 7 };
            let has_file = n % 100 == 50 || n.is_multiple_of(3);
            let file = has_file.then(|| numbered(&folder, n));
            (n, Bytes(vec![n as u8; len as usize]), file)
        };
        std::thread::scope(|scope| {
            scope.spawn(|| (0..600).for_each(|n| worker.post(message(n)).unwrap()));
            for n in 0..600 {
                let (number, bytes, file) = worker.recv().unwrap();
                let (expected, same, expected_file) = message(n);
                assert!(number == expected && bytes == same, "{number}");
                assert_eq!(file.is_some(), expected_file.is_some(), "{number}");
                assert!(file.is_none_or(|file| text(&file) == n.to_string()));
            }
        });
    });
}

/// What a task cannot have in a process.
#[derive(Serialize, Deserialize)]
struct Holds(Descriptor<File>);

impl Task for Holds {
    const NAME: &'static str = "holds";
    type Output = u64;

    fn run(self, _cx: &TaskContext) -> u64 {
        self.0.metadata().unwrap().len()
    }
}

/// The same, as its result.
#[derive(Serialize, Deserialize)]
struct Gives;

impl Task for Gives {
    const NAME: &'static str = "gives";
    type Output = Descriptor<File>;

    fn run(self, _cx: &TaskContext) -> Descriptor<File> {
        null()
    }
}

#[test]
fn where_none_can_be_the_error_says_where_they_can() {
    watched(|| {
        let only = "a descriptor can be sent in a message of a process worker only";
        let procs = ProcessPool::builder(tasks())
            .num_children(1)
            .start_timeout(START)
            .test_child("child");
        let procs = procs.build().unwrap();
        let error = procs.submit(Holds(null())).join().unwrap_err().to_string();
        assert!(
            error.contains("did not run") && error.contains(only),
            "{error}"
        );
        let error = procs.submit(Gives).join().unwrap_err().to_string();
        assert!(error.contains("it ran") && error.contains(only), "{error}");
        let error = serde_json::to_string(&null()).unwrap_err().to_string();
        assert!(error.contains(only), "{error}");
        let error = serde_json::from_str::<Files>("[0]")
            .unwrap_err()
            .to_string();
        assert!(error.contains("of a process worker only"), "{error}");
        // On threads they are moved.
        let pool = Pool::builder().num_threads(1).build().unwrap();
        assert_eq!(pool.submit(Holds(null())).join().unwrap(), 0);
        let worker = pool.worker(|file: Descriptor<File>, parent| drop(parent.post(file)));
        worker.post(null()).unwrap();
        worker.recv().unwrap();
    });
}

#[test]
fn those_that_nobody_takes_are_closed_on_both_sides() {
    alone("those_that_nobody_takes_are_closed_on_both_sides", || {
        // What is made once is there.
        leaving_no_thread(|| drop(start().terminate().wait()));
        let without = descriptors_here();
        leaving_no_thread(|| {
            let worker = start();
            let there = || {
                worker.post(Say::HowMany).unwrap();
                let Say::Number(number) = worker.recv().unwrap() else {
                    panic!("no number");
                };
                number
            };
            let before = (descriptors_here(), there());
            for _ in 0..200 {
                worker.post(Say::Untaken(Untaken(null()))).unwrap();
                worker.post(Say::GiveUntaken).unwrap();
                drop(worker.recv().unwrap());
            }
            assert_eq!((descriptors_here(), there()), before);
            // And those of a message that is none.
            worker.post(Say::Raw(posted(1, 3, &[99]), 3)).unwrap();
            let exit = worker.exited().wait();
            assert!(
                exit.problem().unwrap().contains("could not be read"),
                "{exit}"
            );
        });
        assert_eq!(descriptors_here(), without);
    });
}

/// A message to the parent that says so many descriptors come with it.
fn posted(len: u32, descriptors: u64, payload: &[u8]) -> Vec<u8> {
    [
        &len.to_le_bytes()[..],
        &[21],
        &descriptors.to_le_bytes(),
        payload,
    ]
    .concat()
}

#[test]
fn a_child_that_is_killed_with_some_on_their_way_leaves_none_here() {
    alone(
        "a_child_that_is_killed_with_some_on_their_way_leaves_none_here",
        || {
            // What is made once is there.
            leaving_no_thread(|| drop(start().terminate().wait()));
            let before = descriptors_here();
            for round in 0..6 {
                leaving_no_thread(|| kill_amid(round));
                assert_eq!(descriptors_here(), before, "{round}");
            }
            assert!(children_here().is_empty());
        },
    );
}

fn kill_amid(round: u32) {
    let worker = start();
    // Towards here: some received, some never.
    (0..5).for_each(|_| worker.post(Say::Open("/dev/null".into(), 9)).unwrap());
    if round.is_multiple_of(2) {
        drop(worker.recv().unwrap());
    }
    // And towards there: it reads only some of them.
    worker.post(Say::Park).unwrap();
    for n in 0..300 {
        let files = (0..n % 3).map(|_| null()).collect();
        worker.post(Say::Files(files)).unwrap();
    }
    if round > 2 {
        let rest = 5 - usize::from(round.is_multiple_of(2));
        (0..rest).for_each(|_| drop(worker.recv().unwrap()));
    }
    let exit = worker.terminate().wait();
    assert_eq!(exit.signal(), Some(libc::SIGKILL));
    assert_eq!(exit.problem(), None);
}

#[test]
fn a_child_without_descriptors_left_says_so() {
    watched(|| {
        for left in [0, 2] {
            let worker = start();
            worker.post(Say::Exhaust(left)).unwrap();
            worker.recv().unwrap();
            let files = (0..3).map(|_| null()).collect();
            worker.post(Say::Files(files)).unwrap();
            let exit = worker.exited().wait();
            assert_eq!(exit.code(), Some(86), "{exit}");
            let said = exit.stderr();
            assert!(said.contains("no descriptors left"), "{said}");
        }
    });
}

#[test]
fn without_descriptors_left_here_it_is_the_workers_problem() {
    const NAME: &str = "without_descriptors_left_here_it_is_the_workers_problem";
    if !is_child_of(NAME) {
        watched(|| drop(run_child(common::child(NAME, &[]))));
        return;
    }
    let (receives, sends) = (start(), start());
    for worker in [&receives, &sends] {
        worker.post(Say::HowMany).unwrap();
        worker.recv().unwrap();
    }
    let file = null();
    let mut taken = Vec::new();
    exhaust(&mut taken, 2);
    receives.post(Say::Open("/dev/null".into(), 3)).unwrap();
    let exit = receives.exited().wait();
    let problem = exit.problem().unwrap();
    assert!(problem.contains("no descriptors left"), "{problem}");
    exhaust(&mut taken, 0);
    sends.post(Say::Files(vec![file])).unwrap();
    let exit = sends.exited().wait();
    let problem = exit.problem().unwrap();
    assert!(
        problem.contains("could not be duplicated: Too many"),
        "{problem}"
    );
}

#[test]
fn a_number_that_is_not_true_ends_the_child() {
    watched(|| {
        let beginning = || posted(100, 40, &[1]);
        for (raw, problem) in [
            (
                vec![(posted(1, 3, &[3]), 0)],
                "it has 3 descriptors, and 0 came with it",
            ),
            (
                vec![(posted(1, 3, &[3]), 2)],
                "it has 3 descriptors, and 2 came with it",
            ),
            (vec![(posted(1, u64::MAX, &[3]), 1)], "64 are the most"),
            (vec![(posted(1, 65, &[3]), 64)], "64 are the most"),
            // More than there is room for: the system drops the rest of them.
            (vec![(posted(1, 64, &[3]), 200)], "not all of its 64"),
            (
                vec![(beginning(), 40), (vec![1], 40)],
                "80 descriptors without a message",
            ),
        ] {
            let worker = start();
            for (bytes, descriptors) in raw {
                worker.post(Say::Raw(bytes, descriptors)).unwrap();
            }
            let exit = worker.exited().wait();
            let told = exit.problem().unwrap();
            assert!(told.contains(problem), "{problem}: {exit}");
            assert!(worker.recv().unwrap_err().is_closed());
        }
    });
}

#[test]
fn when_too_many_are_on_their_way_they_go_when_others_have_arrived() {
    alone(
        "when_too_many_are_on_their_way_they_go_when_others_have_arrived",
        || watched(too_many_on_their_way),
    );
}

fn too_many_on_their_way() {
    // Else who may go beyond limits may do it here, too.
    drop_capabilities();
    let folder = scratch("descriptors-limit");
    let worker = start();
    worker.post(Say::HowMany).unwrap();
    worker.recv().unwrap();
    let before = descriptors_here();
    assert!(before < 30, "{before}");
    // So many may be on their way, too, of all of this user's processes together.
    set_limit(64);
    worker.kill(Signal::STOP);
    let stat = format!("/proc/{}/stat", worker.id());
    until(|| std::fs::read_to_string(&stat).unwrap().contains(") T "));
    for n in 0..80 {
        // Those that cannot go yet stay here.
        if n % 20 == 0 && n < 60 {
            until(|| descriptors_here() <= before + 10);
        }
        worker.post(Say::Files(vec![numbered(&folder, n)])).unwrap();
    }
    worker.kill(Signal::CONT);
    for n in 0..80 {
        let Say::Texts(texts) = worker.recv().unwrap() else {
            panic!("no texts");
        };
        assert_eq!(texts, [n.to_string()]);
    }
}

#[test]
fn all_clones_of_a_parent_and_all_threads_may_post_them() {
    watched(|| {
        let worker = Arc::new(builder::<Numbered, Numbered>("echo").start().unwrap());
        let folder = scratch("descriptors-threads");
        let left = Mutex::new((0..400_u64).collect::<std::collections::BTreeSet<_>>());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (worker, folder) = (Arc::clone(&worker), &folder);
                scope.spawn(move || {
                    for n in (0..100).map(|n| n * 4 + thread) {
                        let message = (n, Bytes(vec![]), Some(numbered(folder, n)));
                        worker.post(message).unwrap();
                    }
                });
            }
            for _ in 0..400 {
                let (n, _, file) = worker.recv().unwrap();
                assert_eq!(text(&file.unwrap()), n.to_string());
                assert!(left.lock().unwrap().remove(&n));
            }
        });
        assert!(left.into_inner().unwrap().is_empty());
    });
}
