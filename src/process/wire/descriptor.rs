//! [`Descriptor`]: a socket, a listener or a file in a message.
//!
//! No format of serde's has a word for it. So who writes a message makes a place for
//! descriptors, on its thread: a [`Descriptor`] puts its own there, and writes only which
//! one that is. Who reads a message puts there what came with it.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::descriptors::MOST;
use crate::sync::thread_local;

/// A socket, a listener or a file in a message to or from a
/// [`ProcessWorker`](crate::process::ProcessWorker): Node's `child.send(message, handle)`.
///
/// It may stand anywhere in the message, and be anything that has a descriptor:
/// `TcpStream`, `TcpListener`, `UdpSocket`, their like on unix, `File`, `OwnedFd`.
///
/// ```no_run
/// use std::io::Write;
/// use std::net::{TcpListener, TcpStream};
///
/// use serde::{Deserialize, Serialize};
/// use windlass::process::{Descriptor, ProcessParent, ProcessWorker, Tasks};
///
/// #[derive(Serialize, Deserialize)]
/// struct Request {
///     stream: Descriptor<TcpStream>,
///     path: String,
/// }
///
/// fn answer(parent: &ProcessParent<Request, ()>) {
///     while let Ok(Request { mut stream, path }) = parent.recv() {
///         let _ = writeln!(stream, "{path} is not here");
///     }
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let tasks = Tasks::new().with_worker("answer", answer).serve_if_child();
///     let worker = ProcessWorker::<Request, ()>::start(&tasks, "answer")?;
///     let listener = TcpListener::bind("127.0.0.1:8080")?;
///     for stream in listener.incoming() {
///         let stream = Descriptor(stream?);
///         let path = "/the/hold".into();
///         worker.post(Request { stream, path })?; // from here on it is the child's
///     }
///     Ok(())
/// }
/// ```
///
/// The sender's own is closed with the message, once that is written. To keep one, send what
/// `try_clone` gives: both are the same open socket or file then, with one position, and
/// non-blocking for both if for one. The receiver's is closed on exec, and is made a `T` of
/// whatever came: one of another kind is an error when it is used. One that is left in a
/// message is closed with it.
///
/// # Errors
/// A message can have 64 of them, and a process as many as the system lets it (`ulimit -n`);
/// a child may have those of messages that it has not received yet, too. A message with
/// more of them, or with one that cannot be duplicated, cannot be written, with what is
/// said of that at [`ProcessWorker::post`](crate::process::ProcessWorker::post) and
/// [`ProcessParent::post`](crate::process::ProcessParent::post). A receiver that has no descriptors
/// left for them cannot read it: that ends the worker, and is its
/// [`problem`](crate::process::ProcessExit::problem), or on its stderr if it was the receiver.
///
/// Anywhere else, in a [`Task`](crate::process::Task), a
/// [`Cluster`](crate::process::Cluster)'s message or in JSON, it cannot be written nor
/// read. A message to a [`Worker`](crate::Worker) on a thread is moved, and it with it.
#[derive(Debug)]
pub struct Descriptor<T>(pub T);

impl<T> Deref for Descriptor<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Descriptor<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Descriptor<T> {
    fn from(it: T) -> Self {
        Self(it)
    }
}

impl<T: AsFd> Serialize for Descriptor<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match put(&self.0) {
            Ok(number) => serializer.serialize_u32(number),
            Err(why) => Err(serde::ser::Error::custom(tell(why))),
        }
    }
}

impl<'de, T: From<OwnedFd>> Deserialize<'de> for Descriptor<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Asked first: another format would find fault with the number.
        let taken = match is_reading() {
            true => take(u32::deserialize(deserializer)?),
            false => {
                Err("a descriptor can be received in a message of a process worker only".into())
            }
        };
        let taken = taken.map_err(|why| serde::de::Error::custom(tell(why)))?;
        Ok(Self(T::from(taken)))
    }
}

/// Where descriptors are put and taken, on a thread.
enum Place {
    /// No message of a process worker is under way.
    Nowhere,
    /// One is written, and these go along with it.
    Out(Vec<OwnedFd>),
    /// One is read, and these came with it, but for those that were taken.
    In(Vec<Option<OwnedFd>>),
}

struct Desk {
    place: Place,
    /// Why a descriptor was not put or taken: postcard's errors have no texts.
    told: Option<String>,
}

thread_local! {
    static DESK: RefCell<Desk> = const {
        RefCell::new(Desk {
            place: Place::Nowhere,
            told: None,
        })
    };
}

/// Nothing of the user's runs in `look`. `None` in a thread's last destructors.
fn with<R>(look: impl FnOnce(&mut Desk) -> R) -> Option<R> {
    DESK.try_with(|desk| look(&mut desk.borrow_mut())).ok()
}

/// Puts a duplicate aside; which one it is.
fn put(it: &impl AsFd) -> Result<u32, String> {
    let count = with(|desk| match &desk.place {
        Place::Out(along) => Some(along.len()),
        _ => None,
    });
    match count.flatten() {
        Some(count) if count < MOST => {}
        Some(_) => {
            return Err(format!(
                "a message can have {MOST} descriptors, and has more"
            ));
        }
        None => {
            return Err("a descriptor can be sent in a message of a process worker only".into());
        }
    }
    let own = it.as_fd().try_clone_to_owned();
    let own = own.map_err(|error| format!("a descriptor could not be duplicated: {error}"))?;
    let number = with(|desk| match &mut desk.place {
        Place::Out(along) => {
            along.push(own);
            u32::try_from(along.len() - 1).ok()
        }
        _ => None,
    });
    number.flatten().ok_or_else(|| "the message is gone".into())
}

