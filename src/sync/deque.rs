//! The queues: crossbeam-deque's, or under loom stand-ins that show what the
//! real ones show.
//!
//! crossbeam-deque cannot be run under loom, and a stand-in behind a mutex
//! would hide exactly the moments in which wake-ups get lost. So the stand-ins
//! keep the real ones' indices, in loom's atomics and with the real orderings,
//! and their intermediate states:
//!
//! * a batch is *remove, gap, publish*: in the gap the jobs are in no queue;
//! * an injector push makes the tail visible first and writes the job then;
//! * `is_empty` looks at indices and takes no lock.
//!
//! The jobs themselves lie in a map that loom does not see; what orders access
//! to them is the indices alone, as in the real thing.

#[cfg(not(loom))]
pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker};

#[cfg(loom)]
pub(crate) use self::model::{Injector, Steal, Stealer, Worker};

#[cfg(loom)]
mod model {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    pub(crate) use crossbeam_deque::Steal;
    use loom::sync::atomic::{AtomicIsize, AtomicUsize, Ordering, fence};
    use parking_lot::Mutex;

    /// Slots an injector of a model can hold in its life.
    const INJECTOR_MAX: usize = 6;

    struct Buffer<T> {
        front: AtomicIsize,
        back: AtomicIsize,
        jobs: Mutex<BTreeMap<isize, T>>,
    }

    impl<T> Buffer<T> {
        fn put(&self, at: isize, job: T) {
            assert!(
                self.jobs.lock().insert(at, job).is_none(),
                "two jobs in one place"
            );
        }

        fn take(&self, at: isize) -> T {
            self.jobs
                .lock()
                .remove(&at)
                .expect("a job where the indices say there is one")
        }

        /// Moves the front by one, as `Stealer::steal`.
        fn steal(&self) -> Steal<T> {
            let f = self.front.load(Ordering::Acquire);
            fence(Ordering::SeqCst);
            let b = self.back.load(Ordering::Acquire);
            if b - f <= 0 {
                return Steal::Empty;
            }
            match self
                .front
                .compare_exchange(f, f + 1, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => Steal::Success(self.take(f)),
                Err(_) => Steal::Retry,
            }
        }
    }

    pub(crate) struct Worker<T> {
        buffer: Arc<Buffer<T>>,
        lifo: bool,
    }

    impl<T> Worker<T> {
        pub(crate) fn new_lifo() -> Self {
            Self::new(true)
        }

        pub(crate) fn new_fifo() -> Self {
            Self::new(false)
        }

        fn new(lifo: bool) -> Self {
            let buffer = Buffer {
                front: AtomicIsize::new(0),
                back: AtomicIsize::new(0),
                jobs: Mutex::default(),
            };
            Self {
                buffer: Arc::new(buffer),
                lifo,
            }
        }

        pub(crate) fn stealer(&self) -> Stealer<T> {
            Stealer(Arc::clone(&self.buffer))
        }

        pub(crate) fn push(&self, job: T) {
            let b = self.buffer.back.load(Ordering::Relaxed);
            self.buffer.put(b, job);
            self.buffer.back.store(b + 1, Ordering::Release);
        }

        pub(crate) fn is_empty(&self) -> bool {
            let b = self.buffer.back.load(Ordering::Relaxed);
            let f = self.buffer.front.load(Ordering::SeqCst);
            b - f <= 0
        }

        pub(crate) fn pop(&self) -> Option<T> {
            let buffer = &*self.buffer;
            let b = buffer.back.load(Ordering::Relaxed);
            if b - buffer.front.load(Ordering::Relaxed) <= 0 {
                return None;
            }
            if !self.lifo {
                let f = buffer.front.fetch_add(1, Ordering::SeqCst);
                if b - (f + 1) < 0 {
                    buffer.front.store(f, Ordering::Relaxed);
                    return None;
                }
                return Some(buffer.take(f));
            }
            let b = b - 1;
            buffer.back.store(b, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let f = buffer.front.load(Ordering::Relaxed);
            if b - f > 0 {
                return Some(buffer.take(b));
            }
            let won = b - f == 0
                && buffer
                    .front
                    .compare_exchange(f, f + 1, Ordering::SeqCst, Ordering::Relaxed)
                    .is_ok();
            let job = won.then(|| buffer.take(b));
            buffer.back.store(b + 1, Ordering::Relaxed);
            job
        }

        /// Publishes a job that was removed elsewhere.
        fn publish(&self, job: T) {
            self.push(job);
        }
    }

