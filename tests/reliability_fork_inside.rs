//! Promise: a job, a worker or a callback may fork, the child may build a pool of its
//! own, and what talks to the old one is told.
//!
//! Each test forks in a copy of this program that runs it alone.
#![cfg(unix)]

mod common;

use std::cell::{Cell, RefCell};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use common::forks::{
    alone, assert_forked, end_of, exit, fork, in_a_fork, in_a_fork_with, leaving_no_thread, pool,
};
use common::{Occupied, for_each_size, thread_ids, until};
use pollster::block_on;
use windlass::{JobSet, MainLoop, Parent, Pool, Spawner, Worker};

/// Tells through a pipe in which process it happened.
#[derive(Clone)]
struct Diary(Arc<PipeWriter>, u32);

impl Diary {
    fn new() -> (Self, PipeReader) {
        let (read, write) = pipe().unwrap();
        (Self(Arc::new(write), std::process::id()), read)
    }

    fn write(&self) {
        let here = std::process::id() == self.1;
        (&*self.0)
            .write_all(if here { b"p" } else { b"c" })
            .unwrap();
    }

    /// What happened in the parent and in its forks, all of which have ended.
    fn read(self, mut pipe: PipeReader) -> String {
        drop(self);
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    }
}

/// 23: a job that forks, and whose copy ends the process, as it should.
#[test]
fn in_the_fork_of_a_job_there_is_no_pool() {
    alone("in_the_fork_of_a_job_there_is_no_pool", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let spawner = pool.spawner();
            let job = pool.spawn(move || {
                let nested = spawner.spawn(|| thread::sleep(Duration::from_millis(1)));
                let nested = in_a_fork_with(nested, |nested| {
                    assert!(Spawner::current().is_none());
                    assert_eq!(windlass::current_thread_index(), None);
                    assert_forked(spawner.spawn(|| ()));
                    spawner
                        .on_each_thread(|_| ())
                        .into_iter()
                        .for_each(assert_forked);
                    if !nested.is_finished() || nested.cancel() {
                        assert!(nested.join().is_err());
                    }
                    assert!(windlass::checkpoint().is_ok());
                    let own = common::pool(2);
                    assert_eq!(own.spawn(|| 1).join().unwrap(), 1);
                });
                assert_eq!(
                    spawner.num_threads(),
                    Spawner::current().unwrap().num_threads()
                );
                nested.join().unwrap();
                spawner.spawn(|| 5).join().unwrap()
            });
            assert_eq!(job.join().unwrap(), 5);
        });
    });
}

/// 23: a job that forks, and whose copy returns: it does not go on with what waits
/// in the pool, nor does it sleep there.
#[test]
fn a_fork_that_returns_from_its_job_ends() {
    alone("a_fork_that_returns_from_its_job_ends", || {
        for_each_size(|threads| {
            let (diary, pipe) = Diary::new();
            let (stopped, refused) = (diary.clone(), diary.clone());
            let pool = Pool::builder()
                .num_threads(threads)
                .on_thread_stop(move |_| stopped.write())
                .on_reject(move |_| refused.write())
                .build()
                .unwrap();
            let (give, forked) = mpsc::channel();
            let give_too = give.clone();
            let serial = pool.serial();
            let worker = pool.worker({
                let diary = diary.clone();
                move |n: u32, parent: &Parent<()>| match n {
                    0 => match fork() {
                        None if parent.post(()).is_ok() => exit(false),
                        child => give.send(child).unwrap(),
                    },
                    _ => diary.write(),
                }
            });
            let busy = Occupied::all(&pool);
            let jobs = [
                pool.spawn({
                    let give = give_too.clone();
                    move || give.send(fork()).unwrap()
                }),
                serial.spawn(move || give_too.send(fork()).unwrap()),
            ];
            for n in 0..10 {
                worker.post(n).unwrap();
                let (alone, in_line) = (diary.clone(), diary.clone());
                pool.execute(move || alone.write());
                serial.execute(move || in_line.write());
            }
            busy.release();
            jobs.into_iter().for_each(|job| job.join().unwrap());
            drop(pool);
            drop((worker, serial));
            let children: Vec<_> = forked.iter().collect();
            assert_eq!(children.len(), 3);
            for child in children {
                assert_eq!(end_of(child.unwrap()).code(), Some(0));
            }
            assert_eq!(diary.read(pipe), "p".repeat(29 + threads));
        });
    });
}

/// 23: the same where nothing waits, and where the fork is not in a job at all.
#[test]
fn a_fork_that_returns_to_an_idle_pool_ends() {
    alone("a_fork_that_returns_to_an_idle_pool_ends", || {
        for_each_size(|threads| {
            let (give, forked) = mpsc::channel();
            // No thread starts or ends meanwhile: see `pool`.
            let all_there = Arc::new(Barrier::new(threads));
            let [starts, stops] = [(); 2].map(|()| {
                let (give, there) = (give.clone(), Arc::clone(&all_there));
                move |index| {
                    there.wait();
                    if index == 0 {
                        let child = fork();
                        give.send(child).unwrap();
                        if child.is_none() {
                            return;
                        }
                    }
                    there.wait();
                }
            });
            let pool = Pool::builder()
                .num_threads(threads)
                .on_thread_start(starts)
                .on_thread_stop(stops)
                .build()
                .unwrap();
            thread_ids(&pool);
            for _ in 0..10 {
                let give = give.clone();
                let job = pool.spawn(move || give.send(fork()).unwrap());
                job.join().unwrap();
            }
            drop(pool);
            drop(give);
            let children: Vec<_> = forked.iter().collect();
            assert_eq!(children.len(), 10 + 2);
            for child in children {
                assert_eq!(end_of(child.unwrap()).code(), Some(0));
            }
        });
    });
}

