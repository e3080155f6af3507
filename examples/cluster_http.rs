//! A web server on all cores: a primary, and workers that share its port. Each answer names
//! the process that served it.
//!
//! ```sh
//! cargo run --release --features process --example cluster_http -- 127.0.0.1:8080
//! cargo run --release --features process --example cluster_http -- load http://127.0.0.1:8080/primes?n=1000 10
//! ```
//!
//! While it is under load: `kill -9` one of the workers that it names, and another takes its
//! place, at the cost of the requests that it held. `kill -HUP` the primary, and all workers
//! are exchanged one by one, at the cost of nothing. `kill -TERM`, or Ctrl-C, ends it when
//! all requests are answered.
//!
//! Options of the server: `--workers N`; `--shared`, with which the workers accept
//! connections themselves instead of being given them in turn; and `--single`, with which a
//! worker computes one answer at a time, as one of Node's does: without it a single worker
//! takes all processors, and more workers are for when one of them dies.

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    println!("there are no clusters on this system");
}

#[cfg(unix)]
mod unix {
    use std::collections::BTreeMap;
    use std::error::Error;
    use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::{Duration, Instant};

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use windlass::process::{
        Cluster, ClusterEvent, ClusterRemote, ClusterWorker, Scheduling, Signal,
    };

    /// Set for workers that are to compute one answer at a time.
    const SINGLE: &str = "CLUSTER_HTTP_SINGLE";

    /// How long a request may take to arrive.
    const SLOWEST: Duration = Duration::from_secs(30);

    /// How long a client may say nothing once the worker is to end.
    const IDLE: Duration = Duration::from_secs(1);

