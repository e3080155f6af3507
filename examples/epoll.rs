//! The main loop inside somebody else's: the `polling` crate (epoll, kqueue)
//! watches a socket and the loop's descriptor. Lines come in by the socket, are
//! worked on by the pool, and their results come back by the descriptor, which
//! timers make readable too.
//!
//! `cargo run --release --example epoll` (unix)
//!
//! # Safety
//! The poller must not outlive what it watches unless that is deleted from it.
//! Both are deleted before the function ends that owns all three.
#![allow(unsafe_code)]

#[cfg(unix)]
fn main() -> std::io::Result<()> {
    unix::run()
}

#[cfg(not(unix))]
fn main() {
    println!("there are no descriptors to poll on this system");
}

#[cfg(unix)]
mod unix {
    use std::cell::Cell;
    use std::io::{self, ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;
    use std::thread;
    use std::time::Duration;

    use polling::{Event, Events, Poller};
    use windlass::{MainLoop, Pool};

    const SOCKET: usize = 1;
    const LOOP: usize = 2;

    pub(super) fn run() -> io::Result<()> {
        let pool = Pool::new().map_err(io::Error::other)?;
        let main = MainLoop::new();
        let pollable = main.pollable()?;
        let (mut socket, client) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        let client = thread::spawn(move || talk(client));

        let poller = Poller::new()?;
        // SAFETY: the socket is deleted from the poller below; an error on the
        // way drops the poller first, as it was made last.
        unsafe { poller.add(&socket, Event::readable(SOCKET))? };
        // SAFETY: the same goes for the descriptor.
        unsafe { poller.add(&pollable, Event::readable(LOOP))? };

        let ticks = Rc::new(Cell::new(0));
        let counter = Rc::clone(&ticks);
        main.set_interval(Duration::from_millis(10), move |_main, _id| {
            counter.set(counter.get() + 1);
        });

        let working = Rc::new(Cell::new(0));
        let mut unread = Vec::new();
        let mut connected = true;
        let mut events = Events::new();
        while connected || working.get() > 0 {
            events.clear();
            poller.wait(&mut events, None)?;
            for event in events.iter() {
                if event.key == LOOP {
                    main.turn();
                    // An event is reported once; this asks for the next one.
                    poller.modify(&pollable, Event::readable(LOOP))?;
                } else {
                    connected = read_lines(&mut socket, &mut unread, |line| {
                        serve(&main, &pool, &working, line);
                    })?;
                    if connected {
                        poller.modify(&socket, Event::readable(SOCKET))?;
                    }
                }
            }
        }
        poller.delete(&socket)?;
        poller.delete(&pollable)?;
        client.join().expect("the client does not panic")?;
        println!("the client hung up; {} ticks of the loop", ticks.get());
        Ok(())
    }

    /// The other end: a thread that writes a line now and then, and hangs up.
    fn talk(mut client: UnixStream) -> io::Result<()> {
        for line in ["30\n31\n3", "2\nthirty\n", "33\n"] {
            client.write_all(line.as_bytes())?;
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Reads what there is and hands on each whole line; `false` at the end.
    fn read_lines(
        socket: &mut UnixStream,
        unread: &mut Vec<u8>,
        mut each: impl FnMut(&str),
    ) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let connected = loop {
            match socket.read(&mut bytes) {
                Ok(0) => break false,
                Ok(n) => unread.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        while let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            each(String::from_utf8_lossy(&line).trim_end());
        }
        Ok(connected)
    }

    /// Has the pool work on one line, and prints what comes back.
    fn serve(main: &MainLoop, pool: &Pool, working: &Rc<Cell<usize>>, line: &str) {
        let Ok(n) = line.parse::<u64>() else {
            println!("{line:?} is not a number");
            return;
        };
        working.set(working.get() + 1);
        let working = Rc::clone(working);
        main.on_complete(pool.spawn(move || fib(n)), move |_main, result| {
            working.set(working.get() - 1);
            match result {
                Ok(value) => println!("fib({n}) = {value}"),
                Err(error) => println!("fib({n}): {error}"),
            }
        });
    }

    fn fib(n: u64) -> u64 {
        if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
    }
}
