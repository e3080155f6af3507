//! What Node's tests say of memory that threads share. Node has one kind
//! (`SharedArrayBuffer`) with data races left to the program; here disjoint
//! parts are written each by its owner, and what is shared is atomic.

mod common;

use std::rc::Rc;
use std::thread;

use common::on_each_size;
use windlass::{MainLoop, Parent, Part, SharedArray, SharedBuffer, Worker, channel};

/// Node: test-worker-message-channel-sharedarraybuffer. Two threads write the
/// two halves of one buffer at once, the worker's half coming to it in a
/// message; the buffer is whole again when both are done.
#[test]
fn two_threads_write_the_halves_of_one_buffer() {
    on_each_size(|pool| {
        let buffer = SharedBuffer::from(vec![0_u8; 12]);
        let place = buffer.as_ptr();
        let (mut parts, whole) = buffer.split(2).unwrap();
        let worker = pool.worker(|mut half: Part<u8>, parent: &Parent<&str>| {
            half.copy_from_slice(b"world!");
            drop(half);
            parent.post("written!").unwrap();
        });
        let theirs = parts.pop().unwrap();
        let mut mine = parts.pop().unwrap();
        worker.post(theirs).unwrap();
        mine.copy_from_slice(b"Hello ");
        drop(mine);
        assert_eq!(worker.recv().unwrap(), "written!");
        let bytes = whole.wait().into_vec();
        assert_eq!(bytes, b"Hello world!");
        assert_eq!(bytes.as_ptr(), place, "it is the same memory");
        worker.terminate().wait();
    });
}

/// Node: test-worker-message-port-multiple-sharedarraybuffers. Several buffers
/// in one message, nested, one of them empty, arrive as they are.
#[test]
fn several_buffers_in_one_message_arrive_as_they_are() {
    on_each_size(|pool| {
        type Nested = [[SharedBuffer<u8>; 2]; 2];
        let buffer = |len: u8| SharedBuffer::from((0..len).collect::<Vec<_>>());
        let sent: Nested = [[buffer(0), buffer(1)], [buffer(2), buffer(3)]];
        let (port1, port2) = channel::<(), Nested>();
        let copy = sent.clone();
        pool.spawn(move || port2.post(copy).unwrap())
            .join()
            .unwrap();
        let received = port1.recv().unwrap();
        for (ours, theirs) in sent.iter().flatten().zip(received.iter().flatten()) {
            assert_eq!(ours[..], theirs[..]);
            assert_eq!(ours.as_ptr(), theirs.as_ptr());
        }
    });
}

/// Node: test-worker-sharedarraybuffer-from-worker-thread. Memory that a worker
/// made, given away or shared, is there after the worker and its thread are
/// gone.
#[test]
fn memory_from_a_worker_outlives_it() {
    on_each_size(|pool| {
        let make = |(), parent: &Parent<(Vec<u8>, SharedArray<i32>)>| {
            parent.post((vec![0; 4], SharedArray::new(4))).unwrap();
        };
        let pooled = pool.worker(make);
        let own = Worker::dedicated()
            .spawn(move |parent: Parent<_>| move |()| make((), &parent))
            .unwrap();
        for worker in [pooled, own] {
            worker.post(()).unwrap();
            worker.close();
            assert!(worker.exited().wait().is_success());
            let (mut given, shared) = worker.recv().unwrap();
            drop(worker);
            given[0] = 42;
            assert_eq!(given, [42, 0, 0, 0]);
            shared.store(0, 42);
            assert_eq!(shared.load(0) + shared.load(3), 42);
        }
    });
}

/// Node: test-worker-workerdata-sharedarraybuffer. The same with memory that is
/// shared by both throughout, given to the worker when it is created.
#[test]
fn a_worker_is_created_with_memory_that_it_shares() {
    on_each_size(|pool| {
        let array = SharedArray::<u8>::new(12);
        let theirs = array.clone();
        let worker = pool.worker(move |(), parent: &Parent<&str>| {
            for (i, byte) in b"world!".iter().enumerate() {
                theirs.store(6 + i, *byte);
            }
            parent.post("written!").unwrap();
        });
        worker.post(()).unwrap();
        for (i, byte) in b"Hello ".iter().enumerate() {
            array.store(i, *byte);
        }
        let main = MainLoop::new();
        let worker = Rc::new(worker);
        let end = Rc::clone(&worker);
        let local = array.clone();
        main.on_message(&*worker, move |_, _| {
            assert_eq!(local.to_vec(), b"Hello world!");
            drop(end.terminate());
        })
        .unwrap();
        main.run();
        assert_eq!(array.to_vec(), b"Hello world!");
    });
}

/// The canonical use of shared memory in Node: a lock of one word, a counter
/// under it that is not atomic in itself, and waiting threads that sleep.
#[test]
fn a_lock_can_be_made_of_one_word() {
    const FREE: i32 = 0;
    const TAKEN: i32 = 1;
    const EACH: i32 = 2000;
    on_each_size(|pool| {
        let array = SharedArray::<i32>::new(2);
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let array = array.clone();
                Worker::dedicated()
                    .spawn(move |parent: Parent<()>| {
                        let array = array.clone();
                        move |()| {
                            for _ in 0..EACH {
                                while array.compare_exchange(0, FREE, TAKEN).is_err() {
                                    array.wait(0, TAKEN);
                                }
                                let count = array.load(1);
                                thread::yield_now();
                                array.store(1, count + 1);
                                array.store(0, FREE);
                                array.notify(0, 1);
                            }
                            parent.post(()).unwrap();
                        }
                    })
                    .unwrap()
            })
            .collect();
        for worker in &workers {
            worker.post(()).unwrap();
        }
        for worker in &workers {
            worker.recv().unwrap();
        }
        assert_eq!(array.load(1), 4 * EACH);
        drop(pool);
    });
}