    /// How long the workers may take to end.
    const GRACE: Duration = Duration::from_secs(10);

    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        if Cluster::is_worker() {
            return serve(&Cluster::worker()?).map_err(Into::into);
        }
        let args: Vec<String> = std::env::args().skip(1).collect();
        match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["load", url, seconds] => load(url, seconds.parse()?, 8),
            ["load", url, seconds, connections] => {
                load(url, seconds.parse()?, connections.parse()?)
            }
            ["load", ..] => Err("load URL SECONDS [CONNECTIONS]".into()),
            _ => primary(&args),
        }
    }

    fn primary(args: &[String]) -> Result<(), Box<dyn Error>> {
        let mut builder = Cluster::builder().grace(GRACE);
        let mut address = "127.0.0.1:8080";
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--shared" => builder = builder.scheduling(Scheduling::Shared),
                "--single" => builder = builder.env(SINGLE, "1"),
                "--workers" => {
                    let number = args.next().ok_or("--workers of how many?")?;
                    let number = number.parse();
                    builder = builder.workers(number.map_err(|_| "--workers takes a number")?);
                }
                other if !other.starts_with('-') => address = other,
                other => return Err(format!("what is {other}?").into()),
            }
        }
        // Before there is anything to be stopped: from here on they are not deadly.
        let signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let cluster = builder.listen(address)?;
        println!(
            "process {}: http://{}/primes?n=100000",
            std::process::id(),
            cluster.local_addr()
        );
        let remote = cluster.remote();
        thread::spawn(move || obey(signals, &remote));
        for event in cluster.iter()? {
            report(&event);
        }
        cluster.run().map_err(Into::into)
    }

    fn obey(mut signals: Signals, remote: &ClusterRemote) {
        for signal in &mut signals {
            let obeyed = match signal {
                SIGHUP => remote.rolling_restart(),
                _ => remote.stop(GRACE),
            };
            // If it has ended, so will this.
            drop(obeyed);
        }
    }

    fn report(event: &ClusterEvent) {
        match event {
            ClusterEvent::Fork { id, pid, .. } => println!("worker {id}: process {pid}"),
            ClusterEvent::Listening { id } => println!("worker {id}: listening"),
            ClusterEvent::Exit {
                id, code, signal, ..
            } => match (code, signal) {
                (Some(code), _) => println!("worker {id}: exit code {code}"),
                (_, Some(signal)) => println!("worker {id}: ended by {}", Signal::from(*signal)),
                _ => println!("worker {id}: ended"),
            },
            ClusterEvent::Restarted { error: None } => println!("all workers are new"),
            ClusterEvent::Restarted { error: Some(why) } => println!("the old ones go on: {why}"),
            ClusterEvent::Failed { reason } => println!("this will not do: {reason}"),
            _ => {}
        }
    }

    /// A worker: a thread for each connection, until it is told to end.
    fn serve(worker: &ClusterWorker) -> io::Result<()> {
        // Ctrl-C comes to the workers as well; they end when the primary says so.
        for signal in [SIGHUP, SIGINT] {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        let is_single = std::env::var_os(SINGLE).is_some();
        let one_at_a_time = is_single.then(Mutex::default);
        thread::scope(|scope| {
            for stream in worker.incoming() {
                // A client that goes away amid something is no news.
                let turns = one_at_a_time.as_ref();
                scope.spawn(move || drop(converse(worker, &stream, turns)));
            }
        });
        Ok(())
    }

    /// Answers the requests of one connection.
    fn converse(
        worker: &ClusterWorker,
        stream: &TcpStream,
        one_at_a_time: Option<&Mutex<()>>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut requests = BufReader::new(stream);
        while let Some(target) = next_request(worker, &mut requests)? {
            let turn = one_at_a_time.map(Mutex::lock);
            let (status, text) = page(&target);
            drop(turn);
            let is_last = worker.is_disconnected();
            let connection = if is_last { "close" } else { "keep-alive" };
            let text = format!(
                "worker {} (process {}): {text}\n",
                worker.id(),
                std::process::id()
            );
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
                 Connection: {connection}\r\n\r\n{text}",
                text.len()
            );
            (&*stream).write_all(answer.as_bytes())?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    /// What is asked for next; `None` if nothing will be.
    fn next_request(
        worker: &ClusterWorker,
        requests: &mut BufReader<&TcpStream>,
    ) -> io::Result<Option<String>> {
        let mut head = Vec::new();
        let mut begin = Instant::now();
        let mut is_to_end = false;
        while !head.ends_with(b"\r\n\r\n") {
            // A client that is about to ask is let do so, and told then that it was the last
            // time.
            if worker.is_disconnected() && !is_to_end {
                is_to_end = true;
                begin = Instant::now();
            }
            let is_idle = is_to_end && head.is_empty() && begin.elapsed() > IDLE;
            if is_idle || begin.elapsed() > SLOWEST || head.len() > 8192 {
                return Ok(None);
            }
            let mut line = requests.take(8192);
            match line.read_until(b'\n', &mut head) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let head = String::from_utf8_lossy(&head);
        Ok(head.split(' ').nth(1).map(str::to_owned))
    }

    fn page(target: &str) -> (&'static str, String) {
        let (path, n) = target.split_once("?n=").unwrap_or((target, ""));
        match (path, n.parse::<u64>()) {
            ("/", _) => ("200 OK", "at your service".into()),
            ("/primes", Ok(n)) => ("200 OK", format!("{} primes below {n}", primes(n))),
            ("/primes", Err(_)) => ("400 Bad Request", "n must be a number".into()),
            _ => ("404 Not Found", "no such page".into()),
        }
    }

    fn primes(below: u64) -> usize {
        let is_prime = |n: &u64| {
            (2..)
                .take_while(|d| d * d <= *n)
                .all(|d| !n.is_multiple_of(d))
        };
        (2..below).filter(is_prime).count()
    }

    /// What a connection of the load generator has seen.
    #[derive(Default)]
    struct Seen {
        /// How many answers came from each process.
        by: BTreeMap<String, usize>,
        failed: usize,
        last_error: String,
        slowest: Duration,
    }

    /// Asks for a page, over and over, on so many connections at once.
    fn load(url: &str, seconds: u64, connections: usize) -> Result<(), Box<dyn Error>> {
        let rest = url.strip_prefix("http://").ok_or("http://.. only")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let begin = Instant::now();
        let end = begin + Duration::from_secs(seconds);
        let seen = thread::scope(|scope| {
            let ask = || scope.spawn(|| ask_until(end, host, path));
            let threads: Vec<_> = (0..connections).map(|_| ask()).collect();
            let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
            joined.collect::<Result<Vec<_>, _>>()
        });
        let seen = seen.map_err(|_| "a thread panicked")?;
        let mut by = BTreeMap::new();
        for (who, count) in seen.iter().flat_map(|seen| &seen.by) {
            *by.entry(who).or_insert(0) += count;
        }
        let answers: usize = by.values().sum();
        let failed: usize = seen.iter().map(|seen| seen.failed).sum();
        let slowest = seen.iter().map(|seen| seen.slowest).max();
        for (who, count) in by {
            println!("{count:8} {who}");
        }
        println!(
            "{answers} answers, {:.0} each second, the slowest after {:?}; {failed} failed",
            answers as f64 / begin.elapsed().as_secs_f64(),
            slowest.unwrap_or_default()
        );
        if let Some(seen) = seen.iter().find(|seen| seen.failed > 0) {
            println!("for example: {}", seen.last_error);
        }
        match answers {
            0 => Err("nobody answers there".into()),
            _ => Ok(()),
        }
    }

    fn ask_until(end: Instant, host: &str, path: &str) -> Seen {
        let mut seen = Seen::default();
        let mut connection = None;
        while Instant::now() < end {
            let begin = Instant::now();
            match ask(&mut connection, host, path) {
                Ok(who) => *seen.by.entry(who).or_default() += 1,
                Err(error) => {
                    seen.failed += 1;
                    seen.last_error = error.to_string();
                    connection = None;
                }
            }
            seen.slowest = seen.slowest.max(begin.elapsed());
        }
        seen
    }

    /// One request; who answered it.
    fn ask(
        connection: &mut Option<BufReader<TcpStream>>,
        host: &str,
        path: &str,
    ) -> io::Result<String> {
        if connection.is_none() {
            let stream = TcpStream::connect(host)?;
            stream.set_nodelay(true)?;
            *connection = Some(BufReader::new(stream));
        }
        let Some(stream) = connection else {
            return Err(ErrorKind::NotConnected.into());
        };
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut is_last) = (None, false);
        for number in 0.. {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            match line.split_once(": ") {
                _ if number == 0 && !line.contains(" 200 ") => {
                    return Err(io::Error::other(line.to_owned()));
                }
                Some(("Content-Length", number)) => length = number.parse().ok(),
                Some(("Connection", "close")) => is_last = true,
                None if line.is_empty() => break,
                _ => {}
            }
        }
        let length = length.ok_or_else(|| io::Error::other("no length"))?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        if is_last {
            *connection = None;
        }
        let body = String::from_utf8_lossy(&body);
        Ok(body.split(':').next().unwrap_or_default().to_owned())
    }
}
