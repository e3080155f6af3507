//! Promise: dropping the pool finishes what was accepted and joins the threads,
//! wherever it is dropped.

mod common;

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use common::{Drops, Occupied, Token, for_each_size, on_each_size, until, watched};
use windlass::{Pool, Spawner};

thread_local! {
    /// Dropped with the thread, after its last job.
    static ABOARD: RefCell<Option<Token>> = const { RefCell::new(None) };
}

/// A pool each of whose threads drops a token when its thread-locals go.
fn pool_with_thread_locals(threads: usize) -> (Pool, Drops, Arc<AtomicUsize>) {
    let drops = Drops::default();
    let stopped = Arc::new(AtomicUsize::new(0));
    let (tokens, stops) = (drops.clone(), Arc::clone(&stopped));
    let pool = Pool::builder()
        .num_threads(threads)
        .on_thread_start(move |_| ABOARD.set(Some(tokens.token())))
        .on_thread_stop(move |_| {
            stops.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    (pool, drops, stopped)
}

/// Checklist 4.
#[test]
fn dropping_the_pool_finishes_what_was_accepted() {
    on_each_size(|pool| {
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..1000 {
            let ran = Arc::clone(&ran);
            pool.execute(move || {
                let nested = Arc::clone(&ran);
                ran.fetch_add(1, Ordering::Relaxed);
                Spawner::current().unwrap().execute(move || {
                    nested.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
        drop(pool);
        assert_eq!(ran.load(Ordering::Relaxed), 2000);
    });
}

/// Checklist 7.
#[test]
fn the_pool_may_be_dropped_inside_its_own_job() {
    for_each_size(|threads| {
        let (pool, drops, stopped) = pool_with_thread_locals(threads);
        let (give, take) = mpsc::channel::<Pool>();
        let ran = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ran);
        let job = pool.spawn(move || {
            let pool = take.recv().unwrap();
            let spawner = pool.spawner();
            drop(pool);
            assert!(spawner.is_closed());
            // Handed over without joining: the threads go on, and so may this.
            for _ in 0..50 {
                let count = Arc::clone(&count);
                spawner.execute(move || {
                    count.fetch_add(1, Ordering::SeqCst);
                });
            }
            "dropped"
        });
        let behind = pool.spawn(|| "behind");
        give.send(pool).unwrap();
        assert_eq!(job.join().unwrap(), "dropped");
        assert_eq!(behind.join().unwrap(), "behind");
        until(|| drops.count() == threads);
        assert_eq!(stopped.load(Ordering::SeqCst), threads);
        assert_eq!(ran.load(Ordering::SeqCst), 50);
    });
}

/// Checklist 7.
#[test]
fn the_last_of_many_owners_may_be_a_job() {
    for_each_size(|threads| {
        for _ in 0..50 {
            let (pool, drops, _) = pool_with_thread_locals(threads);
            let pool = Arc::new(pool);
            let jobs: Vec<_> = (0..20)
                .map(|_| {
                    let pool = Arc::clone(&pool);
                    pool.clone().spawn(move || drop(pool))
                })
                .collect();
            drop(pool);
            for job in jobs {
                job.join().unwrap();
            }
            until(|| drops.count() == threads);
        }
    });
}

/// Checklist 8.
#[test]
fn the_pool_may_be_dropped_in_async_code() {
    on_each_size(|pool| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let ran = Arc::clone(&ran);
            pool.execute(move || {
                ran.fetch_add(1, Ordering::Relaxed);
            });
        }
        let awaited = pool.spawn(|| 5);
        runtime.block_on(async {
            let dropped = tokio::spawn(async move { drop(pool) });
            dropped.await.unwrap();
            assert_eq!(awaited.await.unwrap(), 5);
        });
        assert_eq!(ran.load(Ordering::Relaxed), 100);
    });
}

/// Checklist 9.
#[test]
fn dropping_a_pool_whose_threads_all_sleep_ends() {
    for_each_size(|threads| {
        for round in 0..100 {
            let pool = common::pool(threads);
            if round % 2 == 1 {
                Occupied::all(&pool).release();
            }
            if round % 4 >= 2 {
                // Long enough to fall asleep, most times; both ways are right.
                std::thread::sleep(Duration::from_micros(300));
            }
            drop(pool);
        }
    });
}

/// Checklist 10.
#[test]
fn all_threads_are_through_with_their_thread_locals_when_a_shutdown_returns() {
    for_each_size(|threads| {
        for way in 0..3 {
            let (pool, drops, stopped) = pool_with_thread_locals(threads);
            Occupied::all(&pool).release();
            assert_eq!((drops.count(), stopped.load(Ordering::SeqCst)), (0, 0));
            match way {
                0 => drop(pool),
                1 => pollster::block_on(pool.shutdown()),
                _ => pool.shutdown_timeout(Duration::MAX).unwrap(),
            }
            assert_eq!(stopped.load(Ordering::SeqCst), threads, "way {way}");
            assert_eq!(drops.count(), threads, "way {way}");
        }
    });
}

/// Checklist 12.
#[test]
fn handles_outlive_their_pool() {
    on_each_size(|pool| {
        let values: Vec<_> = (0..20).map(|i| pool.spawn(move || i)).collect();
        let awaited = pool.spawn(|| "later");
        drop(pool);
        for (i, handle) in values.into_iter().enumerate() {
            assert!(handle.is_finished());
            assert!(!handle.cancel());
            assert_eq!(handle.join().unwrap(), i);
        }
        assert_eq!(pollster::block_on(awaited).unwrap(), "later");
    });
}

/// Checklist 12: spawners keep nothing alive.
#[test]
fn spawners_do_not_keep_the_pool_alive() {
    for_each_size(|threads| {
        let (pool, drops, _) = pool_with_thread_locals(threads);
        let spawners: Vec<_> = (0..10).map(|_| pool.spawner()).collect();
        drop(pool);
        assert_eq!(drops.count(), threads);
        for spawner in spawners {
            assert!(spawner.is_closed());
            assert_eq!(spawner.num_threads(), threads);
            assert!(spawner.spawn(|| ()).join().unwrap_err().is_closed());
        }
    });
}

/// Checklist 7, between two pools.
#[test]
fn a_pool_may_be_dropped_inside_a_job_of_another() {
    watched(|| {
        let outer = common::pool(1);
        let inner = common::pool(1);
        let slow = inner.spawn(|| 4);
        outer.spawn(move || drop(inner)).join().unwrap();
        // That one waits, as it is not a thread of the pool it drops.
        assert!(slow.is_finished());
        assert_eq!(slow.join().unwrap(), 4);
    });
}

thread_local! {
    /// What a job left behind on its thread.
    static LEFT_BEHIND: RefCell<Option<(Arc<Pool>, mpsc::Sender<()>)>> =
        const { RefCell::new(None) };
}

/// Checklist 6 and 10: the last owner is a thread-local of the pool's own
/// thread, dropped when that thread ends. A process of its own, as a panic in a
/// thread-local's destructor is the end of it.
#[test]
fn the_last_owner_may_be_a_thread_local_of_the_pools_own_thread() {
    const ME: &str = "the_last_owner_may_be_a_thread_local_of_the_pools_own_thread";
    if !common::is_child_of(ME) {
        watched(|| {
            common::run_child(common::child(ME, &[]));
        });
        return;
    }
    let pool = Arc::new(common::pool(2));
    let (tell, told) = mpsc::channel();
    let inner = Arc::clone(&pool);
    let job = pool.spawn(move || LEFT_BEHIND.set(Some((inner, tell))));
    job.join().unwrap();
    drop(pool.shutdown());
    drop(pool);
    // Disconnected: it was dropped, and that came to an end.
    assert_eq!(told.recv(), Err(mpsc::RecvError));
}

/// Checklist 6: a stop hook is on a thread of the pool, too.
#[test]
fn the_pool_may_be_shut_down_or_dropped_in_its_own_stop_hook() {
    for_each_size(|threads| {
        let owner: Arc<std::sync::Mutex<Option<Arc<Pool>>>> = Arc::default();
        let (tell, told) = mpsc::channel();
        let of_hook = Arc::clone(&owner);
        let pool = Pool::builder()
            .num_threads(threads)
            .on_thread_stop(move |_| {
                let pool = of_hook.lock().unwrap().take();
                if let Some(pool) = pool {
                    assert!(pool.shutdown_timeout(Duration::MAX).is_err());
                    drop(pool);
                }
                tell.send(()).unwrap();
            })
            .build()
            .unwrap();
        let occupied = Occupied::all(&pool);
        drop(pool.shutdown());
        *owner.lock().unwrap() = Some(Arc::new(pool));
        occupied.release();
        for _ in 0..threads {
            told.recv_timeout(Duration::from_secs(120))
                .expect("it hangs");
        }
    });
}
