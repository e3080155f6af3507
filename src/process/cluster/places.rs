//! The places of a cluster: which worker is in each, when the next one is started, and
//! how all of them are exchanged one by one.

use std::collections::VecDeque;
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::event::ClusterEvent;
use super::member::Member;
use super::sizes::LOOK;

/// What is too far away to be a point in time is as good as a year.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// So much later.
pub(super) fn later(than: Instant, by: Duration) -> Instant {
    than.checked_add(by).unwrap_or_else(|| than + YEAR)
}

/// One of the `workers(n)`.
#[derive(Clone, Default)]
struct Place {
    /// Nobody is to come to it any more.
    is_given_up: bool,
    /// When the next worker is started, if none is in it.
    start_at: Option<Instant>,
    /// The wait before the last restart, if the worker before had died quickly.
    delay: Duration,
    /// Until then nobody in it is exchanged for size, and how long that was.
    unsettled_until: Option<Instant>,
    unsettled_for: Duration,
}

impl Place {
    /// The next restart waits for longer.
    fn back_off(&mut self, backoff: [Duration; 2]) {
        self.delay = longer(self.delay, backoff);
    }

    /// An exchange for size has come to nothing, or is about to bring one that is as large.
    fn unsettle(&mut self, backoff: [Duration; 2]) {
        self.unsettled_for = longer(self.unsettled_for, backoff);
        self.unsettled_until = Some(later(Instant::now(), self.unsettled_for));
    }
}

/// The wait after one that was in vain: twice as long.
fn longer(wait: Duration, [first, longest]: [Duration; 2]) -> Duration {
    wait.saturating_mul(2).clamp(first, longest)
}

/// One worker goes, and another comes.
struct Exchange {
    old: u64,
    new: u64,
    /// Because it was too large, and not in a restart of all.
    is_for_size: bool,
}

/// See the [module](self).
pub(super) struct Places {
    places: Vec<Place>,
    /// In a row, in all places.
    quick_deaths: u32,
    /// The workers that are still to be exchanged in a restart of all.
    to_restart: VecDeque<u64>,
    /// Those that are to be exchanged for their size.
    too_large: VecDeque<u64>,
    /// What is under way of both.
    exchange: Option<Exchange>,
    /// When the workers' sizes are looked at next, if they have a limit.
    next_look: Option<Instant>,
}

impl Places {
    pub(super) fn new(count: usize, is_limited: bool) -> Self {
        Self {
            places: vec![Place::default(); count],
            quick_deaths: 0,
            to_restart: VecDeque::new(),
            too_large: VecDeque::new(),
            exchange: None,
            next_look: is_limited.then(|| later(Instant::now(), LOOK)),
        }
    }

    pub(super) fn give_up(&mut self, place: usize) {
        let place = &mut self.places[place];
        place.is_given_up = true;
        place.start_at = None;
    }

    pub(super) fn are_given_up(&self) -> bool {
        self.places.iter().all(|place| place.is_given_up)
    }

    /// Whether sizes are to be looked at now; the next time is later then.
    pub(super) fn is_time_to_look(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.next_look.is_some_and(|at| at <= now);
        if is_due {
            self.next_look = Some(later(now, LOOK));
        }
        is_due
    }

    /// A worker is too large: whether it is to go for that, which is news then. It is not if
    /// it has to go already, or its place has not settled.
    pub(super) fn plan_exchange(
        &mut self,
        id: u64,
        place: usize,
        was_small: bool,
        backoff: [Duration; 2],
    ) -> bool {
        let is_going = self.exchange.as_ref().is_some_and(|it| it.old == id);
        let place = &mut self.places[place];
        if is_going
            || self.to_restart.contains(&id)
            || self.too_large.contains(&id)
            || place
                .unsettled_until
                .is_some_and(|until| until > Instant::now())
        {
            return false;
        }
        if !was_small {
            // The next one is likely to be as large from the start.
            place.unsettle(backoff);
        }
        self.too_large.push_back(id);
        true
    }

    /// A worker has come to a place that is not too large.
    pub(super) fn has_settled(&mut self, place: usize) {
        let place = &mut self.places[place];
        (place.unsettled_until, place.unsettled_for) = (None, Duration::ZERO);
    }

    /// Whose turn to be exchanged it is, and whether that is for its size. A restart of all
    /// comes first: it may be those too that are too large.
    fn next_exchange(&mut self) -> Option<(u64, bool)> {
        let restart = self.to_restart.pop_front().map(|id| (id, false));
        restart.or_else(|| self.too_large.pop_front().map(|id| (id, true)))
    }

