//! Promise: what is made of waits and notifications in JavaScript can be made of
//! them here, and no interleaving loses a notification or hears one twice.

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::watched;
use windlass::{SharedArray, WaitOutcome};

/// Two halves of a program in turn, in threads and in futures.
#[test]
fn ping_and_pong_never_stop() {
    watched(|| {
        const TURNS: i32 = 5000;
        let array = SharedArray::<i32>::new(1);
        let other = array.clone();
        let pong = thread::spawn(move || {
            for turn in 0..TURNS {
                while other.load(0) != 2 * turn + 1 {
                    other.wait(0, 2 * turn);
                }
                other.store(0, 2 * turn + 2);
                other.notify(0, 1);
            }
        });
        pollster::block_on(async {
            for turn in 0..TURNS {
                array.store(0, 2 * turn + 1);
                array.notify(0, 1);
                while array.load(0) != 2 * turn + 2 {
                    array.wait_async(0, 2 * turn + 1).await;
                }
            }
        });
        pong.join().unwrap();
    });
}

/// The mutex of the tutorials: 0 free, 1 taken, 2 taken and waited for.
struct Lock(SharedArray<i32>);

impl Lock {
    fn acquire(&self) {
        if self.0.compare_exchange(0, 0, 1).is_ok() {
            return;
        }
        while self.0.swap(0, 2) != 0 {
            self.0.wait(0, 2);
        }
    }

    fn release(&self) {
        if self.0.swap(0, 0) == 2 {
            self.0.notify(0, 1);
        }
    }
}

#[test]
fn a_mutex_can_be_made_of_it() {
    watched(|| {
        let array = SharedArray::<i32>::new(2);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = Lock(array.clone());
                thread::spawn(move || {
                    for round in 0..2000 {
                        lock.acquire();
                        // In two steps, which only the lock makes one.
                        let value = lock.0.load(1);
                        if round % 64 == 0 {
                            thread::yield_now();
                        }
                        lock.0.store(1, value + 1);
                        lock.release();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(array.to_vec(), [0, 8000]);
    });
}

/// A ring of four places; each holds a value above 0, or is empty.
struct Queue {
    /// How many were put in, and how many taken out.
    counts: SharedArray<u32>,
    places: SharedArray<u64>,
}

const PLACES: u32 = 4;

impl Queue {
    fn put(&self, value: u64) {
        let put = self.counts.load(0);
        loop {
            let taken = self.counts.load(1);
            if put - taken < PLACES {
                break;
            }
            self.counts.wait(1, taken);
        }
        self.places.store((put % PLACES) as usize, value);
        self.counts.store(0, put + 1);
        self.counts.notify(0, 1);
    }

    async fn take(&self) -> u64 {
        let taken = self.counts.load(1);
        while self.counts.load(0) == taken {
            self.counts.wait_async(0, taken).await;
        }
        let value = self.places.swap((taken % PLACES) as usize, 0);
        self.counts.store(1, taken + 1);
        self.counts.notify(1, 1);
        value
    }
}

#[test]
fn a_bounded_queue_can_be_made_of_it() {
    watched(|| {
        let queue = Arc::new(Queue {
            counts: SharedArray::new(2),
            places: SharedArray::new(PLACES as usize),
        });
        let other = Arc::clone(&queue);
        let producer = thread::spawn(move || (1..=10_000).for_each(|value| other.put(value)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            for value in 1..=10_000 {
                assert_eq!(queue.take().await, value);
            }
        });
        producer.join().unwrap();
    });
}

/// As many hear a notification as were notified, though some run out of time
/// at that very moment.
#[test]
fn a_wait_that_runs_out_of_time_takes_no_notification_with_it() {
    watched(|| {
        let array = SharedArray::<i32>::new(1);
        let over = SharedArray::<u8>::new(1);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let (array, over) = (array.clone(), over.clone());
                thread::spawn(move || {
                    let mut heard = 0;
                    while over.load(0) == 0 {
                        let patience = Duration::from_micros(50);
                        if array.wait_timeout(0, 0, patience) == WaitOutcome::Woken {
                            heard += 1;
                        }
                    }
                    heard
                })
            })
            .collect();
        let mut notified = 0;
        while notified < 300 {
            notified += array.notify(0, 1);
            thread::yield_now();
        }
        over.store(0, 1);
        let heard: usize = waiters
            .into_iter()
            .map(|waiter| waiter.join().unwrap())
            .sum();
        assert_eq!(heard, notified);
    });
}

/// One notification at a time, and two who wait, of whom one gives up at any
/// moment: the other one has it then.
#[test]
fn a_wait_that_is_dropped_at_any_moment_loses_no_notification() {
    watched(|| {
        let array = SharedArray::<i32>::new(1);
        for _ in 0..2000 {
            let dropped = array.wait_async(0, 0);
            let left = array.wait_async(0, 0);
            let other = array.clone();
            let notifier = thread::spawn(move || assert_eq!(other.notify(0, 1), 1));
            drop(dropped);
            assert_eq!(pollster::block_on(left), WaitOutcome::Woken);
            notifier.join().unwrap();
        }
    });
}
