//! What Node's tests say of broadcast channels, and what carries over of the web
//! platform's.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use common::{on_each_size, watched};
use windlass::{Broadcast, MainLoop, Parent, Pool};

/// Members of one name.
fn members<const N: usize, T>(pool: &Pool, name: &str) -> [Broadcast<T>; N]
where
    T: Clone + Send + 'static,
{
    [(); N].map(|()| pool.broadcast(name))
}

/// Node: test-worker-broadcastchannel. By name, to all but oneself, to workers
/// too; closed, the message comes back; a look takes the oldest, or nothing.
#[test]
fn a_broadcast_reaches_all_of_its_name_but_oneself() {
    on_each_size(|pool| {
        let [one, two, three] = members::<3, &str>(&pool, "channel1");
        let four = pool.broadcast::<&str>("channel2");
        let names = [&one, &two, &three, &four].map(|member| member.name().to_owned());
        assert_eq!(names, ["channel1", "channel1", "channel1", "channel2"]);

        two.post("hello").unwrap();
        assert_eq!(one.try_recv().unwrap(), "hello");
        assert_eq!(three.try_recv().unwrap(), "hello");
        for member in [&one, &two, &three, &four] {
            assert!(member.try_recv().unwrap_err().is_empty());
        }

        // Closing twice is fine; posting then is an error with the message.
        one.close();
        one.close();
        let error = one.post("too late").unwrap_err();
        assert!(error.is_closed());
        assert_eq!(error.into_inner(), "too late");
        assert!(one.try_recv().unwrap_err().is_closed());

        // A name is a name, whatever it says; another type is another channel.
        for name in ["", "1", "null", "a name with spaces"] {
            let [one, two] = members::<2, u8>(&pool, name);
            let other = pool.broadcast::<u16>(name);
            one.post(1).unwrap();
            assert_eq!(two.recv().unwrap(), 1);
            assert!(other.try_recv().unwrap_err().is_empty());
        }

        // Between a worker and its maker.
        let here = pool.broadcast::<i32>("worker1");
        let there = pool.broadcast::<i32>("worker1");
        let worker = pool.worker(move |(), parent: &Parent<i32>| {
            if let Ok(answer) = there.try_recv() {
                parent.post(answer).unwrap();
                there.close();
            } else {
                there.post(321).unwrap();
            }
        });
        worker.post(()).unwrap();
        assert_eq!(here.recv().unwrap(), 321);
        here.post(123).unwrap();
        worker.post(()).unwrap();
        assert_eq!(worker.recv().unwrap(), 123);
        assert!(
            worker
                .recv_timeout(std::time::Duration::ZERO)
                .unwrap_err()
                .is_timeout()
        );

        // Every member has its own clone, of what is shared the same memory.
        let [one, two, three] = members::<3, Arc<[u8]>>(&pool, "channel3");
        let shared: Arc<[u8]> = Arc::from([0_u8; 10]);
        three.post(Arc::clone(&shared)).unwrap();
        for member in [&one, &two] {
            assert!(Arc::ptr_eq(&member.recv().unwrap(), &shared));
        }
    });
}

/// Node: test-worker-broadcastchannel-wpt. Order; members that close, and that
/// come, while messages are delivered.
#[test]
fn members_may_come_and_go_while_messages_are_delivered() {
    watched(|| {
        let pool = common::pool(2);

        // Each member hears each other one's messages, in the poster's order.
        let main = MainLoop::new();
        let all = members::<3, (usize, usize)>(&pool, "order").map(Rc::new);
        let heard = Rc::new(RefCell::new(vec![Vec::new(); 3]));
        for (me, member) in all.iter().enumerate() {
            let hear = Rc::clone(&heard);
            let end = Rc::clone(member);
            main.on_message(&**member, move |_, from| {
                hear.borrow_mut()[me].push(from);
                if hear.borrow()[me].len() == 4 {
                    end.close();
                }
            })
            .unwrap();
        }
        for n in 0..2 {
            for (me, member) in all.iter().enumerate() {
                member.post((me, n)).unwrap();
            }
        }
        main.run();
        let expected = [
            [(1, 0), (2, 0), (1, 1), (2, 1)],
            [(0, 0), (2, 0), (0, 1), (2, 1)],
            [(0, 0), (1, 0), (0, 1), (1, 1)],
        ];
        assert_eq!(*heard.borrow(), expected);

        // Nothing for who closed before.
        let [one, two, three] = members::<3, &str>(&pool, "closed1");
        two.close();
        one.post("test").unwrap();
        assert!(two.try_recv().unwrap_err().is_closed());
        assert_eq!(three.try_recv().unwrap(), "test");

        // Who comes after a post does not hear it, also when it comes in the
        // middle of a delivery.
        let [one, two] = members::<2, &str>(&pool, "create-in-onmessage");
        let (one, two) = (Rc::new(one), Rc::new(two));
        let events = Rc::new(RefCell::new(Vec::new()));
        let (from, end, log, newcomers) = (
            Rc::clone(&one),
            Rc::clone(&two),
            Rc::clone(&events),
            pool.spawner(),
        );
        let third = Rc::new(Cell::new(None));
        let keep = Rc::clone(&third);
        main.on_message(&*two, move |_, text| {
            log.borrow_mut().push(text);
            end.close();
            let three = newcomers.broadcast::<&str>("create-in-onmessage");
            from.post("done").unwrap();
            keep.set(Some(three));
        })
        .unwrap();
        one.post("first").unwrap();
        main.run();
        assert_eq!(*events.borrow(), ["first"]);
        let three = third.take().unwrap();
        assert_eq!(three.try_recv().unwrap(), "done");
        assert!(three.try_recv().unwrap_err().is_empty());
    });
}