    fn forget_exchanges(&mut self) {
        self.to_restart.clear();
        self.too_large.clear();
        self.exchange = None;
        self.next_look = None;
    }
}

impl Engine {
    /// When the next restart or look is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let starts = self.places.places.iter().filter_map(|place| place.start_at);
        let start = starts.min().filter(|_| !self.is_on_trial());
        start.into_iter().chain(self.places.next_look).min()
    }

    /// Whether one that is still starting is the last hope: no more are started until it is
    /// known what becomes of it.
    fn is_on_trial(&self) -> bool {
        self.are_too_many_dead() && self.members.iter().any(Member::is_starting)
    }

    /// Whether so many have died quickly that, with nobody else to come, it is the end.
    fn are_too_many_dead(&self) -> bool {
        let too_many = self.places.quick_deaths >= self.settings.max_quick_deaths;
        too_many && !self.members.iter().any(Member::is_listening)
    }

    /// Has a worker go for good, and who is about to take its place, too; not one that was
    /// told to go before, whose place may be another's by now.
    pub(super) fn disconnect(&mut self, id: u64) {
        let Some(place) = self.member(id).filter(|it| !it.was_told).map(|it| it.place) else {
            return;
        };
        self.dismiss(id);
        if let Some(Exchange {
            old,
            new,
            is_for_size,
        }) = self.places.exchange
            && old == id
            // One that listens has the place: the old one has closed its way by itself.
            && self.member(new).is_some_and(|new| !new.is_listening())
        {
            self.dismiss(new);
            self.places.exchange = None;
            if !is_for_size {
                self.give_up_restart(format!("worker {id} was disconnected"));
            }
        }
        // If it was the new one of an exchange, the old one stays in it.
        if !self.is_occupied(place) {
            self.places.give_up(place);
        }
    }

    /// A worker is gone that nobody had told to stop with the whole cluster.
    pub(super) fn has_died(&mut self, member: &Member, status: Option<ExitStatus>) {
        let is_new = |exchange: &mut Exchange| exchange.new == member.id;
        let exchange = self.places.exchange.take_if(is_new);
        let why = describe(member, status);
        match exchange {
            // The one that is too large goes on for now.
            Some(exchange) if exchange.is_for_size => {
                self.places.places[member.place].unsettle(self.settings.backoff);
            }
            Some(_) => self.give_up_restart(why.clone()),
            None => {}
        }
        let settings = &self.settings;
        let has_served = member.has_served(settings.min_uptime);
        let place = &mut self.places.places[member.place];
        if has_served {
            place.delay = Duration::ZERO;
            self.places.quick_deaths = 0;
        }
        if member.was_told {
            return;
        }
        if !has_served {
            place.back_off(settings.backoff);
            self.places.quick_deaths += 1;
        }
        self.start_later(member.place, why);
    }

    /// Has a worker be started in a place, if there is to be one; `why` there is none.
    fn start_later(&mut self, place: usize, why: String) {
        if !self.settings.restart {
            self.places.give_up(place);
        }
        if self.are_too_many_dead() && !self.is_on_trial() {
            return self.fail(why);
        }
        let place = &mut self.places.places[place];
        if !place.is_given_up {
            place.start_at = Some(later(Instant::now(), place.delay));
        }
    }

    /// Starts the workers whose time has come.
    pub(super) fn look_after_places(&mut self) {
        self.start_those_due();
        // It may have failed with that.
        if self.stopping.is_some() {
            self.places
                .places
                .iter_mut()
                .for_each(|place| place.start_at = None);
            self.places.forget_exchanges();
            return;
        }
        self.look_at_sizes();
        self.exchange();
    }

    fn start_those_due(&mut self) {
        let now = Instant::now();
        for place in 0..self.places.places.len() {
            if self.stopping.is_some() || self.is_on_trial() {
                return;
            }
            let start_at = &mut self.places.places[place].start_at;
            if start_at.take_if(|at| *at <= now).is_none() || self.is_occupied(place) {
                continue;
            }
            if let Err(error) = self.start(place) {
                let reason = self.cannot_start(place, &error);
                self.start_later(place, reason);
            }
        }
    }

    /// Tells that there is no worker for a place; why.
    fn cannot_start(&mut self, place: usize, error: &io::Error) -> String {
        self.places.places[place].back_off(self.settings.backoff);
        self.places.quick_deaths += 1;
        let reason = format!("it could not be started: {error}");
        self.tell(ClusterEvent::StartFailed {
            place,
            reason: reason.clone(),
        });
        reason
    }

    /// Whether a worker is in a place that stays there.
    fn is_occupied(&self, place: usize) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.place == place && member.leaving.is_none())
    }

    /// All workers that are there now are to be exchanged.
    pub(super) fn plan_restart(&mut self) {
        let under_way = self.places.exchange.as_ref();
        // One that goes for its size may yet stay, if nobody comes.
        let restarting = under_way.filter(|exchange| !exchange.is_for_size);
        let going = restarting.map(|exchange| exchange.old);
        let planned = &mut self.places.to_restart;
        for member in &self.members {
            let id = member.id;
            if member.leaving.is_none() && Some(id) != going && !planned.contains(&id) {
                planned.push_back(id);
            }
        }
        if planned.is_empty() && going.is_none() && self.stopping.is_none() {
            self.tell(ClusterEvent::Restarted { error: None });
        }
    }

    /// Goes on with a rolling restart as far as it goes without waiting: the new worker
    /// has to listen before the old one is told to go, and that one has to be gone before
    /// it is the next one's turn.
    fn exchange(&mut self) {
        loop {
            if let Some(Exchange {
                old,
                new,
                is_for_size,
            }) = self.places.exchange
            {
                let is_listening = self.member(new).is_some_and(|new| new.is_listening());
                let is_gone = self.member(old).is_none();
                if !is_listening {
                    return;
                }
                if !is_gone {
                    return self.dismiss_once(old);
                }
                self.places.exchange = None;
                self.has_exchanged(is_for_size);
            }
            let Some((old, is_for_size)) = self.places.next_exchange() else {
                return;
            };
            let stays = self.member(old).filter(|old| old.leaving.is_none());
            let Some(place) = stays.map(|old| old.place) else {
                // It has gone by itself, and a new one has come or will.
                self.has_exchanged(is_for_size);
                continue;
            };
            match self.start(place) {
                Ok(new) => {
                    self.places.exchange = Some(Exchange {
                        old,
                        new,
                        is_for_size,
                    });
                }
                Err(error) if is_for_size => {
                    self.places.places[place].unsettle(self.settings.backoff);
                    drop(self.cannot_start(place, &error));
                }
                Err(error) => self.give_up_restart(format!("it could not be started: {error}")),
            }
        }
    }

    /// One of those that were to go is gone.
    fn has_exchanged(&self, for_size: bool) {
        if !for_size && self.places.to_restart.is_empty() {
            self.tell(ClusterEvent::Restarted { error: None });
        }
    }

    fn dismiss_once(&mut self, id: u64) {
        let is_leaving = self.member(id).is_some_and(|it| it.leaving.is_some());
        if !is_leaving {
            self.dismiss(id);
        }
    }

    fn give_up_restart(&mut self, why: String) {
        self.places.to_restart.clear();
        self.tell(ClusterEvent::Restarted { error: Some(why) });
    }
}

