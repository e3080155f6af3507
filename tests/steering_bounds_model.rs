//! Promise: what a full queue does is what a sequential model says, whatever was
//! handed over, cancelled, waited for and given up before. All threads are stuck
//! meanwhile, so that every step has one right answer.

mod common;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use common::{Occupied, SIZES, watched};
use proptest::prelude::*;
use windlass::{JoinHandle, Pool, RejectedJob, WhenFull};

#[derive(Clone, Copy, Debug)]
enum Step {
    TrySpawn,
    Spawn,
    Execute,
    /// Cancels the one among the waiting jobs that have a handle.
    Cancel(usize),
    /// Begins to wait for room.
    Wait,
    /// Looks whether the one of those who wait was let in.
    Poll(usize),
    GiveUp(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::TrySpawn),
        4 => Just(Step::Spawn),
        2 => Just(Step::Execute),
        4 => any::<usize>().prop_map(Step::Cancel),
        3 => Just(Step::Wait),
        3 => any::<usize>().prop_map(Step::Poll),
        1 => any::<usize>().prop_map(Step::GiveUp),
    ]
}

/// A job in the model's queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    Job(usize),
    Tombstone,
}

/// What the pool is to do.
struct Model {
    capacity: usize,
    when_full: WhenFull,
    /// The oldest first.
    queue: VecDeque<Entry>,
    /// Who waits for room, by number, the longest waiting first.
    waiting: VecDeque<usize>,
    /// Who was let in and has not come for the place.
    granted: Vec<usize>,
}

impl Model {
    fn is_full(&self) -> bool {
        let jobs = self.queue.iter().filter(|it| matches!(it, Entry::Job(_)));
        jobs.count() + self.granted.len() >= self.capacity
            || self.queue.len() + self.granted.len() >= 2 * self.capacity
    }

    fn let_in_who_waits(&mut self) {
        while !self.is_full()
            && let Some(first) = self.waiting.pop_front()
        {
            self.granted.push(first);
        }
    }

    /// Whether a newcomer is let in; and who is thrown out for it.
    fn spawn(&mut self, number: usize) -> (bool, Option<usize>) {
        let mut victim = None;
        if self.is_full() && self.when_full == WhenFull::DropOldest {
            while let Some(oldest) = self.queue.pop_front() {
                if let Entry::Job(oldest) = oldest {
                    victim = Some(oldest);
                    break;
                }
                self.let_in_who_waits();
                if !self.is_full() {
                    break;
                }
            }
            if victim.is_none() && self.is_full() {
                return (false, None);
            }
        } else if self.is_full() {
            return (false, None);
        }
        self.queue.push_back(Entry::Job(number));
        (true, victim)
    }

    fn cancel(&mut self, number: usize) {
        let entry = self.queue.iter_mut().find(|it| **it == Entry::Job(number));
        *entry.expect("it waits") = Entry::Tombstone;
        self.let_in_who_waits();
    }
}

/// Any one of some.
fn pick<T>(of: &mut Vec<T>, index: usize) -> Option<T> {
    (!of.is_empty()).then(|| of.remove(index % of.len()))
}

type Patient = Pin<Box<dyn Future<Output = JoinHandle<usize>> + Send>>;

fn run(threads: usize, capacity: usize, when_full: WhenFull, steps: &[Step]) {
    let (give, rejected) = mpsc::channel::<RejectedJob>();
    let pool = Pool::builder()
        .num_threads(threads)
        .queue_capacity(capacity)
        .when_full(when_full)
        .on_reject(move |job| give.send(job).unwrap())
        .build()
        .unwrap();
    let occupied = Occupied::all(&pool);
    let mut model = Model {
        capacity,
        when_full,
        queue: VecDeque::new(),
        waiting: VecDeque::new(),
        granted: Vec::new(),
    };
    let mut handles: Vec<(usize, JoinHandle<usize>)> = Vec::new();
    let mut patient: Vec<(usize, Patient)> = Vec::new();
    let mut tell = Vec::new();
    let (ran, executed) = mpsc::channel();
    for (number, &step) in steps.iter().enumerate() {
        match step {
            Step::TrySpawn => match pool.try_spawn(move || number) {
                Ok(handle) => {
                    assert!(!model.is_full());
                    model.queue.push_back(Entry::Job(number));
                    handles.push((number, handle));
                }
                Err(error) => assert!(error.is_full() && model.is_full()),
            },
            Step::Spawn | Step::Execute => {
                let (let_in, victim) = model.spawn(number);
                if matches!(step, Step::Spawn) {
                    handles.push((number, pool.spawn(move || number)));
                } else {
                    let ran = ran.clone();
                    pool.execute(move || ran.send(number).unwrap());
                    tell.push(number);
                }
                for gone in victim.into_iter().chain((!let_in).then_some(number)) {
                    if let Some(at) = handles.iter().position(|(it, _)| *it == gone) {
                        let (_, handle) = handles.remove(at);
                        assert!(handle.join().unwrap_err().is_rejected());
                    } else {
                        tell.retain(|&it| it != gone);
                        let job = rejected.try_recv().expect("the hook ran");
                        assert!(job.is_rejected());
                        job.run();
                        assert_eq!(executed.try_recv(), Ok(gone));
                    }
                }
            }
            Step::Cancel(index) => {
                if let Some((number, handle)) = pick(&mut handles, index) {
                    assert!(handle.cancel());
                    model.cancel(number);
                }
            }
            Step::Wait => {
                let mut future: Patient = Box::pin(pool.spawn_async(move || number));
                match poll(&mut future) {
                    Some(handle) => {
                        assert!(!model.is_full());
                        model.queue.push_back(Entry::Job(number));
                        handles.push((number, handle));
                    }
                    None => {
                        assert!(model.is_full());
                        model.waiting.push_back(number);
                        patient.push((number, future));
                    }
                }
            }
            Step::Poll(index) => {
                let Some((number, mut future)) = pick(&mut patient, index) else {
                    continue;
                };
                let at = model.granted.iter().position(|&it| it == number);
                match (poll(&mut future), at) {
                    (Some(handle), Some(at)) => {
                        model.granted.remove(at);
                        model.queue.push_back(Entry::Job(number));
                        handles.push((number, handle));
                    }
                    (None, None) => patient.push((number, future)),
                    (polled, _) => panic!("{}", polled.is_some()),
                }
            }
            Step::GiveUp(index) => {
                if let Some((number, future)) = pick(&mut patient, index) {
                    drop(future);
                    model.waiting.retain(|&it| it != number);
                    model.granted.retain(|&it| it != number);
                    model.let_in_who_waits();
                }
            }
        }
        assert!(rejected.try_recv().is_err());
        assert!(handles.iter().all(|(_, handle)| !handle.is_finished()));
    }
    drop(patient);
    occupied.release();
    for (number, handle) in handles {
        assert_eq!(handle.join().unwrap(), number);
    }
    drop((pool, ran));
    let mut executed: Vec<_> = executed.iter().collect();
    executed.sort_unstable();
    assert_eq!(executed, tell);
}

fn poll(future: &mut Patient) -> Option<JoinHandle<usize>> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(handle) => Some(handle),
        Poll::Pending => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// 62: random programs, on pools of each of SIZES.
    #[test]
    fn a_full_queue_does_what_the_model_does(
        size in 0..SIZES.len(),
        capacity in 1_usize..6,
        sheds in any::<bool>(),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let when_full = if sheds { WhenFull::DropOldest } else { WhenFull::RejectNewest };
        watched(move || run(SIZES[size], capacity, when_full, &steps));
    }
}
