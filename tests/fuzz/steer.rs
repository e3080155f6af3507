//! Tokens, and being asked to stop.

use windlass::{CancelToken, checkpoint, is_cancelled};

use super::desk::{Desk, pick, poll_once};
use super::program::Numbers;
use crate::ledger::tally::{Fault, found};

impl Desk {
    /// Puts another token in the place of one.
    fn replace(&mut self, number: u8, token: CancelToken) -> CancelToken {
        let mut tokens = self.scene.tokens.lock().unwrap();
        let at = pick(number, tokens.len()).expect("there are some");
        std::mem::replace(&mut tokens[at], token)
    }

    pub(super) fn token_new(&mut self, numbers: Numbers) {
        drop(self.replace(numbers.0, CancelToken::new()));
    }

    pub(super) fn token_child(&mut self, numbers: Numbers) {
        let child = self.scene.token(numbers.1).child();
        drop(self.replace(numbers.0, child));
    }

    pub(super) fn token_cancel(&mut self, numbers: Numbers) {
        let token = self.scene.token(numbers.0);
        token.cancel();
        is_over(&token);
    }

    pub(super) fn token_guard(&mut self, numbers: Numbers) {
        let token = self.scene.token(numbers.0);
        let guard = token.clone().drop_guard();
        if numbers.flag() {
            drop(guard.disarm());
        } else {
            drop(guard);
            is_over(&token);
        }
    }

    pub(super) fn token_wait(&mut self, numbers: Numbers) {
        let token = self.scene.token(numbers.0);
        let over = token.is_cancelled();
        let ready = poll_once(&mut token.cancelled()).is_some();
        if over && !ready {
            found(Fault::Wrong, || "a cancelled token is not ready".to_owned());
        }
    }

    /// No job runs outside; inside, both say the same.
    pub(super) fn checkpoint(&mut self, _: Numbers) {
        let asked = is_cancelled();
        let stopped = checkpoint().is_err();
        if asked && (!stopped || self.is_outside()) {
            found(Fault::Wrong, || "asked to stop, and not".to_owned());
        }
    }
}

fn is_over(token: &CancelToken) {
    if !token.is_cancelled() {
        found(Fault::Wrong, || "a cancelled token is not".to_owned());
    }
    pollster::block_on(token.cancelled());
}