/// What became of a worker.
fn describe(member: &Member, status: Option<ExitStatus>) -> String {
    use super::member::Stage;

    let (id, pid) = (member.id, member.pid());
    let how = match (&member.fault, status) {
        (Some(fault), _) => format!("was killed: {fault}"),
        (None, Some(status)) => format!("ended ({status})"),
        (None, None) => "ended (how was told to somebody else)".into(),
    };
    let when = match member.stage {
        Stage::Started => " before it came to `Cluster::worker()`",
        Stage::Online => " before it took connections",
        Stage::Listening(_) => "",
    };
    match &member.fault {
        Some(_) => format!("worker {id} (process {pid}) {how}"),
        None => format!("worker {id} (process {pid}) {how}{when}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_between_exchanges_for_size_grow_until_one_is_small() {
        let backoff = [30, 70].map(Duration::from_secs);
        let mut places = Places::new(2, true);
        let waits = [30, 60, 70, 70].map(Duration::from_secs);
        for (id, wait) in (1..).zip(waits) {
            assert!(places.plan_exchange(id, 0, false, backoff));
            assert!(!places.plan_exchange(id, 0, false, backoff), "it is told");
            assert_eq!(places.places[0].unsettled_for, wait);
            assert!(!places.plan_exchange(id + 1, 0, true, backoff), "too soon");
            places.places[0].unsettled_until = Some(Instant::now());
        }
        assert!(places.plan_exchange(9, 1, true, backoff), "another place");
        assert_eq!(places.places[1].unsettled_until, None);
        places.has_settled(0);
        assert!(places.plan_exchange(5, 0, false, backoff));
        assert_eq!(places.places[0].unsettled_for, backoff[0]);
        (0..3).for_each(|_| places.places[0].unsettle([Duration::MAX; 2]));
        assert!(!places.plan_exchange(6, 0, true, backoff), "for ever");
    }
}
