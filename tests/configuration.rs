//! Promise: a pool is what its builder was told, and an impossible setting is a
//! clear error that names it.

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{Occupied, for_each_size, on_each_size, watched};
use windlass::{BuildError, Pool, Spawner, current_thread_index};

/// Checklist 15.
#[test]
fn a_pool_of_no_threads_is_an_error_that_names_the_value() {
    watched(|| {
        let error = Pool::builder().num_threads(0).build().unwrap_err();
        assert!(matches!(error, BuildError::NumThreads { value: 0 }));
        let text = error.to_string();
        assert!(
            text.contains("num_threads(0)") && text.contains("1 to 4095"),
            "{text}"
        );
    });
}

/// Checklist 15.
#[test]
fn the_default_is_at_least_one_thread_and_at_most_one_per_core() {
    watched(|| {
        // The variable would say something else, and is not ours to unset here.
        if std::env::var_os("WINDLASS_NUM_THREADS").is_some() {
            return;
        }
        let pool = Pool::new().unwrap();
        // Where the share of the processors is not a whole number, this rounds it down and
        // the default up.
        let cores = thread::available_parallelism().unwrap().get() + 1;
        assert!(
            (1..=cores).contains(&pool.num_threads()),
            "{}",
            pool.num_threads()
        );
        assert_eq!(pool.spawner().num_threads(), pool.num_threads());
        assert!(pool.shortfall().is_none());
        assert_eq!(common::thread_ids(&pool).len(), pool.num_threads());
    });
}

/// Checklist 16.
#[test]
fn huge_thread_counts_are_errors_that_name_the_value() {
    watched(|| {
        for value in [4096, 1 << 24, usize::MAX / 2, usize::MAX] {
            let error = Pool::builder().num_threads(value).build().unwrap_err();
            assert!(matches!(error, BuildError::NumThreads { value: v } if v == value));
            assert!(error.to_string().contains(&value.to_string()), "{error}");
        }
    });
}

/// Checklist 16.
#[test]
fn an_overflowing_stack_size_starts_no_thread_and_is_an_error() {
    watched(|| {
        for bytes in [usize::MAX, usize::MAX - 4096, isize::MAX as usize] {
            let error = Pool::builder()
                .num_threads(2)
                .stack_size(bytes)
                .build()
                .unwrap_err();
            assert!(
                matches!(error, BuildError::NoThreads { requested: 2, .. }),
                "{error}"
            );
        }
    });
}

/// Checklist 22.
#[test]
fn the_stack_size_is_honoured() {
    const MIB: usize = 1024 * 1024;
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .stack_size(64 * MIB)
            .build()
            .unwrap();
        // Eight times the default stack, so that this fails loudly without it.
        let job = pool.spawn(|| {
            let space = black_box([1_u8; 16 * MIB]);
            space
                .iter()
                .step_by(4096)
                .map(|&byte| usize::from(byte))
                .sum::<usize>()
        });
        assert_eq!(job.join().unwrap(), 16 * MIB / 4096);
    });
}

/// Checklist 22.
#[test]
fn a_stack_too_small_for_anything_is_an_error_that_names_it() {
    watched(|| {
        for bytes in [0, 1, 16 * 1024 - 1] {
            let error = Pool::builder()
                .num_threads(1)
                .stack_size(bytes)
                .build()
                .unwrap_err();
            assert!(matches!(error, BuildError::StackSize { value } if value == bytes));
            let text = error.to_string();
            assert!(text.contains(&format!("stack_size({bytes})")), "{text}");
            assert!(text.contains("16384"), "{text}");
        }
    });
}

/// Checklist 22.
#[test]
fn a_small_stack_is_enough_to_live_on() {
    watched(|| {
        let pool = Pool::builder()
            .num_threads(2)
            .stack_size(64 * 1024)
            .build()
            .unwrap();
        assert_eq!(pool.spawn(|| 9).join().unwrap(), 9);
    });
}

/// Checklist 25.
#[test]
fn threads_carry_the_names_they_were_given() {
    for_each_size(|threads| {
        let pool = Pool::builder()
            .num_threads(threads)
            .thread_name(|index| format!("hauler {index}"))
            .build()
            .unwrap();
        let names = common::one_on_each(&pool, || thread::current().name().unwrap().to_owned());
        assert_eq!(names, (0..threads).map(|i| format!("hauler {i}")).collect());
    });
}