/// Everything that a pool does, on a new one.
fn works(threads: usize) {
    leaving_no_thread(|| works_with(&pool(threads)));
}

fn works_with(pool: &Pool) {
    let threads = pool.num_threads();
    let sum: u64 = (0..100)
        .map(|n| pool.spawn(move || n))
        .map(|job| job.join().unwrap())
        .sum();
    assert_eq!(sum, 4950);
    let spawner = pool.spawner();
    assert_eq!(
        pool.spawn(move || spawner.spawn(|| 1).join().unwrap())
            .join()
            .unwrap(),
        1
    );
    assert_eq!(block_on(pool.spawn(|| 2)).unwrap(), 2);
    let each = pool.on_each_thread(|index| index).into_iter();
    assert!(each.map(|job| job.join().unwrap()).eq(0..threads));
    let mut set = JobSet::new(pool);
    (0..10).for_each(|n| set.spawn(move || n));
    assert_eq!(set.try_join_all().unwrap().len(), 10);
    assert_eq!(pool.serial().spawn(|| 3).join().unwrap(), 3);

    let busy = Occupied::all(pool);
    let late = pool.job().deadline(Duration::from_millis(1)).spawn(|| ());
    assert!(late.join().unwrap_err().is_expired());
    busy.release();
    let long = pool.job().timeout(Duration::from_millis(1));
    let long = long.spawn(|| until(windlass::is_cancelled));
    assert!(long.join().unwrap_err().is_timed_out());

    let worker = pool.worker(|n: u32, parent: &Parent<u32>| parent.post(n + 1).unwrap());
    worker.post(1).unwrap();
    assert_eq!(worker.recv().unwrap(), 2);
    worker.close();
    assert!(worker.exited().wait().is_success());
    let files = Worker::dedicated().spawn(|parent: Parent<u32>| move |n| parent.post(n).unwrap());
    let files = files.unwrap();
    files.post(4).unwrap();
    assert_eq!(files.recv().unwrap(), 4);

    let main = MainLoop::new();
    let done = Rc::new(Cell::new(0));
    main.on_complete(pool.spawn(|| 5), {
        let done = Rc::clone(&done);
        move |_, result| done.set(result.unwrap())
    });
    main.run();
    assert_eq!(done.get(), 5);
    block_on(pool.shutdown());
}

/// 23: a child may build a pool, and use all of it; so may a child of the child.
#[test]
fn a_fork_may_have_a_pool_of_its_own() {
    alone("a_fork_may_have_a_pool_of_its_own", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            // There is somebody who keeps the time.
            let (go, wait) = mpsc::channel::<()>();
            let limits = pool.job().timeout(Duration::from_secs(3600));
            let limits = limits.deadline(Duration::from_secs(3600));
            let timed = limits.spawn(move || wait.recv().is_err());
            works(threads);
            let timed = in_a_fork_with(timed, |timed| {
                works(threads);
                drop(timed);
                in_a_fork(|| works(threads));
                works(threads);
            });
            drop(go);
            assert!(timed.join().unwrap());
            works(threads);
        });
    });
}

/// A worker that has answered once, and then waits amid its second message.
fn busy_worker<W>(start: impl FnOnce(mpsc::Sender<()>, mpsc::Receiver<()>) -> W) -> BusyWorker<W> {
    let (begun, begins) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let worker = start(begun, wait);
    BusyWorker { worker, begins, go }
}

