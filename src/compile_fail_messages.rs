//! What must not compile of messages, ports and workers. Much of what Node finds
//! out when a message is posted is an error of the compiler here; each block
//! names the Node test that it answers.
//!
//! As in `compile_fail`, each failing block has a twin in front of it that
//! differs in nothing but the mistake.

/// Node: test-worker-invalid-workerdata. A worker is not given what cannot leave
/// its thread, nor what it would have to borrow.
///
/// ```
/// use std::sync::Arc;
/// use windlass::{Parent, Pool, Worker};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let data = Arc::new(1);
/// let _: Worker<(), ()> = Worker::builder(&pool).spawn(move |_: Parent<()>| {
///     let data = Arc::clone(&data);
///     move |()| drop(Arc::clone(&data))
/// });
/// ```
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// use windlass::{Parent, Pool, Worker};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let data = Rc::new(1);
/// let _: Worker<(), ()> = Worker::builder(&pool).spawn(move |_: Parent<()>| {
///     let data = Rc::clone(&data);
///     move |()| drop(Rc::clone(&data))
/// });
/// ```
/// ```
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let data = String::from("moved");
/// let _worker = pool.worker(move |(), parent: &Parent<usize>| parent.post(data.len()).unwrap());
/// ```
/// ```compile_fail,E0373
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let data = String::from("borrowed");
/// let _worker = pool.worker(|(), parent: &Parent<usize>| parent.post(data.len()).unwrap());
/// ```
struct WorkerDataIsSend;

/// Node: test-worker-message-mark-as-uncloneable. What goes to several is cloned
/// for each, so that it has to be `Clone`; what goes to one need not be.
///
/// ```
/// #[derive(Clone)]
/// struct Cloneable;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let _member = pool.broadcast::<Cloneable>("news");
/// ```
/// ```compile_fail,E0277
/// struct Uncloneable;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let _member = pool.broadcast::<Uncloneable>("news");
/// ```
/// ```
/// struct Uncloneable;
/// let (port, _other) = windlass::channel::<Uncloneable, ()>();
/// port.post(Uncloneable).unwrap();
/// ```
struct BroadcastsAreCloned;

