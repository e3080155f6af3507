//! How much does a server of several processes get done?
//!
//! As many workers as pools have threads, each of which answers one request after
//! another and is busy with it for 1 ms; eight connections that stay, each of which asks
//! again once it has its answer. It matters to whoever serves a port with more than one
//! process, so that the death of one is not that of all: what is gained by a second one,
//! and do both get their share?
//!
//! windlass: a `Cluster`, whose primary gives connections out in turn, and a shared one,
//! whose workers accept themselves. Node: `node:cluster` with `node:net`, both ways.
//! Requests and answers are 64 bytes, so that nobody's HTTP is measured; the client is the
//! same, in the process of the question. It connects eight times in a row: of workers that
//! accept themselves, who is quick takes many, and a worker that has none does nothing.
//!
//! Our workers read with a thread for each connection, and answer with one. Floor: the
//! same in the process of the client, with an answering thread for each worker that there
//! would be.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use windlass::process::{Cluster, ClusterEvent, Scheduling};

use crate::node::{self, Script};
use crate::processes::SMALL;
use crate::question::{
    Contender, Field, Figure, OURS, Processes, Question, Round, Rounds, Settings,
};

pub const QUESTION: Question = Question {
    name: "cluster_throughput",
    about: "requests of 1 ms to a server of several processes, on 8 connections",
    figures: &[Figure::higher("cluster_throughput", "requests per s")],
    field,
    rounds: Rounds::USUAL,
    processes: Processes::One,
};

const CONNECTIONS: usize = 8;

/// For so long a request keeps its worker busy.
const BUSY: Duration = Duration::from_millis(1);

fn field(_: &Settings) -> Field {
    Field::of(vec![
        Contender::new(OURS, |settings| cluster(settings, Scheduling::RoundRobin)),
        Contender::new("windlass, shared", |settings| {
            cluster(settings, Scheduling::Shared)
        }),
        Contender::floor(floor),
    ])
    .and_maybe(node::CLUSTER.library, of_node(&node::CLUSTER, "in_turn"))
    .and_maybe(
        node::CLUSTER_SHARED.library,
        of_node(&node::CLUSTER_SHARED, "shared"),
    )
}

fn of_node(script: &'static Script, task: &str) -> Result<Contender, String> {
    let mut port = node::rounds(script, task, &[BUSY.as_micros() as u64])?;
    Ok(Contender::new(script.library, move |settings| {
        load(settings, local(port(settings)[0] as u16))
    }))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn cluster(settings: &Settings, scheduling: Scheduling) -> Round {
    let builder = Cluster::builder()
        .workers(settings.threads)
        .scheduling(scheduling);
    let cluster = builder.listen(local(0)).unwrap();
    let mut listening = 0;
    while listening < settings.threads {
        match cluster.recv().unwrap() {
            ClusterEvent::Listening { .. } => listening += 1,
            ClusterEvent::Exit { .. } => panic!("a worker has ended"),
            _ => {}
        }
    }
    load(settings, cluster.local_addr())
}

/// In a worker of a cluster: serves, and ends the process.
pub fn serve_if_worker() {
    if !Cluster::is_worker() {
        return;
    }
    let worker = Cluster::worker().expect("it is one");
    thread::scope(|scope| {
        let (to_answer, requests) = mpsc::channel();
        scope.spawn(move || answer(&requests));
        for stream in worker.incoming() {
            let to_answer = to_answer.clone();
            scope.spawn(move || read(stream, &to_answer));
        }
    });
    std::process::exit(0);
}

type Request = (Arc<TcpStream>, [u8; SMALL]);

/// Answers one request after another, until there is nobody to ask more.
fn answer(requests: &Receiver<Request>) {
    for (stream, request) in requests {
        let begin = Instant::now();
        while begin.elapsed() < BUSY {
            std::hint::spin_loop();
        }
        // A client that goes away is no news.
        let _ = (&*stream).write_all(&request);
    }
}

/// Reads the requests of a connection, until it is closed.
fn read(stream: TcpStream, to_answer: &Sender<Request>) {
    let (stream, mut request) = (Arc::new(stream), [0; SMALL]);
    stream.set_nodelay(true).expect("it is there");
    while (&*stream).read_exact(&mut request).is_ok() {
        let sent = to_answer.send((Arc::clone(&stream), request));
        sent.expect("it answers as long as there is one that reads");
    }
}

fn floor(settings: &Settings) -> Round {
    let listener = TcpListener::bind(local(0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    thread::scope(|scope| {
        let answering = (0..settings.threads).map(|_| {
            let (to_answer, requests) = mpsc::channel();
            scope.spawn(move || answer(&requests));
            to_answer
        });
        let answering: Vec<_> = answering.collect();
        scope.spawn(move || {
            for n in 0..CONNECTIONS {
                let (stream, _) = listener.accept().expect("the client comes");
                let to_answer = answering[n % answering.len()].clone();
                scope.spawn(move || read(stream, &to_answer));
            }
        });
        load(settings, address)
    })
}

/// Asks on all connections at once, after a while of warming up.
fn load(settings: &Settings, address: SocketAddr) -> Round {
    // All are there before the first one asks.
    let streams = [(); CONNECTIONS].map(|()| TcpStream::connect(address).expect("it listens"));
    let begin = Instant::now() + settings.pick(Duration::from_millis(200), BUSY * 50);
    let end = begin + settings.pick(Duration::from_secs(1), Duration::from_millis(150));
    let answers: usize = thread::scope(|scope| {
        let asking = streams.map(|stream| scope.spawn(move || ask(&stream, begin, end)));
        let answers = asking.into_iter().map(|thread| thread.join().unwrap());
        answers.sum()
    });
    let seconds = (end - begin).as_secs_f64();
    Round::of([(QUESTION.name, answers as f64 / seconds)])
}

/// How many answers came between these two points in time.
fn ask(mut stream: &TcpStream, begin: Instant, end: Instant) -> usize {
    stream.set_nodelay(true).expect("it is there");
    let mut answers = 0;
    for n in 0_usize.. {
        let (request, mut answer) = ([n as u8; SMALL], [0; SMALL]);
        stream.write_all(&request).expect("it is read");
        stream.read_exact(&mut answer).expect("it is answered");
        assert_eq!(answer, request);
        let now = Instant::now();
        if now >= end {
            break;
        }
        answers += usize::from(now >= begin);
    }
    answers
}
