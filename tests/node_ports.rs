//! What Node's tests say of channels and their ports.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use common::{on_each_size, watched};
use windlass::{MainLoop, Parent, Port, Worker, channel};

/// What a callback has heard, shared with it.
type Heard<T> = Rc<RefCell<Vec<T>>>;

/// A list to look at, and the same list for a callback.
fn list<T>() -> (Heard<T>, Heard<T>) {
    let list = Rc::new(RefCell::new(Vec::new()));
    (Rc::clone(&list), list)
}

/// Node: test-worker-message-channel. A buffer moves through a channel; closing
/// one side is seen on both; a port that was handed to a worker works.
#[test]
fn a_channel_carries_closes_on_both_sides_and_can_be_handed_over() {
    on_each_size(|pool| {
        let main = MainLoop::new();

        let (port1, port2) = channel::<(), Vec<u8>>();
        let (heard, hear) = list();
        main.on_message(&port1, move |_, bytes| hear.borrow_mut().push(bytes))
            .unwrap();
        port2.post(vec![0, 1, 2, 3, 4]).unwrap();
        port2.close();
        main.run();
        assert_eq!(*heard.borrow(), [[0, 1, 2, 3, 4]]);

        let (port1, port2) = channel::<(), ()>();
        let closed = Rc::new(Cell::new(0));
        for port in [&port1, &port2] {
            let count = Rc::clone(&closed);
            main.on_complete(port.closed(), move |_, ()| count.set(count.get() + 1));
        }
        assert!(!port1.is_closed() && !port2.is_closed());
        port2.close();
        main.run();
        assert_eq!(closed.get(), 2);
        assert!(port1.is_closed() && port2.is_closed());

        let (port1, port2) = channel::<(), &str>();
        let worker: Worker<Port<&str, ()>, ()> =
            pool.worker(|port: Port<&str, ()>, _: &Parent<()>| port.post("works").unwrap());
        worker.post(port2).unwrap();
        let (heard, hear) = list();
        main.on_message(&port1, move |_, text| hear.borrow_mut().push(text))
            .unwrap();
        main.run();
        assert_eq!(*heard.borrow(), ["works"]);
    });
}

/// Node: test-worker-message-port. Echoes; messages that wait for a listener,
/// also where one was removed before; order; and that what is posted has moved.
#[test]
fn a_port_keeps_its_messages_until_somebody_listens() {
    watched(|| {
        let main = MainLoop::new();

        // There and back again.
        let (port1, port2) = channel::<i32, i32>();
        let port2 = Rc::new(port2);
        let (heard, hear) = list();
        let echo = Rc::clone(&port2);
        main.on_message(&*port2, move |_, n: i32| echo.post(n * 2).unwrap())
            .unwrap();
        let port1 = Rc::new(port1);
        let end = Rc::clone(&port1);
        main.on_message(&*port1, move |_, n| {
            hear.borrow_mut().push(n);
            end.close();
        })
        .unwrap();
        port1.post(2).unwrap();
        main.run();
        assert_eq!(*heard.borrow(), [4]);

        // Posted first, attached a turn later.
        let (port1, port2) = channel::<&str, &str>();
        let port2 = Rc::new(port2);
        port1.post("early").unwrap();
        port1.close();
        let (heard, hear) = list();
        let late = Rc::clone(&port2);
        main.set_immediate(move |main, _| {
            main.on_message(&*late, move |_, text| hear.borrow_mut().push(text))
                .unwrap();
        });
        main.run();
        assert_eq!(*heard.borrow(), ["early"]);

        // Posted while nobody listens, after somebody did.
        let (port1, port2) = channel::<&str, &str>();
        let port2 = Rc::new(port2);
        let removed = main
            .on_message(&*port2, |_, text| unreachable!("{text} after clear"))
            .unwrap();
        let (heard, hear) = list();
        let late = Rc::clone(&port2);
        main.set_immediate(move |main, _| {
            main.clear(removed);
            port1.post("in between").unwrap();
            main.set_immediate(move |main, _| {
                main.on_message(&*late, move |_, text| hear.borrow_mut().push(text))
                    .unwrap();
                drop(port1);
            });
        });
        main.run();
        assert_eq!(*heard.borrow(), ["in between"]);

        // In order.
        let (port1, port2) = channel::<i32, ()>();
        let (heard, hear) = list();
        main.on_message(&port2, move |_, n| hear.borrow_mut().push(n))
            .unwrap();
        (1..=6).for_each(|n| port1.post(n).unwrap());
        port1.close();
        main.run();
        assert_eq!(*heard.borrow(), [1, 2, 3, 4, 5, 6]);
    });
}

/// Node: test-worker-message-port-arraybuffer. The memory itself goes over.
#[test]
fn a_posted_buffer_is_the_same_memory() {
    watched(|| {
        let (port1, port2) = channel::<Vec<u32>, ()>();
        let mut buffer = vec![0_u32; 10];
        buffer[0] = 0x1234_5678;
        let place = buffer.as_ptr();
        port1.post(buffer).unwrap();
        let received = port2.recv().unwrap();
        assert_eq!(received[0], 0x1234_5678);
        assert_eq!(received.as_ptr(), place);
    });
}