    pub(crate) struct Stealer<T>(Arc<Buffer<T>>);

    impl<T> Stealer<T> {
        pub(crate) fn len(&self) -> usize {
            self.0.jobs.lock().len()
        }

        pub(crate) fn is_empty(&self) -> bool {
            let f = self.0.front.load(Ordering::Acquire);
            fence(Ordering::SeqCst);
            let b = self.0.back.load(Ordering::Acquire);
            b - f <= 0
        }

        pub(crate) fn steal(&self) -> Steal<T> {
            self.0.steal()
        }

        pub(crate) fn steal_batch_and_pop(&self, dest: &Worker<T>) -> Steal<T> {
            if Arc::ptr_eq(&self.0, &dest.buffer) {
                return dest.pop().map_or(Steal::Empty, Steal::Success);
            }
            let first = self.0.steal();
            if first.is_success()
                && let Steal::Success(second) = self.0.steal()
            {
                dest.publish(second);
            }
            first
        }
    }

    pub(crate) struct Injector<T> {
        head: AtomicUsize,
        tail: AtomicUsize,
        written: [AtomicUsize; INJECTOR_MAX],
        jobs: Mutex<BTreeMap<usize, T>>,
    }

    impl<T> Injector<T> {
        pub(crate) fn new() -> Self {
            Self {
                head: AtomicUsize::new(0),
                tail: AtomicUsize::new(0),
                written: std::array::from_fn(|_| AtomicUsize::new(0)),
                jobs: Mutex::default(),
            }
        }

        pub(crate) fn push(&self, job: T) {
            let at = self.tail.fetch_add(1, Ordering::SeqCst);
            self.jobs.lock().insert(at, job);
            self.written[at].store(1, Ordering::Release);
        }

        pub(crate) fn is_empty(&self) -> bool {
            let head = self.head.load(Ordering::SeqCst);
            let tail = self.tail.load(Ordering::SeqCst);
            head >= tail
        }

        pub(crate) fn len(&self) -> usize {
            let tail = self.tail.load(Ordering::SeqCst);
            let head = self.head.load(Ordering::SeqCst);
            tail.saturating_sub(head)
        }

        pub(crate) fn steal(&self) -> Steal<T> {
            self.remove(1).map(|mut jobs| jobs.remove(0))
        }

        pub(crate) fn steal_batch_and_pop(&self, dest: &Worker<T>) -> Steal<T> {
            self.remove(2).map(|jobs| {
                let mut jobs = jobs.into_iter();
                let first = jobs.next().expect("one at least");
                jobs.for_each(|job| dest.publish(job));
                first
            })
        }

        pub(crate) fn steal_batch(&self, dest: &Worker<T>) -> Steal<()> {
            self.remove(2)
                .map(|jobs| jobs.into_iter().for_each(|job| dest.publish(job)))
        }

        fn remove(&self, most: usize) -> Steal<Vec<T>> {
            let head = self.head.load(Ordering::Acquire);
            fence(Ordering::SeqCst);
            let tail = self.tail.load(Ordering::Relaxed);
            if head >= tail {
                return Steal::Empty;
            }
            let end = tail.min(head + most);
            if self
                .head
                .compare_exchange(head, end, Ordering::SeqCst, Ordering::Relaxed)
                .is_err()
            {
                return Steal::Retry;
            }
            let jobs = (head..end).map(|at| {
                while self.written[at].load(Ordering::Acquire) == 0 {
                    loom::thread::yield_now();
                }
                self.jobs.lock().remove(&at).expect("a written job")
            });
            Steal::Success(jobs.collect())
        }
    }

    /// `Steal::map`, which crossbeam does not have.
    trait Map<T> {
        fn map<U>(self, f: impl FnOnce(T) -> U) -> Steal<U>;
    }

    impl<T> Map<T> for Steal<T> {
        fn map<U>(self, f: impl FnOnce(T) -> U) -> Steal<U> {
            match self {
                Steal::Empty => Steal::Empty,
                Steal::Success(value) => Steal::Success(f(value)),
                Steal::Retry => Steal::Retry,
            }
        }
    }
}
