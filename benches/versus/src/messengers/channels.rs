//! A thread with an unbounded channel each way, by four libraries of channels.

use std::thread;

use futures_lite::future;

use super::{Messenger, Talk};

macro_rules! thread_with_channels {
    ($name:ident, $worker:ident, $title:literal, $unbounded:path, $sender:ty, $receiver:ty) => {
        pub struct $name;

        pub struct $worker {
            mail: $sender,
            answers: $receiver,
        }

        impl Messenger for $name {
            const NAME: &'static str = $title;

            type Home = ();
            type Worker = $worker;

            fn home(_: usize) {}

            fn start<H>((): &(), mut handler: H) -> $worker
            where
                H: FnMut(u64) -> Option<u64> + Send + 'static,
            {
                let (mail, inbox) = $unbounded();
                let (answer, answers) = $unbounded();
                thread::spawn(move || {
                    while let Ok(message) = inbox.recv() {
                        if let Some(reply) = handler(message) {
                            let _ = answer.send(reply);
                        }
                    }
                });
                $worker { mail, answers }
            }

            fn block_on<P: Future>((): &(), program: P) -> P::Output {
                future::block_on(program)
            }
        }

        impl Talk for $worker {
            #[inline]
            fn post(&self, message: u64) {
                self.mail.send(message).unwrap();
            }

            #[inline]
            async fn recv(&mut self) -> u64 {
                self.answers.recv().unwrap()
            }
        }
    };
}

thread_with_channels!(
    CrossbeamThread,
    CrossbeamWorker,
    "crossbeam-channel + thread",
    crossbeam_channel::unbounded,
    crossbeam_channel::Sender<u64>,
    crossbeam_channel::Receiver<u64>
);

thread_with_channels!(
    StdThread,
    StdWorker,
    "std mpsc + thread",
    std::sync::mpsc::channel,
    std::sync::mpsc::Sender<u64>,
    std::sync::mpsc::Receiver<u64>
);

thread_with_channels!(
    FlumeThread,
    FlumeWorker,
    "flume + thread",
    flume::unbounded,
    flume::Sender<u64>,
    flume::Receiver<u64>
);

thread_with_channels!(
    KanalThread,
    KanalWorker,
    "kanal + thread",
    kanal::unbounded,
    kanal::Sender<u64>,
    kanal::Receiver<u64>
);
