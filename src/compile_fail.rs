//! What must not compile, each with the error that says so. These are tests
//! only: `cargo test --doc` compiles every block and expects it to fail.
//!
//! A block can also fail for a wrong reason, so each has a twin in front of it
//! that differs in nothing but the mistake, and compiles.

/// What a job captures has to be `Send`.
///
/// ```
/// use std::sync::Arc;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let shared = Arc::new(1);
/// let _ = pool.spawn(move || *shared);
/// ```
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let shared = Rc::new(1);
/// let _ = pool.spawn(move || *shared);
/// ```
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let shared = Rc::new(1);
/// pool.execute(move || drop(shared));
/// ```
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let shared = Rc::new(1);
/// let _ = pool.spawner().spawn(move || *shared);
/// ```
struct CapturesAreSend;

/// What a job returns has to be `Send`.
///
/// ```
/// use std::sync::Arc;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let _ = pool.spawn(|| Arc::new(1));
/// ```
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let _ = pool.spawn(|| Rc::new(1));
/// ```
struct ResultsAreSend;

/// A job outlives the function that spawns it, so that it borrows nothing.
///
/// ```
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let text = String::from("moved");
/// let _ = pool.spawn(move || text.len());
/// ```
/// ```compile_fail,E0373
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let text = String::from("borrowed");
/// let _ = pool.spawn(|| text.len());
/// ```
/// ```compile_fail,E0597
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let text = String::from("borrowed");
/// let borrowed = &text;
/// let _ = pool.spawn(move || borrowed.len());
/// ```
/// ```compile_fail,E0597
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let text = String::from("borrowed");
/// let borrowed = &text;
/// pool.execute(move || println!("{borrowed}"));
/// ```
/// ```compile_fail,E0515
/// fn result(pool: &windlass::Pool) -> windlass::JoinHandle<&'static str> {
///     pool.spawn(|| {
///         let text = String::from("gone when the job is over");
///         text.as_str()
///     })
/// }
/// ```
struct NothingIsBorrowed;

/// A main loop stays on its thread.
///
/// ```
/// let remote = windlass::MainLoop::new().remote();
/// std::thread::spawn(move || drop(remote.post(|_| ())));
/// ```
/// ```compile_fail,E0277
/// let main = windlass::MainLoop::new();
/// std::thread::spawn(move || main.run());
/// ```
/// ```compile_fail,E0277
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let main = windlass::MainLoop::new();
/// let _ = pool.spawn(move || main.run());
/// ```
struct TheMainLoopStays;

/// There is one owner of the threads.
///
/// ```
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let _second = pool.spawner().clone();
/// ```
/// ```compile_fail,E0599
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let _second = pool.clone();
/// ```
/// ```compile_fail,E0599
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let handle = pool.spawn(|| 1);
/// let _second = handle.clone();
/// ```
struct OneOwner;

/// Hooks are called by all threads at once.
///
/// ```
/// let _ = windlass::Pool::builder().on_panic(|payload| drop(payload));
/// ```
/// ```compile_fail,E0277
/// let count = std::cell::Cell::new(0);
/// let _ = windlass::Pool::builder().on_panic(move |_| count.set(count.get() + 1));
/// ```
/// ```compile_fail,E0277
/// let count = std::cell::Cell::new(0);
/// let _ = windlass::Pool::builder().on_reject(move |_| count.set(count.get() + 1));
/// ```
/// ```compile_fail,E0277
/// let count = std::cell::Cell::new(0);
/// let _ = windlass::Pool::builder().on_thread_start(move |_| count.set(count.get() + 1));
/// ```
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(0);
/// let _ = windlass::Pool::builder().on_thread_stop(move |index| drop(index + *shared));
/// ```
struct HooksAreShared;

/// A result is taken once.
///
/// ```compile_fail,E0382
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let handle = pool.spawn(|| 1);
/// let _ = handle.join();
/// let _ = handle.join();
/// ```
struct ResultsAreTakenOnce;

/// A job of a scope borrows what outlives the scope, and nothing that lives in its
/// closure.
///
/// ```
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let text = String::from("outside");
/// pool.scope(|s| {
///     s.spawn(|| text.len());
/// });
/// ```
/// ```compile_fail,E0373
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// pool.scope(|s| {
///     let text = String::from("inside");
///     s.spawn(|| text.len());
/// });
/// ```
/// ```compile_fail,E0597
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// pool.scope(|s| {
///     let text = String::from("inside");
///     let text = &text;
///     s.spawn(move || text.len());
/// });
/// ```
/// ```compile_fail,E0499
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let mut numbers = [1, 2];
/// pool.scope(|s| {
///     s.spawn(|| numbers[0] += 1);
///     s.spawn(|| numbers[1] += 1);
/// });
/// ```
/// ```compile_fail,E0277
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let shared = std::cell::Cell::new(1);
/// pool.scope(|s| {
///     s.spawn(|| shared.set(2));
/// });
/// ```
/// ```compile_fail,E0505
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let text = String::from("outside");
/// pool.scope(|s| {
///     s.spawn(|| text.len());
///     drop(text);
/// });
/// ```
struct ScopesBorrowWhatOutlivesThem;

/// Neither a scope nor a handle of it leaves it.
///
/// ```
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let one = pool.scope(|s| s.spawn(|| 1).join().unwrap());
/// ```
/// ```compile_fail
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let one = pool.scope(|s| s.spawn(|| 1));
/// ```
/// ```compile_fail
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let scope = pool.scope(|s| s);
/// ```
/// ```compile_fail
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let squares = pool.scope(|s| s.map(0..9, |n| n * n));
/// ```
/// ```compile_fail,E0521
/// let pool = windlass::Pool::builder().num_threads(1).build().unwrap();
/// let mut kept = None;
/// pool.scope(|s| kept = Some(s.spawn(|| 1)));
/// ```
struct ScopesKeepTheirHandles;