/// Node: test-worker-message-port-close. Closing again does nothing; listening
/// and clearing on a port that is closing or closed is harmless; a message for
/// a closed side comes back and is not delivered.
#[test]
fn closing_is_idempotent_and_a_message_to_a_closed_side_comes_back() {
    watched(|| {
        let main = MainLoop::new();
        let listen_and_clear = |port: &Port<i32, i32>| {
            if let Ok(listener) = main.on_message(port, |_, _| unreachable!()) {
                main.clear(listener);
            }
        };
        let (port1, port2) = channel::<i32, i32>();
        for _ in 0..2 {
            port1.close();
            listen_and_clear(&port1);
            listen_and_clear(&port2);
        }
        main.turn();
        for _ in 0..2 {
            port2.close();
            listen_and_clear(&port1);
            listen_and_clear(&port2);
        }
        main.run();

        let (port1, port2) = channel::<i32, i32>();
        main.on_message(&port1, |_, n| unreachable!("{n} after close"))
            .unwrap();
        port2.close();
        for (port, value) in [(&port2, 1), (&port1, 2)] {
            let error = port.post(value).unwrap_err();
            assert!(error.is_closed() && !error.is_full());
            assert_eq!(error.into_inner(), value);
        }
        main.run();
    });
}

/// Node: test-worker-message-port-close-while-receiving. Closing in the handler
/// of the first message does not stop the second, which was there already.
#[test]
fn closing_in_a_handler_does_not_drop_what_is_queued() {
    watched(|| {
        let main = MainLoop::new();
        let (port1, port2) = channel::<(), &str>();
        port2.post("foo").unwrap();
        port2.post("bar").unwrap();
        let port1 = Rc::new(port1);
        let end = Rc::clone(&port1);
        let (heard, hear) = list();
        main.on_message(&*port1, move |_, text| {
            hear.borrow_mut().push(text);
            end.close();
        })
        .unwrap();
        main.run();
        assert_eq!(*heard.borrow(), ["foo", "bar"]);
    });
}

/// Node: test-worker-message-port-message-before-close. What was posted before
/// a close arrives, however the other thread comes upon it.
#[test]
fn messages_before_a_close_arrive() {
    on_each_size(|pool| {
        let worker = pool.worker(|port: Port<&str, ()>, _: &Parent<()>| {
            port.post("first").unwrap();
            port.post("last").unwrap();
            port.close();
        });
        for _ in 0..10_000 {
            let (port1, port2) = channel::<(), &str>();
            worker.post(port2).unwrap();
            assert_eq!(port1.recv().unwrap(), "first");
            assert_eq!(port1.recv().unwrap(), "last");
            assert!(port1.recv().unwrap_err().is_closed());
        }
        assert!(worker.terminate().wait().is_terminated());
    });
}

/// Node: test-worker-message-port-message-port-transferring. A port that went
/// over another port works.
#[test]
fn a_port_that_was_posted_keeps_working_both_ways() {
    watched(|| {
        let main = MainLoop::new();
        let (base1, base2) = channel::<Port<&str, &str>, ()>();
        let (moved, kept) = channel::<&str, &str>();
        // Also what was posted to it before the move comes along.
        kept.post("before").unwrap();
        base1.post(moved).unwrap();
        base1.close();
        let (heard, hear) = list();
        main.on_message(&base2, move |main, moved: Port<&str, &str>| {
            moved.post("foobar").unwrap();
            let moved = Rc::new(moved);
            let (hear, held) = (Rc::clone(&hear), Rc::clone(&moved));
            main.on_message(&*moved, move |_, text| {
                let _held = &held;
                hear.borrow_mut().push(text);
            })
            .unwrap();
        })
        .unwrap();
        let (answers, answer) = list();
        let kept = Rc::new(kept);
        let end = Rc::clone(&kept);
        main.on_message(&*kept, move |_, text| {
            answer.borrow_mut().push(text);
            end.post("after").unwrap();
            end.close();
        })
        .unwrap();
        main.run();
        assert_eq!(*answers.borrow(), ["foobar"]);
        assert_eq!(*heard.borrow(), ["before", "after"]);
    });
}

/// Node: test-worker-message-port-receive-message. Taking messages by hand is
/// first in, first out, does not wait, and leaves nothing to a listener.
#[test]
fn messages_can_be_taken_one_by_one_without_waiting() {
    watched(|| {
        let (port1, port2) = channel::<&str, ()>();
        assert!(port2.try_recv().unwrap_err().is_empty());
        port1.post("hello").unwrap();
        port1.post("foo").unwrap();
        assert_eq!(port2.try_recv().unwrap(), "hello");
        assert_eq!(port2.try_recv().unwrap(), "foo");
        for _ in 0..2 {
            let error = port2.try_recv().unwrap_err();
            assert!(error.is_empty() && !error.is_closed());
        }

        port1.post("by hand").unwrap();
        assert_eq!(port2.try_recv().unwrap(), "by hand");
        port1.close();
        let main = MainLoop::new();
        // Whether it may listen to a closed port or not: it is not called.
        let _ = main.on_message(&port2, |_, text| unreachable!("{text} was taken"));
        main.run();
    });
}

/// Node: test-worker-workerdata-messageport. Ports and buffers are moved into a
/// worker when it is created, as many as one likes.
#[test]
fn a_worker_is_created_with_ports_and_buffers() {
    on_each_size(|pool| {
        let (port1, port2) = channel::<&str, &str>();
        let (other1, other2) = channel::<usize, &str>();
        let buffer = Vec::from([1_u8, 2, 3, 4]);
        let place = buffer.as_ptr().addr();
        let worker = pool.worker(move |text: &'static str, parent: &Parent<(usize, usize)>| {
            port1.post(text).unwrap();
            other1.post(text.len()).unwrap();
            parent.post((buffer.as_ptr().addr(), buffer.len())).unwrap();
        });
        worker.post("meow").unwrap();
        assert_eq!(port2.recv().unwrap(), "meow");
        assert_eq!(other2.recv().unwrap(), 4);
        assert_eq!(worker.recv().unwrap(), (place, 4));
        // They are the worker's, and end with it.
        worker.close();
        assert!(port2.recv().unwrap_err().is_closed());
        assert!(other2.recv().unwrap_err().is_closed());
    });
}
