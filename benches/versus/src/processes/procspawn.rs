//! procspawn: its `Pool` with one process, `spawn` and `join`; large arguments as they
//! are, and in shared memory. Its own `Shmem` cannot be given to a pool: 1.0.2 writes it
//! as bytes there, and reads it as shared memory. So it is that of ipc-channel, which
//! is inside of it.

use ipc_channel::ipc::IpcSharedMemory;
use procspawn::Pool;

use super::{Child, message};
use crate::system::allow_many_descriptors;

pub struct Procspawn(Pool);

impl Child for Procspawn {
    const NAME: &'static str = "procspawn Pool";

    fn start() -> Self {
        // Each job that waits has four.
        allow_many_descriptors();
        Self(Pool::new(1).unwrap())
    }

    fn echo(&mut self, message: Vec<u8>) -> Vec<u8> {
        self.0.spawn(message, |message| message).join().unwrap()
    }

    fn flood(&mut self, count: usize) {
        let echoes = (0..count).map(|n| self.0.spawn(message(n), |message| message));
        let echoes: Vec<_> = echoes.collect();
        for (n, echo) in echoes.into_iter().enumerate() {
            assert_eq!(echo.join().unwrap(), message(n));
        }
    }

    fn length(&mut self, bytes: Vec<u8>) -> usize {
        let length = self.0.spawn(bytes, |bytes: Vec<u8>| bytes.len());
        length.join().unwrap()
    }
}

/// The same with large arguments in shared memory.
pub struct ProcspawnShared(Procspawn);

impl Child for ProcspawnShared {
    const NAME: &'static str = "procspawn Pool, IpcSharedMemory";

    fn start() -> Self {
        Self(Procspawn::start())
    }

    fn echo(&mut self, message: Vec<u8>) -> Vec<u8> {
        self.0.echo(message)
    }

    fn flood(&mut self, count: usize) {
        self.0.flood(count);
    }

    fn length(&mut self, bytes: Vec<u8>) -> usize {
        let bytes = IpcSharedMemory::from_bytes(&bytes);
        let length = self.0.0.spawn(bytes, |bytes| bytes.len());
        length.join().unwrap()
    }
}

/// A process for this one message, which ends with its answer.
pub fn first_answer(message: Vec<u8>) -> Vec<u8> {
    procspawn::spawn(message, |message| message).join().unwrap()
}
