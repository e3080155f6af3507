//! No library: two processes with a socket between them, which read until they have
//! all of it. A block of 64 bytes says how many more bytes come after it; once they have
//! come, it goes back.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use super::{Child, SMALL, message};
use crate::question::FLOOR;

pub struct Socket {
    stream: UnixStream,
    child: std::process::Child,
}

impl Socket {
    fn write(mut stream: &UnixStream, block: &[u8]) {
        stream.write_all(block).expect("the other process reads");
    }

    fn read(mut stream: &UnixStream) -> Vec<u8> {
        let mut block = vec![0; SMALL];
        stream
            .read_exact(&mut block)
            .expect("the other process answers");
        block
    }
}

impl Child for Socket {
    const NAME: &'static str = FLOOR;

    fn start() -> Self {
        let (stream, theirs) = UnixStream::pair().expect("two sockets");
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        command.arg("--answer").stdin(OwnedFd::from(theirs));
        let child = command.stdout(Stdio::null()).spawn().expect("it starts");
        Self { stream, child }
    }

    fn echo(&mut self, message: Vec<u8>) -> Vec<u8> {
        let (length, rest) = message.split_at(8);
        let mut block = [0; SMALL];
        block[8..].copy_from_slice(rest);
        Self::write(&self.stream, &block);
        let mut answer = Self::read(&self.stream);
        answer[..8].copy_from_slice(length);
        answer
    }

    fn flood(&mut self, count: usize) {
        let stream = &self.stream;
        thread::scope(|scope| {
            // With one thread both sockets fill up, and all wait for room.
            scope.spawn(move || {
                for n in 0..count {
                    let mut block = message(n);
                    block[..8].fill(0);
                    Self::write(stream, &block);
                }
            });
            for n in 0..count {
                let answer = Self::read(stream);
                assert_eq!(answer[8..], message(n)[8..]);
            }
        });
    }

    fn length(&mut self, bytes: Vec<u8>) -> usize {
        let mut block = [0; SMALL];
        block[..8].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        Self::write(&self.stream, &block);
        Self::write(&self.stream, &bytes);
        let answer = Self::read(&self.stream);
        u64::from_le_bytes(answer[..8].try_into().expect("8 bytes")) as usize
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// What the process at the other end does, until it is closed.
pub fn answer() {
    let socket = io::stdin().as_fd().try_clone_to_owned();
    let mut socket = UnixStream::from(socket.expect("standard input is a socket"));
    let (mut block, mut bytes) = ([0; SMALL], Vec::new());
    while socket.read_exact(&mut block).is_ok() {
        let length = u64::from_le_bytes(block[..8].try_into().expect("8 bytes"));
        bytes.resize(length as usize, 0);
        if socket.read_exact(&mut bytes).is_err() || socket.write_all(&block).is_err() {
            return;
        }
    }
}