/// Node: test-worker-message-not-serializable. An error that cannot go to
/// another thread is not an error a handler can return.
///
/// ```
/// use windlass::{BoxError, Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.try_worker(|(), _: &Parent<()>| -> Result<(), BoxError> {
///     Err(std::fmt::Error.into())
/// });
/// ```
/// ```compile_fail,E0277
/// use windlass::{BoxError, Parent, Pool};
/// #[derive(Debug)]
/// struct HoldsItsThread(std::rc::Rc<()>);
/// impl std::fmt::Display for HoldsItsThread {
///     fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) }
/// }
/// impl std::error::Error for HoldsItsThread {}
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.try_worker(|(), _: &Parent<()>| -> Result<(), BoxError> {
///     Err(HoldsItsThread(std::rc::Rc::new(())).into())
/// });
/// ```
struct ErrorsAreSend;

/// Node: test-worker-message-port-constructor. A port comes in a pair, and from
/// `channel` only.
///
/// ```
/// let (_port, _other) = windlass::channel::<(), ()>();
/// ```
/// ```compile_fail,E0599
/// let _port = windlass::Port::<(), ()>::new();
/// ```
/// ```compile_fail,E0599
/// let _port = windlass::Port::<(), ()>::default();
/// ```
/// ```compile_fail,E0423
/// let _port = windlass::Port();
/// ```
struct PortsComeInPairs;

/// Node: test-worker-message-port-jstransferable-nested-untransferable. What
/// holds a port that has been given away has been given away with it.
///
/// ```
/// use windlass::{Port, channel};
/// struct Outer { inner: Port<(), ()> }
/// let (port, _other) = channel::<Outer, ()>();
/// let (inner, _) = channel();
/// let outer = Outer { inner };
/// port.post(outer).unwrap();
/// ```
/// ```compile_fail,E0382
/// use windlass::{Port, channel};
/// struct Outer { inner: Port<(), ()> }
/// let (port, _other) = channel::<Outer, ()>();
/// let (inner, _) = channel();
/// let outer = Outer { inner };
/// drop(outer.inner);
/// port.post(outer).unwrap();
/// ```
struct PartsMoveOnce;

/// Node: test-worker-message-port-transfer-closed. A port that was given away or
/// dropped cannot be given away again; a message of which a part is gone cannot
/// be posted at all, so that never half of one is.
///
/// ```
/// use windlass::{Port, channel};
/// let (port, _other) = channel::<(Vec<u8>, Port<(), ()>), ()>();
/// let (gone, _) = channel();
/// let buffer = vec![0; 10];
/// port.post((buffer, gone)).unwrap();
/// ```
/// ```compile_fail,E0382
/// use windlass::{Port, channel};
/// let (port, _other) = channel::<(Vec<u8>, Port<(), ()>), ()>();
/// let (gone, _) = channel();
/// let buffer = vec![0; 10];
/// drop(gone);
/// port.post((buffer, gone)).unwrap();
/// ```
/// ```
/// use windlass::{Port, channel};
/// let (carrier, _other) = channel::<Port<u8, ()>, ()>();
/// let (port, _end) = channel::<u8, ()>();
/// port.post(1).unwrap();
/// carrier.post(port).unwrap();
/// ```
/// ```compile_fail,E0382
/// use windlass::{Port, channel};
/// let (carrier, _other) = channel::<Port<u8, ()>, ()>();
/// let (port, _end) = channel::<u8, ()>();
/// carrier.post(port).unwrap();
/// port.post(1).unwrap();
/// ```
struct GoneIsGone;

/// Node: test-worker-message-port-transfer-duplicate. Nothing goes over twice in
/// one message: not a port, not a buffer.
///
/// ```
/// use windlass::{Port, channel};
/// let (port, _other) = channel::<[Port<(), ()>; 2], ()>();
/// let (one, two) = channel();
/// port.post([one, two]).unwrap();
/// ```
/// ```compile_fail,E0382
/// use windlass::{Port, channel};
/// let (port, _other) = channel::<[Port<(), ()>; 2], ()>();
/// let (one, _two) = channel();
/// port.post([one, one]).unwrap();
/// ```
/// ```
/// let (port, _other) = windlass::channel::<[Vec<u8>; 2], ()>();
/// let (one, two) = (vec![0; 10], vec![0; 10]);
/// port.post([one, two]).unwrap();
/// ```
/// ```compile_fail,E0382
/// let (port, _other) = windlass::channel::<[Vec<u8>; 2], ()>();
/// let one = vec![0; 10];
/// port.post([one, one]).unwrap();
/// ```
/// ```compile_fail,E0599
/// let (one, _two) = windlass::channel::<(), ()>();
/// let _second = one.clone();
/// ```
struct NothingGoesTwice;

/// Node: test-worker-message-port-transfer-fake-js-transferable-internal. Where
/// a main loop can listen is for the library to say: nobody pretends to be such
/// a thing.
///
/// ```
/// use windlass::{MainLoop, MessageSource, SourceId};
/// fn listen(main: &MainLoop, source: &impl MessageSource) -> SourceId {
///     main.on_message(source, |_, _| ()).unwrap()
/// }
/// let (port, _other) = windlass::channel::<(), ()>();
/// listen(&MainLoop::new(), &port);
/// ```
/// ```compile_fail,E0277
/// use windlass::{MainLoop, MessageSource, RecvError, SourceId};
/// struct Pretender;
/// impl MessageSource for Pretender {
///     type Message = ();
///     fn attach(
///         &self,
///         _: &MainLoop,
///         _: impl FnMut(&MainLoop, ()) + 'static,
///     ) -> Result<SourceId, RecvError> {
///         unreachable!()
///     }
/// }
/// ```
struct SourcesAreSealed;

/// Node: test-worker-message-port-transfer-fake-js-transferable. A message is
/// what its type says, and nothing that is made to look like it.
///
/// ```
/// struct Genuine(u32);
/// let (port, _other) = windlass::channel::<Genuine, ()>();
/// port.post(Genuine(1)).unwrap();
/// ```
/// ```compile_fail,E0308
/// struct Genuine(u32);
/// struct Fake(u32);
/// let (port, _other) = windlass::channel::<Genuine, ()>();
/// port.post(Fake(1)).unwrap();
/// ```
struct MessagesAreOfOneType;

/// Node: test-worker-message-port-transfer-filehandle. An open file goes over,
/// and is then no longer here.
///
/// ```no_run
/// use std::fs::File;
/// let (port, _other) = windlass::channel::<File, ()>();
/// let file = File::open("some file").unwrap();
/// let length = file.metadata().unwrap().len();
/// port.post(file).unwrap();
/// # drop(length);
/// ```
/// ```compile_fail,E0382
/// use std::fs::File;
/// let (port, _other) = windlass::channel::<File, ()>();
/// let file = File::open("some file").unwrap();
/// port.post(file).unwrap();
/// let length = file.metadata().unwrap().len();
/// # drop(length);
/// ```
struct FilesMove;

/// Node: test-worker-message-port-transfer-native. Functions go over if what
/// they hold does; what belongs to its thread does not.
///
/// ```
/// type Function = Box<dyn Fn() + Send>;
/// let (port, other) = windlass::channel::<Function, ()>();
/// std::thread::spawn(move || drop(other));
/// let _ = port.post(Box::new(|| ()));
/// ```
/// ```compile_fail,E0277
/// type Function = Box<dyn Fn()>;
/// let (port, other) = windlass::channel::<Function, ()>();
/// std::thread::spawn(move || drop(other));
/// let _ = port.post(Box::new(|| ()));
/// ```
/// ```
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|_: std::sync::Arc<()>, _: &Parent<()>| ());
/// ```
/// ```compile_fail,E0277
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|_: std::rc::Rc<()>, _: &Parent<()>| ());
/// ```
/// ```
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|(), _: &Parent<std::sync::Arc<()>>| ());
/// ```
/// ```compile_fail,E0277
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|(), _: &Parent<std::rc::Rc<()>>| ());
/// ```
/// ```
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|_: std::sync::mpsc::Sender<()>, _: &Parent<()>| ());
/// ```
/// ```compile_fail,E0277
/// use windlass::{MainLoop, Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|_: MainLoop, _: &Parent<()>| ());
/// ```
struct MessagesAreSend;

