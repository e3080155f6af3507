//! The most memory that a worker may have: who has more is exchanged for a fresh one.

use std::time::Duration;

use super::engine::Engine;
use super::event::ClusterEvent;

/// So often the workers are looked at: a leak takes minutes, a look some microseconds for
/// each of them, and the primary would else sleep.
pub(super) const LOOK: Duration = Duration::from_secs(1);

impl Engine {
    /// Looks at how much memory the workers have, if it is time to, and has those go that
    /// have too much.
    pub(super) fn look_at_sizes(&mut self) {
        let Some(limit) = self.settings.memory_limit else {
            return;
        };
        if !self.places.is_time_to_look() {
            return;
        }
        let mut too_large = Vec::new();
        for member in self.members.iter_mut().filter(|it| it.is_listening()) {
            match member.size() {
                Some(bytes) if bytes > limit => {
                    too_large.push((member.id, member.place, member.was_small, bytes));
                }
                Some(_) if !member.was_small => {
                    member.was_small = true;
                    self.places.has_settled(member.place);
                }
                _ => {}
            }
        }
        for (id, place, was_small, bytes) in too_large {
            let backoff = self.settings.backoff;
            if self.places.plan_exchange(id, place, was_small, backoff) {
                self.tell(ClusterEvent::Oversize { id, bytes, limit });
            }
        }
    }
}
