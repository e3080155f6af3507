//! What the machine itself allows: the least that must happen between two
//! threads, with no library around it.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::system::stay_on_core;

/// Slots of the ring: 64 KiB, which stays in the cores' caches.
const SLOTS: usize = 1024;

/// One cache line, as a job with its closure inline would be.
#[derive(Default)]
#[repr(align(64))]
struct Slot([AtomicU64; 8]);

/// A queue from one thread to one other, each of which looks at the other's
/// index only when it has to: the cheapest way to hand over 64 bytes.
pub struct Ring {
    slots: Vec<Slot>,
    pushed: CachePadded<AtomicU64>,
    popped: CachePadded<AtomicU64>,
}

impl Ring {
    pub fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            pushed: CachePadded::default(),
            popped: CachePadded::default(),
        }
    }

    /// Puts `count` full slots in.
    pub fn fill(&self, count: u64) {
        let mut popped = self.popped.load(Ordering::Acquire);
        let begin = self.pushed.load(Ordering::Relaxed);
        for n in begin..begin + count {
            let mut looks = 0;
            while n - popped >= SLOTS as u64 {
                pause(&mut looks);
                popped = self.popped.load(Ordering::Acquire);
            }
            for word in &self.slots[n as usize % SLOTS].0 {
                word.store(n, Ordering::Relaxed);
            }
            self.pushed.store(n + 1, Ordering::Release);
        }
    }

    /// Takes `count` slots out and gives the sum of what was in them.
    pub fn drain(&self, count: u64) -> u64 {
        let mut pushed = self.pushed.load(Ordering::Acquire);
        let begin = self.popped.load(Ordering::Relaxed);
        let mut sum = 0_u64;
        for n in begin..begin + count {
            let mut looks = 0;
            while n >= pushed {
                pause(&mut looks);
                pushed = self.pushed.load(Ordering::Acquire);
            }
            for word in &self.slots[n as usize % SLOTS].0 {
                sum = sum.wrapping_add(word.load(Ordering::Relaxed));
            }
            self.popped.store(n + 1, Ordering::Release);
        }
        sum
    }
}

/// Lets the other end get ahead by some slots; if it does not, this core may be
/// the one that it waits for.
fn pause(looks: &mut u32) {
    for _ in 0..100 {
        spin_loop();
    }
    *looks += 1;
    if *looks >= 8 {
        thread::yield_now();
    }
}

/// Runs both at once, each on a core of its own if there are two: threads that
/// take turns on one core hand nothing over.
pub fn on_two_cores<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            stay_on_core(0);
            one()
        });
        let other = scope.spawn(|| {
            stay_on_core(1);
            other()
        });
        (one.join().unwrap(), other.join().unwrap())
    })
}

/// Hands `count` slots to another thread that waits for them; how long that took.
pub fn hand_over(count: u64) -> Duration {
    let ring = Ring::new();
    let (time, sum) = on_two_cores(
        || {
            ring.fill(SLOTS as u64);
            let begin = Instant::now();
            ring.fill(count);
            while ring.popped.load(Ordering::Acquire) < SLOTS as u64 + count {
                spin_loop();
            }
            begin.elapsed()
        },
        || {
            ring.drain(SLOTS as u64);
            ring.drain(count)
        },
    );
    let first = SLOTS as u64;
    assert_eq!(sum, 8 * (first..first + count).sum::<u64>());
    time
}

/// Wakes a thread that sleeps, and hands it `count` slots; so many times.
pub fn hand_over_to_a_sleeper(count: u64, bursts: usize) -> Vec<Duration> {
    let (ring, ball) = (Ring::new(), Ball::new());
    thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            for _ in 0..bursts {
                ball.wait_asleep(true);
                ring.drain(count);
                ball.throw(false);
            }
        });
        let times = (0..bursts).map(|_| {
            thread::sleep(Duration::from_millis(5));
            let begin = Instant::now();
            ball.throw_to(true, consumer.thread());
            ring.fill(count);
            ball.wait_awake(false);
            begin.elapsed()
        });
        times.collect()
    })
}

/// A flag that goes to and fro between two threads.
pub struct Ball(CachePadded<AtomicBool>);

impl Ball {
    pub fn new() -> Self {
        Self(CachePadded::new(AtomicBool::new(false)))
    }

    fn throw(&self, there: bool) {
        self.0.store(there, Ordering::Release);
    }

    fn throw_to(&self, there: bool, thread: &Thread) {
        self.throw(there);
        thread.unpark();
    }

    fn wait_awake(&self, there: bool) {
        let mut looks = 0_u32;
        while self.0.load(Ordering::Acquire) != there {
            spin_loop();
            looks += 1;
            // The other thread may need this core.
            if looks.is_multiple_of(200) {
                thread::yield_now();
            }
        }
    }

    fn wait_asleep(&self, there: bool) {
        while self.0.load(Ordering::Acquire) != there {
            thread::park();
        }
    }
}

/// Throws the ball to a thread that spins, and has it back: the way of two cache
/// lines.
pub fn spinning_round_trips(count: usize) -> Vec<Duration> {
    let ball = Ball::new();
    // Until both threads run.
    let warm_up = count / 10;
    let trip = || {
        let begin = Instant::now();
        ball.throw(true);
        ball.wait_awake(false);
        begin.elapsed()
    };
    let (trips, ()) = on_two_cores(
        || {
            for _ in 0..warm_up {
                trip();
            }
            (0..count).map(|_| trip()).collect()
        },
        || {
            for _ in 0..warm_up + count {
                ball.wait_awake(true);
                ball.throw(false);
            }
        },
    );
    trips
}

/// Throws the ball to a thread that sleeps, after `silence`, and sleeps until it
/// is back: two wake-ups.
pub fn sleeping_round_trips(count: usize, silence: Duration) -> Vec<Duration> {
    let ball = Ball::new();
    let here = thread::current();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            for _ in 0..count {
                ball.wait_asleep(true);
                ball.throw_to(false, &here);
            }
        });
        let trips = (0..count).map(|_| {
            if !silence.is_zero() {
                thread::sleep(silence);
            }
            let begin = Instant::now();
            ball.throw_to(true, other.thread());
            ball.wait_asleep(false);
            begin.elapsed()
        });
        trips.collect()
    })
}