/// Node: test-worker-message-port-transfer-self. A port cannot carry itself: it
/// would have to be borrowed for the post, and be given away in it.
///
/// ```
/// use windlass::{Port, channel};
/// struct Carried(Port<Carried, ()>);
/// let (port, _other) = channel::<Carried, ()>();
/// let (second, _) = channel::<Carried, ()>();
/// port.post(Carried(second)).unwrap();
/// ```
/// ```compile_fail,E0505
/// use windlass::{Port, channel};
/// struct Carried(Port<Carried, ()>);
/// let (port, _other) = channel::<Carried, ()>();
/// port.post(Carried(port)).unwrap();
/// ```
struct APortDoesNotCarryItself;

/// Node: test-worker-message-port-transfer-target. A channel does not carry its
/// other end either, unless its messages were declared to carry such ports (what
/// becomes of that then: `tests/messages_bad_input.rs`).
///
/// ```
/// use windlass::{Port, channel};
/// let (port, _other) = channel::<Port<u8, ()>, ()>();
/// let (fitting, _) = channel::<u8, ()>();
/// port.post(fitting).unwrap();
/// ```
/// ```compile_fail,E0308
/// use windlass::{Port, channel};
/// let (port, other) = channel::<Port<u8, ()>, ()>();
/// port.post(other).unwrap();
/// ```
struct AChannelDoesNotCarryItsEnd;

/// Node: test-worker-message-transfer-port-mark-as-untransferable. A type that
/// says that it stays on its thread stays, with all that holds it.
///
/// ```
/// struct Movable { _mark: std::marker::PhantomData<u8> }
/// let (port, other) = windlass::channel::<Movable, ()>();
/// std::thread::spawn(move || drop((port, other)));
/// ```
/// ```compile_fail,E0277
/// struct Untransferable { _mark: std::marker::PhantomData<*const u8> }
/// let (port, other) = windlass::channel::<Untransferable, ()>();
/// std::thread::spawn(move || drop((port, other)));
/// ```
/// ```
/// struct Untransferable { _mark: std::marker::PhantomData<*const u8> }
/// let (port, other) = windlass::channel::<Untransferable, ()>();
/// port.post(Untransferable { _mark: std::marker::PhantomData }).unwrap();
/// assert!(other.try_recv().is_ok()); // on one thread it may
/// ```
struct MarksAreTypes;

/// Node: test-worker-message-type-unknown. A handler of messages has dealt with
/// all kinds of them, or does not compile.
///
/// ```
/// use windlass::{Parent, Pool};
/// enum Message { Known, Other }
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|message: Message, _: &Parent<()>| match message {
///     Message::Known => (),
///     Message::Other => (),
/// });
/// ```
/// ```compile_fail,E0004
/// use windlass::{Parent, Pool};
/// enum Message { Known, Other }
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|message: Message, _: &Parent<()>| match message {
///     Message::Known => (),
/// });
/// ```
struct AllMessagesAreKnown;

/// Node: test-worker-no-sab. Nothing that workers stand on can be switched off;
/// memory that is shared is shared by its type, and plain memory is not.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicI32, Ordering};
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let shared = Arc::new(AtomicI32::new(0));
/// let theirs = Arc::clone(&shared);
/// let _worker = pool.worker(move |n: i32, _: &Parent<()>| theirs.store(n, Ordering::SeqCst));
/// ```
/// ```compile_fail,E0594
/// use std::sync::Arc;
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let shared = Arc::new(0);
/// let theirs = Arc::clone(&shared);
/// let _worker = pool.worker(move |n: i32, _: &Parent<()>| *theirs = n);
/// ```
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// use std::sync::Arc;
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let shared = Arc::new(Cell::new(0));
/// let theirs = Arc::clone(&shared);
/// let _worker = pool.worker(move |n: i32, _: &Parent<()>| theirs.set(n));
/// ```
struct SharedMemoryIsAType;

/// Node: test-worker-type-check. A worker is made of a function of messages; of
/// anything else there is none.
///
/// ```
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker = pool.worker(|_: &str, _: &Parent<()>| ());
/// ```
/// ```compile_fail,E0277
/// use windlass::{Pool, Worker};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker: Worker<&str, ()> = pool.worker("a file name");
/// ```
/// ```compile_fail,E0593
/// use windlass::{Parent, Pool, Worker};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let _worker: Worker<&str, ()> = pool.worker(|_: &str| ());
/// ```
/// ```
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let worker = pool.worker(|_: &str, _: &Parent<()>| ());
/// worker.post("text").unwrap();
/// ```
/// ```compile_fail,E0308
/// use windlass::{Parent, Pool};
/// let pool = Pool::builder().num_threads(1).build().unwrap();
/// let worker = pool.worker(|_: &str, _: &Parent<()>| ());
/// worker.post(1).unwrap();
/// ```
struct WorkersAreFunctions;
