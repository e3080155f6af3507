//! tokio: a task that receives from an unbounded channel and answers into one,
//! on a runtime with as many threads as the others' pools.

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Messenger, Talk};

pub struct TokioMpsc;

pub struct Task {
    mail: UnboundedSender<u64>,
    answers: UnboundedReceiver<u64>,
}

impl Messenger for TokioMpsc {
    const NAME: &'static str = "tokio mpsc + task";

    type Home = Runtime;
    type Worker = Task;

    fn home(threads: usize) -> Runtime {
        let runtime = Builder::new_multi_thread().worker_threads(threads).build();
        runtime.unwrap()
    }

    fn start<H>(runtime: &Runtime, mut handler: H) -> Task
    where
        H: FnMut(u64) -> Option<u64> + Send + 'static,
    {
        let (mail, mut inbox) = unbounded_channel();
        let (answer, answers) = unbounded_channel();
        runtime.spawn(async move {
            while let Some(message) = inbox.recv().await {
                if let Some(reply) = handler(message) {
                    let _ = answer.send(reply);
                }
            }
        });
        Task { mail, answers }
    }

    fn block_on<P: Future>(runtime: &Runtime, program: P) -> P::Output {
        runtime.block_on(program)
    }
}

impl Talk for Task {
    #[inline]
    fn post(&self, message: u64) {
        self.mail.send(message).unwrap();
    }

    #[inline]
    async fn recv(&mut self) -> u64 {
        self.answers.recv().await.unwrap()
    }
}
