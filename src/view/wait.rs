//! A job of a view is waited for inside a job of the pool.

use std::iter;
use std::task::Waker;

use super::core::View;
use crate::handle::Help;
use crate::sync::Arc;
use crate::sync::absence::{self, Host};

impl View {
    /// This view, the one that it is a part of, and so on.
    fn chain(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        iter::successors(Some(self), |view| view.outer())
    }
}

impl Host for View {
    fn leaves(self: Arc<Self>) {
        // The next one of a single place may only start when this one has ended.
        if self.places() > 1 && self.give_place_back() {
            self.start();
        }
    }

    fn returns(&self) {
        if self.places() > 1 {
            self.take_place_again();
        }
    }
}

impl Help for View {
    fn would_deadlock(self: Arc<Self>) -> bool {
        self.chain()
            .any(|view| view.places() == 1 && absence::has_guest(view))
    }

    fn help(self: Arc<Self>, waker: &Waker, is_over: &dyn Fn() -> bool) {
        if !self.scheduler().is_current() {
            return;
        }
        let outermost = self.chain().last().unwrap_or(&self);
        loop {
            while !is_over() && outermost.begin() {
                outermost.serve();
            }
            if is_over() || outermost.wait_for_turn(waker) {
                return;
            }
        }
    }
}
