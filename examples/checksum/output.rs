//! Writing, on a thread of its own.
//!
//! A pipe that nobody empties makes its writer wait, which a main loop must
//! not. So lines go to a thread, through a channel; how much it has not written
//! yet is counted, and the loop hands out no jobs while that is too much.
//!
//! The thread writes both streams because they may be the same terminal, where
//! the progress bar must be out of the way while a line is printed.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// How much may wait to be written before no more work is handed out.
const BACKLOG: usize = 1024 * 1024;

enum Message {
    /// Whole lines for stdout.
    Lines(Vec<u8>),
    /// Whole lines for stderr.
    Complaints(String),
    /// The progress bar as it should look now; stays the last thing on screen.
    Bar(String),
}

impl Message {
    fn len(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.len(),
            Self::Complaints(text) | Self::Bar(text) => text.len(),
        }
    }
}

/// The loop's end of the channel.
pub(crate) struct Output {
    sender: Sender<Message>,
    /// Bytes sent and not written. Relaxed: only the number matters.
    backlog: Arc<AtomicUsize>,
    has_bar: bool,
    thread: JoinHandle<io::Result<()>>,
}

impl Output {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, receiver) = channel();
        let backlog = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&backlog);
        let thread = thread::Builder::new()
            .name("output".into())
            .spawn(move || write_all(&receiver, &counter))?;
        Ok(Self {
            sender,
            backlog,
            has_bar: io::stderr().is_terminal(),
            thread,
        })
    }

    /// Sends lines to stdout.
    pub(crate) fn lines(&self, lines: Vec<u8>) {
        if !lines.is_empty() {
            self.send(Message::Lines(lines));
        }
    }

    /// Sends lines to stderr.
    pub(crate) fn complaints(&self, lines: String) {
        if !lines.is_empty() {
            self.send(Message::Complaints(lines));
        }
    }

    /// Draws the progress bar, if there is a terminal to draw it on and nothing
    /// ahead of it.
    pub(crate) fn bar(&self, bar: impl FnOnce() -> String) {
        if self.has_bar && self.backlog.load(Ordering::Relaxed) == 0 {
            self.send(Message::Bar(bar()));
        }
    }

    /// Whether more waits to be written than should.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > BACKLOG
    }

    /// Whether stdout takes no more: nothing that is sent will be written.
    pub(crate) fn is_closed(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until everything is written, and takes the bar away.
    pub(crate) fn finish(self) -> io::Result<()> {
        drop(self.sender);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the output thread panicked")))
    }

    fn send(&self, message: Message) {
        self.backlog.fetch_add(message.len(), Ordering::Relaxed);
        // If the thread has ended, `is_closed` and `finish` say so.
        let _ = self.sender.send(message);
    }
}

fn write_all(messages: &Receiver<Message>, backlog: &AtomicUsize) -> io::Result<()> {
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr());
    let shares_screen = stdout.is_terminal();
    let mut bar = String::new();
    let mut result = Ok(());
    for message in messages {
        let length = message.len();
        // What stderr thinks of it is nothing to stop for.
        match message {
            Message::Bar(text) => {
                let _ = write!(stderr, "\r{text}\x1b[K");
                bar = text;
            }
            Message::Complaints(text) => {
                erase(&bar);
                let _ = write!(stderr, "{text}{bar}");
            }
            Message::Lines(lines) => {
                if shares_screen {
                    erase(&bar);
                }
                result = stdout.write_all(&lines).and_then(|()| stdout.flush());
                if result.is_err() {
                    break;
                }
                if shares_screen {
                    let _ = write!(stderr, "{bar}");
                }
            }
        }
        backlog.fetch_sub(length, Ordering::Relaxed);
    }
    erase(&bar);
    result
}

/// Takes the bar off the screen, if there is one.
fn erase(bar: &str) {
    if !bar.is_empty() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

/// Whether the reader of stdout is gone, which is its own affair.
pub(crate) fn is_hang_up(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}
