//! What must not compile about shared memory, each with the error that says so
//! and a twin in front of it that compiles: see `src/compile_fail.rs`.

/// There is no reader while there are parts.
///
/// ```
/// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
/// println!("{}", buffer[0]);
/// let (parts, whole) = buffer.split(2).unwrap();
/// # drop((parts, whole));
/// ```
/// ```compile_fail,E0382
/// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
/// let (parts, whole) = buffer.split(2).unwrap();
/// println!("{}", buffer[0]);
/// # drop((parts, whole));
/// ```
/// ```compile_fail,E0505
/// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
/// let first = &buffer[0];
/// let (parts, whole) = buffer.split(2).unwrap();
/// println!("{first}");
/// # drop((parts, whole));
/// ```
/// ```compile_fail,E0608
/// let buffer = windlass::SharedBuffer::from(vec![1, 2, 3]);
/// let (parts, whole) = buffer.split(2).unwrap();
/// println!("{}", whole[0]);
/// # drop(parts);
/// ```
struct NoReaderWhileThereAreParts;

/// A buffer is written through its parts only, and a part has one owner.
///
/// ```
/// let (mut parts, whole) = windlass::SharedBuffer::from(vec![1]).split(1).unwrap();
/// parts[0][0] = 2;
/// # drop(whole);
/// ```
/// ```compile_fail,E0594
/// let mut buffer = windlass::SharedBuffer::from(vec![1]);
/// buffer[0] = 2;
/// ```
/// ```compile_fail,E0599
/// let (mut parts, whole) = windlass::SharedBuffer::from(vec![1]).split(1).unwrap();
/// let second = parts[0].clone();
/// # drop(whole);
/// ```
/// ```compile_fail,E0599
/// let (mut parts, whole) = windlass::SharedBuffer::from(vec![1]).split(1).unwrap();
/// let second = whole.clone();
/// ```
struct OneWriter;

/// A part lives as long as it likes, and so do its elements.
///
/// ```
/// let text = String::from("moved");
/// let buffer = windlass::SharedBuffer::from(vec![text]);
/// let (parts, whole) = buffer.split(1).unwrap();
/// std::thread::spawn(move || println!("{}", parts[0][0])).join().unwrap();
/// # drop(whole);
/// ```
/// ```compile_fail,E0597
/// let text = String::from("borrowed");
/// let buffer = windlass::SharedBuffer::from(vec![&text]);
/// let (parts, whole) = buffer.split(1).unwrap();
/// std::thread::spawn(move || println!("{}", parts[0][0])).join().unwrap();
/// # drop(whole);
/// ```
/// ```compile_fail,E0515
/// fn part() -> windlass::Part<&'static str> {
///     let text = String::from("borrowed");
///     let buffer = windlass::SharedBuffer::from(vec![text.as_str()]);
///     buffer.split(1).unwrap().0.remove(0)
/// }
/// ```
struct NothingIsBorrowed;

/// A part is of the type that the whole will give back: what lives shorter must
/// not get in.
///
/// ```
/// fn shorten<'a>(part: windlass::SharedBuffer<&'static str>) -> windlass::SharedBuffer<&'a str> {
///     part
/// }
/// ```
/// ```compile_fail
/// fn shorten<'a>(part: windlass::Part<&'static str>) -> windlass::Part<&'a str> {
///     part
/// }
/// ```
struct PartsAreInvariant;

/// What crosses threads in a part has to be `Send`, and in a buffer that others
/// read `Sync` too.
///
/// ```
/// use std::sync::Arc;
/// let (parts, whole) = windlass::SharedBuffer::from(vec![Arc::new(1)]).split(1).unwrap();
/// std::thread::spawn(move || drop(parts));
/// # drop(whole);
/// ```
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let (parts, whole) = windlass::SharedBuffer::from(vec![Rc::new(1)]).split(1).unwrap();
/// std::thread::spawn(move || drop(parts));
/// # drop(whole);
/// ```
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let (parts, whole) = windlass::SharedBuffer::from(vec![Rc::new(1)]).split(1).unwrap();
/// std::thread::spawn(move || drop(whole));
/// # drop(parts);
/// ```
/// ```
/// use std::cell::Cell;
/// let (parts, whole) = windlass::SharedBuffer::from(vec![Cell::new(1)]).split(1).unwrap();
/// std::thread::spawn(move || parts[0][0].set(2));
/// # drop(whole);
/// ```
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let (parts, whole) = windlass::SharedBuffer::from(vec![Cell::new(1)]).split(1).unwrap();
/// std::thread::scope(|s| { s.spawn(|| parts[0][0].set(2)); });
/// # drop(whole);
/// ```
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let buffer = windlass::SharedBuffer::from(vec![Cell::new(1)]);
/// std::thread::spawn(move || buffer[0].set(2));
/// ```
struct ElementsMayCross;

/// Only plain data is viewed as plain data.
///
/// ```
/// let _ = windlass::SharedBuffer::from(vec![1_u32]).view_as::<f32>();
/// ```
/// ```compile_fail,E0277
/// let _ = windlass::SharedBuffer::from(vec![1_u8]).view_as::<bool>();
/// ```
/// ```compile_fail,E0599
/// let _ = windlass::SharedBuffer::from(vec![&1_u64]).view_as::<u64>();
/// ```
struct ViewsAreOfPlainData;

/// The integers of a shared array are a closed set.
///
/// ```
/// let _ = windlass::SharedArray::<i32>::new(1);
/// ```
/// ```compile_fail,E0277
/// let _ = windlass::SharedArray::<f32>::new(1);
/// ```
/// ```compile_fail,E0277
/// let _ = windlass::SharedArray::<bool>::new(1);
/// ```
/// ```compile_fail,E0277
/// #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
/// struct Own(u32);
/// impl windlass::SharedInteger for Own {}
/// ```
struct IntegersOnly;
