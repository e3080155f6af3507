//! A server whose heavy requests run on the pool: `GET /fib?n=` and
//! `GET /primes?n=` take a while, and the loop answers `GET /health` meanwhile.
//! The program is its own client, on a thread. The same in Node:
//! `node/04-http-server.js`.
//!
//! The sockets are the program's own, polled next to the main loop's descriptor.
//! With a framework (axum, hyper) there is none of that: a handler awaits
//! `pool.spawn(move || fib(n))`.
//!
//! Run: `cargo run --example node_04_http_server` (unix)
//!
//! # Safety
//! The poller must not outlive what it watches unless that is deleted from it.
//! It is dropped first: it is the server's first field.
#![allow(unsafe_code)]

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    unix::run()
}

#[cfg(not(unix))]
fn main() {
    println!("there are no descriptors to poll on this system");
}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::collections::HashMap;
    use std::error::Error;
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::rc::Rc;
    use std::thread;

    use polling::{Event, Events, Poller};
    use windlass::{MainLoop, Pollable, Pool, Port, channel};

    const LOOP: usize = 0;
    const LISTENER: usize = 1;

    fn fib(n: u64) -> u64 {
        if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
    }

    fn primes(n: u64) -> u64 {
        let mut count = 0;
        for candidate in 2..n {
            let mut divisor = 2;
            while divisor * divisor <= candidate && candidate % divisor != 0 {
                divisor += 1;
            }
            count += u64::from(divisor * divisor > candidate);
        }
        count
    }

    pub(super) fn run() -> Result<(), Box<dyn Error>> {
        let pool = Pool::new()?;
        let main = MainLoop::new();
        let mut server = Server::new(&main)?;
        let address = server.listener.local_addr()?;

        let (lines, there) = channel::<(), String>();
        let client = thread::spawn(move || client(address, &there));
        main.on_message(&lines, |_main, line| println!("{line}"))?;
        let done = Rc::new(Cell::new(false));
        let tell = Rc::clone(&done);
        main.on_complete(lines.closed(), move |_main, ()| tell.set(true));

        while !done.get() {
            server.turn(&main, &pool)?;
        }
        client.join().expect("the client does not panic")?;
        Ok(())
    }

    /// The sockets: who connects, and what each has sent so far.
    struct Server {
        poller: Poller,
        pollable: Pollable,
        listener: TcpListener,
        connections: HashMap<usize, (TcpStream, Vec<u8>)>,
        next_key: usize,
    }

    impl Server {
        fn new(main: &MainLoop) -> io::Result<Self> {
            let pollable = main.pollable()?;
            let listener = TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            let poller = Poller::new()?;
            // SAFETY: the poller is dropped before what it watches, here (it was
            // made last) and as a field (it comes first).
            unsafe { poller.add(&pollable, Event::readable(LOOP))? };
            // SAFETY: as above.
            unsafe { poller.add(&listener, Event::readable(LISTENER))? };
            Ok(Self {
                poller,
                pollable,
                listener,
                connections: HashMap::new(),
                next_key: LISTENER + 1,
            })
        }

        /// Sleeps until a socket or the main loop has something, and deals with it.
        fn turn(&mut self, main: &MainLoop, pool: &Pool) -> io::Result<()> {
            let mut events = Events::new();
            self.poller.wait(&mut events, None)?;
            for event in events.iter() {
                // An event is reported once; `modify` asks for the next one.
                match event.key {
                    LOOP => {
                        main.turn();
                        self.poller.modify(&self.pollable, Event::readable(LOOP))?;
                    }
                    LISTENER => {
                        self.accept()?;
                        self.poller
                            .modify(&self.listener, Event::readable(LISTENER))?;
                    }
                    key => self.read(key, main, pool)?,
                }
            }
            Ok(())
        }

        fn accept(&mut self) -> io::Result<()> {
            loop {
                let stream = match self.listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) => return Err(error),
                };
                stream.set_nonblocking(true)?;
                let key = self.next_key;
                self.next_key += 1;
                // SAFETY: `read` deletes it from the poller before it lets it go;
                // those that are left are dropped after the poller.
                unsafe { self.poller.add(&stream, Event::readable(key))? };
                self.connections.insert(key, (stream, Vec::new()));
            }
        }

        /// Reads what has come, and serves the request when all of it is there.
        fn read(&mut self, key: usize, main: &MainLoop, pool: &Pool) -> io::Result<()> {
            let Some((stream, request)) = self.connections.get_mut(&key) else {
                return Ok(());
            };
            let mut bytes = [0; 1024];
            let hung_up = match stream.read(&mut bytes) {
                Ok(n) => {
                    request.extend_from_slice(&bytes[..n]);
                    n == 0
                }
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            if !hung_up && !request.ends_with(b"\r\n\r\n") {
                return self.poller.modify(&*stream, Event::readable(key));
            }
            self.poller.delete(&*stream)?;
            let (stream, request) = self.connections.remove(&key).expect("it was just there");
            serve(main, pool, stream, &String::from_utf8_lossy(&request));
            Ok(())
        }
    }

    /// Answers at once, or has the pool work and answers when that is done.
    fn serve(main: &MainLoop, pool: &Pool, stream: TcpStream, request: &str) {
        let target = request.split(' ').nth(1).unwrap_or("/");
        let (path, query) = target.split_once("?n=").unwrap_or((target, ""));
        let work: fn(u64) -> u64 = match path {
            "/health" => return answer(&stream, "200 OK", "ok"),
            "/fib" => fib,
            "/primes" => primes,
            _ => return answer(&stream, "404 Not Found", "no such page"),
        };
        let Ok(n) = query.parse() else {
            return answer(&stream, "400 Bad Request", "n must be a number");
        };
        main.on_complete(
            pool.spawn(move || work(n)),
            move |_main, result| match result {
                Ok(number) => answer(&stream, "200 OK", &number.to_string()),
                Err(_) => answer(&stream, "500 Internal Server Error", "that went wrong"),
            },
        );
    }

    fn answer(mut stream: &TcpStream, status: &str, text: &str) {
        // So little fits into the socket's buffer; and if the client is gone,
        // nobody misses the answer.
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\n\r\n{text}"
        );
    }

    fn get(address: SocketAddr, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        let text = response.split_once("\r\n\r\n").map(|(_, text)| text);
        Ok(text.unwrap_or_default().to_owned())
    }

    /// Asks for the heavy page, and for `/health` until that is there.
    fn ask(address: SocketAddr, path: &'static str) -> io::Result<String> {
        let heavy = thread::spawn(move || get(address, path));
        let mut healthy = 0;
        while !heavy.is_finished() {
            let health = get(address, "/health")?;
            if !heavy.is_finished() && health == "ok" {
                healthy += 1;
            }
        }
        let answer = heavy.join().expect("the thread does not panic")?;
        // On a crowded machine the answer may have won: once more, then.
        if healthy > 0 {
            Ok(answer)
        } else {
            ask(address, path)
        }
    }

    fn client(address: SocketAddr, lines: &Port<String, ()>) -> io::Result<()> {
        let print = |line| lines.post(line).map_err(io::Error::other);
        for path in ["/fib?n=36", "/primes?n=1000000"] {
            let answer = ask(address, path)?;
            print(format!(
                "{path}: {answer}, and /health was answered meanwhile"
            ))?;
        }
        for path in ["/fib?n=ten", "/nothing"] {
            print(format!("{path}: {}", get(address, path)?))?;
        }
        Ok(())
    }
}
