//! What Node's test says of environment data: values by name that workers
//! inherit.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use common::{Occupied, on_each_size};
use windlass::{Parent, Spawner, Worker, current_worker};

/// What a worker sees of the values that the tests set.
#[derive(Debug, PartialEq)]
struct Sees {
    foo: Option<String>,
    hello: Option<Vec<&'static str>>,
    one: Option<i32>,
}

impl Sees {
    fn here() -> Self {
        let worker = current_worker().unwrap();
        let own = |value: Arc<String>| value.as_ref().clone();
        Self {
            foo: worker.environment_data("foo").map(own),
            hello: worker
                .environment_data::<Vec<&'static str>>("hello")
                .map(|value| value.to_vec()),
            one: worker.environment_data("one").map(|value| *value),
        }
    }
}

/// A worker that tells what it sees at its start, with others below it.
fn create(spawner: &Spawner, below: usize, tell: &mpsc::Sender<Sees>) -> Worker<(), ()> {
    let tell = tell.clone();
    Worker::builder(spawner).spawn(move |_: Parent<()>| {
        tell.send(Sees::here()).unwrap();
        let spawner = Spawner::current().unwrap();
        let next = (below > 0).then(|| create(&spawner, below - 1, &tell));
        move |()| {
            let _held = &next;
        }
    })
}

/// Node: test-worker-environmentdata. A worker has what was set when it was
/// created, not what was deleted before, and nothing that happens later changes
/// that; the workers it creates inherit it, at any depth.
#[test]
fn a_worker_inherits_what_is_set_when_it_is_created() {
    on_each_size(|pool| {
        pool.set_environment_data("foo", String::from("bar"));
        pool.set_environment_data("hello", vec!["world"]);
        pool.set_environment_data("one", 2);
        assert_eq!(pool.environment_data::<i32>("one").as_deref(), Some(&2));
        pool.remove_environment_data("one");
        let (tell, told) = mpsc::channel();
        // It cannot have started when the value is removed.
        let occupied = Occupied::all(&pool);
        let worker = create(&pool.spawner(), 2, &tell);
        pool.remove_environment_data("hello");
        assert!(pool.environment_data::<Vec<&str>>("hello").is_none());
        occupied.release();
        for _ in 0..3 {
            let expected = Sees {
                foo: Some("bar".into()),
                hello: Some(vec!["world"]),
                one: None,
            };
            assert_eq!(told.recv().unwrap(), expected);
        }
        drop(worker);
    });
}

/// A value is found by its name and its type; what a worker sets is its own, and
/// goes to the workers it makes, and is dropped with the last of them.
#[test]
fn what_a_worker_sets_stays_below_it() {
    on_each_size(|pool| {
        pool.set_environment_data("n", 1_u32);
        assert!(pool.environment_data::<u64>("n").is_none(), "another type");
        assert!(pool.environment_data::<u32>("m").is_none(), "another name");

        let shared = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&shared);
        let worker = pool.worker(move |(), parent: &Parent<(u32, u32)>| {
            let this = current_worker().unwrap();
            let before = *this.environment_data::<u32>("n").unwrap();
            this.set_environment_data("n", 10_u32);
            this.set_environment_data("count", Arc::clone(&count));
            let spawner = Spawner::current().unwrap();
            let counter = Arc::clone(&count);
            let inner = Worker::builder(&spawner).spawn(move |_: Parent<()>| {
                let this = current_worker().unwrap();
                let inherited = this.environment_data::<Arc<AtomicUsize>>("count").unwrap();
                assert!(Arc::ptr_eq(&*inherited, &counter));
                inherited.fetch_add(1, Ordering::SeqCst);
                |(): ()| ()
            });
            drop(inner);
            let after = *this.environment_data::<u32>("n").unwrap();
            parent.post((before, after)).unwrap();
        });
        worker.post(()).unwrap();
        assert_eq!(worker.recv().unwrap(), (1, 10));
        assert_eq!(pool.environment_data::<u32>("n").as_deref(), Some(&1));
        let other = pool.worker(|(), parent: &Parent<u32>| {
            let this = current_worker().unwrap();
            parent
                .post(*this.environment_data::<u32>("n").unwrap())
                .unwrap();
        });
        other.post(()).unwrap();
        assert_eq!(other.recv().unwrap(), 1);
        drop((worker, other, pool));
        assert_eq!(shared.load(Ordering::SeqCst), 1, "the inner one ran");
        common::until(|| Arc::strong_count(&shared) == 1);
    });
}
