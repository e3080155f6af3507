//! Promise: whoever asks for the results of many jobs in the order in which they
//! end gets each of them, once, however the jobs end.

mod common;

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;

use common::on_each_size;
use windlass::{CancelHandle, JobSet, JoinError, JoinHandle, MainLoop};

const JOBS: usize = 2000;

/// A job that gives its number, by returning it or by panicking with it.
fn numbered(number: usize) -> impl FnOnce() -> usize + Send + 'static {
    move || match number % 5 {
        // Not `panic!`: there are too many of them to be shown.
        0 => resume_unwind(Box::new(number)),
        _ => number,
    }
}

/// The number of the job that ended like this.
fn number_of(result: Result<usize, JoinError>) -> usize {
    match result {
        Ok(number) => number,
        Err(error) => *error.into_panic().downcast().unwrap(),
    }
}

/// 42: a set that is filled and emptied at once, in every way of asking.
#[test]
fn a_set_gives_each_completion_once() {
    on_each_size(|pool| {
        let mut set = JobSet::new(&pool);
        let mut seen = vec![0; JOBS];
        let (mut next, mut step) = (0, 0);
        while next < JOBS || !set.is_empty() {
            step += 1;
            for _ in 0..step * 7 % 13 {
                if next < JOBS {
                    set.spawn(numbered(next));
                    next += 1;
                }
            }
            for _ in 0..step * 5 % 11 {
                let result = match step % 3 {
                    0 => set.join_next(),
                    1 => set.try_join_next(),
                    _ => pollster::block_on(set.join_next_async()),
                };
                if let Some(result) = result {
                    seen[number_of(result)] += 1;
                }
            }
        }
        assert_eq!(seen, vec![1; JOBS]);
        assert!(set.join_next().is_none());
    });
}

/// 42: the same as callbacks of a main loop, some of whose jobs are cancelled.
#[test]
fn a_main_loop_is_called_once_for_each_completion() {
    on_each_size(|pool| {
        let main = MainLoop::new();
        let seen = Rc::new(RefCell::new(vec![(0, 0); JOBS]));
        let jobs: Vec<_> = (0..JOBS).map(|i| pool.spawn(numbered(i))).collect();
        let cancel: Vec<_> = jobs.iter().map(JoinHandle::cancel_handle).collect();
        for (number, job) in jobs.into_iter().enumerate() {
            let seen = Rc::clone(&seen);
            main.on_complete(job, move |_, result| match result {
                Err(error) if error.is_cancelled() => seen.borrow_mut()[number].1 += 1,
                result => {
                    assert_eq!(number_of(result), number);
                    seen.borrow_mut()[number].0 += 1;
                }
            });
            if number % 50 == 0 {
                main.turn();
            }
        }
        let cancelled: Vec<_> = cancel.iter().map(CancelHandle::cancel).collect();
        main.run();
        drop(pool);
        main.run();
        for (number, (ended, never)) in seen.borrow().iter().enumerate() {
            let expected = if cancelled[number] { (0, 1) } else { (1, 0) };
            assert_eq!((*ended, *never), expected, "{number}");
        }
    });
}