/// Checklist 25.
#[test]
fn threads_are_called_windlass_by_default() {
    on_each_size(|pool| {
        let names = common::one_on_each(&pool, || thread::current().name().unwrap().to_owned());
        let expected = (0..pool.num_threads()).map(|i| format!("windlass-{i}"));
        assert_eq!(names, expected.collect());
    });
}

/// Checklist 25.
#[test]
fn a_name_the_system_cannot_take_is_an_error_that_shows_it() {
    watched(|| {
        let error = Pool::builder()
            .num_threads(3)
            .thread_name(|index| {
                if index == 2 {
                    "a\0b".into()
                } else {
                    "ok".into()
                }
            })
            .build()
            .unwrap_err();
        assert!(matches!(error, BuildError::ThreadName { index: 2, .. }));
        assert!(error.to_string().contains(r#""a\0b""#), "{error}");
    });
}

/// Checklist 25.
#[test]
fn every_thread_knows_its_index_and_others_have_none() {
    on_each_size(|pool| {
        assert_eq!(current_thread_index(), None);
        let indices = common::one_on_each(&pool, || current_thread_index().unwrap());
        assert_eq!(indices, (0..pool.num_threads()).collect());
    });
}

/// Checklist 25.
#[test]
fn a_job_finds_the_spawner_of_its_own_pool_and_no_other() {
    on_each_size(|pool| {
        assert!(Spawner::current().is_none());
        let other = Pool::builder()
            .num_threads(1)
            .thread_name(|_| "other".into())
            .build()
            .unwrap();
        let from_other = other.spawner();
        let name = pool.spawn(move || {
            let here = thread::current().name().map(str::to_owned);
            let mine = Spawner::current().unwrap();
            let nested = mine.spawn(|| thread::current().name().map(str::to_owned));
            let foreign = from_other.spawn(|| thread::current().name().map(str::to_owned));
            (here, nested.join().unwrap(), foreign.join().unwrap())
        });
        let (here, nested, foreign) = name.join().unwrap();
        assert!(here.unwrap().starts_with("windlass-"));
        assert!(nested.unwrap().starts_with("windlass-"));
        assert_eq!(foreign.unwrap(), "other");
    });
}

/// The hooks run on their thread, before its first and after its last job.
#[test]
fn hooks_run_once_on_each_thread_with_its_index() {
    for_each_size(|threads| {
        let log = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (started, stopped) = (Arc::clone(&log), Arc::clone(&log));
        let running = Arc::new(AtomicUsize::new(0));
        let pool = Pool::builder()
            .num_threads(threads)
            .on_thread_start(move |index| {
                assert_eq!(current_thread_index(), Some(index));
                started
                    .lock()
                    .unwrap()
                    .push(("start", index, thread::current().id()));
            })
            .on_thread_stop(move |index| {
                stopped
                    .lock()
                    .unwrap()
                    .push(("stop", index, thread::current().id()));
            })
            .build()
            .unwrap();
        let occupied = Occupied::all(&pool);
        assert_eq!(log.lock().unwrap().len(), threads);
        let count = Arc::clone(&running);
        pool.execute(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        occupied.release();
        drop(pool);
        assert_eq!(running.load(Ordering::SeqCst), 1);
        let log = log.lock().unwrap();
        assert_eq!(log.len(), 2 * threads);
        for index in 0..threads {
            let find = |what| {
                log.iter()
                    .find(|(w, i, _)| (*w, *i) == (what, index))
                    .unwrap()
            };
            assert_eq!(find("start").2, find("stop").2);
        }
    });
}

/// A builder shows itself, and so do a pool and its spawner.
#[test]
fn everything_can_be_shown() {
    watched(|| {
        let builder = Pool::builder().num_threads(2).stack_size(1 << 20);
        let shown = format!("{builder:?}");
        assert!(
            shown.contains("Some(2)") && shown.contains("1048576"),
            "{shown}"
        );
        let pool = builder.build().unwrap();
        for shown in [format!("{pool:?}"), format!("{:?}", pool.spawner())] {
            assert!(
                shown.contains("num_threads: 2") && shown.contains("false"),
                "{shown}"
            );
        }
        let mut handle = pool.spawn(|| 1);
        while handle.try_join().is_none() {}
        assert!(format!("{handle:?}").contains("is_finished: true"));
        assert!(format!("{:?}", handle.cancel_handle()).contains("is_finished: true"));
    });
}