struct BusyWorker<W> {
    worker: W,
    begins: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

/// The handler of such a worker.
fn handler(
    begun: mpsc::Sender<()>,
    wait: mpsc::Receiver<()>,
    parent: Parent<u32>,
) -> impl FnMut(u32) + Send {
    move |n| {
        if n == 1 {
            begun.send(()).unwrap();
            let _ = wait.recv();
        }
        let _ = parent.post(n);
    }
}

/// 23: workers from before, with mail and without, on a pool and on their own threads.
#[test]
fn a_worker_from_before_a_fork_is_not_in_it() {
    alone("a_worker_from_before_a_fork_is_not_in_it", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let idle = pool.worker(|n: u32, parent: &Parent<u32>| parent.post(n).unwrap());
            idle.post(0).unwrap();
            assert_eq!(idle.recv().unwrap(), 0);
            let busy = [
                busy_worker(|begun, wait| {
                    Worker::builder(&pool)
                        .mailbox(2)
                        .spawn_once(|parent| handler(begun, wait, parent))
                }),
                busy_worker(|begun, wait| {
                    let dedicated = Worker::dedicated().mailbox(2);
                    let started = dedicated.spawn_once(|parent| handler(begun, wait, parent));
                    started.unwrap()
                }),
            ];
            for BusyWorker { worker, begins, .. } in &busy {
                worker.post(0).unwrap();
                worker.post(1).unwrap();
                begins.recv().unwrap();
                worker.post(2).unwrap();
                worker.post(3).unwrap();
                assert!(worker.post(4).unwrap_err().is_full());
            }
            let idle = in_a_fork_with(idle, |idle| {
                for BusyWorker { worker, .. } in &busy {
                    assert!(worker.post(4).unwrap_err().is_closed());
                    assert!(block_on(worker.post_async(4)).unwrap_err().is_closed());
                    assert!(!worker.is_alive());
                    assert_eq!(worker.recv().unwrap(), 0, "it has come before the fork");
                    assert!(worker.recv().unwrap_err().is_closed());
                    assert!(worker.recv_timeout(Duration::MAX).unwrap_err().is_closed());
                    assert!(worker.try_recv().unwrap_err().is_closed());
                    assert!(block_on(worker.recv_async()).unwrap_err().is_closed());
                    assert_eq!(worker.iter().unwrap().count(), 0);
                    worker.close();
                    assert!(worker.terminate().wait().is_forked());
                    assert!(block_on(worker.exited()).is_forked());
                    let exit = worker.exit().unwrap();
                    assert!(!exit.is_success() && exit.to_string().contains("fork"));
                }
                assert!(idle.recv().unwrap_err().is_closed());
                assert!(idle.post(1).unwrap_err().is_closed());
                assert!(idle.exited().wait().is_forked());
                assert!(idle.terminate().wait().is_forked());
                drop(idle);
            });
            for BusyWorker { worker, go, .. } in busy {
                drop(go);
                worker.close();
                assert!(worker.iter().unwrap().eq(0..4));
                assert!(worker.exited().wait().is_success());
            }
            idle.post(1).unwrap();
            assert_eq!(idle.recv().unwrap(), 1);
        });
    });
}

/// 23: a loop hears of what it waits for, also if one of its own callbacks forks.
#[test]
fn a_main_loop_goes_on_in_a_fork() {
    alone("a_main_loop_goes_on_in_a_fork", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let busy = Occupied::all(&pool);
            let main = MainLoop::new();
            let heard = Rc::new(RefCell::new(Vec::new()));
            let hear = |what: &'static str| {
                let heard = Rc::clone(&heard);
                move |forked: bool| heard.borrow_mut().push((what, forked))
            };
            let tell = hear("job");
            main.on_complete(pool.spawn(|| ()), move |_, result| {
                tell(result.is_err_and(|error| error.is_forked()));
            });
            let worker = pool.worker(|(), parent: &Parent<()>| parent.post(()).unwrap());
            let tell = hear("message");
            main.on_message(&worker, move |_, ()| tell(false)).unwrap();
            let tell = hear("exit");
            main.on_exit(&worker, move |_, how| tell(how.is_forked()));
            worker.post(()).unwrap();
            // They have looked around, and wait.
            for _ in 0..3 {
                main.turn();
            }
            let child = Rc::new(Cell::new(None));
            main.set_immediate({
                let child = Rc::clone(&child);
                move |_, _| {
                    child.set(fork());
                    let Some(child) = child.get() else {
                        // A thread may have been in the middle of its channels.
                        return std::mem::forget(busy);
                    };
                    assert!(end_of(child).success());
                    busy.release();
                    worker.close();
                }
            });
            main.run();
            let mut heard = heard.take();
            heard.sort_unstable();
            match child.get() {
                Some(_) => assert_eq!(heard, [("exit", false), ("job", false), ("message", false)]),
                None => exit(heard == [("exit", true), ("job", true)]),
            }
        });
    });
}

/// Whether a descriptor is readable now.
#[allow(unsafe_code)]
fn is_readable(descriptor: &impl AsRawFd) -> bool {
    let mut asked = libc::pollfd {
        fd: descriptor.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: `asked` is one entry, there to be read and written.
    unsafe { libc::poll(&raw mut asked, 1, 0) == 1 }
}

/// 23: a descriptor is open in both processes, and says in each what it said.
#[test]
fn a_fork_leaves_the_parents_descriptor_alone() {
    alone("a_fork_leaves_the_parents_descriptor_alone", || {
        for_each_size(|threads| {
            let pool = pool(threads);
            let main = MainLoop::new();
            let pollable = main.pollable().unwrap();
            main.on_complete(pool.spawn(|| ()), |_, result| result.unwrap());
            until(|| is_readable(&pollable));
            let main = in_a_fork_with(main, |main| {
                main.run();
                assert!(main.pollable().is_err());
            });
            assert!(is_readable(&pollable));
            main.run();
            until(|| !is_readable(&pollable));
            let main = in_a_fork_with(main, |main| {
                main.remote().post(|_| ()).unwrap();
                drop(main);
            });
            assert!(!is_readable(&pollable));
            main.remote().post(|_| ()).unwrap();
            assert!(is_readable(&pollable));
        });
    });
}
