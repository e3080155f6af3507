//! Counts and sums what jobs did, at next to no cost to them.
//!
//! A counter that all threads share costs 10 to 70 ns per job, more than some
//! libraries: it would hide what is to be seen. So each thread has one of its
//! own, which only it writes, and whoever waits adds them up.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_utils::CachePadded;

#[derive(Default)]
struct Counter {
    jobs: AtomicU64,
    sum: AtomicU64,
}

thread_local! {
    static MINE: Arc<CachePadded<Counter>> = {
        let counter = Arc::default();
        REGISTRY.lock().unwrap().counters.push(Arc::clone(&counter));
        counter
    };
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    counters: Vec::new(),
    gone: Total { jobs: 0, sum: 0 },
});

struct Registry {
    counters: Vec<Arc<CachePadded<Counter>>>,
    /// Of threads that have ended.
    gone: Total,
}

/// What all threads have counted since the process began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Total {
    pub jobs: u64,
    pub sum: u64,
}

/// One job more, which was about `n`.
#[inline]
pub fn add(n: u64) {
    MINE.with(|mine| {
        let sum = mine.sum.load(Ordering::Relaxed).wrapping_add(n);
        mine.sum.store(sum, Ordering::Relaxed);
        let jobs = mine.jobs.load(Ordering::Relaxed) + 1;
        // Release: with the Acquire in `total`, so that who sees the job sees
        // its share of the sum.
        mine.jobs.store(jobs, Ordering::Release);
    });
}

pub fn total() -> Total {
    let mut registry = REGISTRY.lock().unwrap();
    let Registry { counters, gone } = &mut *registry;
    let mut total = *gone;
    counters.retain_mut(|counter| {
        let jobs = counter.jobs.load(Ordering::Acquire);
        let sum = counter.sum.load(Ordering::Relaxed);
        total.jobs += jobs;
        total.sum = total.sum.wrapping_add(sum);
        let lives = Arc::get_mut(counter).is_none();
        if !lives {
            // The thread has ended since the look above, or before it.
            let (jobs_now, sum_now) = (
                counter.jobs.load(Ordering::Relaxed),
                counter.sum.load(Ordering::Relaxed),
            );
            gone.jobs += jobs_now;
            gone.sum = gone.sum.wrapping_add(sum_now);
        }
        lives
    });
    total
}

/// A number of jobs that somebody waits for.
pub struct Flood {
    jobs: u64,
    before: Total,
    waiter: Thread,
    last_has_run: AtomicBool,
}

impl Flood {
    /// For `jobs` jobs with the numbers from 0 on, and the calling thread, which
    /// will wait for them. Leaked, so that a job captures 16 bytes: its number
    /// and this reference.
    pub fn new(jobs: u64) -> &'static Self {
        Box::leak(Box::new(Self {
            jobs,
            before: total(),
            waiter: thread::current(),
            last_has_run: AtomicBool::new(false),
        }))
    }

    /// What job `n` does.
    #[inline]
    pub fn job(&self, n: u64) {
        add(black_box(n));
        if n + 1 == self.jobs {
            self.last_has_run.store(true, Ordering::Release);
            self.waiter.unpark();
        }
    }

    /// Waits until all have run, and checks that each did once: for the one
    /// submitted last, without a look at the others, and then for the others,
    /// which have mostly run by then.
    pub fn wait(&self) {
        while !self.last_has_run.load(Ordering::Acquire) {
            thread::park();
        }
        self.wait_for_all();
    }

    /// The same where the last one submitted is no sign of the others' end.
    pub fn wait_for_all(&self) {
        let mut looks = 0;
        while total().jobs - self.before.jobs < self.jobs {
            looks += 1;
            if looks < 20 {
                thread::yield_now();
            } else {
                // A thread that looks without a pause takes a core from the
                // jobs it waits for.
                thread::sleep(Duration::from_micros(50));
            }
        }
        let after = total();
        assert_eq!(after.jobs - self.before.jobs, self.jobs, "each job once");
        let sum = self.jobs * self.jobs.saturating_sub(1) / 2;
        assert_eq!(
            after.sum.wrapping_sub(self.before.sum),
            sum,
            "each job its own number"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_threads_did_is_still_counted() {
        let flood = Flood::new(1000);
        let threads: Vec<_> = (0..4)
            .map(|part| thread::spawn(move || (0..250).for_each(|n| flood.job(part * 250 + n))))
            .collect();
        flood.wait();
        for thread in threads {
            thread.join().unwrap();
        }
        let after = total();
        assert_eq!(after, total());
        assert!(after.jobs >= 1000);
    }
}
