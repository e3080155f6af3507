//! How jobs stand to each other.
//!
//! # Who may wait for whom
//! A program can lock itself up with views, as it can with locks: a job of one
//! waits for a job of the other, and the other way round. So views have ranks,
//! and a job in a view, with all its children, waits only for views of higher
//! ranks; or directly for its own one, which gives its place back, or is an error.

use super::views::{ROOMY, is_exact};

/// How a job stands to others.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// So deep may its children go.
    depth: u32,
    /// It waits for this view and higher ones only.
    rank: usize,
    /// The view it is in.
    own: Option<usize>,
    /// The thread outside that hands it over.
    pub(crate) hand: Option<usize>,
}

impl Place {
    pub(crate) fn outside(hand: usize, depth: u32) -> Self {
        Self {
            depth,
            rank: 0,
            own: None,
            hand: Some(hand),
        }
    }

    pub(crate) fn child(self) -> Self {
        Self {
            depth: self.depth.saturating_sub(1),
            own: None,
            hand: None,
            ..self
        }
    }

    pub(crate) fn in_view(self, at: usize) -> Self {
        Self {
            rank: self.rank.max(at + 1),
            own: Some(at),
            ..self.child()
        }
    }

    /// Whether it may have children.
    pub(crate) fn may_nest(self) -> bool {
        self.depth > 0
    }

    /// The view it is in.
    pub(crate) fn own(self) -> Option<usize> {
        self.own
    }

    /// Its own view, if a child of it there may be waited for: with an answer,
    /// or with an error that says that it cannot be.
    pub(crate) fn own_to_wait_for(self) -> Option<usize> {
        self.own.filter(|&own| !is_exact(own))
    }

    /// Whether it may wait for jobs of that view.
    pub(crate) fn may_wait_for(self, view: usize) -> bool {
        view >= self.rank || self.own == Some(ROOMY) && view == ROOMY
    }
}

/// Which job of a view it is; of those from outside, which of its hand's.
pub(crate) struct Order {
    pub(crate) at: usize,
    pub(crate) number: Option<(usize, u64)>,
}
