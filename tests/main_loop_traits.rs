//! Which of the loop's types cross threads.

use windlass::{KeepAlive, MainLoop, PostError, Remote, SourceId};

fn send_and_sync<T: Send + Sync>() {}

#[test]
fn what_other_threads_hold_is_send_and_sync() {
    send_and_sync::<Remote>();
    send_and_sync::<KeepAlive>();
    send_and_sync::<PostError<Box<dyn FnOnce(&MainLoop) + Send>>>();
    send_and_sync::<SourceId>();
    #[cfg(unix)]
    send_and_sync::<windlass::Pollable>();
}

/// The call is ambiguous, and does not compile, for a type that is `$marker`.
macro_rules! is_not {
    ($marker:ident, $type:ty) => {{
        trait Ambiguous<A> {
            fn check() {}
        }
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + $marker> Ambiguous<u8> for T {}
        <$type as Ambiguous<_>>::check();
    }};
}

#[test]
fn the_loop_stays_on_its_thread() {
    is_not!(Send, MainLoop);
    is_not!(Sync, MainLoop);
}

#[test]
fn everything_can_be_shown() {
    let main = MainLoop::default();
    main.set_immediate(|_, _| ());
    assert!(format!("{main:?}").contains("sources: 1"));
    assert!(format!("{:?}", main.remote()).contains("closed: false"));
    assert!(format!("{:?}", main.remote().keep_alive()).contains("KeepAlive"));
    assert!(std::error::Error::source(&refused()).is_none());
    assert!(format!("{:?}", refused()).contains("PostError"));
}

#[test]
fn an_error_passes_through_an_applications_own() {
    fn application() -> anyhow::Result<()> {
        Err(refused())?
    }
    assert_eq!(
        application().unwrap_err().to_string(),
        "nobody is left to receive the message"
    );
}

type Closure = Box<dyn FnOnce(&MainLoop) + Send>;

fn refused() -> PostError<Closure> {
    let remote = MainLoop::new().remote();
    remote.post(|_| ()).unwrap_err()
}