fn is_reading() -> bool {
    with(|desk| matches!(desk.place, Place::In(_))).unwrap_or(false)
}

fn take(number: u32) -> Result<OwnedFd, String> {
    let taken = with(|desk| match &mut desk.place {
        Place::In(came) => came.get_mut(number as usize)?.take(),
        _ => None,
    });
    let missing = || format!("there is no descriptor {number} with it, or not any more");
    taken.flatten().ok_or_else(missing)
}

fn tell(why: String) -> String {
    with(|desk| desk.told = Some(why.clone()));
    why
}

/// Runs `write`, which writes a message; the descriptors that go along with it.
pub(crate) fn writing<R>(
    write: impl FnOnce() -> postcard::Result<R>,
) -> Result<(R, Vec<OwnedFd>), String> {
    match at(Place::Out(Vec::new()), write)? {
        (written, Place::Out(along)) => Ok((written, along)),
        // In a thread's last destructors.
        (written, _) => Ok((written, Vec::new())),
    }
}

/// Runs `read`, which reads a message that these came with. What it leaves is closed.
pub(crate) fn reading<R>(
    came: Vec<Option<OwnedFd>>,
    read: impl FnOnce() -> postcard::Result<R>,
) -> Result<R, String> {
    at(Place::In(came), read).map(|(read, _left)| read)
}

/// Runs `act`, which writes or reads what can have none.
pub(crate) fn nowhere<R>(act: impl FnOnce() -> postcard::Result<R>) -> Result<R, String> {
    at(Place::Nowhere, act).map(|(it, _)| it)
}

fn at<R>(place: Place, act: impl FnOnce() -> postcard::Result<R>) -> Result<(R, Place), String> {
    let outer = Outer(Some(exchange(Desk { place, told: None })));
    let done = act();
    let Desk { place, told } = outer.back();
    match (done, told) {
        (Ok(it), _) => Ok((it, place)),
        (Err(postcard::Error::SerdeSerCustom | postcard::Error::SerdeDeCustom), Some(why)) => {
            Err(why)
        }
        (Err(error), _) => Err(error.to_string()),
    }
}

fn exchange(desk: Desk) -> Desk {
    let before = DESK.try_with(|place| place.replace(desk));
    before.unwrap_or(Desk {
        place: Place::Nowhere,
        told: None,
    })
}

/// What was there before: a message may be written amid another one, by what a thread does
/// while it waits.
struct Outer(Option<Desk>);

impl Outer {
    fn back(mut self) -> Desk {
        exchange(self.0.take().expect("it is given back once"))
    }
}

impl Drop for Outer {
    /// After a panic.
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            drop(exchange(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::catch;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn null() -> Descriptor<File> {
        Descriptor(File::open("/dev/null").unwrap())
    }

    fn written<T: Serialize>(message: &T) -> (Vec<u8>, Vec<Option<OwnedFd>>) {
        let (bytes, along) = writing(|| postcard::to_stdvec(message)).unwrap();
        (bytes, along.into_iter().map(Some).collect())
    }

    #[test]
    fn what_is_put_is_what_is_taken() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let message = (Descriptor(one), "text", vec![null(), null()]);
        let (bytes, along) = written(&message);
        drop(message);
        assert_eq!(along.len(), 3);
        type Message<'a> = (Descriptor<UnixStream>, &'a str, Vec<Descriptor<OwnedFd>>);
        let (mut one, text, files): Message<'_> =
            reading(along, || postcard::from_bytes(&bytes)).unwrap();
        assert_eq!((text, files.len()), ("text", 2));
        writeln!(one, "words").unwrap();
        // It is the last one.
        drop(one);
        let mut words = String::new();
        other.read_to_string(&mut words).unwrap();
        assert_eq!(words, "words\n");
    }

    #[test]
    fn what_cannot_be_is_told() {
        let to = |error: String, told: &str| assert!(error.contains(told), "{error}");
        let only = "in a message of a process worker only";
        to(
            serde_json::to_string(&null()).unwrap_err().to_string(),
            only,
        );
        let read = serde_json::from_str::<Descriptor<File>>("0");
        to(read.unwrap_err().to_string(), only);
        to(nowhere(|| postcard::to_stdvec(&null())).unwrap_err(), only);
        let read = nowhere(|| postcard::from_bytes::<Descriptor<File>>(&[0]));
        to(read.unwrap_err(), only);
        let many: Vec<_> = (0..=MOST).map(|_| null()).collect();
        let error = writing(|| postcard::to_stdvec(&many)).unwrap_err();
        to(error, "can have 64 descriptors");
        // A number that there is not, and one that was taken.
        let (_, along) = written(&null());
        let read = reading(along, || postcard::from_bytes::<Descriptor<File>>(&[1]));
        to(read.unwrap_err(), "no descriptor 1");
        let (_, along) = written(&null());
        let read = reading(along, || {
            postcard::from_bytes::<[Descriptor<File>; 2]>(&[0, 0])
        });
        to(read.unwrap_err(), "no descriptor 0");
    }

    #[test]
    fn a_message_amid_another_has_a_place_of_its_own() {
        struct Outside;
        impl Serialize for Outside {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                assert_eq!(written(&(null(), null())).1.len(), 2);
                assert!(nowhere(|| postcard::to_stdvec(&null())).is_err());
                let panic = || -> postcard::Result<()> { std::panic::resume_unwind(Box::new(())) };
                assert!(catch(|| writing(panic)).is_err());
                serializer.serialize_unit()
            }
        }
        assert_eq!(written(&(null(), Outside, null())).1.len(), 2);
        assert!(
            serde_json::to_string(&null()).is_err(),
            "nothing is left behind"
        );
    }
}
