//! What Node's tests say of threads that talk to each other directly.
//!
//! Node posts to a thread by its number and waits for the receipt
//! (`postMessageToThread`). Here whoever wants to be asked gives out a port, a
//! question carries the port for its answer, and the four errors of Node are
//! what becomes of those two.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{EXPECTED, hush, on_each_size, watched};
use windlass::{Parent, Port, Worker, channel};

/// The answer to one ping: who answered whom.
type Pong = (usize, usize);

/// A question with the way back.
struct Ping {
    source: usize,
    level: u32,
    reply: Port<Pong, ()>,
}

/// One participant's ends of its channels to the others, by their numbers.
type Ends = Vec<(usize, Port<Ping, Ping>)>;

/// A channel between any two of `n`.
fn mesh(n: usize) -> Vec<Ends> {
    let mut all: Vec<Ends> = (0..n).map(|_| Vec::new()).collect();
    for a in 0..n {
        for b in a + 1..n {
            let (from_a, from_b) = channel();
            all[a].push((b, from_a));
            all[b].push((a, from_b));
        }
    }
    all
}

/// On which level of the tree a thread is: 0 has the children 1 and 4, and
/// these have the rest.
fn level(thread: usize) -> u32 {
    match thread {
        0 => 0,
        1 | 4 => 1,
        _ => 2,
    }
}

/// Pings everybody, answers everybody, takes all answers.
fn take_part(me: usize, ends: &Ends) -> usize {
    let mut replies = Vec::new();
    for (other, end) in ends {
        let (reply, answer) = channel();
        let (source, level) = (me, level(me));
        let ping = Ping {
            source,
            level,
            reply,
        };
        end.post(ping).unwrap();
        replies.push((*other, answer));
    }
    for (other, end) in ends {
        let ping = end.recv().unwrap();
        assert_eq!((ping.source, ping.level), (*other, level(*other)));
        ping.reply.post((me, *other)).unwrap();
        ping.reply.close();
    }
    for (other, answer) in &replies {
        assert_eq!(answer.recv().unwrap(), (*other, me));
        assert!(answer.recv().unwrap_err().is_closed());
    }
    replies.len()
}

/// A thread of the mesh, and those below it: all of `ends` but the first are
/// for them.
fn branch(ends: Vec<(usize, Ends)>) -> Worker<(), usize> {
    let given = Cell::new(ends);
    Worker::dedicated()
        .spawn(move |parent: Parent<usize>| {
            let mut ends = given.take();
            let below: Vec<_> = ends.drain(1..).map(|one| branch(vec![one])).collect();
            let mut own = ends.pop();
            move |()| {
                for worker in &below {
                    worker.post(()).unwrap();
                }
                let (me, ends) = own.take().unwrap();
                let mut answers = take_part(me, &ends);
                for worker in &below {
                    answers += worker.recv().unwrap();
                }
                parent.post(answers).unwrap();
            }
        })
        .unwrap()
}

/// Node: test-worker-messaging. Seven threads on three levels, each of which
/// asks each other one, with the port for the answer in the question.
#[test]
fn seven_threads_on_three_levels_talk_each_to_each() {
    watched(|| {
        for _ in 0..20 {
            let mut ends: Vec<_> = mesh(7).into_iter().enumerate().collect();
            let right = branch(ends.split_off(4));
            let left = branch(ends.split_off(1));
            left.post(()).unwrap();
            right.post(()).unwrap();
            let (me, own) = ends.pop().unwrap();
            let mut answers = take_part(me, &own);
            answers += left.recv().unwrap() + right.recv().unwrap();
            assert_eq!(answers, 7 * 6);
            left.close();
            right.close();
            assert!(left.exited().wait().is_success());
            assert!(right.exited().wait().is_success());
        }
    });
}

/// Node: test-worker-messaging-errors-handler. If the handler fails over a
/// question, whoever waits for the answer is told that there will be none.
#[test]
fn a_question_to_a_handler_that_panics_ends_as_closed() {
    hush();
    on_each_size(|pool| {
        let worker = pool.worker(|reply: Port<(), ()>, _: &Parent<()>| {
            let _reply = reply;
            panic!("{EXPECTED}: KABOOM");
        });
        let exited = worker.exited();
        let (reply, answer) = channel::<(), ()>();
        worker.post(reply).unwrap();
        assert!(answer.recv().unwrap_err().is_closed());
        let exit = exited.wait();
        assert!(exit.error().unwrap().to_string().contains("KABOOM"));
    });
}

/// Node: test-worker-messaging-errors-invalid. A message to who is not there
/// comes back; one to who does not listen waits; one to oneself is an error in
/// Node, and here a message like any other.
#[test]
fn a_question_to_nobody_comes_back() {
    on_each_size(|pool| {
        let gone = pool.worker(|_: Port<u8, ()>, _: &Parent<()>| ());
        gone.close();
        assert!(gone.exited().wait().is_success());
        let (reply, answer) = channel::<u8, ()>();
        let error = gone.post(reply).unwrap_err();
        assert!(error.is_closed());
        // The reply port is not lost with it.
        error.into_inner().post(1).unwrap();
        assert_eq!(answer.recv().unwrap(), 1);

        let (port, silent) = channel::<&str, ()>();
        port.post("nobody listens yet").unwrap();
        assert_eq!(silent.recv().unwrap(), "nobody listens yet");

        let (to_me, mine) = channel::<u64, ()>();
        to_me.post(42).unwrap();
        assert_eq!(mine.recv().unwrap(), 42);
    });
}

/// Node: test-worker-messaging-errors-timeout. A question to a thread that is
/// stuck can be given up, and the answer comes when it comes.
#[test]
fn a_question_to_a_stuck_worker_times_out() {
    on_each_size(|pool| {
        let (release, stuck) = mpsc::channel::<()>();
        let answered = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&answered);
        let worker = pool.worker(move |reply: Port<u8, ()>, _: &Parent<()>| {
            let _ = stuck.recv();
            flag.store(true, Ordering::SeqCst);
            reply.post(1).unwrap();
        });
        let (reply, answer) = channel::<u8, ()>();
        worker.post(reply).unwrap();
        let error = answer.recv_timeout(Duration::from_millis(20)).unwrap_err();
        assert!(error.is_timeout() && !error.is_closed());
        assert!(!answered.load(Ordering::SeqCst));
        release.send(()).unwrap();
        assert_eq!(answer.recv().unwrap(), 1);
        worker.close();
        assert!(worker.exited().wait().is_success());
    });
}

/// Many threads that post into one port by way of one worker: each one's
/// messages in order, none lost, none twice.
#[test]
fn many_threads_may_post_to_one_worker() {
    on_each_size(|pool| {
        const THREADS: usize = 7;
        const EACH: usize = 1000;
        let mut next = [0; THREADS];
        let worker = pool.worker(move |(who, n): (usize, usize), parent: &Parent<usize>| {
            assert_eq!(next[who], n, "out of order");
            next[who] += 1;
            if next.iter().sum::<usize>() == THREADS * EACH {
                parent.post(next.len()).unwrap();
            }
        });
        let posted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for who in 0..THREADS {
                let (worker, posted) = (&worker, &posted);
                scope.spawn(move || {
                    for n in 0..EACH {
                        worker.post((who, n)).unwrap();
                        posted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(posted.load(Ordering::Relaxed), THREADS * EACH);
        assert_eq!(worker.recv().unwrap(), THREADS);
        worker.close();
        assert!(worker.exited().wait().is_success());
    });
}
