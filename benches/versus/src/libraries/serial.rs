//! No library at all: one half after the other, on the thread that asks.

use super::{Join, Library};
use crate::question::FLOOR;

pub struct Serial;

impl Library for Serial {
    const NAME: &'static str = FLOOR;

    fn start(_: usize) -> Self {
        Self
    }
}

impl Join for Serial {
    type Here<'a> = ();

    fn enter<P, R>(&self, program: P) -> R
    where
        P: FnOnce(&mut Self::Here<'_>) -> R + Send + 'static,
        R: Send + 'static,
    {
        program(&mut ())
    }

    #[inline]
    fn join<A, B, RA, RB>(here: &mut Self::Here<'_>, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce(&mut Self::Here<'_>) -> RA + Send,
        B: FnOnce(&mut Self::Here<'_>) -> RB + Send,
        RA: Send,
        RB: Send,
    {
        (a(here), b(here))
    }
}
