//! Processes behind one port: a primary, and two workers that serve in turn. One is
//! killed, and another one takes its place; in the end all are told to go. The same in
//! Node: `node/16-cluster-server.js`.
//!
//! Run: `cargo run --features process --example node_16_cluster_server`

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use windlass::process::{Cluster, ClusterEvent, ClusterWorker, Scheduling, Signal};
use windlass::{MainLoop, Pool, blocking};

/// How long the workers may take to end, and a client to say what it wants.
const GRACE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    if Cluster::is_primary() {
        primary()
    } else {
        worker(&Cluster::worker()?)
    }
}

fn primary() -> Result<(), Box<dyn Error>> {
    let pool = Pool::new()?;
    let main = MainLoop::new();
    let cluster = Cluster::builder()
        .scheduling(Scheduling::RoundRobin)
        .workers(2)
        .env_of(0, "WATCH", "port")
        .env_of(1, "WATCH", "starboard")
        .listen("127.0.0.1:0")?;
    let mut greetings = Vec::new();
    let mut listening = BTreeSet::new();
    let exits = Rc::new(RefCell::new(Vec::new()));
    let (remote, exited) = (cluster.remote(), Rc::clone(&exits));
    main.on_message(&cluster, move |main, event| match event {
        ClusterEvent::Message { id, message } => {
            let watch: String = message.read().expect("a worker posts its watch");
            greetings.push(format!("worker {id} has the {watch} watch"));
            // One that is gone by now needs no orders.
            let _ = remote.post(id, &format!("steer to {watch}"));
        }
        ClusterEvent::Listening { id } => {
            listening.insert(id);
            if listening.len() < 2 {
                return;
            }
            print(std::mem::take(&mut greetings));
            let (remote, address) = (remote.clone(), remote.local_addr());
            let answers = pool.spawn(move || blocking(|| ask(address, 6)));
            main.on_complete(answers, move |_main, answers| {
                print(answers.expect("no panic").expect("each is answered"));
                if remote.kill(1, Signal::KILL).is_err() {
                    let _ = remote.stop(GRACE);
                }
            });
        }
        ClusterEvent::Exit {
            id,
            code,
            signal,
            was_told,
            ..
        } => {
            listening.remove(&id);
            exited.borrow_mut().push(report(id, code, signal));
            if !was_told {
                print(exited.take()); // the cluster starts it again
            }
        }
        _ => {}
    })?;
    main.run();
    print(exits.take());
    Ok(cluster.run()?)
}

/// As Node does: what there is none of is null.
fn report(id: u64, code: Option<i32>, signal: Option<i32>) -> String {
    let code = code.map_or("null".into(), |code| code.to_string());
    let signal = signal.map_or("null".into(), |signal| Signal::from(signal).to_string());
    format!("worker {id} exited with code {code} and signal {signal}")
}

/// The events of two workers come in any order.
fn print(mut lines: Vec<String>) {
    lines.sort();
    for line in lines {
        println!("{line}");
    }
}

/// Asks so many times, each on a connection of its own; how often each answer came.
fn ask(address: SocketAddr, times: u32) -> io::Result<Vec<String>> {
    let mut counts = BTreeMap::new();
    for _ in 0..times {
        *counts.entry(get(address)?).or_insert(0) += 1;
    }
    let line = |(answer, count)| format!("{answer}: {count} times");
    Ok(counts.into_iter().map(line).collect())
}

fn get(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let text = response.split_once("\r\n\r\n").map(|(_, text)| text);
    Ok(text.unwrap_or_default().to_owned())
}

fn worker(worker: &ClusterWorker) -> Result<(), Box<dyn Error>> {
    worker.post(&std::env::var("WATCH")?)?;
    let orders: String = worker.recv()?.read()?;
    let text = format!("worker {} is to {orders}", worker.id());
    thread::scope(|scope| {
        // From the one port of all.
        for stream in worker.incoming() {
            // A client that goes away amid something is no news.
            scope.spawn(|| drop(answer(stream, &text)));
        }
    });
    Ok(())
}

fn answer(mut stream: TcpStream, text: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(GRACE))?;
    let mut request = BufReader::new(&stream);
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}")
}
