//! Clusters whose workers are a test program's, and what is asked of them.
//!
//! Each test file that uses them has a test of the name `worker`, which is what its
//! workers run.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use windlass::process::{Cluster, ClusterBuilder, ClusterEvent, ClusterWorker, Scheduling};

use super::until;

pub(crate) const BOTH: [Scheduling; 2] = [Scheduling::RoundRobin, Scheduling::Shared];

/// What a worker is to be, in its environment.
pub(crate) const ROLE: &str = "WINDLASS_TEST_ROLE";

/// What this worker is to be.
pub(crate) fn role() -> String {
    std::env::var(ROLE).unwrap_or_default()
}

/// A cluster of so many, with a test program's workers, who are started again at once. A
/// machine that stalls does not make it kill any.
pub(crate) fn builder(workers: usize) -> ClusterBuilder {
    let millis = Duration::from_millis;
    Cluster::builder()
        .workers(workers)
        .test_child("worker")
        .env("RUST_BACKTRACE", "0")
        .min_uptime(Duration::ZERO)
        .backoff(millis(1), millis(20))
        .start_timeout(Duration::from_secs(120))
        .grace(Duration::from_secs(120))
}

/// Answers one line on each connection by the worker's number, and ends when all are
/// answered.
pub(crate) fn serve(worker: &ClusterWorker) {
    thread::scope(|scope| {
        for stream in worker.incoming() {
            scope.spawn(move || {
                let mut line = String::new();
                let _ = BufReader::new(&stream).read_line(&mut line);
                let _ = writeln!(&stream, "{}", worker.id());
            });
        }
    });
}

/// Asks for one line; the worker that answered.
pub(crate) fn ask(address: SocketAddr) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    writeln!(stream, "who")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let id = line.trim().parse();
    id.map_err(|_| io::Error::other(format!("the answer {line:?}")))
}

/// The workers that take connections.
pub(crate) fn listening(cluster: &Cluster) -> Vec<u64> {
    let workers = cluster.workers();
    let listening = workers.iter().filter(|worker| worker.is_listening);
    listening.map(|worker| worker.id).collect()
}

pub(crate) fn until_listening(cluster: &Cluster, count: usize) {
    until(|| listening(cluster).len() == count);
}

/// Waits for the event that `take` takes, past others.
pub(crate) fn event<T>(cluster: &Cluster, take: impl FnMut(ClusterEvent) -> Option<T>) -> T {
    let event = cluster.iter().unwrap().find_map(take);
    event.expect("it comes before the cluster's end")
}
