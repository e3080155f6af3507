//! windlass: a `ProcessPool` with one child, `submit` and `join`; a `ProcessWorker`,
//! `post` and `recv`.

use serde::{Deserialize, Serialize};
use windlass::process::{
    Bytes, ProcessParent, ProcessPool, ProcessWorker, Task, TaskContext, Tasks,
};

use super::{Child, SMALL, message};
use crate::question::OURS;

const ANSWERING: &str = "answering";

/// What this program's children can do.
pub fn tasks() -> Tasks {
    Tasks::new()
        .with::<Echo>()
        .with::<Length>()
        .with_worker(ANSWERING, answering)
}

#[derive(Serialize, Deserialize)]
struct Echo(Bytes);

impl Task for Echo {
    const NAME: &'static str = "echo";
    type Output = Bytes;

    fn run(self, _: &TaskContext) -> Bytes {
        self.0
    }
}

#[derive(Serialize, Deserialize)]
struct Length(Bytes);

impl Task for Length {
    const NAME: &'static str = "length";
    type Output = usize;

    fn run(self, _: &TaskContext) -> usize {
        self.0.len()
    }
}

fn answering(parent: &ProcessParent<Bytes, Bytes>) {
    while let Ok(bytes) = parent.recv() {
        let answer = match bytes.len() {
            SMALL => bytes,
            length => Bytes(length.to_le_bytes().into()),
        };
        let _ = parent.post(answer);
    }
}

pub struct WindlassPool(ProcessPool);

impl Child for WindlassPool {
    const NAME: &'static str = OURS;

    fn start() -> Self {
        let builder = ProcessPool::builder(tasks()).num_children(1);
        Self(builder.build().unwrap())
    }

    fn echo(&mut self, message: Vec<u8>) -> Vec<u8> {
        self.0.submit(Echo(Bytes(message))).join().unwrap().0
    }

    fn flood(&mut self, count: usize) {
        let echoes = (0..count).map(|n| self.0.submit(Echo(Bytes(message(n)))));
        let echoes: Vec<_> = echoes.collect();
        for (n, echo) in echoes.into_iter().enumerate() {
            assert_eq!(echo.join().unwrap().0, message(n));
        }
    }

    fn length(&mut self, bytes: Vec<u8>) -> usize {
        self.0.submit(Length(Bytes(bytes))).join().unwrap()
    }
}

pub struct WindlassWorker(ProcessWorker<Bytes, Bytes>);

impl WindlassWorker {
    fn ask(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.0.post(Bytes(bytes)).unwrap();
        self.0.recv().unwrap().0
    }
}

impl Child for WindlassWorker {
    const NAME: &'static str = "windlass ProcessWorker";

    fn start() -> Self {
        Self(ProcessWorker::start(&tasks(), ANSWERING).unwrap())
    }

    fn echo(&mut self, message: Vec<u8>) -> Vec<u8> {
        self.ask(message)
    }

    fn flood(&mut self, count: usize) {
        for n in 0..count {
            self.0.post(Bytes(message(n))).unwrap();
        }
        for n in 0..count {
            assert_eq!(self.0.recv().unwrap().0, message(n));
        }
    }

    fn length(&mut self, bytes: Vec<u8>) -> usize {
        let answer = self.ask(bytes);
        usize::from_le_bytes(answer.try_into().expect("a number"))
    }
}

impl Drop for WindlassWorker {
    /// Until it is gone: dropped alone, it would go while another one is measured.
    fn drop(&mut self) {
        self.0.close();
        self.0.exited().wait();
    }
}
